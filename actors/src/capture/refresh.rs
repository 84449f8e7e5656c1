//! RefreshTimer: reads all records of a sync, by schedule or on demand, and puts them on the ingress queue.
//!
//! Here: one page per step, committed with the checkpoint behind it. Not here: when a run is due (`schedule`), how a
//! page is read (`pages` by REST, `bulk_pages` of very many), gaps (`heal`), which take their turn here.
//!
//! A run is a value in the store, not in memory: a service killed in the middle goes on behind the last stored page.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use actix::WeakRecipient;
use croner::Cron;
use orgpipe_store::{Append, NewRequest, StoreError};
use serde::{Deserialize, Serialize};

use super::{
    bulk_pages::{self, QueryJob},
    heal, orphans,
    pages::{self, Halt, Page, Place, time},
    schedule,
    waits::Waits,
};
use crate::{
    failpoint::Point,
    parcel::{Origin, pack, unpack},
    retry::Delays,
    settings::{RefreshSettings, SyncSettings},
    supervise::{
        context::OrgContext,
        org::Bell,
        status::{Part, Reading, State},
        worker::{Next, Work},
    },
};

/// No further page while so many records wait for their look-up: as many as are looked up while one is read.
const AHEAD_MAX: u64 = 10_000;
/// Name of the healing among what waits; no sync has it.
const GAPS: &str = "";
/// How often a paused run looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Where a run is. Stored under [`run_name`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Names the run in the requests it makes.
    pub id: String,
    /// How far it is.
    #[serde(flatten)]
    pub place: Place,
    /// Records read.
    pub records: u64,
    /// When it began, Unix milliseconds.
    pub started_ms: u64,
    /// Records there were then, if the org said.
    #[serde(default)]
    pub total: Option<u64>,
    /// The Bulk query that it reads by; none: it reads REST pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<QueryJob>,
    /// All is read; now the target's records are read whose own record is gone, from behind this ID on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans: Option<String>,
}

impl Run {
    /// A run that starts now.
    fn new(place: Place, now_ms: u64) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            place,
            records: 0,
            started_ms: now_ms,
            total: None,
            job: None,
            orphans: None,
        }
    }

    /// Only what has changed is read.
    fn changed(&self) -> bool {
        self.place.changed.is_some()
    }

    /// For an operator.
    fn reading(&self, now_ms: u64, waits: &str) -> Reading {
        let passed = now_ms.saturating_sub(self.started_ms);
        let ends_ms = self.total.filter(|_| self.records > 0).map(|total| {
            let whole = u128::from(passed) * u128::from(total.max(self.records)) / u128::from(self.records);
            self.started_ms.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX))
        });
        Reading {
            changed: self.changed(),
            records: self.records,
            total: self.total,
            started_ms: self.started_ms,
            ends_ms,
            waits: match &self.job {
                Some(job) if waits.is_empty() => job.waits().to_owned(),
                _ => waits.to_owned(),
            },
        }
    }
}

/// The name under which a sync's run is stored; an empty value means that there is none.
pub(crate) fn run_name(sync: &str) -> String {
    format!("refresh {sync}")
}

/// The name under which the last start is stored, as decimal Unix milliseconds: of a run over all records, or of one
/// over what has changed.
fn last_name(sync: &str, changed: bool) -> String {
    format!("{} {sync}", if changed { "changes-started" } else { "refresh-started" })
}

/// The name under which it is stored from when on changes are not read yet, as decimal Unix milliseconds: when the last
/// run began that has ended.
fn until_name(sync: &str) -> String {
    format!("refreshed-until {sync}")
}

async fn stored_ms(org: &OrgContext, name: &str) -> Result<Option<u64>, StoreError> {
    let stored = org.store.position(org.id(), name).await?;
    Ok(stored.and_then(|text| String::from_utf8(text).ok()?.parse().ok()))
}

