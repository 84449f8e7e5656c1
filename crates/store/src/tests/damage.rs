//! Damaged entries: each is reported in a sentence that names it, none is served, none panics.

use std::collections::BTreeMap;

use super::{OPTIONS, change, dead, memory::Memory, request, subject, wait};
use crate::{
    Append, Lane, Outcome, Push, PushWrite, RegistryWrite, Resolve, Settle, Store, StoreError, UnixMs, frame,
    keys::Key, seq::Seq,
};

/// Two orgs with an entry of every kind, a registered value, and a push.
pub(super) async fn fill(store: &Store) {
    for org in ["acme", "other"] {
        let requests = vec![request(Lane::Live, 5, "first"), request(Lane::Refresh, 2, "second")];
        let positions = vec![("channel".to_owned(), b"17".to_vec())];
        store
            .append(
                org,
                Append { positions, requests, dead: vec![dead(1, "unreadable")], ..Append::default() },
            )
            .await
            .unwrap();
        let head = store.ingress_head(org, 5).await.unwrap();
        let changes =
            ["a", "b", "c", "d"].map(|key| change(Lane::Live, "Enrichment__c", key, 1, "fields")).to_vec();
        let requests = vec![head[0].seq];
        let settle = Settle { requests, unchanged: vec![subject("r", 1)], changes, ..Settle::default() };
        store.settle(org, settle).await.unwrap();
        let taken = store.egress_take(org, UnixMs(0), 3).await.unwrap();
        store.put_job(org, "750", b"job".to_vec(), &[taken[0].seq, taken[1].seq]).await.unwrap();
        let retry = Outcome::Retry {
            due_ms: Some(UnixMs(9)),
            reason: "row lock".to_owned(),
            resend: 7,
            counted: true,
        };
        let resolve =
            Resolve { outcomes: vec![(taken[2].seq, retry)], finished_job: None, ..Resolve::default() };
        store.resolve(org, resolve).await.unwrap();
    }
    let value = Some(b"hash".to_vec());
    let write = RegistryWrite { kind: "token".to_owned(), name: "first".to_owned(), value };
    store.register(vec![write]).await.unwrap();
    let add = Some(Push { head: b"head".to_vec(), body: b"body".to_vec() });
    let push = store.write_pushes(PushWrite { add, ..PushWrite::default() }).await.unwrap();
    for org in ["acme", "other"] {
        let found = push.map(|push| (push, 1)).into_iter().collect();
        store.append(org, Append { found, ..Append::default() }).await.unwrap();
    }
}

fn filled() -> Memory {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    wait(fill(&store));
    drop(store);
    memory
}

/// Opens a copy of the entries after something was done to them.
fn after(entries: &BTreeMap<Vec<u8>, Vec<u8>>, harm: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) -> String {
    let memory = Memory::default();
    let mut entries = entries.clone();
    harm(&mut entries);
    *memory.entries.lock().unwrap() = entries;
    let error = memory.open(OPTIONS).expect_err("the damage is seen");
    assert!(error.hint().is_some() && error.is_fatal(), "{error}");
    error.to_string()
}

#[test]
fn an_entry_that_is_missing_cut_changed_or_moved_is_seen() {
    let memory = filled();
    let entries = memory.entries.lock().unwrap().clone();
    assert_eq!(
        entries.len(),
        4 + 2 * 12,
        "format, mark, a registered value, a push, and twelve entries of each org"
    );
    for (key, value) in &entries {
        let name = Key::parse(key).unwrap().to_string();
        after(&entries, |entries| drop(entries.remove(key)));
        let cut =
            after(&entries, |entries| drop(entries.insert(key.clone(), value[..value.len() - 1].to_vec())));
        assert!(cut.starts_with(&format!("the database is damaged: {name} says it has")), "{cut}");
        let cut = after(&entries, |entries| drop(entries.insert(key.clone(), value[..4].to_vec())));
        assert_eq!(cut, format!("the database is damaged: {name} is cut off after 4 bytes"));
        for at in 9..value.len() {
            let changed = after(&entries, |entries| entries.get_mut(key).unwrap()[at] ^= 0x10);
            assert_eq!(changed, format!("the database is damaged: {name} does not match its checksum"));
        }
        for other in entries.keys().filter(|other| *other != key) {
            let moved = after(&entries, |entries| drop(entries.insert(other.clone(), value.clone())));
            assert!(moved.ends_with("does not match its checksum"), "{moved}");
        }
    }
}

