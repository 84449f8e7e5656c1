//! The ledger's rows: what they say, how long they are kept, and that what keeps them stays small.

use super::{OPTIONS, change, memory::Memory, request, subject, wait};
use crate::{
    Append, End, Lane, LedgerRow, Options, Outcome, Resolve, Seq, Settle, Store, TARGET_ID_BYTES_MAX, UnixMs,
    keys::Key,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Takes a request of `records` in and ends it as unchanged at a time.
async fn end_at(store: &Store, org: &str, record: &str, at_ms: UnixMs) {
    let requests = vec![request(Lane::Refresh, 1, "body")];
    store.append(org, Append { requests, ..Append::default() }).await.unwrap();
    let head = store.ingress_head(org, 1).await.unwrap();
    let (requests, unchanged) = (vec![head[0].seq], vec![subject(record, 1)]);
    store.settle(org, Settle { requests, unchanged, at_ms, ..Settle::default() }).await.unwrap();
}

fn pages(memory: &Memory) -> usize {
    let entries = memory.entries.lock().unwrap();
    entries.keys().filter(|key| matches!(Key::parse(key), Some(Key::Page(_)))).count()
}

#[test]
fn a_row_says_when_how_often_by_what_and_why() {
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        let requests = vec![request(Lane::Live, 2, "body")];
        store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
        let head = store.ingress_head("acme", 9).await.unwrap();
        let mut one = change(Lane::Live, "Enrichment__c", "acme.example", 0, "fields");
        one.subjects = vec![subject("001A", 1), subject("001B", 1)];
        let settle = Settle {
            requests: vec![head[0].seq],
            changes: vec![one],
            at_ms: UnixMs(10),
            ..Settle::default()
        };
        store.settle("acme", settle).await.unwrap();
        assert!(store.rows("acme", "001A", 9).await.unwrap().is_empty(), "it has not ended");
        let open = store.changes_of("acme", "001B", 9).await.unwrap();
        assert_eq!((open.len(), open[0].key.as_str()), (1, "acme.example"));
        for (outcome, at_ms) in [
            (
                Outcome::Retry {
                    due_ms: None,
                    reason: "UNABLE_TO_LOCK_ROW".to_owned(),
                    resend: 0,
                    counted: true,
                },
                UnixMs(20),
            ),
            (Outcome::Written, UnixMs(30)),
        ] {
            let taken = store.egress_take("acme", UnixMs(20), 9).await.unwrap();
            let (outcomes, by) = (vec![(taken[0].seq, outcome)], "job 750".to_owned());
            store.resolve("acme", Resolve { outcomes, at_ms, by, ..Resolve::default() }).await.unwrap();
        }
        for record in ["001A", "001B"] {
            let rows = store.rows("acme", record, 9).await.unwrap();
            let [row] = rows.as_slice() else { panic!("one row: {rows:?}") };
            assert_eq!(row.subject, subject(record, 1));
            assert_eq!(
                (row.end, row.ended_ms, row.tries, row.seq),
                (End::Written, UnixMs(30), 2, Some(open[0].seq))
            );
            assert_eq!((row.target.as_str(), row.key.as_str()), ("Enrichment__c", "acme.example"));
            assert_eq!((row.by.as_str(), row.reason.as_str()), ("job 750", "UNABLE_TO_LOCK_ROW"));
        }
        assert!(store.changes_of("acme", "001B", 9).await.unwrap().is_empty());
    });
}

