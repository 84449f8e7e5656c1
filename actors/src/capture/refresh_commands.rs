//! What an operator wants of one sync's refresh: that it rests, goes on, or ends.
//!
//! Here: storing it, and whether a run is still the one that is stored. Not here: beginning a run and reading (`refresh`).
//!
//! A pause is a value in the store, so a paused refresh is still paused after a restart of the service. While it lasts no page is
//! read and no run begins by schedule; one that is asked for begins, and waits. Gaps in the events are healed all the same.
//!
//! Invariant: a run's place is written only while the lock of the runs is held and the stored run is the same one, so that
//! a page that was under way does not bring back a run that was ended or replaced meanwhile.

use std::{collections::BTreeMap, time::Duration};

use orgpipe_store::{StoreError, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use super::{bulk_pages, run::Run, schedule};
use crate::{
    clock::time,
    org::{context::OrgContext, status::Reading, store::Position},
    settings::{RefreshSettings, SyncSettings},
};

/// How long an operator waits until Salesforce has been told that a Bulk query is not needed any more.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// What a paused run waits for.
pub(super) const WAITS: &str = "an operator to resume it";

/// An operator's wish for the refresh of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshWish {
    /// No page is read, and no run begins by schedule.
    Pause,
    /// The run under way goes on; one that has become due begins.
    Resume,
    /// The run under way ends where it is. What it has read goes its way.
    Cancel,
}

/// What is planned for one sync's refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefreshPlan {
    /// Name of the sync.
    pub sync: String,
    /// When all is read again, as the settings have it; none: only when it is asked for.
    pub schedule: Option<String>,
    /// When what has changed is read, as the settings have it.
    pub changes: Option<String>,
    /// When the next run by schedule begins, unless it is paused then.
    pub next_ms: Option<UnixMs>,
    /// Since when an operator has it paused.
    pub paused_ms: Option<UnixMs>,
    /// When a run ended last.
    pub finished_ms: Option<UnixMs>,
    /// The run under way.
    pub reading: Option<Reading>,
}

/// The plans of all syncs that can be refreshed, in the order of the settings.
pub(crate) async fn plans(org: &OrgContext) -> Result<Vec<RefreshPlan>, StoreError> {
    let (status, mut plans) = (org.board.status(), Vec::new());
    for sync in &org.settings.syncs {
        let Some(refresh) = &sync.refresh else { continue };
        plans.push(RefreshPlan {
            sync: sync.name.clone(),
            schedule: refresh.schedule.clone(),
            changes: refresh.changes.clone(),
            next_ms: next(org, sync, refresh).await?,
            paused_ms: org.store.moment(Position::RefreshPaused(&sync.name)).await?,
            finished_ms: org.store.moment(Position::RefreshFinished(&sync.name)).await?,
            reading: status.refreshes.get(&sync.name).cloned(),
        });
    }
    Ok(plans)
}

/// The sooner of the two schedules' next runs.
async fn next(
    org: &OrgContext,
    sync: &SyncSettings,
    refresh: &RefreshSettings,
) -> Result<Option<UnixMs>, StoreError> {
    let mut soonest: Option<UnixMs> = None;
    let both = [
        (&refresh.schedule, Position::RefreshStarted(&sync.name)),
        (&refresh.changes, Position::ChangesStarted(&sync.name)),
    ];
    for (text, started) in both {
        let Some(text) = text else { continue };
        let now_ms = org.clock.now_ms();
        let last_ms = org.store.moment(started).await?.unwrap_or(now_ms).min(now_ms);
        let due = schedule::due(text, org.id(), org.settings.time_zone, time(last_ms), refresh.window);
        // One that has become due during a pause begins as soon as it may.
        let due = due
            .and_then(|due| u64::try_from(due.timestamp_millis()).ok())
            .map(UnixMs)
            .map(|due| due.max(now_ms));
        soonest = match (soonest, due) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(soonest)
}

/// Stores the wish. It counts from then on.
pub(crate) async fn wish(org: &OrgContext, sync: &str, wish: RefreshWish) -> Result<(), StoreError> {
    let held = org.runs.lock().await;
    let now_ms = org.clock.now_ms();
    let paused = Position::RefreshPaused(sync);
    let ended = match wish {
        RefreshWish::Pause => {
            org.store.put(vec![paused.moment(now_ms)]).await?;
            org.board.refresh_paused(sync, Some(now_ms));
            show_run(org, sync).await?;
            None
        }
        RefreshWish::Resume => {
            org.store.put(vec![paused.cleared()]).await?;
            org.board.refresh_paused(sync, None);
            None
        }
        RefreshWish::Cancel => {
            let run = org.store.json::<Run>(Position::Run(sync)).await?;
            org.store.put(vec![Position::Run(sync).cleared()]).await?;
            org.board.refreshing(sync, None);
            run.and_then(Result::ok)
        }
    };
    drop(held);
    if let Some(job) = ended.and_then(|run| run.job) {
        // It costs nothing but its place among the jobs of the org, where it stays for seven days at most.
        let _ = tokio::time::timeout(LEAVE_MAX, bulk_pages::leave(org, &job)).await;
    }
    Ok(())
}

/// Notes on the board which of the syncs are paused, as it is stored.
pub(crate) async fn show(org: &OrgContext) -> Result<(), StoreError> {
    let _held = org.runs.lock().await;
    let mut paused = BTreeMap::new();
    for sync in org.settings.syncs.iter().filter(|sync| sync.refresh.is_some()) {
        if let Some(since_ms) = org.store.moment(Position::RefreshPaused(&sync.name)).await? {
            paused.insert(sync.name.clone(), since_ms);
        }
    }
    org.board.paused_refreshes(paused);
    Ok(())
}

/// Notes on the board how far a paused run is.
pub(super) async fn show_run(org: &OrgContext, sync: &str) -> Result<(), StoreError> {
    let run = org.store.json::<Run>(Position::Run(sync)).await?.and_then(Result::ok);
    org.board.refreshing(sync, run.map(|run| run.reading(org.clock.now_ms(), Some(WAITS))));
    Ok(())
}

/// Whether the run is still the one that is stored. To be asked with the lock held.
pub(super) async fn is_current(org: &OrgContext, sync: &str, run: &Run) -> Result<bool, StoreError> {
    Ok(match org.store.json::<Run>(Position::Run(sync)).await? {
        // One that cannot be read is replaced by whoever starts over.
        Some(Ok(stored)) => stored.id == run.id,
        Some(Err(_)) => true,
        None => false,
    })
}

/// Since when a sync's refresh is paused, on the board.
pub(super) fn paused_since(org: &OrgContext, sync: &str) -> Option<UnixMs> {
    org.board.refresh_paused_since(sync)
}
