//! `WriterActor`: what is due on egress → REST or Bulk API 2.0 → each change's end.
//!
//! Here: the order of a step, and who waits for what. Not here: calls (`rest`, `bulk`), verdicts (`outcome`), which
//! changes are in memory (`window`).
//!
//! Started by: `OrgActor`, one per org. Takes: `Decided` from the ingest, which it answers at once, `Wake` and `Stop`.
//! Asks: the org, within its rate and its budget, and the store. Sends: nothing. If it dies: a fresh one goes on with
//! the stored Bulk jobs, then with what is due on disk.
//!
//! Invariant: a Bulk job is looked at when it is due and never waited for, so live changes go out while it runs.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, MessageResult};

use orgpipe_salesforce::limits::COLLECTION_RECORDS_MAX;
use orgpipe_store::{Change, Lane, Outcome, Resolve};

use super::{
    bulk::{self, Look, OpenJob},
    outcome::{Outgoing, unpack_all},
    parts::{Way, parts},
    rest,
    sending::Sending,
    window::{BYTES_MAX, ChangeWindow},
};
use crate::{
    failpoint::Point,
    org::{
        context::OrgContext,
        describe::describe_target,
        identity::{self, SupersededUpTo},
        messages::Decided,
        part::{Part, State},
        step_error::StepError,
    },
    priority::Priority,
    problem::Problem,
    retry::{Delays, until},
    runtime::worker::{self, LOOK_AGAIN, Next, Steps, Stop, Wake, Work, Worker},
};

/// Bulk jobs of one org under way at a time.
const JOBS_MAX: usize = 5;
/// How long changes of a refresh wait for more of them, so that a job is worth its calls.
const LINGER: Duration = Duration::from_secs(5);
/// How long a message that tells of changes may take; then they are taken without it.
const MESSAGE_LATE: Duration = Duration::from_millis(100);
/// How often it is looked whether more have come.
const LINGER_LOOK: Duration = Duration::from_millis(250);

/// Writes the changes of one org, within its limits.
pub(crate) struct WriterActor {
    steps: Steps<Writer>,
    window: Rc<RefCell<ChangeWindow>>,
}

impl WriterActor {
    /// Goes on with the stored jobs, then with what is due.
    pub(crate) fn new(org: Arc<OrgContext>) -> Self {
        let window = Rc::new(RefCell::new(ChangeWindow::new(org.memory.share(BYTES_MAX))));
        Self { steps: Steps::new(Writer::new(org, Rc::clone(&window))), window }
    }
}

impl Worker for WriterActor {
    type Work = Writer;

    fn steps(&mut self) -> &mut Steps<Writer> {
        &mut self.steps
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        worker::wake(self, context);
    }
}

impl Handler<Decided> for WriterActor {
    type Result = MessageResult<Decided>;

    fn handle(&mut self, Decided(settled): Decided, context: &mut Self::Context) -> Self::Result {
        let delivery = self.window.borrow_mut().decided(settled);
        worker::wake(self, context);
        MessageResult(delivery)
    }
}

impl Handler<Wake> for WriterActor {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        self.window.borrow_mut().look();
        worker::wake(self, context);
    }
}

impl Handler<Stop> for WriterActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        worker::stop(self, context);
    }
}

/// The work of a [`WriterActor`].
pub(crate) struct Writer {
    org: Arc<OrgContext>,
    window: Rc<RefCell<ChangeWindow>>,
    /// When the disk was looked at last for changes that no message brought (time since start).
    looked: Duration,
    /// `None` until what was under way before a restart has been read.
    jobs: Option<Vec<OpenJob>>,
    lingering: Option<Duration>,
    /// What will be remembered of the records that are being written.
    sending: RefCell<Sending>,
    delays: Delays,
}

impl Writer {
    fn new(org: Arc<OrgContext>, window: Rc<RefCell<ChangeWindow>>) -> Self {
        let delays = Delays::new(Duration::from_millis(500), Duration::from_mins(1));
        let looked = org.clock.monotonic();
        let sending = RefCell::default();
        Self { org, window, looked, jobs: None, lingering: None, sending, delays }
    }

    async fn advance(&mut self) -> Result<Next, StepError> {
        self.org.pass(Point::Writer);
        let mut jobs = match self.jobs.take() {
            Some(jobs) => jobs,
            None => self.resume().await?,
        };
        let looked = self.look(&mut jobs).await;
        let room = jobs.len() < JOBS_MAX;
        let next_look = jobs.iter().map(|job| job.look_at).min();
        self.jobs = Some(jobs);
        looked?;
        let mut next = if room { self.write().await? } else { Next::Idle };
        if let Some(look_at) = next_look.or_else(|| self.jobs.iter().flatten().map(|job| job.look_at).min())
            && next != Next::Again
        {
            let wait = look_at.saturating_sub(self.org.clock.monotonic());
            next = Next::After(if let Next::After(other) = next { other.min(wait) } else { wait });
        }
        Ok(next)
    }

