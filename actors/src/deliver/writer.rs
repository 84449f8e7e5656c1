//! `WriterActor`: what is due on egress → REST or Bulk API 2.0 → each change's end.
//!
//! Here: the order of a step, and which changes are taken. Not here: calls (`send`, `rest`, `bulk`), verdicts (`step`,
//! `outcome`), commit C (`commit`), which changes are in memory (`window`).
//!
//! Started by: `OrgActor`, one per org. Takes: `Decided` from the ingest, which it answers at once, `Wake` and `Stop`.
//! Asks: the org, within its rate and its budget, and the store. Sends: nothing. If it dies: a fresh one goes on with
//! the stored Bulk jobs, then with what is due on disk.
//!
//! Invariant: a Bulk job is looked at when it is due and never waited for, so live changes go out while it runs, and by REST
//! while jobs hang or their number is full. A call that is not answered is not waited for either.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Context, Handler, MessageResult};

use orgpipe_store::{Change, Lane, Outcome, Seq, UnixMs};
use tracing::Instrument as _;

use super::{
    bulk::{self, Look},
    commit::{Commit, CommittedEnds},
    job::OpenJob,
    outgoing::{Outgoing, traces, unpack_all},
    parts::{Carrier, Routes, parts},
    send::{Made, Sender},
    window::{BYTES_MAX, ChangeWindow},
};
use crate::{
    failpoint::Point,
    org::{
        context::OrgContext,
        describe::look_at_closed,
        identity::{self, SupersededUpTo},
        messages::Decided,
        part::{Part, State},
        step_error::StepError,
    },
    priority::Priority,
    problem::Problem,
    retry::{Delays, until},
    runtime::worker::{self, LOOK_AGAIN, Next, Steps, Stop, Wake, Work, Worker},
    trace::{
        spans::{self, About},
        steps::Traces,
    },
};

/// Bulk jobs of one org under way at a time.
const JOBS_MAX: usize = 5;
/// How long changes of a refresh wait for more of them, so that a job is worth its calls.
const LINGER: Duration = Duration::from_secs(5);
/// How long a message that tells of changes may take; then they are taken without it.
const MESSAGE_LATE: Duration = Duration::from_millis(100);
/// How often it is looked whether more have come.
const LINGER_LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whether a call is answered at last.
const UNANSWERED_LOOK: Duration = Duration::from_millis(500);
/// Changes that are taken together while Bulk jobs hang, or a call is not answered.
const BESIDE_MAX: usize = 1_000;
/// How long changes of a refresh wait for a place among the Bulk jobs.
const PLACE_LOOK: Duration = Duration::from_secs(5);

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
    commit: Commit,
    sender: Sender,
    /// When the disk was looked at last for changes that no message brought (time since start).
    looked: Duration,
    /// `None` until what was under way before a restart has been read.
    jobs: Option<Vec<OpenJob>>,
    lingering: Option<Duration>,
    delays: Delays,
}

impl Writer {
    fn new(org: Arc<OrgContext>, window: Rc<RefCell<ChangeWindow>>) -> Self {
        let delays = Delays::new(Duration::from_millis(500), Duration::from_mins(1));
        let looked = org.clock.monotonic();
        let commit = Commit::new(Arc::clone(&org), Rc::clone(&window));
        let sender = Sender::new(Arc::clone(&org), commit.clone());
        Self { org, window, commit, sender, looked, jobs: None, lingering: None, delays }
    }

