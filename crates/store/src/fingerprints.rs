//! What is remembered of records of the targets, one small entry for each. Whether it is there, memory knows; what it is,
//! only the disk does.
//!
//! Here: how many bytes there may be, and which entries make room. Not here: what is in one (whoever stores it), reading
//! one (`queries.rs`).
//!
//! Losing an entry costs its owner work, never data: so they are in no ledger, and the oldest are not looked for.

use std::{collections::BTreeMap, ops::Bound};

use crate::{commands::FINGERPRINTS_BYTES_MAX, keys::Key, step::Step};

/// Those of one org.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints {
    /// Size of each, by the number that stands for its record.
    sizes: BTreeMap<u64, u32>,
    bytes: u64,
}

/// The number that stands for a record of a target. Two that share one would take each other's place; of a million records
/// some do with a chance of 1 in 30 million.
pub(crate) fn number(target: &str, key: &str) -> u64 {
    // FNV-1a, as it stays the same for ever.
    let bytes = target.bytes().chain([0]).chain(key.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // Neighbours in the alphabet are none here, so whichever makes room is anybody.
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Fingerprints {
    /// One that was found on disk.
    pub(crate) fn restore(&mut self, number: u64, bytes: usize) {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes += u64::from(size);
        self.sizes.insert(number, size);
    }

    /// Is there one?
    pub(crate) fn has(&self, number: u64) -> bool {
        self.sizes.contains_key(&number)
    }

    /// The numbers of all.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.sizes.keys().copied()
    }

    /// Stores one in the place of the one before; without bytes it only ends that.
    pub(crate) fn set(&mut self, step: &mut Step<'_>, number: u64, bytes: &[u8]) {
        self.set_within(step, number, bytes, FINGERPRINTS_BYTES_MAX);
    }

    fn set_within(&mut self, step: &mut Step<'_>, number: u64, bytes: &[u8], bytes_max: u64) {
        let org = step.org;
        if bytes.is_empty() {
            if self.forget(number) {
                step.remove(&Key::Fingerprint { org, number });
            }
            return;
        }
        self.forget(number);
        self.restore(number, bytes.len());
        step.put(&Key::Fingerprint { org, number }, bytes);
        while self.bytes > bytes_max {
            let behind = (Bound::Excluded(number), Bound::Unbounded);
            let next = self.sizes.range(behind).next().or_else(|| self.sizes.range(..number).next());
            let Some(other) = next.map(|(other, _)| *other) else { return };
            self.forget(other);
            step.remove(&Key::Fingerprint { org, number: other });
        }
    }

    fn forget(&mut self, number: u64) -> bool {
        let size = self.sizes.remove(&number);
        self.bytes -= size.map_or(0, u64::from);
        size.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Mark;

    #[test]
    fn a_new_one_takes_the_place_of_others_once_there_is_no_room() {
        let (mut found, mut mark, mut writes) = (Fingerprints::default(), Mark::default(), Vec::new());
        let mut step = Step { org: "acme", mark: &mut mark, writes: &mut writes };
        for n in 0..100 {
            found.set_within(&mut step, number("T", &n.to_string()), &[7; 10], 200);
            assert!(found.bytes <= 200 && found.has(number("T", &n.to_string())), "{n}");
        }
        assert_eq!((found.numbers().count(), found.bytes), (20, 200));
        found.set_within(&mut step, 5, &[7; 500], 200);
        assert_eq!((found.numbers().collect::<Vec<_>>(), found.bytes), (vec![5], 500), "the last one stays");
        found.set_within(&mut step, 5, &[], 200);
        found.set_within(&mut step, 6, &[], 200);
        assert_eq!((found.numbers().count(), found.bytes), (0, 0));
        let (puts, removals): (Vec<_>, Vec<_>) = writes.iter().partition(|(_, value)| value.is_some());
        assert_eq!((puts.len(), removals.len()), (101, 101), "each that was put is removed once");
    }

    #[test]
    fn targets_and_keys_are_told_apart() {
        let numbers =
            [("A", "b"), ("Ab", ""), ("", "Ab"), ("A", "B")].map(|(target, key)| number(target, key));
        assert!((0..4).all(|at| !numbers[..at].contains(&numbers[at])), "{numbers:?}");
        assert_eq!(number("Enrichment__c", "K1"), number("Enrichment__c", "K1"));
    }
}