#[test]
fn waits_are_no_tries_and_what_was_left_out_is_told() {
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        let requests = vec![request(Lane::Live, 1, "body")];
        store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
        let head = store.ingress_head("acme", 9).await.unwrap();
        let mut one = change(Lane::Live, "Enrichment__c", "acme.example", 0, "fields");
        one.subjects = vec![subject("001A", 1)];
        let settle = Settle {
            requests: vec![head[0].seq],
            changes: vec![one],
            at_ms: UnixMs(10),
            ..Settle::default()
        };
        store.settle("acme", settle).await.unwrap();
        let retry = |counted| {
            let reason = "STORAGE_LIMIT_EXCEEDED".to_owned();
            Outcome::Retry { due_ms: None, reason, resend: 0, counted }
        };
        let without = "without `Industry__c`".to_owned();
        let ends = [retry(false), retry(true), retry(false), Outcome::WrittenInPart { reason: without }];
        for (outcome, tried) in ends.into_iter().zip([0, 0, 1, 1]) {
            let taken = store.egress_take("acme", UnixMs(20), 9).await.unwrap();
            assert_eq!(taken[0].attempts, tried);
            let outcomes = vec![(taken[0].seq, outcome)];
            store
                .resolve("acme", Resolve { outcomes, at_ms: UnixMs(30), ..Resolve::default() })
                .await
                .unwrap();
        }
        let rows = store.rows("acme", "001A", 9).await.unwrap();
        let row = rows.first().expect("a row");
        assert_eq!((row.end, row.tries, row.reason.as_str()), (End::Written, 2, "without `Industry__c`"));
        assert_eq!(store.counts("acme").await.unwrap().written, 1);
    });
}

#[test]
fn rows_are_kept_for_their_days_and_those_of_a_silent_org_go_as_well() {
    let memory = Memory::default();
    let store = memory.open(Options { ledger_days: 2, ..OPTIONS }).unwrap();
    wait(async {
        end_at(&store, "silent", "old", UnixMs(DAY_MS)).await;
        end_at(&store, "acme", "old", UnixMs(DAY_MS)).await;
        end_at(&store, "acme", "middle", UnixMs(3 * DAY_MS)).await;
        assert_eq!(store.rows("silent", "old", 9).await.unwrap().len(), 1, "not older than two days");
        end_at(&store, "acme", "new", UnixMs(3 * DAY_MS + 1)).await;
        for (org, record, kept) in
            [("silent", "old", 0), ("acme", "old", 0), ("acme", "middle", 1), ("acme", "new", 1)]
        {
            assert_eq!(store.rows(org, record, 9).await.unwrap().len(), kept, "{record} of {org}");
        }
        assert_eq!(store.counts("silent").await.unwrap().unchanged, 1, "counts are for ever");
        end_at(&store, "silent", "again", UnixMs(4 * DAY_MS)).await;
    });
    drop(store);
    let store = memory.open(OPTIONS).unwrap();
    assert_eq!(wait(store.rows("silent", "again", 9)).unwrap().len(), 1);
}

#[test]
fn rows_share_pages_over_starts_and_are_found_in_any_of_them() {
    let memory = Memory::default();
    let mut store = memory.open(OPTIONS).unwrap();
    for round in 0..3_u64 {
        wait(async {
            for at in 0..200 {
                end_at(&store, "acme", &format!("001{at:015}"), UnixMs(round * 1_000 + at)).await;
            }
        });
        drop(store);
        store = memory.open(OPTIONS).unwrap();
    }
    assert!(pages(&memory) <= 30, "{} pages for 600 rows of some 40 bytes", pages(&memory));
    let rows = wait(store.rows("acme", &format!("001{:015}", 17), 9)).unwrap();
    assert_eq!(rows.iter().map(|row| row.ended_ms).collect::<Vec<_>>(), [2_017, 1_017, 17].map(UnixMs));
    assert_eq!(wait(store.rows("acme", &format!("001{:015}", 17), 2)).unwrap().len(), 2);
    assert!(wait(store.rows("acme", "never", 9)).unwrap().is_empty());
}

#[test]
fn many_pages_are_read_in_several_calls() {
    let store = Memory::default().open(Options { depth_max: 100_000, ..OPTIONS }).unwrap();
    wait(async {
        let requests = vec![request(Lane::Live, 20_001, "body")];
        store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
        let head = store.ingress_head("acme", 1).await.unwrap();
        let mut no_data = vec![subject("first", 1)];
        no_data.extend((0..20_000).map(|at| subject(&format!("other {at:040}"), 1)));
        let settle = Settle { requests: vec![head[0].seq], no_data, ..Settle::default() };
        store.settle("acme", settle).await.unwrap();
        assert_eq!(store.rows("acme", "first", 9).await.unwrap().len(), 1);
    });
}