    /// What an earlier writer had taken is free again; its Bulk jobs are gone on with.
    async fn resume(&self) -> Result<Vec<OpenJob>, StepError> {
        let org = &self.org;
        org.store.release().await?;
        let superseded = SupersededUpTo::read(&org.store).await?;
        let mut jobs = Vec::new();
        let hasher = org.store.hasher().await?;
        for job in org.store.jobs().await? {
            self.sending.borrow_mut().resumed(&hasher, &job);
            let id = job.id.clone();
            // A job holds changes of one org, and is of that one itself.
            if job.changes.iter().any(|change| superseded.covers(change.seq)) {
                let outcomes = job.changes.iter().map(|change| (change.seq, given_up())).collect();
                self.resolve(outcomes, Some(id), None).await?;
                continue;
            }
            match bulk::resume(job, org.clock.monotonic()) {
                Ok(job) => jobs.push(job),
                Err(outcomes) => self.resolve(outcomes, Some(id), None).await?,
            }
        }
        self.give_up(superseded).await?;
        bulk::abort_lost(org, &jobs).await?;
        Ok(jobs)
    }

    /// Ends the changes that were made of an org that the login led to before, due or not.
    async fn give_up(&self, superseded: SupersededUpTo) -> Result<(), StepError> {
        let org = &self.org;
        let oldest = org.store.progress().await?.oldest_change;
        if !oldest.is_some_and(|oldest| superseded.covers(oldest)) {
            return Ok(());
        }
        loop {
            let taken = org.store.egress_claim(u64::MAX, bulk::ROWS_MAX, u64::MAX).await?.numbers;
            if taken.is_empty() {
                break;
            }
            let of_before = taken.iter().filter(|seq| superseded.covers(**seq));
            let outcomes = of_before.map(|seq| (*seq, given_up())).collect();
            self.resolve(outcomes, None, None).await?;
        }
        Ok(org.store.release().await?)
    }

