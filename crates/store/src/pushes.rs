//! What became, in one org, of the records that pushes asked it for.
//!
//! Here: the counts of each push, and when they change. Not here: the pushes themselves (`engine.rs`), what one asks for
//! (opaque).
//!
//! Invariant: a record is counted found in the commit that takes its request in, and ended in the one that writes its row,
//! so that what was found is what has ended and what is open, in every commit.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    commands::{End, PushCounts},
    entry::encode_push_counts,
    keys::Key,
    seq::Seq,
    step::Step,
};

/// The counts of one org.
#[derive(Debug, Default)]
pub(crate) struct PushLedger {
    counts: BTreeMap<Seq, PushCounts>,
    /// Those that the command under way has changed.
    touched: BTreeSet<Seq>,
}

impl PushLedger {
    /// Counts that were found on disk.
    pub(crate) fn restore(&mut self, push: Seq, counts: PushCounts) {
        self.counts.insert(push, counts);
    }

    /// What the org has of a push; none if no record was found for it.
    pub(crate) fn of(&self, push: Seq) -> Option<PushCounts> {
        self.counts.get(&push).copied()
    }

    /// How many pushes have counts.
    pub(crate) fn len(&self) -> u64 {
        self.counts.len() as u64
    }

    /// So many records come in for a push.
    pub(crate) fn found(&mut self, step: &mut Step<'_>, push: Seq, records: u64) {
        let counts = self.counts.entry(push).or_insert_with(|| {
            step.mark.push_counts += 1;
            PushCounts::default()
        });
        counts.found += records;
        self.touched.insert(push);
    }

    /// A record that these pushes asked for has ended. A push that is there no more counts nothing.
    pub(crate) fn ended(&mut self, end: End, pushes: &[Seq]) {
        for push in pushes {
            let Some(counts) = self.counts.get_mut(push) else { continue };
            match end {
                End::Written => counts.written += 1,
                End::Unchanged => counts.unchanged += 1,
                End::NoData => counts.no_data += 1,
                End::Superseded => counts.superseded += 1,
                End::Dead => counts.dead += 1,
                // The record has ended before.
                End::Retried | End::Discarded | End::Closed => continue,
            }
            self.touched.insert(*push);
        }
    }

    /// Writes what the command has changed.
    pub(crate) fn write(&mut self, step: &mut Step<'_>) {
        for push in std::mem::take(&mut self.touched) {
            if let Some(counts) = self.counts.get(&push) {
                step.put(&Key::PushCounts { org: step.org, push }, &encode_push_counts(counts));
            }
        }
    }

    /// The push is gone.
    pub(crate) fn forget(&mut self, step: &mut Step<'_>, push: Seq) {
        if self.counts.remove(&push).is_some() {
            step.mark.push_counts -= 1;
            step.remove(&Key::PushCounts { org: step.org, push });
        }
    }

    /// The org is gone.
    pub(crate) fn forget_all(&self, step: &mut Step<'_>) {
        step.mark.push_counts -= self.len();
        for push in self.counts.keys() {
            step.remove(&Key::PushCounts { org: step.org, push: *push });
        }
    }
}