    async fn advance(&mut self) -> Result<Next, StepError> {
        self.org.pass(Point::Writer);
        if self.jobs.is_none() {
            self.jobs = Some(self.resume().await?);
        }
        self.sender.collect().await?;
        self.look().await?;
        let written = self.write().await;
        let now_ms = self.org.clock.now_ms();
        let full = self.jobs.as_ref().is_some_and(|jobs| jobs.len() >= JOBS_MAX);
        let jobs = self.jobs.iter().flatten().map(|job| job.status(now_ms, full)).collect();
        self.org.board.writing(jobs, self.sender.unanswered(), now_ms);
        let mut next = written?;
        let mut at_most = |wait: Duration| match next {
            Next::Again => {}
            Next::After(other) => next = Next::After(other.min(wait)),
            Next::Idle => next = Next::After(wait),
        };
        if let Some(look_at) = self.jobs.iter().flatten().map(|job| job.look_at).min() {
            at_most(look_at.saturating_sub(self.org.clock.monotonic()));
        }
        if !self.sender.is_idle() {
            at_most(UNANSWERED_LOOK);
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
            self.commit.resumed(&hasher, &job);
            let id = job.id.clone();
            // A job holds changes of one org, and is of that one itself.
            if job.changes.iter().any(|change| superseded.covers(change.seq)) {
                let outcomes = job.changes.iter().map(|change| (change.seq, given_up())).collect();
                self.commit.resolve(CommittedEnds::unnamed(outcomes), Some(id), None).await?;
                continue;
            }
            match bulk::resume(job, org) {
                Ok(job) => jobs.push(job),
                Err(outcomes) => {
                    self.commit.resolve(CommittedEnds::unnamed(outcomes), Some(id), None).await?;
                }
            }
        }
        self.give_up(superseded).await?;
        // What it could not find it looks for again before the next job.
        if let Err(error) = bulk::abort_lost(org, Priority::Live, &jobs).await {
            tracing::warn!(org = org.id(), "it is not known whether a Bulk job was left open: {error}");
        }
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
            let taken = org.store.egress_claim(UnixMs::MAX, bulk::ROWS_MAX, Seq::MAX).await?.numbers;
            if taken.is_empty() {
                break;
            }
            let of_before = taken.iter().filter(|seq| superseded.covers(**seq));
            let outcomes = of_before.map(|seq| (*seq, given_up())).collect();
            self.commit.resolve(CommittedEnds::unnamed(outcomes), None, None).await?;
        }
        Ok(org.store.release().await?)
    }

    /// Looks at the jobs that are due. One that cannot be looked at is looked at again later, and holds up nothing.
    async fn look(&mut self) -> Result<(), StepError> {
        let mut jobs = self.jobs.take().unwrap_or_default();
        let looked = self.look_at_each(&mut jobs).await;
        self.jobs = Some(jobs);
        looked
    }

    async fn look_at_each(&mut self, jobs: &mut Vec<OpenJob>) -> Result<(), StepError> {
        let mut place = 0;
        while place < jobs.len() {
            let job = &mut jobs[place];
            if self.org.clock.monotonic() < job.look_at {
                place += 1;
                continue;
            }
            let step = job.looking(&self.org);
            match step.try_work(bulk::look(&self.org, job), StepError::kind).await {
                Ok(Look::Running) => place += 1,
                Ok(Look::Ended(ended)) => {
                    if ended.limited > 1 {
                        let now = self.org.clock.monotonic();
                        self.sender.pace.answered(ended.limited, ended.limited, now);
                    }
                    let end = self.commit.resolve(ended.ends, Some(job.id.clone()), ended.received_ms);
                    step.try_work(end, StepError::kind).await?;
                    jobs.remove(place);
                }
                Err(StepError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(
                        org = self.org.id(),
                        job = job.id,
                        "the Bulk job was not looked at: {error}"
                    );
                    job.progress.trouble = format!("it could not be looked at: {error}");
                    place += 1;
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<Next, StepError> {
        let org = Arc::clone(&self.org);
        let (now, now_ms) = (org.clock.monotonic(), org.clock.now_ms());
        if now >= self.looked + LOOK_AGAIN {
            self.looked = now;
            self.window.borrow_mut().look();
        }
        let jobs = self.jobs.as_deref().unwrap_or_default();
        let (full, hang) = (jobs.len() >= JOBS_MAX, jobs.iter().any(|job| job.is_late(now_ms)));
        if !self.sender.has_room() {
            return Ok(Next::After(UNANSWERED_LOOK));
        }
        let beside = full || hang || !self.sender.is_idle();
        let changes_max = if beside { BESIDE_MAX } else { bulk::ROWS_MAX };
        let up_to = self.window.borrow().up_to();
        let claimed = org.store.egress_claim(now_ms, changes_max, up_to).await?;
        self.window.borrow_mut().claimed(up_to, claimed.given);
        let Some(lane) = claimed.lane else {
            self.lingering = None;
            return Ok(match org.store.next_due_ms().await? {
                // Their message is on its way, or lost.
                Some(UnixMs::EPOCH) if up_to < Seq::MAX => {
                    self.window.borrow_mut().look();
                    Next::After(MESSAGE_LATE)
                }
                Some(due_ms) => Next::After(due_ms.since(now_ms).max(Duration::from_millis(10))),
                None => Next::Idle,
            });
        };
        if self.lingers(lane, claimed.numbers.len()).await? {
            self.commit.put_back(claimed.numbers).await?;
            return Ok(Next::After(LINGER_LOOK));
        }
        if lane == Lane::Refresh && full && claimed.numbers.len() >= org.settings.limits.bulk_from {
            self.commit.put_back(claimed.numbers).await?;
            return Ok(Next::After(PLACE_LOOK));
        }
        let bulk = !full && (lane == Lane::Refresh || !hang);
        Ok(match self.send(claimed.numbers, bulk).await? {
            Made::All => Next::Again,
            Made::Some => Next::After(UNANSWERED_LOOK),
        })
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
    async fn outgoing(
        &self,
        numbers: &[Seq],
    ) -> Result<(Vec<Outgoing>, Vec<(Seq, Outcome)>, Traces), StepError> {
        let missing = self.window.borrow().missing(numbers);
        let read = if missing.is_empty() { Vec::new() } else { self.org.store.changes(missing).await? };
        let mut window = self.window.borrow_mut();
        window.keep(&read);
        let read: BTreeMap<Seq, &Change> = read.iter().map(|change| (change.seq, change)).collect();
        let changes = || numbers.iter().filter_map(|seq| window.get(*seq).or_else(|| read.get(seq).copied()));
        let traces = traces(&self.org, changes());
        let (outgoing, unreadable) = unpack_all(changes(), self.org.clock.now_ms());
        Ok((outgoing, unreadable, traces))
    }

    /// Sends the changes of these numbers. What could not be sent is put back.
    async fn send(&mut self, numbers: Vec<Seq>, bulk: bool) -> Result<Made, StepError> {
        let mut left: BTreeSet<Seq> = numbers.iter().copied().collect();
        let sent = self.send_from(&numbers, &mut left, bulk).await;
        if !left.is_empty() {
            self.commit.put_back(left.into_iter().collect()).await?;
        }
        sent
    }

    /// The same, but `left` has those of the changes that are still taken.
    async fn send_from(
        &mut self,
        numbers: &[Seq],
        left: &mut BTreeSet<Seq>,
        bulk: bool,
    ) -> Result<Made, StepError> {
        let (outgoing, unreadable, traces) = self.outgoing(numbers).await?;
        if !unreadable.is_empty() {
            let ended: BTreeSet<Seq> = unreadable.iter().map(|(seq, _)| *seq).collect();
            self.commit.resolve(CommittedEnds::unnamed(unreadable), None, None).await?;
            left.retain(|seq| !ended.contains(seq));
        }
        let Some(target) = outgoing.first().map(|first| first.entry.target.clone()) else {
            return Ok(Made::All);
        };
        let org = Arc::clone(&self.org);
        let records = Some(outgoing.len() as u64);
        let about = About { org: org.id(), name: ("write", &target), sync: None, records };
        let step = traces.step(org.clock, about);
        step.try_work(self.send_all(outgoing, left, bulk, &traces), StepError::kind).await
    }

    /// The same of changes that can be read.
    async fn send_all(
        &mut self,
        mut outgoing: Vec<Outgoing>,
        left: &mut BTreeSet<Seq>,
        bulk: bool,
        traces: &Traces,
    ) -> Result<Made, StepError> {
        // The most urgent of them speaks for all, as they share the calls.
        let urgent = outgoing.iter().map(|change| Priority::from(change.entry.origin)).min();
        let priority = urgent.unwrap_or(Priority::Refresh);
        if let Some(first) = outgoing.first() {
            look_at_closed(&self.org, priority, &first.entry.target).await;
        }
        for change in &mut outgoing {
            self.org.schemas.strip(&change.entry.target, &mut change.entry.fields);
        }
        self.commit.sent(&outgoing).await?;
        let pace = &self.sender.pace;
        let routes = Routes { bulk: bulk && pace.takes_bulk(), records_max: pace.records_max() };
        let mut made = Made::All;
        for part in parts(outgoing, self.org.settings.limits, routes) {
            let mut by_rest = part.changes;
            let jobs = self.jobs.get_or_insert_default();
            if part.carrier == Carrier::Bulk && jobs.len() >= JOBS_MAX && priority != Priority::Live {
                // The parts before it have taken the last place.
                made = Made::Some;
                continue;
            }
            if part.carrier == Carrier::Bulk && jobs.len() < JOBS_MAX {
                let opened = bulk::open(&self.org, (priority, traces), by_rest, jobs).await?;
                for seq in opened.job.iter().flat_map(|job| job.changes.iter()) {
                    left.remove(seq);
                }
                jobs.extend(opened.job);
                by_rest = opened.left_over;
            }
            for change in &by_rest {
                left.remove(&change.seq);
            }
            if self.sender.send(priority, in_calls(by_rest, routes.records_max)).await? == Made::Some {
                made = Made::Some;
            }
        }
        Ok(made)
    }
}

/// Lists of at most so many.
fn in_calls(mut changes: Vec<Outgoing>, records_max: usize) -> Vec<Vec<Outgoing>> {
    let mut calls = Vec::new();
    while changes.len() > records_max {
        let rest = changes.split_off(records_max);
        calls.push(std::mem::replace(&mut changes, rest));
    }
    calls.push(changes);
    calls
}

/// Of a change that was made of an org that the login led to before.
fn given_up() -> Outcome {
    Outcome::Superseded { reason: identity::SUPERSEDED.to_owned() }
}

impl Work for Writer {
    async fn step(mut self) -> (Self, Next) {
        let part = spans::part(self.org.id(), "writer");
        let next = match self.advance().instrument(part).await {
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
