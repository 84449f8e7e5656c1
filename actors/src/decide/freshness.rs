//! Which rows that a refresh or a push brought along are old by now, and which data that a push did. Pure.
//!
//! Here: what is remembered of decided changes, and the rows and data that are taken away. Not here: reading and looking up
//! those once more (`fetch`, `lookup`).
//!
//! Invariant: a live change that is decided between the reading of a page and its look-up is not undone by the page's
//! values.
//! Invariant: data that came with a push takes the place of no answer that may be newer: if in doubt it is looked up.

use std::collections::BTreeMap;

use orgpipe_store::UnixMs;

use super::batch::Asked;
use crate::queue_entry::Origin;

/// Records remembered; past it all are forgotten at once, and older rows are read once more.
const RECORDS_MAX: usize = 10_000;

/// The records that live requests, pushes, or an operator's retries, were decided for lately.
#[derive(Debug)]
pub(super) struct FreshnessGuard {
    /// Rows read before that may be old, whatever the record.
    since_ms: UnixMs,
    /// When a record was decided.
    decided: BTreeMap<String, DecidedAt>,
    /// The records of the last batch, if they are remembered one by one.
    last: Vec<String>,
    /// Until when other records were looked up.
    others_ms: UnixMs,
}

/// When a record was decided last.
#[derive(Clone, Copy, Debug)]
struct DecidedAt {
    /// When its batch was put together.
    at_ms: UnixMs,
    /// When it was looked up, at the latest.
    looked_up_ms: UnixMs,
}

impl FreshnessGuard {
    /// Nothing is known of what was before.
    pub(super) fn since(now_ms: UnixMs) -> Self {
        Self { since_ms: now_ms, decided: BTreeMap::new(), last: Vec::new(), others_ms: now_ms }
    }

    /// Takes note of the records, and takes away the rows and the data that may be old. `read_ms` is when the rows were
    /// read.
    pub(super) fn check(&mut self, origin: Origin, read_ms: UnixMs, now_ms: UnixMs, asked: &mut [Asked]) {
        for asked in asked.iter_mut() {
            let own_ms = self.decided.get(&asked.id).map(|decided| decided.looked_up_ms);
            let looked_up_ms = self.since_ms.max(self.others_ms).max(own_ms.unwrap_or(UnixMs::EPOCH));
            asked.given.take_if(|given| given.at_ms <= looked_up_ms);
        }
        if matches!(origin, Origin::Refresh | Origin::Heal | Origin::Push) {
            for asked in asked.iter_mut() {
                let decided = self.decided.get(&asked.id);
                if read_ms <= self.since_ms || decided.is_some_and(|decided| read_ms <= decided.at_ms) {
                    asked.row = None;
                }
            }
        }
        self.last.clear();
        if matches!(origin, Origin::Refresh | Origin::Heal) {
            self.others_ms = now_ms;
            return;
        }
        if self.decided.len() + asked.len() > RECORDS_MAX {
            (self.since_ms, self.decided) = (now_ms, BTreeMap::new());
        }
        let decided = DecidedAt { at_ms: now_ms, looked_up_ms: now_ms };
        self.decided.extend(asked.iter().map(|asked| (asked.id.clone(), decided)));
        self.last = asked.iter().map(|asked| asked.id.clone()).collect();
    }

    /// What was checked last has been looked up by now.
    pub(super) fn looked_up(&mut self, now_ms: UnixMs) {
        if self.last.is_empty() {
            self.others_ms = now_ms;
        }
        for id in &self.last {
            if let Some(decided) = self.decided.get_mut(id) {
                decided.looked_up_ms = now_ms;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_store::Seq;

    use super::*;
    use crate::{
        audit_trail::AuditTrail,
        queue_entry::{PushedData, Row},
    };

    fn asked(id: usize) -> Vec<Asked> {
        let trail = AuditTrail::new("accounts", Origin::Live, "event", None);
        let (row, pushes, given) = (Some(Row::new()), Vec::new(), None);
        vec![Asked { id: id.to_string(), units: 1, row, pushes, given, since_ms: UnixMs(0), trail }]
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
    fn data_that_may_be_older_than_an_answer_is_taken_away() {
        let mut freshness = FreshnessGuard::since(UnixMs(100));
        let mut kept = |id: usize, at_ms: u64, now_ms: u64| {
            let mut asked = asked(id);
            asked[0].given = Some(PushedData { push: Seq(1), at_ms: UnixMs(at_ms), data: Vec::new() });
            freshness.check(Origin::Push, UnixMs(now_ms), UnixMs(now_ms), &mut asked);
            freshness.looked_up(UnixMs(now_ms + 50));
            asked[0].given.is_some()
        };
        assert!(!kept(1, 100, 200), "from before the start");
        assert!(kept(2, 101, 200));
        assert!(!kept(2, 250, 300), "looked up since");
        assert!(kept(2, 351, 400) && kept(3, 101, 400), "another record");
        freshness.check(Origin::Refresh, UnixMs(500), UnixMs(500), &mut asked(9));
        freshness.looked_up(UnixMs(550));
        let mut newer = asked(4);
        newer[0].given = Some(PushedData { push: Seq(1), at_ms: UnixMs(550), data: Vec::new() });
        freshness.check(Origin::Push, UnixMs(600), UnixMs(600), &mut newer);
        assert!(newer[0].given.is_none(), "a refresh may have looked it up");
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
