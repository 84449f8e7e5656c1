//! `RefreshTimer`: reads all records of a sync, by schedule or on demand, and puts them on the ingress queue.
//!
//! Here: one page per step, committed with the cursor behind it. Not here: when a run is due (`schedule`), how a page
//! is read (`pages` by REST, `bulk_pages` of very many), gaps (`gap_recovery`), which take their turn here.
//!
//! Started by: `OrgActor`, one per org. Takes: `Wake` and `Stop`. Asks: the org, the store, and the vendor's webhook.
//! Sends: `Arrived` to the ingest. If it dies: a fresh one goes on behind the last stored page.
//!
//! Invariant: a run is a value in the store, not in memory, so a service killed in the middle reads at most one page
//! twice.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};
use orgpipe_store::{Append, NewRequest, StoreError, UnixMs};
use tracing::Instrument as _;

use super::{
    bulk_pages::{self, JobStep, QueryJob},
    gap_recovery, orphans,
    pages::{self, Cursor, Page},
    refresh_commands,
    run::Run,
    schedule,
    waits::{FailureTime, Waits},
};
use crate::{
    clock::time,
    failpoint::Point,
    org::{
        context::OrgContext,
        messages::OrgLink,
        org_time::window_start,
        part::{Part, State},
        status::Reading,
        step_error::StepError,
        store::Position,
    },
    problem::Problem,
    queue_entry::Origin,
    retry::Delays,
    runtime::worker::{self, Next, Steps, Stop, Wake, Work, Worker},
    settings::{RefreshSettings, SyncSettings},
    trace::{
        Cause, TraceContext,
        spans::{self, About},
        steps::Traces,
    },
};

/// No further page while so many records wait for their look-up: as many as are looked up while one is read.
const AHEAD_MAX: u64 = 10_000;
/// Name of the gap recovery among what waits; no sync has it.
const GAPS: &str = "";
/// How often a paused run looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// When a run was asked for last, also if one was under way; none if never.
async fn begun_ms(org: &OrgContext, sync: &str) -> Result<Option<UnixMs>, StoreError> {
    let all = org.store.moment(Position::RefreshStarted(sync)).await?;
    Ok(all.max(org.store.moment(Position::ChangesStarted(sync)).await?))
}

/// Reads the records of one org again: by schedule, on demand, and where events were missed.
pub(crate) struct RefreshTimer(Steps<Refresh>);

impl RefreshTimer {
    /// Goes on with whatever runs are stored.
    pub(crate) fn new(org: Arc<OrgContext>, link: OrgLink) -> Self {
        Self(Steps::new(Refresh::new(org, link)))
    }
}

impl Worker for RefreshTimer {
    type Work = Refresh;

    fn steps(&mut self) -> &mut Steps<Refresh> {
        &mut self.0
    }
}

impl Actor for RefreshTimer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        worker::wake(self, context);
    }
}

impl Handler<Wake> for RefreshTimer {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        worker::wake(self, context);
    }
}

impl Handler<Stop> for RefreshTimer {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        worker::stop(self, context);
    }
}

/// The work of a [`RefreshTimer`].
pub(crate) struct Refresh {
    pub(super) org: Arc<OrgContext>,
    link: OrgLink,
    delays: Delays,
    waits: Waits,
    /// Whether the board shows the gaps and the pauses on disk.
    shown: bool,
    /// Not before this time since the start is a receipt posted.
    post_at: Duration,
    post_delays: Delays,
}

impl Refresh {
    fn new(org: Arc<OrgContext>, link: OrgLink) -> Self {
        let delays = Delays::new(Duration::from_secs(1), Duration::from_mins(5));
        let post_delays = Delays::new(Duration::from_secs(1), Duration::from_mins(5));
        Self {
            org,
            link,
            delays,
            waits: Waits::default(),
            shown: false,
            post_at: Duration::ZERO,
            post_delays,
        }
    }