/// When a run was asked for last, also if one was under way.
async fn begun_ms(org: &OrgContext, sync: &str) -> Result<u64, StoreError> {
    let (all, changes) = (last_name(sync, false), last_name(sync, true));
    Ok(stored_ms(org, &all).await?.max(stored_ms(org, &changes).await?).unwrap_or_default())
}

/// The refresh of one org's syncs.
pub(crate) struct Refresh {
    pub(super) org: Arc<OrgContext>,
    bell: WeakRecipient<Bell>,
    delays: Delays,
    waits: Waits,
    /// Whether the board shows the gaps on disk.
    shown: bool,
    /// Not before this time since the start is a receipt posted.
    post_at: Duration,
    post_delays: Delays,
}

impl Refresh {
    /// Goes on with whatever runs are stored.
    pub(crate) fn new(org: Arc<OrgContext>, bell: WeakRecipient<Bell>) -> Self {
        let delays = Delays::new(Duration::from_secs(1), Duration::from_mins(5));
        let post_delays = Delays::new(Duration::from_secs(1), Duration::from_mins(5));
        Self {
            org,
            bell,
            delays,
            waits: Waits::default(),
            shown: false,
            post_at: Duration::ZERO,
            post_delays,
        }
    }

    async fn advance(&mut self) -> Result<Next, Halt> {
        self.org.pass(Point::Refresh);
        if !std::mem::replace(&mut self.shown, true) {
            heal::show(&self.org).await?;
        }
        let ahead = self.ahead().await?.is_some();
        let healed = if let Some(wait) = self.waits.left(GAPS, self.org.clock.monotonic()) {
            Next::After(wait)
        } else {
            let healed = heal::advance(&self.org, ahead).await;
            self.settle(GAPS, "the healing of a gap", healed)
        };
        let mut next = sooner(self.post().await, healed);
        if next == Next::Again {
            self.ring();
        }
        let org = Arc::clone(&self.org);
        for sync in &org.settings.syncs {
            if self.waits.left(&sync.name, org.clock.monotonic()).is_some() {
                self.waits.asked(&sync.name, begun_ms(&org, &sync.name).await?);
            }
            let stepped = if let Some(wait) = self.waits.left(&sync.name, org.clock.monotonic()) {
                Next::After(wait)
            } else {
                let stepped = self.advance_sync(sync).await;
                self.settle(&sync.name, &format!("the refresh of `{}`", sync.name), stepped)
            };
            next = sooner(next, stepped);
        }
        Ok(next)
    }

    /// What failed waits by itself.
    fn settle(&mut self, name: &str, what: &str, stepped: Result<Next, Halt>) -> Next {
        let halt = match stepped {
            Ok(next) => {
                self.waits.reset(name);
                return next;
            }
            Err(halt) => halt,
        };
        let (note, hint) = (format!("{what} waits: {halt}"), halt.hint());
        let clock = &self.org.clock;
        let now = (clock.monotonic(), clock.now_ms());
        let wait = self.waits.failed(name, (note.clone(), hint.clone()), now, clock.dice());
        tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{note}. {hint}");
        Next::After(wait)
    }

    async fn advance_sync(&self, sync: &SyncSettings) -> Result<Next, Halt> {
        let Some(refresh) = &sync.refresh else { return Ok(Next::Idle) };
        let stored = self.org.store.position(self.org.id(), &run_name(&sync.name)).await?;
        let Some(stored) = stored.filter(|stored| !stored.is_empty()) else {
            return self.wait_for_schedule(sync, refresh).await;
        };
        let (org, now_ms) = (&self.org, self.org.clock.now_ms());
        // A run that cannot be read any more starts over: reading twice costs calls, not data.
        let run = unpack(&stored).unwrap_or_else(|_| Run::new(Place::all(), now_ms));
        let waits = if schedule::open(refresh.window, org.settings.time_zone, time(now_ms)) {
            self.ahead().await?.unwrap_or_default()
        } else {
            "its window of the day"
        };
        org.board.refreshing(&sync.name, Some(run.reading(now_ms, waits)));
        if !waits.is_empty() {
            return Ok(Next::After(LOOK_AGAIN));
        }
        match (run.orphans.clone(), run.job.clone()) {
            (Some(after), _) => self.orphans(sync, refresh, run, &after).await,
            (None, Some(job)) => self.bulk_page(sync, refresh, run, job).await,
            (None, None) => self.page(sync, refresh, run).await,
        }
    }

