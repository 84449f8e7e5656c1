//! WriterActor: what is due on egress → REST or Bulk API 2.0 → each change's end.
//!
//! Here: the order of a step, and who waits for what. Not here: calls (`rest`, `bulk`), verdicts (`outcome`).
//!
//! A Bulk job is looked at when it is due and never waited for, so live changes go out while it runs.

use std::{sync::Arc, time::Duration};

use orgpipe_salesforce::{failure::CallError, limits::COLLECTION_RECORDS_MAX};
use orgpipe_store::{Change, Lane, Outcome, Resolve, StoreError};

use super::{
    budget::Priority,
    bulk::{self, BulkError, Look, OpenJob},
    outcome::{Outgoing, unpack_all},
    parts::{Way, parts},
    rest,
};
use crate::{
    failpoint::Point,
    retry::{Delays, until},
    supervise::{
        context::OrgContext,
        moved, schemas,
        status::{Part, State},
        worker::{Next, Work},
    },
};

/// Bulk jobs of one org under way at a time.
const JOBS_MAX: usize = 5;
/// How long changes of a refresh wait for more of them, so that a job is worth its calls.
const LINGER: Duration = Duration::from_secs(5);
/// How often it is looked whether more have come.
const LINGER_LOOK: Duration = Duration::from_millis(250);

/// Takes changes off the egress queue of one org.
pub(crate) struct Writer {
    org: Arc<OrgContext>,
    /// `None` until what was under way before a restart has been read.
    jobs: Option<Vec<OpenJob>>,
    lingering: Option<Duration>,
    delays: Delays,
}

/// Why a step went no further.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<BulkError> for Halt {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Call(error) => Self::Call(error),
            BulkError::Store(error) => Self::Store(error),
        }
    }
}

impl Halt {
    fn hint(&self) -> String {
        match self {
            Self::Store(error) => error.hint(),
            Self::Call(error) => error.hint(),
        }
        .unwrap_or_default()
    }
}

impl Writer {
    /// Goes on with the stored jobs, then with what is due.
    pub(crate) fn new(org: Arc<OrgContext>) -> Self {
        let delays = Delays::new(Duration::from_millis(500), Duration::from_mins(1));
        Self { org, jobs: None, lingering: None, delays }
    }

