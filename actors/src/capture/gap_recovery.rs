//! Gaps in the event stream: noted when they are seen, read again by query, signed off with a receipt.
//!
//! Here: what a gap is, how far its recovery is, and the receipt. Not here: how a gap is seen (`cometd`), reading a page
//! (`pages`), what becomes of a record (`decide`).
//!
//! ```text
//! noted ─▶ reading, page by page ─▶ deciding ─▶ delivering ─▶ receipt
//! ```
//! A gap is on disk before the subscription goes on behind it, so no crash forgets it; and its channel's position is
//! given up in the same commit, so it is noted once. The window has no end: a record whose event was lost may change
//! again before it is read, and then stands later in the order. Everything runs beside the live events.
//!
//! Windows are told by the org's clock, which stamps its records: when a channel was heard of, and a gap's two ends.

use std::{collections::BTreeMap, time::Duration};

use orgpipe_salesforce::limits::EVENT_RETENTION;
use orgpipe_store::{Append, Appended, DeadLetter, Seq, StoreError, UnixMs};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::pages::{self, Cursor};
use crate::{
    org::{
        context::OrgContext,
        messages::OrgLink,
        org_time::window_start,
        step_error::StepError,
        store::{Moved, Position},
    },
    queue_entry::{ChangeEntry, Origin, Tally, unpack},
    receipt::{GapReason, Receipt},
    runtime::worker::Next,
    trace::{
        Cause, TraceContext,
        spans::{self, About},
        steps::Traces,
    },
};

/// After this time without a word a channel is past retention: as long as Salesforce keeps events, less an hour for getting
/// there.
const SILENCE_MAX: Duration = EVENT_RETENTION.saturating_sub(Duration::from_hours(1));
/// Gaps that wait; a further one is recovered together with the last of them.
const GAPS_MAX: usize = 20;
/// Receipts kept per org; the oldest make room.
const RECEIPTS_MAX: usize = 100;
/// How often it is looked whether the records of a gap are through.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A gap that is not closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    id: String,
    reason: GapReason,
    channels: Vec<String>,
    from_ms: Option<UnixMs>,
    to_ms: UnixMs,
    phase: RecoveryPhase,
    /// Records read.
    read: u64,
    /// API calls for reading them.
    calls: u64,
}

/// How far a gap is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecoveryPhase {
    /// These syncs are still to be read, from these places on.
    Reading(Vec<(String, Cursor)>),
    /// All is read; what waits up to the store's number is not decided.
    Deciding(Option<Seq>),
    /// All is decided; changes up to the store's number are not through.
    Delivering(Seq),
}

/// Was the channel heard of for the last time before the oldest event that Salesforce still has?
pub(super) async fn was_past_retention(org: &OrgContext, channel: &str) -> Result<bool, StoreError> {
    let heard = org.store.moment(Position::Heard(channel)).await?;
    Ok(heard.is_some_and(|heard| org.api.time().now_ms().since(heard) > SILENCE_MAX))
}

/// Notes a gap. In the same commit the channels' positions are given up, so that the subscription goes on with the
/// earliest event there is, and `more` positions are stored.
pub(crate) async fn note_gap(
    org: &OrgContext,
    channels: Vec<String>,
    reason: GapReason,
    more: Vec<Moved>,
) -> Result<(), StoreError> {
    let _alone = org.gaps.lock().await;
    let now_ms = org.api.time().now_ms();
    let (mut from_ms, mut all_known): (Option<UnixMs>, bool) = (None, true);
    for channel in &channels {
        let heard = match org.store.moment(Position::Heard(channel)).await? {
            Some(heard) => Some(heard),
            None => org.store.moment(Position::Begun(channel)).await?,
        };
        // A clock that ran ahead has told a time that is to come: the last event's own time is Salesforce's.
        let since = match heard {
            Some(heard) if window_start(Some(heard), now_ms).is_none() => {
                org.store.moment(Position::Published(channel)).await?
            }
            heard => heard,
        };
        let since = window_start(since, now_ms);
        all_known &= heard.is_none() || since.is_some();
        from_ms = match (from_ms, since) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (known, other) => known.or(other),
        };
    }
    // Another org may hold other values in any record.
    let from_ms = from_ms.filter(|_| all_known && reason != GapReason::OrgChanged);
    let mut gaps = gaps(org).await?;
    let mut positions = more;
    positions.extend(channels.iter().map(|channel| Position::ReplayId(channel).cleared()));
    positions.extend(channels.iter().map(|channel| Position::Heard(channel).moment(now_ms)));
    tracing::warn!(
        org = org.id(),
        ?channels,
        from_ms = from_ms.map(|at| at.0),
        "events may have been missed: {}",
        reason.text()
    );
    add(org, &mut gaps, channels, reason, from_ms, now_ms);
    positions.push(Position::Gaps.json(&gaps));
    org.store.put(positions).await?;
    org.board.gaps(gaps.len(), None);
    Ok(())
}

