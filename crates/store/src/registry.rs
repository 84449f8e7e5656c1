//! Values of the service as a whole, by kind and name: they belong to no org, and no request or change comes of them.
//!
//! Here: what may be in it, and which names are. Not here: what a value means (whoever registers it), reading one
//! (`queries.rs`).
//!
//! How many there are is part of the mark, and each commit gives a number, so that a value that is lost, be it with the end
//! of the database's log, is missed at the next opening.

use std::collections::BTreeMap;

use crate::{
    commands::{REGISTRY_BYTES_MAX, REGISTRY_VALUES_MAX, RegistryWrite},
    error::StoreError,
    keys::Key,
    sizes,
    step::Step,
};

/// Which values there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    /// Size of each, by kind and name.
    sizes: BTreeMap<(String, String), usize>,
    /// Bytes of all values.
    bytes: usize,
}

impl Registry {
    /// One that was found on disk.
    pub(crate) fn restore(&mut self, kind: &str, name: &str, bytes: usize) {
        let before = self.sizes.insert((kind.to_owned(), name.to_owned()), bytes);
        self.bytes = self.bytes + bytes - before.unwrap_or(0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.sizes.len() as u64
    }

    /// Whether there is a value of this kind and name.
    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        self.sizes.contains_key(&(kind.to_owned(), name.to_owned()))
    }

    /// The names of a kind, in order.
    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        let from = (kind.to_owned(), String::new());
        let of_kind = self.sizes.range(from..).take_while(|((found, _), _)| found == kind);
        of_kind.map(|((_, name), _)| name.clone()).collect()
    }

    /// Sets and removes values, in order.
    ///
    /// # Errors
    /// One of them is too large, or there would be too many; then nothing is changed.
    pub(crate) fn write(&mut self, step: &mut Step<'_>, writes: &[RegistryWrite]) -> Result<(), StoreError> {
        self.write_within(step, writes, REGISTRY_VALUES_MAX, REGISTRY_BYTES_MAX)
    }

    fn write_within(
        &mut self,
        step: &mut Step<'_>,
        writes: &[RegistryWrite],
        values_max: usize,
        bytes_max: usize,
    ) -> Result<(), StoreError> {
        writes.iter().try_for_each(sizes::registry)?;
        let (values, bytes) = self.after(writes);
        // What is there may always shrink.
        let grows = values > self.sizes.len() || bytes > self.bytes;
        if grows && (values > values_max || bytes > bytes_max) {
            return Err(StoreError::RegistryFull { values, values_max, bytes, bytes_max });
        }
        for RegistryWrite { kind, name, value } in writes {
            let key = Key::Registered { kind, name };
            if let Some(value) = value {
                step.put(&key, value);
                self.restore(kind, name, value.len());
            } else {
                step.remove(&key);
                self.forget(kind, name);
            }
        }
        step.mark.registered = self.len();
        step.number();
        Ok(())
    }

    /// How many values there would be with these writes, and how many bytes. It takes no longer the more there are.
    fn after(&self, writes: &[RegistryWrite]) -> (usize, usize) {
        let mut last: BTreeMap<(&str, &str), Option<usize>> = BTreeMap::new();
        for RegistryWrite { kind, name, value } in writes {
            last.insert((kind, name), value.as_ref().map(Vec::len));
        }
        let (mut values, mut bytes) = (self.sizes.len(), self.bytes);
        for ((kind, name), size) in last {
            let before = self.sizes.get(&(kind.to_owned(), name.to_owned()));
            values = values - usize::from(before.is_some()) + usize::from(size.is_some());
            bytes = bytes - before.unwrap_or(&0) + size.unwrap_or(0);
        }
        (values, bytes)
    }

    fn forget(&mut self, kind: &str, name: &str) {
        let before = self.sizes.remove(&(kind.to_owned(), name.to_owned()));
        self.bytes -= before.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Mark;

    fn set(name: &str, bytes: usize) -> RegistryWrite {
        RegistryWrite { kind: "k".into(), name: name.into(), value: Some(vec![7; bytes]) }
    }

    fn removal(name: &str) -> RegistryWrite {
        RegistryWrite { value: None, ..set(name, 0) }
    }

    #[test]
    fn there_are_at_most_so_many_and_what_does_not_grow_always_goes() {
        let (mut registry, mut mark, mut writes) = (Registry::default(), Mark::default(), Vec::new());
        let mut step = Step { org: "", mark: &mut mark, writes: &mut writes };
        let mut write = |all: &[RegistryWrite], values_max: usize, bytes_max: usize| {
            let result = registry.write_within(&mut step, all, values_max, bytes_max);
            (result.is_ok(), registry.sizes.len(), registry.bytes, step.mark.registered)
        };
        assert_eq!(write(&[set("a", 10), set("b", 10)], 2, 30), (true, 2, 20, 2));
        assert_eq!(write(&[set("c", 1)], 2, 30), (false, 2, 20, 2), "too many");
        assert_eq!(write(&[set("b", 21)], 2, 30), (false, 2, 20, 2), "too much");
        assert_eq!(write(&[set("c", 1), removal("a")], 2, 30), (true, 2, 11, 2), "what it comes to counts");
        assert_eq!(write(&[set("b", 5), set("b", 6)], 2, 30), (true, 2, 7, 2), "the last one stays");
        assert_eq!(write(&[set("b", 5)], 1, 1), (true, 2, 6, 2), "less than before is always taken");
        assert_eq!(write(&[removal("b"), removal("x")], 0, 0), (true, 1, 1, 1));
    }
}