    /// What reading has to wait for, so that the queues stay short and leave room for live events.
    async fn ahead(&self) -> Result<Option<&'static str>, StoreError> {
        let org = &self.org;
        let counts = org.store.counts(org.id()).await?;
        Ok(if counts.open_ingress >= AHEAD_MAX {
            Some("the look-ups of what is read")
        } else if counts.open() >= org.queue_max / 2 {
            Some("the writes of what is read: half of `queue_max` is full")
        } else {
            None
        })
    }

    /// Starts a run when a schedule's time has passed since the last start.
    async fn wait_for_schedule(&self, sync: &SyncSettings, refresh: &RefreshSettings) -> Result<Next, Halt> {
        let all = self.wait_for(sync, refresh, refresh.schedule.as_deref(), false).await?;
        if all == Next::Again {
            return Ok(all);
        }
        Ok(sooner(all, self.wait_for(sync, refresh, refresh.changes.as_deref(), true).await?))
    }

    async fn wait_for(
        &self,
        sync: &SyncSettings,
        refresh: &RefreshSettings,
        schedule: Option<&str>,
        changed: bool,
    ) -> Result<Next, Halt> {
        let Some(cron) = schedule.and_then(|text| Cron::from_str(text).ok()) else {
            return Ok(Next::Idle);
        };
        let (org, now_ms) = (&self.org, self.org.clock.now_ms());
        let name = last_name(&sync.name, changed);
        let Some(last_ms) = stored_ms(org, &name).await? else {
            // The first start of the service with this schedule: count from now.
            let positions = vec![(name, now_ms.to_string().into_bytes())];
            org.store.append(org.id(), Append { positions, ..Append::default() }).await?;
            return Ok(Next::Again);
        };
        let zone = org.settings.time_zone;
        let Some(due) = schedule::next_run(&cron, zone, time(last_ms)) else { return Ok(Next::Idle) };
        let next = schedule::next_run(&cron, zone, due);
        let due = due + schedule::spread(org.id(), due, next, refresh.window);
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
    async fn page(&self, sync: &SyncSettings, refresh: &RefreshSettings, mut run: Run) -> Result<Next, Halt> {
        let org = &self.org;
        let condition = refresh.condition.as_deref().unwrap_or_default();
        if run.total.is_none() && run.records == 0 {
            run.total = pages::count(org, sync, condition, &run.place).await;
            if run.total.is_some_and(|total| total >= refresh.bulk_from) {
                run.job = bulk_pages::create(org, sync, condition, &run.place).await?;
            }
            if run.job.is_some() {
                return self.go_on(sync, run, Vec::new()).await;
            }
        }
        let Page { rows, next, read_ms, .. } = pages::read(org, sync, condition, &run.place).await?;
        let records = run.records + rows.len() as u64;
        let requests = pages::requests(sync, refresh.batch, Origin::Refresh, &run.id, rows, read_ms);
        let run = Run { records, ..run };
        match next {
            Some(place) => self.go_on(sync, Run { place, ..run }, requests).await,
            None => self.all_read(sync, run, requests).await,
        }
    }

    /// The last page is read.
    pub(super) async fn all_read(
        &self,
        sync: &SyncSettings,
        run: Run,
        requests: Vec<NewRequest>,
    ) -> Result<Next, Halt> {
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
    ) -> Result<Next, Halt> {
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
    async fn end(&self, sync: &SyncSettings, run: &Run, requests: Vec<NewRequest>) -> Result<Next, Halt> {
        let until = run.started_ms.to_string().into_bytes();
        let positions = vec![(run_name(&sync.name), Vec::new()), (until_name(&sync.name), until)];
        self.commit(Append { positions, requests, ..Append::default() }).await?;
        self.org.board.refreshing(&sync.name, None);
        Ok(Next::Again)
    }

    /// The run goes on from its new place.
    pub(super) async fn go_on(
        &self,
        sync: &SyncSettings,
        run: Run,
        requests: Vec<NewRequest>,
    ) -> Result<Next, Halt> {
        self.org.board.refreshing(&sync.name, Some(run.reading(self.org.clock.now_ms(), "")));
        let positions = vec![(run_name(&sync.name), pack(&run))];
        self.commit(Append { positions, requests, ..Append::default() }).await?;
        Ok(Next::Again)
    }

    /// Point A: the requests of a page, and where the run is behind it.
    async fn commit(&self, append: Append) -> Result<(), Halt> {
        let org = &self.org;
        org.pass(Point::BeforePage);
        org.store.append(org.id(), append).await?;
        org.pass(Point::AfterPage);
        self.ring();
        Ok(())
    }

    /// A full mailbox means that the bell rings already.
    fn ring(&self) {
        if let Some(bell) = self.bell.upgrade() {
            let _ = bell.try_send(Bell::Ingress);
        }
    }

    /// Posts receipts; a webhook that does not answer holds up nothing else.
    async fn post(&mut self) -> Next {
        let now = self.org.clock.monotonic();
        if now < self.post_at {
            return Next::After(self.post_at.saturating_sub(now));
        }
        match heal::post(&self.org).await {
            Ok(true) => {
                self.post_delays.reset();
                Next::Again
            }
            Ok(false) => Next::Idle,
            Err(error) => {
                let wait = self.post_delays.next(self.org.clock.dice());
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
    let now_ms = org.clock.now_ms();
    let now = now_ms.to_string().into_bytes();
    let mut positions = vec![(last_name(sync, changed), now)];
    let running = org.store.position(org.id(), &run_name(sync)).await?.unwrap_or_default();
    let reads_changes = unpack::<Run>(&running).is_ok_and(|run| run.changed());
    if running.is_empty() || (reads_changes && !changed) {
        let since = stored_ms(org, &until_name(sync)).await?.filter(|_| changed);
        let run = Run::new(since.map_or_else(Place::all, Place::changed_since), now_ms);
        org.board.refreshing(sync, Some(run.reading(now_ms, "")));
        positions.push((run_name(sync), pack(&run)));
    }
    org.store.append(org.id(), Append { positions, ..Append::default() }).await
}

fn sooner(one: Next, other: Next) -> Next {
    match (one, other) {
        (Next::Again, _) | (_, Next::Again) => Next::Again,
        (Next::After(a), Next::After(b)) => Next::After(a.min(b)),
        (Next::After(wait), Next::Idle) | (Next::Idle, Next::After(wait)) => Next::After(wait),
        (Next::Idle, Next::Idle) => Next::Idle,
    }
}

impl Work for Refresh {
    async fn step(mut self) -> (Self, Next) {
        let next = match self.advance().await {
            Ok(next) => {
                self.delays.reset();
                let now_ms = self.org.clock.now_ms();
                if let Some((note, hint)) = self.waits.note() {
                    self.org.board.set(Part::Refresh, State::Waiting, note, hint, now_ms);
                } else {
                    self.org.board.running(Part::Refresh, now_ms);
                }
                next
            }
            Err(halt) => {
                let wait = self.delays.next(self.org.clock.dice());
                let hint = halt.hint();
                let note = format!("the refresh waits: {halt}");
                self.org.board.set(Part::Refresh, State::Waiting, &note, &hint, self.org.clock.now_ms());
                tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{note}. {hint}");
                Next::After(wait)
            }
        };
        (self, next)
    }
}
