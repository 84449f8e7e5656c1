//! Values that belong to no org: set and removed in whole commits, kept over everything, missed when they are lost.

use std::{collections::BTreeMap, fs};

use tempfile::TempDir;

use super::{OPTIONS, memory::Memory, wait};
use crate::{
    Durability, NAME_BYTES_MAX, Options, REGISTRY_VALUE_BYTES_MAX, Read, RegistryWrite, Store, StoreError,
    disk::{Disk as _, SledDisk},
    entry::{FORMAT, Mark},
    frame::{self, Writer},
    keys::Key,
    offline,
    seq::Seq,
};

fn write(kind: &str, name: &str, value: Option<&[u8]>) -> RegistryWrite {
    RegistryWrite { kind: kind.to_owned(), name: name.to_owned(), value: value.map(<[u8]>::to_vec) }
}

fn known(store: &Store, kind: &str) -> Vec<(String, Vec<u8>)> {
    wait(store.registry(kind)).unwrap()
}

fn pairs(pairs: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
}

/// Two kinds, of which one's name begins with the other's, and a value that is no text.
fn fill(store: &Store) {
    let writes = vec![
        write("token", "b", Some(b"of b")),
        write("token", "a", Some(&[0, 0xff])),
        write("token", "gone", Some(b"x")),
        write("token", "gone", None),
        write("tokens", "", Some(b"")),
    ];
    wait(store.register(writes)).unwrap();
}

#[test]
fn they_are_told_by_kind_in_the_order_of_their_names() {
    let store = Store::in_memory(OPTIONS).unwrap();
    fill(&store);
    assert_eq!(known(&store, "token"), pairs(&[("a", &[0, 0xff]), ("b", b"of b")]));
    assert_eq!(known(&store, "tokens"), pairs(&[("", b"")]));
    assert_eq!((known(&store, "toke"), known(&store, "")), (Vec::new(), Vec::new()));
    assert_eq!(store.reads().of(Read::Registry), 4);
    assert_eq!(wait(store.orgs()).unwrap(), [], "they belong to no org");
    let writes = vec![write("token", "a", Some(b"new")), write("token", "b", None), write("x", "y", None)];
    wait(store.register(writes)).unwrap();
    assert_eq!(known(&store, "token"), pairs(&[("a", b"new")]));
}

#[test]
fn one_that_is_too_large_is_refused_with_all_that_came_with_it() {
    let store = Store::in_memory(OPTIONS).unwrap();
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let large = vec![7; REGISTRY_VALUE_BYTES_MAX + 1];
    let cases = [
        (write(&long, "n", None), "kind", "1024"),
        (write("k", &long, Some(b"v")), "name", "1024"),
        (write("k", "n", Some(&large)), "value", "65536"),
    ];
    for (refused, what, limit) in cases {
        let error = wait(store.register(vec![write("k", "first", Some(b"v")), refused])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("a {what} of ")) && text.contains(limit), "{text}");
        assert!(!error.is_fatal());
        assert_eq!(known(&store, "k"), Vec::new());
    }
    let bounds = write("k", &long[1..], Some(&large[1..]));
    wait(store.register(vec![bounds])).unwrap();
    assert_eq!(known(&store, "k")[0].1.len(), REGISTRY_VALUE_BYTES_MAX);
}

#[test]
fn they_are_taken_while_the_disk_is_nearly_full() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    *memory.free_bytes.lock().unwrap() = Some(1);
    fill(&store);
    drop(store);
    assert_eq!(known(&memory.open(OPTIONS).unwrap(), "tokens").len(), 1);
}

#[test]
fn they_survive_a_restart_a_compaction_and_an_export() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    fill(&store);
    wait(store.close()).unwrap();
    offline::compact(dir.path()).unwrap();
    let survey = offline::survey(dir.path()).unwrap();
    assert_eq!((survey.problems, survey.registered, survey.orgs.len()), (Vec::new(), 3, 0));
    let (file, new) = (to.path().join("export"), to.path().join("new"));
    assert_eq!(offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap().entries, 3);
    assert_eq!(offline::import(&file, &new, false).unwrap().entries, 3);
    for dir in [dir.path(), &new] {
        let store = Store::open(dir, OPTIONS).unwrap();
        assert_eq!(known(&store, "token"), pairs(&[("a", &[0, 0xff]), ("b", b"of b")]));
        assert_eq!(known(&store, "tokens"), pairs(&[("", b"")]));
    }
}

