//! RefreshTimer: reads all records of a sync, by schedule or on demand, and puts them on the ingress queue.
//!
//! Here: one page per step, committed with the checkpoint behind it. Not here: when a run is due (`schedule`), how a
//! page is read (`pages`), gaps (`heal`), which take their turn here.
//!
//! A run is a value in the store, not in memory: a service killed in the middle goes on behind the last stored page.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use actix::WeakRecipient;
use croner::Cron;
use orgpipe_store::{Append, StoreError};
use serde::{Deserialize, Serialize};

use super::{
    heal,
    pages::{self, Halt, Page, Place, time},
    schedule,
};
use crate::{
    failpoint::Point,
    parcel::{Origin, pack, unpack},
    retry::Delays,
    settings::{RefreshSettings, SyncSettings},
    supervise::{
        context::OrgContext,
        org::Bell,
        status::{Part, State},
        worker::{Next, Work},
    },
};

/// No further page while so many records wait for their look-up.
const AHEAD_MAX: u64 = 4_000;
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
}

impl Run {
    /// A run that starts now.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), place: Place::all(), records: 0, started_ms: now_ms }
    }
}

/// The name under which a sync's run is stored; an empty value means that there is none.
pub(crate) fn run_name(sync: &str) -> String {
    format!("refresh {sync}")
}

/// The name under which the last start is stored, as decimal Unix milliseconds.
fn last_name(sync: &str) -> String {
    format!("refresh-started {sync}")
}

/// The refresh of one org's syncs.
pub(crate) struct Refresh {
    org: Arc<OrgContext>,
    bell: WeakRecipient<Bell>,
    delays: Delays,
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
        Self { org, bell, delays, shown: false, post_at: Duration::ZERO, post_delays }
    }

    async fn advance(&mut self) -> Result<Next, Halt> {
        self.org.pass(Point::Refresh);
        if !std::mem::replace(&mut self.shown, true) {
            heal::show(&self.org).await?;
        }
        let ahead = self.org.store.counts(self.org.id()).await?.open_ingress >= AHEAD_MAX;
        let mut next = sooner(self.post().await, heal::advance(&self.org, ahead).await?);
        if next == Next::Again {
            self.ring();
        }
        for sync in &self.org.settings.syncs {
            next = sooner(next, self.advance_sync(sync).await?);
        }
        Ok(next)
    }

    async fn advance_sync(&self, sync: &SyncSettings) -> Result<Next, Halt> {
        let Some(refresh) = &sync.refresh else { return Ok(Next::Idle) };
        let stored = self.org.store.position(self.org.id(), &run_name(&sync.name)).await?;
        let Some(stored) = stored.filter(|stored| !stored.is_empty()) else {
            return self.wait_for_schedule(sync, refresh).await;
        };
        // A run that cannot be read any more starts over: reading twice costs calls, not data.
        let run = unpack(&stored).unwrap_or_else(|_| Run::new(self.org.clock.now_ms()));
        let zone = self.org.settings.time_zone;
        if !schedule::open(refresh.window, zone, time(self.org.clock.now_ms())) {
            return Ok(Next::After(LOOK_AGAIN));
        }
        if self.org.store.counts(self.org.id()).await?.open_ingress >= AHEAD_MAX {
            return Ok(Next::After(LOOK_AGAIN));
        }
        self.page(sync, refresh, run).await
    }

    /// Starts a run when the schedule's time has passed since the last start.
    async fn wait_for_schedule(&self, sync: &SyncSettings, refresh: &RefreshSettings) -> Result<Next, Halt> {
        let Some(cron) = refresh.schedule.as_deref().and_then(|text| Cron::from_str(text).ok()) else {
            return Ok(Next::Idle);
        };
        let (org, now_ms) = (&self.org, self.org.clock.now_ms());
        let last = org.store.position(org.id(), &last_name(&sync.name)).await?;
        let last_ms = last.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        let Some(last_ms) = last_ms else {
            // The first start of the service with this sync: count from now.
            let positions = vec![(last_name(&sync.name), now_ms.to_string().into_bytes())];
            org.store.append(org.id(), Append { positions, requests: Vec::new(), dead: Vec::new() }).await?;
            return Ok(Next::Again);
        };
        match schedule::next_run(&cron, org.settings.time_zone, time(last_ms)) {
            Some(due) if due <= time(now_ms) => {
                tracing::info!(org = org.id(), sync = sync.name, "refresh begins by schedule");
                begin(org, &sync.name).await?;
                Ok(Next::Again)
            }
            Some(due) => Ok(Next::After((due - time(now_ms)).to_std().unwrap_or_default())),
            None => Ok(Next::Idle),
        }
    }

    /// Reads a page, and stores its requests with the run's new place in one commit.
    async fn page(&self, sync: &SyncSettings, refresh: &RefreshSettings, run: Run) -> Result<Next, Halt> {
        let org = &self.org;
        let condition = refresh.condition.as_deref().unwrap_or_default();
        let Page { rows, next, read_ms, .. } = pages::read(org, sync, condition, &run.place).await?;
        let records = run.records + rows.len() as u64;
        let requests = pages::requests(sync, refresh.batch, Origin::Refresh, &run.id, rows, read_ms);
        let done = next.is_none();
        let run = next.map_or_else(Vec::new, |place| pack(&Run { place, records, ..run }));
        let positions = vec![(run_name(&sync.name), run)];
        org.pass(Point::BeforePage);
        org.store.append(org.id(), Append { positions, requests, ..Append::default() }).await?;
        org.pass(Point::AfterPage);
        org.board.running(Part::Refresh, org.clock.now_ms());
        self.ring();
        if done {
            tracing::info!(org = org.id(), sync = sync.name, records, "refresh has read all records");
        }
        Ok(Next::Again)
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

/// Starts a run of the sync; one that is under way goes on as it is.
pub(crate) async fn begin(org: &OrgContext, sync: &str) -> Result<(), StoreError> {
    let now_ms = org.clock.now_ms();
    let mut positions = vec![(last_name(sync), now_ms.to_string().into_bytes())];
    let running = org.store.position(org.id(), &run_name(sync)).await?.is_some_and(|run| !run.is_empty());
    if !running {
        positions.push((run_name(sync), pack(&Run::new(now_ms))));
    }
    org.store.append(org.id(), Append { positions, requests: Vec::new(), dead: Vec::new() }).await
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
                self.org.board.running(Part::Refresh, self.org.clock.now_ms());
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