    async fn advance(&mut self) -> Result<Next, StepError> {
        self.org.pass(Point::Refresh);
        if !std::mem::replace(&mut self.shown, true) {
            gap_recovery::show(&self.org).await?;
            refresh_commands::show(&self.org).await?;
            self.show_finished().await?;
        }
        let ahead = self.ahead().await?.is_some();
        let healed = if let Some(wait) = self.waits.left(GAPS, self.org.clock.monotonic()) {
            Next::After(wait)
        } else {
            let healed = gap_recovery::advance(&self.org, &self.link, ahead).await;
            self.settle(GAPS, "the healing of a gap", healed)
        };
        let mut next = self.post().await.sooner(healed);
        let org = Arc::clone(&self.org);
        for sync in &org.settings.syncs {
            if refresh_commands::paused_since(&org, &sync.name).is_some() {
                self.waits.reset(&sync.name);
                refresh_commands::show_run(&org, &sync.name).await?;
                continue;
            }
            if self.waits.left(&sync.name, org.clock.monotonic()).is_some() {
                self.waits.asked(&sync.name, begun_ms(&org, &sync.name).await?);
            }
            let stepped = if let Some(wait) = self.waits.left(&sync.name, org.clock.monotonic()) {
                Next::After(wait)
            } else {
                let stepped = self.advance_sync(sync).await;
                self.settle(&sync.name, &format!("the refresh of `{}`", sync.name), stepped)
            };
            next = next.sooner(stepped);
        }
        Ok(next)
    }

    /// Tells when each sync's refresh ended last, which may be before this process began.
    async fn show_finished(&self) -> Result<(), StoreError> {
        for sync in self.org.settings.syncs.iter().filter(|sync| sync.refresh.is_some()) {
            if let Some(at_ms) = self.org.store.moment(Position::RefreshFinished(&sync.name)).await? {
                self.org.board.refreshed(&sync.name, at_ms);
            }
        }
        Ok(())
    }

    /// What failed waits by itself.
    fn settle(&mut self, name: &str, what: &str, stepped: Result<Next, StepError>) -> Next {
        let error = match stepped {
            Ok(next) => {
                self.waits.reset(name);
                return next;
            }
            Err(error) => error,
        };
        let problem = Problem::of(&format!("{what} waits"), &error);
        let clock = &self.org.clock;
        let at = FailureTime { now: clock.monotonic(), now_ms: clock.now_ms(), jitter: clock.jitter() };
        let wait = self.waits.failed(name, problem.clone(), at);
        tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{problem}");
        Next::After(wait)
    }

    async fn advance_sync(&self, sync: &SyncSettings) -> Result<Next, StepError> {
        let Some(refresh) = &sync.refresh else { return Ok(Next::Idle) };
        let Some(stored) = self.org.store.json::<Run>(Position::Run(&sync.name)).await? else {
            // It may just have been ended by an operator.
            self.org.board.refreshing(&sync.name, None);
            return self.wait_for_schedule(sync, refresh).await;
        };
        let (org, now_ms) = (&self.org, self.org.clock.now_ms());
        // A run that cannot be read any more starts over: reading twice costs calls, not data.
        let run = stored.unwrap_or_else(|_| Run::new(org.clock.unique_id(), Cursor::all(), now_ms));
        let waits = if schedule::open(refresh.window, org.settings.time_zone, time(now_ms)) {
            self.ahead().await?
        } else {
            Some("its window of the day")
        };
        org.board.refreshing(&sync.name, Some(run.reading(now_ms, waits)));
        if waits.is_some() {
            return Ok(Next::After(LOOK_AGAIN));
        }
        let about =
            About { org: org.id(), name: ("read", &sync.name), sync: Some(&sync.name), records: None };
        let step = Traces::of(org.id(), org.sampling, [cause(&run)]).step(org.clock, about);
        let read = async move {
            match (run.orphans.clone(), run.job.clone()) {
                (Some(after), _) => self.orphans(sync, refresh, run, &after).await,
                (None, Some(job)) => self.bulk_page(sync, refresh, run, job).await,
                (None, None) => self.page(sync, refresh, run).await,
            }
        };
        step.try_work(Box::pin(read), StepError::kind).await
    }

