//! What became of records that were asked for once more.
//!
//! Here: reading it from the ledger. Not here: asking for them (`dead_letters`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_reconcile::id;
use orgpipe_store::{End, LedgerRow, Seq, StoreError, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    audit_trail::AuditTrail,
    explain::Fate,
    org::store::OrgStore,
    queue_entry::{Origin, RequestEntry, unpack},
};

/// Rows looked at for one question.
const ROWS_MAX: usize = 10_000;
/// Records that wait for their look-up and are looked at for one question.
const WAITING_MAX: u64 = 10_000;

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
///
/// A record may be asked for by several letters, of several syncs: it has ended once nothing waits for it any more, and as badly
/// as one of them.
pub(super) async fn ends(
    store: &OrgStore,
    records: BTreeSet<String>,
    since_ms: UnixMs,
) -> Result<Vec<RetriedRecord>, StoreError> {
    let mut through: BTreeSet<String> = rows(store, &records, since_ms).await?.into_keys().collect();
    let open = still_open(store, &through, since_ms).await?;
    through.retain(|record| !open.contains(record));
    // Only now the rows of all that had been open are there.
    let mut ends = if through.is_empty() { BTreeMap::new() } else { rows(store, &through, since_ms).await? };
    let told = records.into_iter().map(|record| RetriedRecord { end: ends.remove(&record), record });
    Ok(told.collect())
}

/// The ends that the ledger has of records.
async fn rows(
    store: &OrgStore,
    records: &BTreeSet<String>,
    since_ms: UnixMs,
) -> Result<BTreeMap<String, RetriedEnd>, StoreError> {
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
    Ok(ends)
}

/// Those of the records for which something waits still: a look-up that a retry has asked for, or a change.
async fn still_open(
    store: &OrgStore,
    records: &BTreeSet<String>,
    since_ms: UnixMs,
) -> Result<BTreeSet<String>, StoreError> {
    let mut open = BTreeSet::new();
    if records.is_empty() {
        return Ok(open);
    }
    let counts = store.counts().await?;
    if counts.open_ingress > 0 {
        // What retries ask for is live, and stands before all that is not.
        for request in store.ingress_head(WAITING_MAX).await? {
            let entry = unpack::<RequestEntry>(&request.body).ok();
            let of_retry =
                entry.filter(|entry| entry.origin == Origin::Retry && entry.received_ms >= since_ms);
            let ids = of_retry.into_iter().flat_map(|entry| entry.ids);
            open.extend(ids.map(|id| id::canonical(&id).unwrap_or(id)));
        }
    }
    if counts.open_egress > 0 {
        for record in records {
            if !store.changes_of(record, 1).await?.is_empty() {
                open.insert(record.clone());
            }
        }
    }
    Ok(open)
}

fn is_end(end: End) -> bool {
    !matches!(end, End::Retried | End::Discarded | End::Closed)
}

fn is_of_retry(row: &LedgerRow) -> bool {
    unpack::<AuditTrail>(&row.subject.trail).is_ok_and(|trail| trail.origin == Origin::Retry)
}

#[cfg(test)]
mod tests {
    use orgpipe_store::{Append, Durability, Lane, NewDead, NewRequest, Options, Settle, Store, Subject};

    use super::*;
    use crate::queue_entry::pack;

    const RECORD: &str = "0015000000Gv7qJAAR";

    fn subject(sync: &str) -> Subject {
        let trail = AuditTrail::new(sync, Origin::Retry, "", None).pack();
        Subject { record: RECORD.to_owned(), units: 1, asked_ms: UnixMs(7), trail, pushes: Vec::new() }
    }

    /// A retry asks for the record on behalf of a sync; gives the number of the request.
    async fn asked(store: &OrgStore, sync: &str) -> Seq {
        let entry = RequestEntry {
            v: 1,
            sync: sync.to_owned(),
            origin: Origin::Retry,
            ids: vec![RECORD.to_owned()],
            rows: None,
            pushed: Vec::new(),
            event_id: String::new(),
            correlation_id: None,
            received_ms: UnixMs(7),
        };
        let request = NewRequest { lane: Lane::Live, records: 1, body: pack(&entry) };
        let appended = store.append(Append { requests: vec![request], ..Append::default() }).await;
        appended.expect("stored").requests[0].seq
    }

    #[actix_rt::test]
    async fn a_record_that_two_letters_ask_for_ends_with_the_last_and_as_badly_as_one_of_them() {
        let options = Options {
            durability: Durability::Process,
            cache_bytes: 1 << 20,
            depth_max: 1_000,
            ledger_days: 30,
            free_bytes_min: 0,
        };
        let store = OrgStore::new(Store::in_memory(options).expect("a store"), "acme");
        let end = async || {
            let ends = ends(&store, BTreeSet::from([RECORD.to_owned()]), UnixMs(7)).await.expect("read");
            ends[0].end.clone().map(|end| (end.fate, end.reason))
        };
        let (first, second) = (asked(&store, "accounts").await, asked(&store, "numbers").await);
        assert_eq!(end().await, None);
        let at_ms = UnixMs(8);
        let dead = NewDead {
            subject: subject("accounts"),
            sync: "accounts".to_owned(),
            key: RECORD.to_owned(),
            reason: "too long".to_owned(),
            hint: String::new(),
            errors: Vec::new(),
            body: Vec::new(),
            at_ms,
        };
        let settle = Settle { requests: vec![first], dead: vec![dead], at_ms, ..Settle::default() };
        store.settle(settle).await.expect("settled");
        assert_eq!(end().await, None, "the other sync's letter asks for it still");
        let unchanged = vec![subject("numbers")];
        let settle = Settle { requests: vec![second], unchanged, at_ms, ..Settle::default() };
        store.settle(settle).await.expect("settled");
        assert_eq!(end().await, Some((Fate::DeadLetter, "too long".to_owned())));
    }
}
