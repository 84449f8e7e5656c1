//! A disk that is memory: nothing survives. For tests of what stands on a store, on virtual time above all, as it is worked
//! on the calling thread and so waits for nobody.
//!
//! Here: the entries. Not here: what they mean (`entry.rs`), who carries a call out (`thread.rs`).

use std::collections::BTreeMap;

use crate::{
    disk::{Disk, Show},
    error::StoreError,
    seq::Seq,
    step::Write,
};

/// Entries by key.
#[derive(Debug, Default)]
pub(crate) struct MemoryDisk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn each(&self, show: &mut Show<'_>) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|(key, value)| show(key, value))
    }

    fn given_before(&self) -> Option<Seq> {
        None
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<(), String> {
        for (key, value) in writes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }
}