    /// What reading has to wait for, so that the queues stay short and leave room for live events.
    async fn ahead(&self) -> Result<Option<&'static str>, StoreError> {
        let org = &self.org;
        let counts = org.store.counts().await?;
        Ok(if counts.open_ingress >= AHEAD_MAX {
            Some("the look-ups of what is read")
        } else if counts.open() >= org.queue_max / 2 {
            Some("the writes of what is read: half of `queue_max` is full")
        } else {
            None
        })
    }

    /// Starts a run when a schedule's time has passed since the last start.
    async fn wait_for_schedule(
        &self,
        sync: &SyncSettings,
        refresh: &RefreshSettings,
    ) -> Result<Next, StepError> {
        let all = self.wait_for(sync, refresh, refresh.schedule.as_deref(), false).await?;
        if all == Next::Again {
            return Ok(all);
        }
        Ok(all.sooner(self.wait_for(sync, refresh, refresh.changes.as_deref(), true).await?))
    }

    async fn wait_for(
        &self,
        sync: &SyncSettings,
        refresh: &RefreshSettings,
        schedule: Option<&str>,
        changed: bool,
    ) -> Result<Next, StepError> {
        let Some(text) = schedule else { return Ok(Next::Idle) };
        let (org, now_ms) = (&self.org, self.org.clock.now_ms());
        let started = started(&sync.name, changed);
        let Some(last_ms) = org.store.moment(started).await? else {
            // The first start of the service with this schedule: count from now.
            org.store.put(vec![started.moment(now_ms)]).await?;
            return Ok(Next::Again);
        };
        if last_ms > now_ms {
            // A clock that ran ahead told it, and the next run would wait until then.
            let stored = time(last_ms).to_rfc3339();
            tracing::warn!(
                org = org.id(),
                sync = sync.name,
                "the last refresh is said to have begun at {stored}, which is to come: it counts as now"
            );
            org.store.put(vec![started.moment(now_ms)]).await?;
            return Ok(Next::Again);
        }
        let zone = org.settings.time_zone;
        let Some(due) = schedule::due(text, org.id(), zone, time(last_ms), refresh.window) else {
            return Ok(Next::Idle);
        };
        let now = time(now_ms);
        if due > now {
            return Ok(Next::After((due - now).to_std().unwrap_or_default()));
        }
        tracing::info!(org = org.id(), sync = sync.name, changed, "refresh begins by schedule");
        begin(org, &sync.name, changed).await?;
        Ok(Next::Again)
    }

    /// Reads a page, and stores its requests with the run's new place in one commit. A run begins with counting: very many
    /// records are read by a Bulk query.
    async fn page(
        &self,
        sync: &SyncSettings,
        refresh: &RefreshSettings,
        mut run: Run,
    ) -> Result<Next, StepError> {
        let org = &self.org;
        let condition = refresh.condition.as_deref().unwrap_or_default();
        if run.total.is_none() && run.records == 0 {
            run.total = pages::count(org, sync, condition, &run.cursor).await;
            // By now the org has told what time it is, and no record is read yet.
            run.org_started_ms.get_or_insert(org.api.time().now_ms());
            if run.total.is_some_and(|total| total >= refresh.bulk_from) {
                run.job = bulk_pages::create(org, sync, condition, &run.cursor).await?;
            }
            if run.job.is_some() {
                return self.go_on(sync, run, Vec::new()).await;
            }
        }
        let Page { rows, next, read_ms, .. } = pages::read(org, sync, condition, &run.cursor).await?;
        let records = run.records + rows.len() as u64;
        let requests = pages::requests(sync, refresh.batch, Origin::Refresh, &run.id, rows, read_ms);
        let run = Run { records, ..run };
        match next {
            Some(cursor) => self.go_on(sync, Run { cursor, ..run }, requests).await,
            None => self.all_read(sync, run, requests).await,
        }
    }

    /// One step of a run that reads by this job.
    async fn bulk_page(
        &self,
        sync: &SyncSettings,
        refresh: &RefreshSettings,
        run: Run,
        job: QueryJob,
    ) -> Result<Next, StepError> {
        let org = &self.org;
        match bulk_pages::step(org, sync, refresh, &run.id, run.records, job.clone()).await? {
            JobStep::Wait(wait) => Ok(Next::After(wait)),
            JobStep::Looked(job) => self.go_on(sync, Run { job: Some(job), ..run }, Vec::new()).await,
            JobStep::Malformed(job, error) => {
                self.go_on(sync, Run { job: Some(job), ..run }, Vec::new()).await?;
                Err(error.into())
            }
            JobStep::Page(requests, records, next) => {
                let last = next.is_none();
                let run = Run { records: run.records + records, job: next, ..run };
                if !last {
                    return self.go_on(sync, run, requests).await;
                }
                let next = self.all_read(sync, run, requests).await?;
                bulk_pages::leave(org, &job).await;
                Ok(next)
            }
            JobStep::Lost(why) => {
                tracing::warn!(
                    org = org.id(),
                    sync = sync.name,
                    job = job.id,
                    "the refresh begins again with REST pages, as its Bulk query is lost: {why}"
                );
                // Its place has never moved. With a total it is not counted again, so no other job is created.
                let next = self.go_on(sync, Run { records: 0, job: None, ..run }, Vec::new()).await?;
                bulk_pages::leave(org, &job).await;
                Ok(next)
            }
        }
    }

    /// The last page is read.
    pub(super) async fn all_read(
        &self,
        sync: &SyncSettings,
        run: Run,
        requests: Vec<NewRequest>,
    ) -> Result<Next, StepError> {
        tracing::info!(
            org = self.org.id(),
            sync = sync.name,
            records = run.records,
            changed = run.changed(),
            "refresh has read its records"
        );
        if !run.changed() && orphans::wanted(sync) {
            return self.go_on(sync, Run { orphans: Some(String::new()), ..run }, requests).await;
        }
        self.end(sync, &run, requests).await
    }

    /// Reads the target's records whose own record is gone.
    async fn orphans(
        &self,
        sync: &SyncSettings,
        refresh: &RefreshSettings,
        run: Run,
        after: &str,
    ) -> Result<Next, StepError> {
        if after.is_empty() && !orphans::told_for_sure(&self.org, sync).await? {
            return self.end(sync, &run, Vec::new()).await;
        }
        let now_ms = self.org.clock.now_ms();
        let (rows, more) = orphans::read(&self.org, sync, after).await?;
        let last = rows.last().filter(|_| more).and_then(pages::id_of);
        let requests = pages::requests(sync, refresh.batch, Origin::Orphan, &run.id, rows, now_ms);
        match last {
            Some(last) => self.go_on(sync, Run { orphans: Some(last), ..run }, requests).await,
            None => self.end(sync, &run, requests).await,
        }
    }

    /// The run is over: what has changed since its start is not read yet.
    async fn end(
        &self,
        sync: &SyncSettings,
        run: &Run,
        requests: Vec<NewRequest>,
    ) -> Result<Next, StepError> {
        // What a clock that ran ahead told is no time to go on from: the next run reads all.
        let started_ms = Some(run.org_started_ms.unwrap_or(run.started_ms));
        let until = Position::RefreshedUntil(&sync.name);
        let until = match window_start(started_ms, self.org.api.time().now_ms()) {
            Some(started_ms) => until.moment(started_ms),
            None => until.cleared(),
        };
        let now_ms = self.org.clock.now_ms();
        let finished = Position::RefreshFinished(&sync.name).moment(now_ms);
        let positions = vec![Position::Run(&sync.name).cleared(), until, finished];
        let append = Append { positions, requests, ..Append::default() };
        if !self.commit(sync, run, None, append).await? {
            return Ok(Next::Again);
        }
        self.org.board.refreshed(&sync.name, now_ms);
        let root = TraceContext::root(self.org.id(), cause(run), self.org.sampling);
        // The trace's first span, told now that it has an end.
        drop(spans::run(self.org.id(), ("refresh", &sync.name), root, run.started_ms, run.records));
        Ok(Next::Again)
    }

    /// The run goes on from its new place.
    pub(super) async fn go_on(
        &self,
        sync: &SyncSettings,
        run: Run,
        requests: Vec<NewRequest>,
    ) -> Result<Next, StepError> {
        let reading = run.reading(self.org.clock.now_ms(), None);
        let positions = vec![Position::Run(&sync.name).json(&run)];
        self.commit(sync, &run, Some(reading), Append { positions, requests, ..Append::default() }).await?;
        Ok(Next::Again)
    }

    /// Point A: the requests of a page, and where the run is behind it; nothing if the run was ended or replaced meanwhile.
    async fn commit(
        &self,
        sync: &SyncSettings,
        run: &Run,
        reading: Option<Reading>,
        append: Append,
    ) -> Result<bool, StepError> {
        let org = &self.org;
        let held = org.runs.lock().await;
        if !refresh_commands::is_current(org, &sync.name, run).await? {
            drop(held);
            tracing::info!(org = org.id(), sync = sync.name, "a page is left out, as its refresh was ended");
            if let Some(job) = &run.job {
                bulk_pages::leave(org, job).await;
            }
            return Ok(false);
        }
        org.pass(Point::BeforePage);
        let appended = org.store.append(append).await?;
        org.board.refreshing(&sync.name, reading);
        drop(held);
        org.pass(Point::AfterPage);
        self.link.arrived(appended).await;
        Ok(true)
    }

    /// Posts receipts; a webhook that does not answer holds up nothing else.
    async fn post(&mut self) -> Next {
        let now = self.org.clock.monotonic();
        if now < self.post_at {
            return Next::After(self.post_at.saturating_sub(now));
        }
        match gap_recovery::post(&self.org).await {
            Ok(true) => {
                self.post_delays.reset();
                Next::Again
            }
            Ok(false) => Next::Idle,
            Err(error) => {
                let wait = self.post_delays.next(self.org.clock.jitter());
                self.post_at = now + wait;
                let wait_secs = wait.as_secs_f32();
                tracing::warn!(org = self.org.id(), wait_secs, "a receipt waits to be posted: {error}");
                Next::After(wait)
            }
        }
    }
}