    async fn advance(&mut self) -> Result<Next, Halt> {
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
    async fn resume(&self) -> Result<Vec<OpenJob>, Halt> {
        let org = &self.org;
        org.store.release(org.id()).await?;
        let void = moved::void_up_to(org).await?;
        let mut jobs = Vec::new();
        for job in org.store.jobs(org.id()).await? {
            let id = job.id.clone();
            // A job holds changes of one org, and is of that one itself.
            if job.changes.iter().any(|change| change.seq <= void) {
                let outcomes = job.changes.iter().map(|change| (change.seq, given_up())).collect();
                self.resolve(outcomes, Some(id), 0).await?;
                continue;
            }
            match bulk::resume(job, org.clock.monotonic()) {
                Ok(job) => jobs.push(job),
                Err(outcomes) => self.resolve(outcomes, Some(id), 0).await?,
            }
        }
        self.give_up(void).await?;
        bulk::abort_lost(org, &jobs).await?;
        Ok(jobs)
    }

    /// Ends the changes up to number `void`, due or not: they were made of an org that the login led to before.
    async fn give_up(&self, void: u64) -> Result<(), Halt> {
        let org = &self.org;
        let oldest = org.store.progress(org.id()).await?.oldest_change;
        if oldest.is_none_or(|oldest| oldest > void) {
            return Ok(());
        }
        loop {
            let taken = org.store.egress_take(org.id(), u64::MAX, bulk::ROWS_MAX).await?;
            if taken.is_empty() {
                break;
            }
            let of_before = taken.iter().filter(|change| change.seq <= void);
            let outcomes = of_before.map(|change| (change.seq, given_up())).collect();
            self.resolve(outcomes, None, 0).await?;
        }
        Ok(org.store.release(org.id()).await?)
    }

    /// Looks at the jobs that are due; one that cannot be looked at leaves the others alone.
    async fn look(&self, jobs: &mut Vec<OpenJob>) -> Result<(), Halt> {
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
        trouble.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn write(&mut self) -> Result<Next, Halt> {
        let org = Arc::clone(&self.org);
        let changes = org.store.egress_take(org.id(), org.clock.now_ms(), bulk::ROWS_MAX).await?;
        let Some(lane) = changes.first().map(|change| change.lane) else {
            self.lingering = None;
            return Ok(match org.store.next_due_ms(org.id()).await? {
                Some(due_ms) => {
                    Next::After(Duration::from_millis(due_ms.saturating_sub(org.clock.now_ms()).max(10)))
                }
                None => Next::Idle,
            });
        };
        if self.lingers(lane, &changes).await? {
            org.store.release(org.id()).await?;
            return Ok(Next::After(LINGER_LOOK));
        }
        if let Err(halt) = self.send(changes).await {
            // Whatever of them is decided has left the queue; the rest is free for the next try.
            org.store.release(org.id()).await?;
            return Err(halt);
        }
        Ok(Next::Again)
    }

    /// Changes of a refresh wait a little while the look-ups behind them go on.
    async fn lingers(&mut self, lane: Lane, changes: &[Change]) -> Result<bool, Halt> {
        let now = self.org.clock.monotonic();
        let since = *self.lingering.get_or_insert(now);
        let more = lane == Lane::Refresh && changes.len() < bulk::ROWS_MAX && now < since + LINGER;
        let lingers = more && self.org.store.counts(self.org.id()).await?.open_ingress > 0;
        if !lingers {
            self.lingering = None;
        }
        Ok(lingers)
    }

    async fn send(&mut self, changes: Vec<Change>) -> Result<(), Halt> {
        let (mut outgoing, unreadable) = unpack_all(&changes, self.org.clock.now_ms());
        if !unreadable.is_empty() {
            self.resolve(unreadable, None, 0).await?;
        }
        for change in &mut outgoing {
            self.org.schemas.strip(&change.parcel.target, &mut change.parcel.fields);
        }
        // The most urgent of them speaks for all, as they share the calls.
        let urgent = outgoing.iter().map(|change| Priority::from(change.parcel.origin)).min();
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
            self.org.store.release(self.org.id()).await?;
        }
        Ok(())
    }

    /// Looks at the targets that an error blamed. Where fields are in quarantine since, what was put back goes out
    /// without them at once.
    async fn mended(&self, mut outcomes: Vec<(u64, Outcome)>) -> Vec<(u64, Outcome)> {
        let org = &self.org;
        for object in org.schemas.doubted() {
            let before = org.schemas.quarantined(&object);
            let looked = match org.line.plan(Priority::Live, 1).await {
                Ok(plan) => schemas::read(org, &plan, &object).await,
                Err(error) => Err(error.into()),
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

    /// Commit C.
    async fn resolve(
        &self,
        outcomes: Vec<(u64, Outcome)>,
        finished_job: Option<String>,
        received_ms: u64,
    ) -> Result<(), Halt> {
        let org = &self.org;
        let outcomes = self.mended(outcomes).await;
        let written = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Written)).count();
        for (seq, outcome) in &outcomes {
            if let Outcome::Dead { reason, hint, .. } = outcome {
                tracing::warn!(
                    org = org.id(),
                    change = seq,
                    "a record was not written and is a dead letter: {reason}. {hint}"
                );
            }
        }
        let by = finished_job.as_ref().map_or_else(|| "REST".to_owned(), |job| format!("Bulk job {job}"));
        let at_ms = org.clock.now_ms();
        org.pass(Point::BeforeC);
        org.store.resolve(org.id(), Resolve { outcomes, finished_job, at_ms, by }).await?;
        org.pass(Point::AfterC);
        if written > 0 && received_ms > 0 {
            org.board.written(received_ms, org.clock.now_ms());
        }
        Ok(())
    }
}

/// Of a change that was made of an org that the login led to before.
fn given_up() -> Outcome {
    Outcome::Superseded { reason: moved::SUPERSEDED.to_owned() }
}

fn oldest(changes: &[Outgoing]) -> u64 {
    changes.iter().map(|change| change.parcel.received_ms).min().unwrap_or_default()
}

impl Work for Writer {
    async fn step(mut self) -> (Self, Next) {
        let next = match self.advance().await {
            Ok(next) => {
                self.delays.reset();
                self.org.board.running(Part::Writer, self.org.clock.now_ms());
                next
            }
            Err(halt) => {
                let wait = self.delays.next(self.org.clock.dice());
                let again_at_ms = if let Halt::Call(error) = &halt { error.again_at_ms() } else { None };
                let wait = until(again_at_ms, self.org.clock.now_ms(), wait);
                let (note, hint) = (format!("writing waits: {halt}"), halt.hint());
                self.org.board.set(Part::Writer, State::Waiting, &note, &hint, self.org.clock.now_ms());
                tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{note}. {hint}");
                Next::After(wait)
            }
        };
        (self, next)
    }
}
