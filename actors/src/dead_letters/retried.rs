//! What became of records that were asked for once more.
//!
//! Here: reading it from the ledger. Not here: asking for them (`dead_letters`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_store::{End, LedgerRow, Seq, StoreError, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    audit_trail::AuditTrail,
    explain::Fate,
    org::store::OrgStore,
    queue_entry::{Origin, unpack},
};

/// Rows looked at for one question.
const ROWS_MAX: usize = 10_000;

/// A record that was asked for by a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetriedRecord {
    /// Its ID.
    pub record: String,
    /// How it ended; none while it is open.
    pub end: Option<RetriedEnd>,
}

/// How such a record ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetriedEnd {
    /// What it came to.
    pub fate: Fate,
    /// When.
    pub ended_ms: UnixMs,
    /// Number of the dead letter, if it is one again.
    pub letter: Option<Seq>,
    /// Why, if there is something to say.
    pub reason: String,
}

/// How these records ended, of those that retries have asked for at `since_ms` or later.
pub(super) async fn ends(
    store: &OrgStore,
    records: BTreeSet<String>,
    since_ms: UnixMs,
) -> Result<Vec<RetriedRecord>, StoreError> {
    let wanted = records.clone();
    let is_wanted = move |row: &LedgerRow| {
        row.subject.asked_ms >= since_ms && wanted.contains(&row.subject.record) && is_end(row.end)
    };
    let rows = store.rows_that(ROWS_MAX, since_ms, is_wanted).await?;
    let mut ends: BTreeMap<String, RetriedEnd> = BTreeMap::new();
    for row in rows.into_iter().filter(is_of_retry) {
        let end = RetriedEnd {
            fate: row.end.into(),
            ended_ms: row.ended_ms,
            letter: row.seq.filter(|_| row.end == End::Dead),
            reason: row.reason,
        };
        // A record with several records of the target ends as badly as one of them.
        let known = ends.entry(row.subject.record).or_insert_with(|| end.clone());
        if end.fate == Fate::DeadLetter {
            *known = end;
        }
    }
    let mut all = Vec::with_capacity(records.len());
    let open = store.counts().await?.open_egress > 0;
    for record in records {
        let mut end = ends.remove(&record);
        // It may have a change that is still to be written.
        if open && end.is_some() && !store.changes_of(&record, 1).await?.is_empty() {
            end = None;
        }
        all.push(RetriedRecord { record, end });
    }
    Ok(all)
}

fn is_end(end: End) -> bool {
    !matches!(end, End::Retried | End::Discarded | End::Closed)
}

fn is_of_retry(row: &LedgerRow) -> bool {
    unpack::<AuditTrail>(&row.subject.trail).is_ok_and(|trail| trail.origin == Origin::Retry)
}
