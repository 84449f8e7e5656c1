//! RefreshTimer: reads all records of a sync, by schedule or on demand, and puts them on the ingress queue.
//!
//! Here: one page per step, committed with the checkpoint behind it. Not here: when a run is due (`schedule`).
//!
//! A run is a value in the store, not in memory: a service killed in the middle goes on behind the last stored page.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use actix::WeakRecipient;
use chrono::DateTime;
use croner::Cron;
use orgpipe_reconcile::row;
use orgpipe_salesforce::{error::CallError, rest::query, soql::Select};
use orgpipe_store::{Append, Lane, NewRequest, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schedule;
use crate::{
    parcel::{Origin, RequestParcel, Row, pack, unpack},
    retry::Delays,
    settings::{RefreshSettings, SyncSettings},
    supervise::{
        context::OrgContext,
        org::Bell,
        status::{Part, State},
        worker::{Next, Work},
    },
};

/// Records read with one query: one page as Salesforce cuts it (REST API Developer Guide, "Query Options Header").
const PAGE: usize = 2_000;
/// No further page while so many records wait for their look-up.
const AHEAD_MAX: u64 = 4_000;
/// How often a paused run looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Where a run is. Stored under [`run_name`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Names the run in the requests it makes.
    pub id: String,
    /// ID of the last record read; empty at the start.
    pub after: String,
    /// Records read.
    pub records: u64,
    /// When it began, Unix milliseconds.
    pub started_ms: u64,
}

impl Run {
    /// A run that starts now.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), after: String::new(), records: 0, started_ms: now_ms }
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
}

/// Why a step went no further.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Refresh {
    /// Goes on with whatever runs are stored.
    pub(crate) fn new(org: Arc<OrgContext>, bell: WeakRecipient<Bell>) -> Self {
        let delays = Delays::new(Duration::from_secs(1), Duration::from_mins(5));
        Self { org, bell, delays }
    }

    async fn advance(&self) -> Result<Next, Halt> {
        let mut next = Next::Idle;
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
        if !schedule::open(refresh.window, zone, instant(self.org.clock.now_ms())) {
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
        match schedule::next_run(&cron, org.settings.time_zone, instant(last_ms)) {
            Some(due) if due <= instant(now_ms) => {
                tracing::info!(org = org.id(), sync = sync.name, "refresh begins by schedule");
                begin(org, &sync.name).await?;
                Ok(Next::Again)
            }
            Some(due) => Ok(Next::After((due - instant(now_ms)).to_std().unwrap_or_default())),
            None => Ok(Next::Idle),
        }
    }

    /// Reads a page, and stores its requests with the run's new place in one commit.
    async fn page(&self, sync: &SyncSettings, refresh: &RefreshSettings, run: Run) -> Result<Next, Halt> {
        let org = &self.org;
        let mut select = Select::from(sync.mapping.object())
            .fields(sync.mapping.read_fields())
            .where_raw(refresh.condition.as_deref().unwrap_or_default());
        if !run.after.is_empty() {
            select = select.and_gt("Id", &run.after);
        }
        let call = query::query(&select.order_by("Id").limit(PAGE).to_soql());
        let reply = org.line.call(Lane::Refresh, &call).await?;
        let page = query::page(&reply)?;
        let (mut rows, mut more) = (page.records, page.next);
        while let Some(url) = more.take() {
            let reply = org.line.call(Lane::Refresh, &query::next(&url)).await?;
            let page = query::page(&reply)?;
            rows.extend(page.records);
            more = page.next;
        }
        let read = rows.len();
        let append = append_of(sync, refresh, &run, rows, org.clock.now_ms());
        let done = append.positions.iter().any(|(_, run)| run.is_empty());
        org.store.append(org.id(), append).await?;
        org.board.running(Part::Refresh, org.clock.now_ms());
        if let Some(bell) = self.bell.upgrade() {
            let _ = bell.try_send(Bell::Ingress);
        }
        if done {
            let records = run.records + read as u64;
            tracing::info!(org = org.id(), sync = sync.name, records, "refresh has read all records");
        }
        Ok(Next::Again)
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

/// A page as requests of `batch` records, and the run's place behind it: empty when this was the last page.
fn append_of(
    sync: &SyncSettings,
    refresh: &RefreshSettings,
    run: &Run,
    mut rows: Vec<Row>,
    now_ms: u64,
) -> Append {
    let read = rows.len();
    let last = rows.last().and_then(id_of).unwrap_or_default();
    let mut requests = Vec::with_capacity(read.div_ceil(refresh.batch.max(1)));
    while !rows.is_empty() {
        let rest = rows.split_off(refresh.batch.clamp(1, rows.len()));
        let mut batch = std::mem::replace(&mut rows, rest);
        for row in &mut batch {
            // Type and URL of the record: as long as the fields we want, and never looked at.
            row.remove("attributes");
        }
        let records = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let parcel = RequestParcel {
            v: 1,
            sync: sync.name.clone(),
            origin: Origin::Refresh,
            ids: batch.iter().filter_map(id_of).collect(),
            rows: Some(batch),
            event_id: run.id.clone(),
            correlation_id: None,
            received_ms: now_ms,
        };
        requests.push(NewRequest { lane: Lane::Refresh, records, body: pack(&parcel) });
    }
    let place = if read < PAGE || last.is_empty() {
        Vec::new()
    } else {
        pack(&Run { after: last, records: run.records + read as u64, ..run.clone() })
    };
    Append { positions: vec![(run_name(&sync.name), place)], requests, dead: Vec::new() }
}

fn id_of(row: &Row) -> Option<String> {
    row::get(row, "Id").and_then(Value::as_str).map(str::to_owned)
}

fn instant(unix_ms: u64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_millis(i64::try_from(unix_ms).unwrap_or(i64::MAX)).unwrap_or_default()
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
                let hint = match &halt {
                    Halt::Call(error) => error.hint().unwrap_or_default(),
                    Halt::Store(error) => error.hint().unwrap_or_default(),
                };
                let note = format!("the refresh waits: {halt}");
                self.org.board.set(Part::Refresh, State::Waiting, &note, &hint, self.org.clock.now_ms());
                tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{note}. {hint}");
                Next::After(wait)
            }
        };
        (self, next)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::tests::org;

    fn rows(count: usize) -> Vec<Row> {
        (0..count).map(|n| Row::from_iter([("Id".to_owned(), json!(format!("001{n:012}AAA")))])).collect()
    }

    #[test]
    fn a_page_becomes_batches_and_the_place_behind_it() {
        let org = org();
        let sync = &org.syncs[0];
        let refresh = sync.refresh.as_ref().expect("the sync has a refresh");
        let run = Run { id: "r".into(), after: String::new(), records: 0, started_ms: 0 };
        let cases = [(1_050, 11, None), (2_000, 20, Some("001000000001999AAA")), (0, 0, None)];
        for (count, batches, after) in cases {
            let append = append_of(sync, refresh, &run, rows(count), 5);
            assert_eq!(append.requests.len(), batches);
            assert_eq!(append.requests.iter().map(|request| request.records as usize).sum::<usize>(), count);
            let (name, place) = &append.positions[0];
            assert_eq!(name, "refresh accounts");
            let place: Option<Run> = (!place.is_empty()).then(|| unpack(place).expect("readable"));
            assert_eq!(place.as_ref().map(|run| run.after.as_str()), after, "{count} records");
        }
    }
}