/// Notes that any record may have changed on these channels since then, though every event was heard: positions stay.
pub(super) async fn note_overflows(
    org: &OrgContext,
    overflows: &BTreeMap<String, Option<UnixMs>>,
) -> Result<(), StoreError> {
    let _alone = org.gaps.lock().await;
    let mut gaps = gaps(org).await?;
    for (channel, since_ms) in overflows {
        let reason = GapReason::Overflow;
        tracing::warn!(
            org = org.id(),
            channel,
            since_ms = since_ms.map(|at| at.0),
            "all that changed is read again: {}",
            reason.text()
        );
        add(org, &mut gaps, vec![channel.clone()], reason, *since_ms, org.api.time().now_ms());
    }
    let positions = vec![Position::Gaps.json(&gaps)];
    org.store.put(positions).await?;
    org.board.gaps(gaps.len(), None);
    Ok(())
}

fn add(
    org: &OrgContext,
    gaps: &mut Vec<Gap>,
    channels: Vec<String>,
    reason: GapReason,
    from_ms: Option<UnixMs>,
    now_ms: UnixMs,
) {
    let cursor = from_ms.map_or_else(Cursor::all, Cursor::changed_since);
    let syncs = org.settings.syncs.iter().filter(|sync| channels.contains(&sync.channel));
    let open: Vec<(String, Cursor)> = syncs.map(|sync| (sync.name.clone(), cursor.clone())).collect();
    let full = gaps.len() >= GAPS_MAX;
    match gaps.last_mut().filter(|_| full) {
        Some(last) => {
            for channel in channels {
                if !last.channels.contains(&channel) {
                    last.channels.push(channel);
                }
            }
            last.from_ms = last.from_ms.zip(from_ms).map(|(one, other)| one.min(other));
            let cursor = last.from_ms.map_or_else(Cursor::all, Cursor::changed_since);
            let syncs = org.settings.syncs.iter().filter(|sync| last.channels.contains(&sync.channel));
            last.phase =
                RecoveryPhase::Reading(syncs.map(|sync| (sync.name.clone(), cursor.clone())).collect());
            last.to_ms = now_ms;
        }
        None => gaps.push(Gap {
            id: org.clock.unique_id(),
            reason,
            channels,
            from_ms,
            to_ms: now_ms,
            phase: RecoveryPhase::Reading(open),
            read: 0,
            calls: 0,
        }),
    }
}

async fn gaps(org: &OrgContext) -> Result<Vec<Gap>, StoreError> {
    list(org, Position::Gaps).await
}

/// The receipts of an org, oldest first.
pub(crate) async fn receipts(org: &OrgContext) -> Result<Vec<Receipt>, StoreError> {
    list(org, Position::Receipts).await
}

async fn list<T: DeserializeOwned>(org: &OrgContext, position: Position<'_>) -> Result<Vec<T>, StoreError> {
    let stored = org.store.json(position).await?;
    Ok(stored.unwrap_or_else(|| Ok(Vec::new())).unwrap_or_else(|problem| {
        tracing::error!(org = org.id(), ?position, "a list cannot be read and begins anew: {problem}");
        Vec::new()
    }))
}

/// Shows on the board what is stored.
pub(super) async fn show(org: &OrgContext) -> Result<(), StoreError> {
    org.board.gaps(gaps(org).await?.len(), receipts(org).await?.pop());
    Ok(())
}

/// Goes one step on with the oldest gap. `ahead`: so much waits to be looked up that no page is read now.
pub(super) async fn advance(org: &OrgContext, link: &OrgLink, ahead: bool) -> Result<Next, StepError> {
    let Some(gap) = gaps(org).await?.into_iter().next() else { return Ok(Next::Idle) };
    match &gap.phase {
        RecoveryPhase::Reading(_) if ahead => Ok(Next::After(LOOK_AGAIN)),
        RecoveryPhase::Reading(open) => {
            let mut open = open.clone();
            let cause = Cause { origin: Origin::Heal, event_id: &gap.id, correlation_id: None };
            let about = About { org: org.id(), name: ("read", "gap"), sync: None, records: None };
            let step = Traces::of(org.id(), org.sampling, [cause]).step(org.clock, about);
            step.try_work(read(org, link, gap.clone(), &mut open), StepError::kind).await?;
            Ok(Next::Again)
        }
        RecoveryPhase::Deciding(None) => {
            let upto = org.store.progress().await?.given;
            save(org, Gap { phase: RecoveryPhase::Deciding(Some(upto)), ..gap.clone() }, Append::default())
                .await?;
            Ok(Next::Again)
        }
        RecoveryPhase::Deciding(Some(upto)) => {
            let progress = org.store.progress().await?;
            if progress.oldest_request.is_some_and(|oldest| oldest <= *upto) {
                return Ok(Next::After(LOOK_AGAIN));
            }
            save(
                org,
                Gap { phase: RecoveryPhase::Delivering(progress.given), ..gap.clone() },
                Append::default(),
            )
            .await?;
            Ok(Next::Again)
        }
        RecoveryPhase::Delivering(upto) => {
            let progress = org.store.progress().await?;
            if progress.oldest_change.is_some_and(|oldest| oldest <= *upto) {
                return Ok(Next::After(LOOK_AGAIN));
            }
            sign_off(org, &gap).await?;
            Ok(Next::Again)
        }
    }
}

