//! A disk in memory that outlives the store on it, and that can be made to fail or to wait.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use crate::{
    Options, Store, StoreError,
    disk::{Disk, Show},
    seq::Seq,
    step::Write,
};

/// Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Memory {
    pub(super) entries: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    pub(super) fails: Arc<AtomicBool>,
    pub(super) commits: Arc<AtomicUsize>,
    pub(super) free_bytes: Arc<Mutex<Option<u64>>>,
    /// If set, each commit waits for one message, after which it goes on.
    pub(super) gate: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Memory {
    pub(super) fn open(&self, options: Options) -> Result<Store, StoreError> {
        Store::start(Box::new(self.clone()), options)
    }
}

impl Disk for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    fn each(&self, show: &mut Show<'_>) -> Result<(), StoreError> {
        self.entries.lock().unwrap().iter().try_for_each(|(key, value)| show(key, value))
    }

    fn given_before(&self) -> Option<Seq> {
        None
    }

    fn free_bytes(&self) -> Option<u64> {
        self.free_bytes.lock().unwrap().to_owned()
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<(), String> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &*self.gate.lock().unwrap() {
            gate.recv().unwrap();
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err("no space left on device".to_owned());
        }
        let mut entries = self.entries.lock().unwrap();
        for (key, value) in writes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }
}