/// Starts a run of the sync over all records, or over what has `changed` since the last run began; the first one reads
/// all. One that is under way goes on as it is, unless it reads changes and all is asked for.
pub(crate) async fn begin(org: &OrgContext, sync: &str, changed: bool) -> Result<(), StoreError> {
    let _held = org.runs.lock().await;
    let now_ms = org.clock.now_ms();
    let mut positions = vec![started(sync, changed).moment(now_ms)];
    let running = org.store.json::<Run>(Position::Run(sync)).await?;
    let reads_changes = matches!(&running, Some(Ok(run)) if run.changed());
    if running.is_none() || (reads_changes && !changed) {
        // Nobody knows what has changed since a time that is to come, so all is read then.
        let until = org.store.moment(Position::RefreshedUntil(sync)).await?;
        let since = window_start(until, org.api.time().now_ms()).filter(|_| changed);
        let cursor = since.map_or_else(Cursor::all, Cursor::changed_since);
        let run = Run::new(org.clock.unique_id(), cursor, now_ms);
        let waits = refresh_commands::paused_since(org, sync).map(|_| refresh_commands::WAITS);
        org.board.refreshing(sync, Some(run.reading(now_ms, waits)));
        positions.push(Position::Run(sync).json(&run));
    }
    org.store.put(positions).await
}

/// What the run's requests are asked for by.
fn cause(run: &Run) -> Cause<'_> {
    Cause { origin: Origin::Refresh, event_id: &run.id, correlation_id: None }
}

/// Where it is stored when a run over all records, or over what has `changed`, was started last.
fn started(sync: &str, changed: bool) -> Position<'_> {
    if changed { Position::ChangesStarted(sync) } else { Position::RefreshStarted(sync) }
}

impl Work for Refresh {
    async fn step(mut self) -> (Self, Next) {
        let part = spans::part(self.org.id(), "refresh");
        let next = match self.advance().instrument(part).await {
            Ok(next) => {
                self.delays.reset();
                let now_ms = self.org.clock.now_ms();
                if let Some(problem) = self.waits.problem() {
                    self.org.board.trouble(Part::Refresh, State::Waiting, problem, now_ms);
                } else {
                    self.org.board.running(Part::Refresh, now_ms);
                }
                next
            }
            Err(error) => {
                let wait = self.delays.next(self.org.clock.jitter());
                let problem = Problem::of("the refresh waits", &error);
                self.org.board.trouble(Part::Refresh, State::Waiting, &problem, self.org.clock.now_ms());
                tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{problem}");
                Next::After(wait)
            }
        };
        (self, next)
    }
}