/// Puts a well-framed payload under a key.
pub(super) fn put(entries: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: &Key<'_>, payload: &[u8]) {
    let key = key.bytes();
    let value = frame::seal(&key, payload);
    entries.insert(key, value);
}

#[test]
fn entries_that_do_not_fit_together_are_named() {
    let memory = filled();
    let entries = memory.entries.lock().unwrap().clone();
    let list = Key::JobChanges { org: "acme", id: "750" };
    let first = |entries: &BTreeMap<Vec<u8>, Vec<u8>>, kind: u8| {
        let key = entries.keys().find(|key| key[0] == kind).cloned();
        key.expect("there is one of each kind")
    };
    let words = [
        (
            after(&entries, |e| put(e, &Key::Format, &7_u32.to_be_bytes())),
            "has format 7, and this version knows",
        ),
        (
            after(&entries, |e| {
                put(e, &Key::Format, &7_u32.to_be_bytes());
                put(e, &Key::Change(Seq(1)), b"fields that nobody knows yet");
                e.insert(b"z new".to_vec(), b"kind".to_vec());
            }),
            "has format 7, and this version knows",
        ),
        (
            after(&entries, |e| put(e, &Key::Mark, &[[0; 8], 2_u64.to_be_bytes()].concat())),
            "says 0 numbers were given",
        ),
        (
            after(&entries, |e| put(e, &Key::Mark, &[[9; 8], 3_u64.to_be_bytes()].concat())),
            "says there are 3 orgs",
        ),
        (after(&entries, |e| put(e, &list, &999_u64.to_be_bytes())), "names change 999, which is missing"),
        (
            after(&entries, |e| put(e, &Key::Request(Seq(1)), b"?")),
            "request 1 does not have the fields it must have",
        ),
        (
            after(&entries, |e| drop(e.insert(b"z".to_vec(), Vec::new()))),
            "an entry has an unknown key of 1 bytes",
        ),
        (after(&entries, |e| drop(e.remove(&first(e, b'e')))), "which is missing"),
        (after(&entries, |e| drop(e.remove(&first(e, b'i')))), "must have 1 requests, and 0 were found"),
        (after(&entries, |e| drop(e.remove(&first(e, b'd')))), "must have 1 dead letters, and 0 were found"),
        (after(&entries, |e| drop(e.remove(&first(e, b'r')))), "must have 1 pages of rows, and 0 were found"),
        (after(&entries, |e| drop(e.remove(&first(e, b'p')))), "must have 1 positions, and 0 were found"),
        (after(&entries, |e| drop(e.remove(&first(e, b'j')))), "has no job"),
        (
            after(&entries, |e| drop(e.remove(&first(e, b'g')))),
            "says there are 1 registered values, but there are 0",
        ),
        (after(&entries, |e| drop(e.remove(&first(e, b'm')))), "the format mark is missing"),
    ];
    for (text, part) in words {
        assert!(text.contains(part), "`{text}` should contain `{part}`");
    }
}

#[test]
fn an_entry_that_breaks_while_the_store_is_open_is_an_error_of_the_call_that_reads_it() {
    let memory = filled();
    let store = memory.open(OPTIONS).unwrap();
    for (key, value) in memory.entries.lock().unwrap().iter_mut() {
        if matches!(Key::parse(key), Some(Key::Request(_) | Key::Change(_))) {
            value.truncate(20);
        }
    }
    wait(async {
        let errors = [
            store.ingress_head("acme", 9).await.unwrap_err(),
            store.egress_take("acme", UnixMs(10), 9).await.unwrap_err(),
            store.jobs("acme").await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        }
        assert!(store.counts("acme").await.unwrap().balanced());
        assert_eq!(store.dead_letters("acme", Seq::MAX, 9).await.unwrap().len(), 1);
    });
}
