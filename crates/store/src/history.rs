//! What the service has done, as values by level, moment and name: which there are, and how large they are.
//!
//! Here: the list, and writing. Not here: what a value means, how many are kept for how long (whoever writes them), reading
//! one (`queries.rs`).
//!
//! How many there are is part of the mark, and each commit gives a number, so that a value that is lost, be it with the end
//! of the database's log, is missed at the next opening.

use std::collections::BTreeMap;

use crate::{
    commands::{HISTORY_BYTES_MAX, HistoryKey, HistoryWrite},
    error::StoreError,
    frame,
    keys::Key,
    sizes,
    step::Step,
};

/// Which values there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistoryList {
    /// Size of each as it is stored, with its key.
    sizes: BTreeMap<HistoryKey, u64>,
    /// Bytes of all.
    bytes: u64,
}

impl HistoryKey {
    /// Bytes of a value of so many bytes, as it is stored with its key.
    pub fn stored_bytes(&self, value: usize) -> u64 {
        (self.key().bytes().len() + frame::HEAD_BYTES + value) as u64
    }

    /// As it is stored.
    pub(crate) fn key(&self) -> Key<'_> {
        Key::History { level: self.level, start: self.start, name: &self.name }
    }
}

impl HistoryList {
    /// One that was found on disk, with a payload of so many bytes.
    pub(crate) fn restore(&mut self, key: HistoryKey, payload: usize) {
        let bytes = key.stored_bytes(payload);
        let before = self.sizes.insert(key, bytes).unwrap_or(0);
        // In this order: a value may be smaller than the one before it.
        self.bytes = self.bytes + bytes - before;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.sizes.len() as u64
    }

    /// All of them in order, with their bytes.
    pub(crate) fn all(&self) -> Vec<(HistoryKey, u64)> {
        self.sizes.iter().map(|(key, bytes)| (key.clone(), *bytes)).collect()
    }

    /// Whether there is one of this key.
    pub(crate) fn has(&self, key: &HistoryKey) -> bool {
        self.sizes.contains_key(key)
    }

    /// Removes values and sets others.
    ///
    /// # Errors
    /// One of them is too large, or all would be; then nothing is changed.
    pub(crate) fn write(&mut self, step: &mut Step<'_>, write: &HistoryWrite) -> Result<(), StoreError> {
        write.put.iter().try_for_each(|(key, value)| sizes::history(&key.name, value))?;
        let mut after = self.clone();
        for key in &write.remove {
            after.bytes -= after.sizes.remove(key).unwrap_or(0);
        }
        for (key, value) in &write.put {
            after.restore(key.clone(), value.len());
        }
        if after.bytes > self.bytes && after.bytes > HISTORY_BYTES_MAX {
            return Err(StoreError::HistoryFull { bytes: after.bytes, bytes_max: HISTORY_BYTES_MAX });
        }
        for key in &write.remove {
            step.remove(&key.key());
        }
        for (key, value) in &write.put {
            step.put(&key.key(), value);
        }
        *self = after;
        step.mark.history = self.len();
        step.number();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Mark;

    #[test]
    fn a_value_in_the_place_of_a_larger_one_leaves_fewer_bytes() {
        let (mut list, mut mark, mut writes) = (HistoryList::default(), Mark::default(), Vec::new());
        let mut step = Step { org: "", mark: &mut mark, writes: &mut writes };
        let key = HistoryKey { level: 0, start: 7, name: "acme".to_owned() };
        for bytes in [100, 10, 0, 40] {
            let put = vec![(key.clone(), vec![1; bytes])];
            list.write(&mut step, &HistoryWrite { put, ..HistoryWrite::default() }).expect("there is room");
            assert_eq!(list.all(), [(key.clone(), key.stored_bytes(bytes))]);
            assert_eq!(list.bytes, key.stored_bytes(bytes));
        }
        list.write(&mut step, &HistoryWrite { remove: vec![key], ..HistoryWrite::default() })
            .expect("it goes");
        assert_eq!((list.bytes, list.len(), step.mark.history), (0, 0, 0));
    }
}