/// Takes in one request for each of these changes and stores them.
async fn decide(store: &Store, changes: &[(&str, &[&str])]) -> Vec<Seq> {
    let count = |(_, records): &(&str, &[&str])| u32::try_from(records.len()).expect("few");
    let requests = vec![request(Lane::Live, changes.iter().map(count).sum(), "body")];
    store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
    let head = store.ingress_head("acme", 1).await.unwrap();
    let new = changes.iter().map(|(key, records)| {
        let mut one = change(Lane::Live, "Enrichment__c", key, 0, "fields");
        one.subjects = records.iter().map(|record| subject(record, 1)).collect();
        one
    });
    let settle = Settle { requests: vec![head[0].seq], changes: new.collect(), ..Settle::default() };
    store.settle("acme", settle).await.unwrap();
    let taken = store.egress_take("acme", UnixMs(20), 9).await.unwrap();
    taken.into_iter().map(|change| change.seq).collect()
}

#[test]
fn a_written_row_says_what_the_record_of_the_target_is_called_also_after_a_start() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let long = "x".repeat(2 * TARGET_ID_BYTES_MAX);
    wait(async {
        let taken = decide(
            &store,
            &[("one", &["001A", "001B"]), ("two", &["001C"]), ("three", &["001D"]), ("a0X4", &["001F"])],
        )
        .await;
        let superseded = Outcome::Superseded { reason: "it is of another org".to_owned() };
        let outcomes = vec![
            (taken[0], Outcome::Written),
            (taken[1], Outcome::WrittenInPart { reason: "without `A__c`".to_owned() }),
            (taken[2], superseded),
            (taken[3], Outcome::Written),
        ];
        let named = [
            (taken[0], "a0X1"),
            (taken[1], long.as_str()),
            (taken[2], "a0X3"),
            (taken[3], "a0X4"),
            (Seq(999), "of no change"),
        ];
        let target_ids = named.map(|(seq, id)| (seq, id.to_owned())).to_vec();
        store.resolve("acme", Resolve { outcomes, target_ids, ..Resolve::default() }).await.unwrap();
        end_at(&store, "acme", "001E", UnixMs(1)).await;
    });
    drop(store);
    let store = memory.open(OPTIONS).unwrap();
    let cut = &long[..TARGET_ID_BYTES_MAX];
    for (record, target_id) in
        [("001A", "a0X1"), ("001B", "a0X1"), ("001C", cut), ("001D", ""), ("001F", ""), ("001E", "")]
    {
        let rows = wait(store.rows("acme", record, 9)).unwrap();
        assert_eq!(
            rows.iter().map(|row| row.target_id.as_str()).collect::<Vec<_>>(),
            [target_id],
            "{record}"
        );
    }
    let wanted = |row: &LedgerRow| row.target_id == "a0X1";
    let found = wait(store.rows_that("acme", 9, UnixMs::EPOCH, wanted)).unwrap();
    let found: Vec<_> = found.iter().map(|row| row.subject.record.as_str()).collect();
    assert_eq!(found, ["001B", "001A"], "newest first");
}

#[test]
fn open_changes_are_found_by_whatever_is_wanted_of_them() {
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        decide(&store, &[("one", &["001A", "001B"]), ("two", &["001C"])]).await;
        for (key, limit, found) in [("one", 9, 1), ("two", 9, 1), ("one", 0, 0), ("never", 9, 0)] {
            let changes = store.changes_that("acme", limit, move |change| change.key == key).await.unwrap();
            assert_eq!(changes.len(), found, "{key}");
        }
        assert_eq!(store.changes_that("acme", 9, |_| true).await.unwrap().len(), 2);
        assert!(store.changes_that("nobody", 9, |_| true).await.unwrap().is_empty());
    });
}