    /// Looks at the jobs that are due; one that cannot be looked at leaves the others alone.
    async fn look(&self, jobs: &mut Vec<OpenJob>) -> Result<(), StepError> {
        let mut trouble = None;
        let mut place = 0;
        while place < jobs.len() {
            let job = &mut jobs[place];
            if self.org.clock.monotonic() < job.look_at {
                place += 1;
                continue;
            }
            match bulk::look(&self.org, job).await {
                Ok(Look::Running) => place += 1,
                Ok(Look::Ended(outcomes, received_ms)) => {
                    self.resolve(outcomes, Some(job.id.clone()), received_ms).await?;
                    jobs.remove(place);
                }
                Err(error) => {
                    trouble = Some(error);
                    place += 1;
                }
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    async fn write(&mut self) -> Result<Next, StepError> {
        let org = Arc::clone(&self.org);
        let (now, now_ms) = (org.clock.monotonic(), org.clock.now_ms());
        if now >= self.looked + LOOK_AGAIN {
            self.looked = now;
            self.window.borrow_mut().look();
        }
        let up_to = self.window.borrow().up_to();
        let claimed = org.store.egress_claim(now_ms, bulk::ROWS_MAX, up_to).await?;
        self.window.borrow_mut().claimed(up_to, claimed.given);
        let Some(lane) = claimed.lane else {
            self.lingering = None;
            return Ok(match org.store.next_due_ms().await? {
                // Their message is on its way, or lost.
                Some(0) if up_to < u64::MAX => {
                    self.window.borrow_mut().look();
                    Next::After(MESSAGE_LATE)
                }
                Some(due_ms) => Next::After(Duration::from_millis(due_ms.saturating_sub(now_ms).max(10))),
                None => Next::Idle,
            });
        };
        if self.lingers(lane, claimed.numbers.len()).await? {
            org.store.release().await?;
            return Ok(Next::After(LINGER_LOOK));
        }
        if let Err(error) = self.send(&claimed.numbers).await {
            self.sending.borrow_mut().failed(&claimed.numbers);
            // Whatever of them is decided has left the queue; the rest is free for the next try.
            org.store.release().await?;
            return Err(error);
        }
        Ok(Next::Again)
    }

    /// Changes of a refresh wait a little while the look-ups behind them go on.
    async fn lingers(&mut self, lane: Lane, changes: usize) -> Result<bool, StepError> {
        let now = self.org.clock.monotonic();
        let since = *self.lingering.get_or_insert(now);
        let more = lane == Lane::Refresh && changes < bulk::ROWS_MAX && now < since + LINGER;
        let lingers = more && self.org.store.counts().await?.open_ingress > 0;
        if !lingers {
            self.lingering = None;
        }
        Ok(lingers)
    }

    /// The changes of these numbers, from the window or, where they are not in it, from disk.
    async fn outgoing(&self, numbers: &[u64]) -> Result<(Vec<Outgoing>, Vec<(u64, Outcome)>), StepError> {
        let missing = self.window.borrow().missing(numbers);
        let read = if missing.is_empty() { Vec::new() } else { self.org.store.changes(missing).await? };
        let mut window = self.window.borrow_mut();
        window.keep(&read);
        let read: BTreeMap<u64, &Change> = read.iter().map(|change| (change.seq, change)).collect();
        let changes = numbers.iter().filter_map(|seq| window.get(*seq).or_else(|| read.get(seq).copied()));
        Ok(unpack_all(changes, self.org.clock.now_ms()))
    }

    async fn send(&mut self, numbers: &[u64]) -> Result<(), StepError> {
        let (mut outgoing, unreadable) = self.outgoing(numbers).await?;
        if !unreadable.is_empty() {
            self.resolve(unreadable, None, None).await?;
        }
        for change in &mut outgoing {
            self.org.schemas.strip(&change.entry.target, &mut change.entry.fields);
        }
        let hasher = self.org.store.hasher().await?;
        self.sending.borrow_mut().sent(&hasher, &outgoing);
        // The most urgent of them speaks for all, as they share the calls.
        let urgent = outgoing.iter().map(|change| Priority::from(change.entry.origin)).min();
        let priority = urgent.unwrap_or(Priority::Refresh);
        let mut more = false;
        for part in parts(outgoing, self.org.settings.limits) {
            let mut by_rest = part.changes;
            if part.way == Way::Bulk {
                let jobs = self.jobs.get_or_insert_default();
                let opened = bulk::open(&self.org, priority, by_rest, jobs).await?;
                jobs.extend(opened.job);
                (by_rest, more) = (opened.left_over, more || opened.more);
            }
            // One call at a time, so that what is written is also recorded when a later one fails.
            for part in by_rest.chunks(COLLECTION_RECORDS_MAX) {
                let received_ms = oldest(part);
                let outcomes = rest::write(&self.org, priority, part).await?;
                self.resolve(outcomes, None, received_ms).await?;
            }
        }
        if more {
            self.org.store.release().await?;
        }
        Ok(())
    }

    /// Looks at the targets that an error blamed. Where fields are in quarantine since, what was put back goes out
    /// without them at once.
    async fn mended(&self, mut outcomes: Vec<(u64, Outcome)>) -> Vec<(u64, Outcome)> {
        let org = &self.org;
        for object in org.schemas.doubted() {
            let before = org.schemas.quarantined(&object);
            let looked = match org.api.reserve(Priority::Live, 1).await {
                Ok(reservation) => describe_target(org, &reservation, &object).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(_) if !org.schemas.quarantined(&object).is_subset(&before) => {
                    for (_, outcome) in &mut outcomes {
                        if let Outcome::Retry { due_ms, .. } = outcome {
                            *due_ms = 0;
                        }
                    }
                }
                Ok(_) => {}
                // The next look-up, or the next refusal, looks again.
                Err(error) => tracing::warn!(org = org.id(), object, "the schema is in doubt: {error}"),
            }
        }
        outcomes
    }

    /// Gives changes their end: commit C.
    async fn resolve(
        &self,
        outcomes: Vec<(u64, Outcome)>,
        finished_job: Option<String>,
        received_ms: Option<u64>,
    ) -> Result<(), StepError> {
        let org = &self.org;
        let outcomes = self.mended(outcomes).await;
        let written = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Written)).count();
        for (seq, outcome) in &outcomes {
            // The hint may repeat what the org's own rule says, and that may quote the record.
            if let Outcome::Dead { reason, .. } = outcome {
                tracing::warn!(
                    org = org.id(),
                    change = seq,
                    "a record was not written and is a dead letter: {reason}. The letter says what to do"
                );
            }
        }
        let by = finished_job.as_ref().map_or_else(|| "REST".to_owned(), |job| format!("Bulk job {job}"));
        let at_ms = org.clock.now_ms();
        let changes = self.window.borrow_mut().take(outcomes.iter().map(|(seq, _)| *seq));
        let fingerprints = self.sending.borrow_mut().ended(&outcomes, org.api.time().now_ms());
        org.pass(Point::BeforeC);
        org.store.resolve(Resolve { outcomes, finished_job, at_ms, by, changes, fingerprints }).await?;
        org.pass(Point::AfterC);
        if let Some(received_ms) = received_ms.filter(|_| written > 0) {
            org.board.written(received_ms, org.clock.now_ms());
        }
        Ok(())
    }
}

/// Of a change that was made of an org that the login led to before.
fn given_up() -> Outcome {
    Outcome::Superseded { reason: identity::SUPERSEDED.to_owned() }
}

/// When the oldest of their requests came, Unix milliseconds.
fn oldest(changes: &[Outgoing]) -> Option<u64> {
    changes.iter().map(|change| change.entry.received_ms).min()
}

impl Work for Writer {
    async fn step(mut self) -> (Self, Next) {
        let next = match self.advance().await {
            Ok(next) => {
                self.delays.reset();
                self.org.board.running(Part::Writer, self.org.clock.now_ms());
                next
            }
            Err(error) => {
                let wait = self.delays.next(self.org.clock.jitter());
                let wait = until(error.again_at_ms(), self.org.clock.now_ms(), wait);
                let problem = Problem::of("writing waits", &error);
                self.org.board.trouble(Part::Writer, State::Waiting, &problem, self.org.clock.now_ms());
                tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{problem}");
                Next::After(wait)
            }
        };
        (self, next)
    }
}
