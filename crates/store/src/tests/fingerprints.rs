//! What is remembered of records of a target: it moves with the commits, and survives whatever the other entries survive.

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::{OPTIONS, change, request, wait};
use crate::{
    Append, FINGERPRINT_BYTES_MAX, Fingerprint, Lane, Outcome, Read, Resolve, Seq, Settle, Store, StoreError,
    UnixMs,
    disk::{Disk as _, SledDisk},
    offline,
};

/// What is remembered of these keys.
fn remembered(store: &Store, keys: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    wait(store.fingerprints("acme", "T", keys)).unwrap()
}

/// A change for each key is decided and taken; gives their numbers.
async fn taken(store: &Store, keys: &[&str]) -> Vec<Seq> {
    let records = u32::try_from(keys.len()).unwrap();
    let requests = vec![request(Lane::Live, records, "body")];
    store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
    let requests = store.ingress_head("acme", 99).await.unwrap().iter().map(|request| request.seq).collect();
    let changes = keys.iter().map(|key| change(Lane::Live, "T", key, 1, "body")).collect();
    store.settle("acme", Settle { requests, changes, ..Settle::default() }).await.unwrap();
    store.egress_claim("acme", UnixMs(0), 99, Seq::MAX).await.unwrap().numbers
}

fn known(pairs: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(key, bytes)| ((*key).to_owned(), bytes.to_vec())).collect()
}

/// Two keys that are written, and a third of which something is remembered without a write.
fn fill(store: &Store) {
    wait(async {
        let numbers = taken(store, &["a", "b"]).await;
        let outcomes = numbers.iter().map(|number| (*number, Outcome::Written)).collect();
        let fingerprints = vec![(numbers[0], b"of a".to_vec()), (numbers[1], vec![0, 0xff])];
        store.resolve("acme", Resolve { outcomes, fingerprints, ..Resolve::default() }).await.unwrap();
        let one = Fingerprint { target: "T".into(), key: "c".into(), bytes: b"of c".to_vec() };
        store.settle("acme", Settle { fingerprints: vec![one], ..Settle::default() }).await.unwrap();
    });
}

#[test]
fn they_are_replaced_and_forgotten_with_the_commits_that_say_so() {
    let store = Store::in_memory(OPTIONS).unwrap();
    fill(&store);
    let all = known(&[("a", b"of a"), ("b", &[0, 0xff]), ("c", b"of c")]);
    assert_eq!(remembered(&store, &["a", "b", "c", "d"]), all);
    assert_eq!(wait(store.fingerprints("globex", "T", vec!["a".into()])).unwrap(), BTreeMap::new());
    assert_eq!(wait(store.fingerprints("acme", "U", vec!["a".into()])).unwrap(), BTreeMap::new());
    let before = store.reads();
    assert_eq!(remembered(&store, &["x", "y"]), BTreeMap::new());
    let since = store.reads().since(&before);
    assert_eq!((since.of(Read::Fingerprints), since.entries()), (1, 0), "what is not there costs no entry");

    wait(async {
        let numbers = taken(&store, &["a", "b"]).await;
        let again = Outcome::Retry { due_ms: None, reason: "a lock".into(), resend: 0, counted: true };
        let outcomes = vec![(numbers[0], Outcome::Written), (numbers[1], again)];
        let fingerprints = vec![(numbers[0], Vec::new()), (Seq(999), b"of nobody".to_vec())];
        store.resolve("acme", Resolve { outcomes, fingerprints, ..Resolve::default() }).await.unwrap();
    });
    assert_eq!(remembered(&store, &["a", "b", "c"]), known(&[("b", &[0, 0xff]), ("c", b"of c")]));
    let long = Fingerprint { target: "T".into(), key: "c".into(), bytes: vec![7; FINGERPRINT_BYTES_MAX + 1] };
    let refused = wait(store.settle("acme", Settle { fingerprints: vec![long], ..Settle::default() }));
    assert!(matches!(refused, Err(StoreError::TooLarge { what: "fingerprint", .. })), "{refused:?}");
    wait(store.forget("acme")).unwrap();
    assert_eq!(remembered(&store, &["a", "b", "c"]), BTreeMap::new());
}

#[test]
fn they_survive_a_restart_a_compaction_and_an_export() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    fill(&store);
    wait(store.close()).unwrap();
    offline::compact(dir.path()).unwrap();
    assert!(offline::survey(dir.path()).unwrap().problems.is_empty());
    let (file, new) = (to.path().join("export"), to.path().join("new"));
    offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap();
    offline::import(&file, &new, false).unwrap();
    for dir in [dir.path(), &new] {
        let store = Store::open(dir, OPTIONS).unwrap();
        let all = known(&[("a", b"of a"), ("b", &[0, 0xff]), ("c", b"of c")]);
        assert_eq!(remembered(&store, &["a", "b", "c"]), all);
        wait(store.forget("acme")).unwrap();
        wait(store.close()).unwrap();
        let disk = SledDisk::open_existing(dir, OPTIONS).unwrap();
        let mut left = 0;
        disk.each(&mut |key, _| {
            left += usize::from(key[0] == b'f');
            Ok(())
        })
        .unwrap();
        assert_eq!(left, 0, "nothing of a forgotten org is left");
    }
}