async fn read(
    org: &OrgContext,
    link: &OrgLink,
    gap: Gap,
    open: &mut Vec<(String, Cursor)>,
) -> Result<(), StepError> {
    let mut append = Append::default();
    let (mut read, mut calls) = (0, 0);
    if let Some((name, cursor)) = open.first_mut() {
        let mut next = None;
        // A sync that is gone from the settings has nothing to read again any more.
        if let Some(sync) = org.settings.syncs.iter().find(|sync| sync.name == *name) {
            // Not the refresh's condition: an event may have asked for any record.
            let page = pages::read(org, sync, "", cursor).await?;
            (read, calls, next) = (page.rows.len() as u64, page.calls, page.next);
            append.requests =
                pages::requests(sync, sync.lookup_max(), Origin::Heal, &gap.id, page.rows, page.read_ms);
        }
        match next {
            Some(next) => *cursor = next,
            None => drop(open.remove(0)),
        }
    }
    let phase = if open.is_empty() {
        RecoveryPhase::Deciding(None)
    } else {
        RecoveryPhase::Reading(std::mem::take(open))
    };
    let gap = Gap { phase, read: gap.read + read, calls: gap.calls + calls, ..gap };
    link.arrived(save(org, gap, append).await?).await;
    Ok(())
}

/// Stores the gap's new state in one commit with what comes of it.
async fn save(org: &OrgContext, gap: Gap, mut append: Append) -> Result<Appended, StoreError> {
    let _alone = org.gaps.lock().await;
    let mut gaps = gaps(org).await?;
    if let Some(known) = gaps.iter_mut().find(|known| known.id == gap.id) {
        *known = gap;
    }
    append.positions.push(Position::Gaps.json(&gaps));
    org.store.append(append).await
}

async fn sign_off(org: &OrgContext, gap: &Gap) -> Result<(), StoreError> {
    let tally = org.store.bytes(Position::GapTally).await?;
    let tally = Tally::of(&gap.id, tally.as_deref());
    let letters = org.store.dead_letters(None, Seq::MAX, orgpipe_store::DEAD_LETTERS_MAX).await?;
    let of_gap = |body: &[u8]| {
        unpack::<ChangeEntry>(body).is_ok_and(|change| change.gap.as_deref() == Some(gap.id.as_str()))
    };
    let not_written: u64 =
        letters.iter().filter(|letter| of_gap(&letter.body)).map(DeadLetter::records).sum();
    let receipt = Receipt {
        id: gap.id.clone(),
        reason: gap.reason,
        channels: gap.channels.clone(),
        from_ms: gap.from_ms,
        to_ms: gap.to_ms,
        closed_ms: org.clock.now_ms(),
        checked: tally.unchanged + tally.no_data + tally.failed + tally.changes,
        unchanged: tally.unchanged,
        no_data: tally.no_data,
        changed: tally.changes.saturating_sub(not_written),
        failed: tally.failed + not_written,
        calls: gap.calls + tally.calls,
        posted: org.vendor().webhook.is_none(),
    };
    let _alone = org.gaps.lock().await;
    let mut gaps = gaps(org).await?;
    gaps.retain(|known| known.id != gap.id);
    let mut receipts = receipts(org).await?;
    receipts.push(receipt.clone());
    receipts.drain(..receipts.len().saturating_sub(RECEIPTS_MAX));
    let positions =
        vec![Position::Gaps.json(&gaps), Position::Receipts.json(&receipts), Position::GapTally.cleared()];
    org.store.put(positions).await?;
    tracing::info!(org = org.id(), gap = receipt.id, read = gap.read, "{}", receipt.sentence());
    drop(spans::run(org.id(), ("heal", "gap"), root(org, &gap.id), gap.to_ms, gap.read));
    org.board.gaps(gaps.len(), Some(receipt));
    Ok(())
}

/// The trace of what a gap is read for.
fn root(org: &OrgContext, gap: &str) -> TraceContext {
    let cause = Cause { origin: Origin::Heal, event_id: gap, correlation_id: None };
    TraceContext::root(org.id(), cause, org.sampling)
}

/// Posts the oldest receipt that the webhook does not have yet. True if there was one.
pub(super) async fn post(org: &OrgContext) -> Result<bool, PostError> {
    let Some(webhook) = org.vendor().webhook else { return Ok(false) };
    let all = receipts(org).await?;
    let Some(receipt) = all.iter().find(|receipt| !receipt.posted) else { return Ok(false) };
    webhook.post(org.id(), receipt, root(org, &receipt.id).child(org.clock)).await?;
    let _alone = org.gaps.lock().await;
    let mut all = receipts(org).await?;
    for known in all.iter_mut().filter(|known| known.id == receipt.id) {
        known.posted = true;
    }
    let positions = vec![Position::Receipts.json(&all)];
    org.store.put(positions).await?;
    Ok(true)
}

/// Why a receipt is not posted yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Webhook(#[from] crate::vendor::webhook::WebhookError),
}
