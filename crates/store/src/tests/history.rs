//! The service's history: kept over everything but an export, missed when it is lost.

use tempfile::TempDir;

use super::{OPTIONS, wait};
use crate::{
    HISTORY_VALUE_BYTES_MAX, HistoryKey, HistoryWrite, Store, StoreError,
    disk::{Disk as _, SledDisk},
    keys::Key,
    offline,
};

fn key(level: u8, start: u32, name: &str) -> HistoryKey {
    HistoryKey { level, start, name: name.to_owned() }
}

fn fill(store: &Store) {
    let put = vec![(key(1, 60, "b"), vec![1; 10]), (key(0, 7, ""), vec![2]), (key(1, 60, ""), Vec::new())];
    wait(store.write_history(HistoryWrite { put, remove: Vec::new() })).unwrap();
}

fn keys(store: &Store) -> Vec<HistoryKey> {
    wait(store.history_keys()).unwrap().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn values_are_told_in_the_order_of_level_moment_and_name() {
    let store = Store::in_memory(OPTIONS).unwrap();
    fill(&store);
    assert_eq!(keys(&store), [key(0, 7, ""), key(1, 60, ""), key(1, 60, "b")]);
    let asked = vec![key(1, 60, "b"), key(9, 9, "x"), key(0, 7, "")];
    assert_eq!(wait(store.history(asked)).unwrap(), [Some(vec![1; 10]), None, Some(vec![2])]);
    let remove = vec![key(0, 7, ""), key(1, 60, "b"), key(5, 5, "none")];
    let put = vec![(key(1, 60, "b"), vec![9])];
    wait(store.write_history(HistoryWrite { remove, put })).unwrap();
    assert_eq!(keys(&store), [key(1, 60, ""), key(1, 60, "b")]);
    let bytes: u64 = wait(store.history_keys()).unwrap().iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(bytes, 2 * (6 + 9) + 1 + 1, "keys, frames, a name and a value");
    let large = vec![0; HISTORY_VALUE_BYTES_MAX + 1];
    let write = HistoryWrite { put: vec![(key(1, 1, ""), large)], remove: vec![key(1, 60, "")] };
    assert!(matches!(wait(store.write_history(write)), Err(StoreError::TooLarge { .. })));
    assert_eq!(keys(&store).len(), 2, "nothing was changed");
}

#[test]
fn they_survive_a_restart_and_a_compaction_and_are_left_out_of_an_export() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    fill(&store);
    wait(store.close()).unwrap();
    offline::compact(dir.path()).unwrap();
    let survey = offline::survey(dir.path()).unwrap();
    assert_eq!((survey.problems, survey.history_bytes), (Vec::new(), 3 * (6 + 9) + 1 + 11));
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    assert_eq!(keys(&store).len(), 3);
    wait(store.close()).unwrap();
    let (file, new) = (to.path().join("export"), to.path().join("new"));
    let exported = offline::export(dir.path(), &file, &offline::LeftOut::default()).unwrap();
    assert_eq!((exported.entries, exported.history, exported.lost), (0, 3, Vec::new()));
    offline::import(&file, &new, false).unwrap();
    assert_eq!(keys(&Store::open(&new, OPTIONS).unwrap()), []);
}

#[test]
fn one_that_is_lost_is_missed() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), OPTIONS).unwrap();
    fill(&store);
    wait(store.close()).unwrap();
    let mut disk = SledDisk::open_existing(dir.path(), OPTIONS).unwrap();
    disk.commit(vec![(Key::History { level: 0, start: 7, name: "" }.bytes(), None)]).unwrap();
    disk.close().unwrap();
    let error = Store::open(dir.path(), OPTIONS).unwrap_err().to_string();
    assert!(error.contains("says there are 3 values of the history, but there are 2"), "{error}");
}
