//! Which rows that a refresh brought along are old by now. Pure.
//!
//! Here: what is remembered of decided live changes, and the rows that are taken away. Not here: reading those once
//! more (`fetch`).
//!
//! Invariant: a live change that is decided between the reading of a page and its look-up is not undone by the page's
//! values.

use std::collections::BTreeMap;

use orgpipe_store::UnixMs;

use super::batch::Asked;
use crate::queue_entry::Origin;

/// Records remembered; past it all are forgotten at once, and older rows are read once more.
const RECORDS_MAX: usize = 10_000;

/// The records that live requests, or an operator's retries, were decided for lately.
#[derive(Debug)]
pub(super) struct FreshnessGuard {
    /// Rows read before that may be old, whatever the record.
    since_ms: UnixMs,
    /// When a record was decided.
    decided: BTreeMap<String, UnixMs>,
}

impl FreshnessGuard {
    /// Nothing is known of what was before.
    pub(super) fn since(now_ms: UnixMs) -> Self {
        Self { since_ms: now_ms, decided: BTreeMap::new() }
    }

    /// Takes note of live records, and takes away the rows that may be old. `read_ms` is when they were read.
    pub(super) fn check(&mut self, origin: Origin, read_ms: UnixMs, now_ms: UnixMs, asked: &mut [Asked]) {
        if matches!(origin, Origin::Refresh | Origin::Heal) {
            for asked in asked {
                let decided_ms = self.decided.get(&asked.id);
                if read_ms <= self.since_ms || decided_ms.is_some_and(|decided_ms| read_ms <= *decided_ms) {
                    asked.row = None;
                }
            }
            return;
        }
        if self.decided.len() + asked.len() > RECORDS_MAX {
            (self.since_ms, self.decided) = (now_ms, BTreeMap::new());
        }
        self.decided.extend(asked.iter().map(|asked| (asked.id.clone(), now_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit_trail::AuditTrail, queue_entry::Row};

    fn asked(id: usize) -> Vec<Asked> {
        let trail = AuditTrail::new("accounts", Origin::Live, "event", None);
        vec![Asked { id: id.to_string(), units: 1, row: Some(Row::new()), since_ms: UnixMs(0), trail }]
    }

    #[test]
    fn a_row_read_before_its_record_was_decided_is_taken_away() {
        let mut freshness = FreshnessGuard::since(UnixMs(100));
        freshness.check(Origin::Live, UnixMs(200), UnixMs(210), &mut asked(7));
        for (id, read_ms, kept) in
            [(7, 205, false), (7, 210, false), (7, 211, true), (8, 205, true), (8, 99, false)]
        {
            let mut asked = asked(id);
            freshness.check(Origin::Refresh, UnixMs(read_ms), UnixMs(300), &mut asked);
            assert_eq!(asked[0].row.is_some(), kept, "{id} read at {read_ms}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_counts_as_old() {
        let mut freshness = FreshnessGuard::since(UnixMs(0));
        for id in 0..=RECORDS_MAX {
            freshness.check(Origin::Live, UnixMs(0), UnixMs(500), &mut asked(id));
        }
        assert!(freshness.decided.len() <= RECORDS_MAX);
        let mut first = asked(0);
        freshness.check(Origin::Heal, UnixMs(500), UnixMs(600), &mut first);
        assert!(first[0].row.is_none());
    }
}
