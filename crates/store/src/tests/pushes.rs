//! Pushes: what is asked of several orgs at once is kept once, and each org counts what it comes to.

use std::collections::BTreeMap;

use super::{OPTIONS, change, dead, memory::Memory, request, subject, wait};
use crate::{
    Append, Lane, NewChange, Outcome, Push, PushCounts, PushWrite, Resolve, Retry, Seq, Settle, Store,
    StoreError, Subject, UnixMs,
};

fn push(head: &str) -> Push {
    Push { head: head.as_bytes().to_vec(), body: b"items".to_vec() }
}

async fn add(store: &Store, head: &str) -> Seq {
    let write = PushWrite { add: Some(push(head)), ..PushWrite::default() };
    store.write_pushes(write).await.unwrap().expect("a number")
}

fn asked(record: &str, pushes: &[Seq]) -> Subject {
    let units = u32::try_from(pushes.len()).unwrap();
    Subject { pushes: pushes.to_vec(), ..subject(record, units) }
}

async fn counts(store: &Store, push: Seq) -> BTreeMap<String, PushCounts> {
    store.push_counts(push).await.unwrap().into_iter().collect()
}

#[test]
fn a_push_is_kept_once_and_goes_with_all_that_was_counted_for_it() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    wait(async {
        let (first, second) = (add(&store, "first").await, add(&store, "second").await);
        assert!(first < second);
        for org in ["acme", "other"] {
            let (requests, found) = (vec![request(Lane::Live, 3, "r")], vec![(first, 2), (second, 1)]);
            store.append(org, Append { requests, found, ..Append::default() }).await.unwrap();
        }
        let heads = vec![(second, b"third".to_vec())];
        let write = PushWrite { heads, remove: vec![first], ..PushWrite::default() };
        assert_eq!(store.write_pushes(write).await.unwrap(), None);
        // An org that was about to count for it counts nothing.
        store.append("acme", Append { found: vec![(first, 1)], ..Append::default() }).await.unwrap();
        assert!(matches!(store.push(first).await.unwrap_err(), StoreError::UnknownPush { .. }));
        store.close().await.unwrap();
        let store = memory.open(OPTIONS).unwrap();
        assert_eq!(
            (store.pushes().await.unwrap(), store.push(second).await.unwrap()),
            (vec![second], push("third"))
        );
        assert!(counts(&store, first).await.is_empty());
        assert_eq!(store.push_counts_kept().await.unwrap(), 2);
        store.forget("other").await.unwrap();
        let found = PushCounts { found: 1, ..PushCounts::default() };
        assert_eq!(counts(&store, second).await, BTreeMap::from([("acme".to_owned(), found)]));
        store.close().await.unwrap();
        memory.open(OPTIONS).unwrap();
    });
}

#[test]
fn every_end_of_a_record_is_counted_for_each_push_that_asked_for_it() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    wait(async {
        let (one, two) = (add(&store, "one").await, add(&store, "two").await);
        let unreadable = |key: &str| {
            let mut letter = dead(1, key);
            letter.subject.pushes = vec![one];
            letter
        };
        let append = Append {
            requests: vec![request(Lane::Live, 8, "r")],
            dead: vec![unreadable("x")],
            found: vec![(one, 6), (two, 3)],
            ..Append::default()
        };
        let appended = store.append("acme", append).await.unwrap();
        let change = |key: &str, pushes: &[Seq]| NewChange {
            subjects: vec![asked(key, pushes)],
            ..change(Lane::Live, "T", key, 0, key)
        };
        let settle = Settle {
            requests: vec![appended.requests[0].seq],
            unchanged: vec![asked("u", &[one, two])],
            no_data: vec![asked("n", &[one])],
            dead: vec![unreadable("d")],
            // The second takes the place of the first.
            changes: vec![change("w", &[one]), change("w", &[two]), change("l", &[one, two])],
            ..Settle::default()
        };
        store.settle("acme", settle).await.unwrap();
        // So that the change is read from disk.
        store.close().await.unwrap();
        let store = memory.open(OPTIONS).unwrap();
        let taken = store.egress_take("acme", UnixMs(0), 9).await.unwrap();
        let (reason, hint, errors) = ("no".into(), String::new(), Vec::new());
        let lost = Outcome::Dead { reason, hint, errors, at_ms: UnixMs(9) };
        let outcomes = vec![(taken[0].seq, Outcome::Written), (taken[1].seq, lost)];
        store.resolve("acme", Resolve { outcomes, ..Resolve::default() }).await.unwrap();
        let letter = store.dead_letters("acme", Seq::MAX, 1).await.unwrap()[0].clone();
        assert_eq!(letter.subjects[0].pushes, [one, two]);
        let (requests, by, at_ms) = (vec![request(Lane::Live, 1, "again")], "jo".to_owned(), UnixMs(9));
        store.retry_dead_letter("acme", Retry { letter: letter.seq, requests, by, at_ms }).await.unwrap();
        let of = |found, written, unchanged, no_data, superseded, dead| PushCounts {
            found,
            written,
            unchanged,
            no_data,
            superseded,
            dead,
        };
        assert_eq!(counts(&store, one).await["acme"], of(6, 0, 1, 1, 1, 3));
        assert_eq!(counts(&store, two).await["acme"], of(3, 1, 1, 0, 0, 1));
        assert!(
            counts(&store, one).await["acme"].open() == 0 && counts(&store, two).await["acme"].open() == 0
        );
    });
}