#[test]
fn of_a_damaged_database_those_that_are_left_are_brought_over() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    fill(&store);
    wait(store.close()).unwrap();
    let mut disk = SledDisk::open_existing(dir.path(), OPTIONS).unwrap();
    disk.commit(vec![(Key::Registered { kind: "token", name: "a" }.bytes(), None)]).unwrap();
    disk.close().unwrap();
    let (file, new) = (to.path().join("export"), to.path().join("new"));
    let lost = offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap().lost;
    assert_eq!(
        lost,
        ["the database is damaged: the mark says there are 3 registered values, but there are 2"]
    );
    assert!(matches!(offline::import(&file, &new, false), Err(StoreError::Incomplete { .. })));
    offline::import(&file, &new, true).unwrap();
    let store = Store::open(&new, OPTIONS).unwrap();
    assert_eq!(known(&store, "token"), pairs(&[("b", b"of b")]));
}

/// No record ever came in, so that nothing but the number of its commit tells of the value.
#[test]
fn one_that_is_lost_with_the_end_of_the_log_is_missed() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), Options { durability: Durability::Power, ..OPTIONS }).unwrap();
    fill(&store);
    wait(store.close()).unwrap();
    let log = dir.path().join("sled/db");
    let mut bytes = fs::read(&log).unwrap();
    let at = bytes.windows(4).position(|part| part == b"of b").expect("the value is in the log");
    for byte in &mut bytes[at..at + 4] {
        *byte ^= 0x5a;
    }
    fs::write(&log, &bytes).unwrap();
    let error = Store::open(dir.path(), OPTIONS).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

/// Formats 2 and 3 knew no registry, and their mark did not count its values.
#[test]
fn a_database_of_a_format_before_becomes_one_of_today() {
    for format in 2..FORMAT {
        let dir = TempDir::new().unwrap();
        wait(Store::open(dir.path(), OPTIONS).unwrap().close()).unwrap();
        let stored = || {
            let disk = SledDisk::open_existing(dir.path(), OPTIONS).unwrap();
            let stored = [Key::Format, Key::Mark].map(|key| disk.get(&key.bytes()).unwrap().unwrap());
            disk.close().unwrap();
            stored
        };
        let [today, _] = stored();
        let put = |key: Key<'_>, payload: &[u8]| (key.bytes(), Some(frame::seal(&key.bytes(), payload)));
        let mark = Writer::default().u64(7).u64(0).done();
        assert_eq!(Mark::decode(&mark).map(|mark| (mark.sequence, mark.registered)), Some((Seq(7), 0)));
        let mut disk = SledDisk::open_existing(dir.path(), OPTIONS).unwrap();
        let before = vec![put(Key::Format, &Writer::default().u32(format).done()), put(Key::Mark, &mark)];
        disk.commit(before).unwrap();
        disk.close().unwrap();
        assert_ne!(stored()[0], today);
        assert!(offline::survey(dir.path()).unwrap().problems.is_empty());
        let store = Store::open(dir.path(), OPTIONS).unwrap();
        assert_eq!(known(&store, "token"), Vec::new());
        fill(&store);
        wait(store.close()).unwrap();
        assert_eq!(stored()[0], today);
        assert_eq!(known(&Store::open(dir.path(), OPTIONS).unwrap(), "token").len(), 2);
    }
}

#[test]
fn a_failed_commit_leaves_those_that_were_there() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    fill(&store);
    memory.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = wait(store.register(vec![write("token", "a", None)])).unwrap_err();
    assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
    memory.fails.store(false, std::sync::atomic::Ordering::SeqCst);
    drop(store);
    let store = memory.open(OPTIONS).unwrap();
    let found: BTreeMap<_, _> = known(&store, "token").into_iter().collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"]);
}
