//! How large the org's calls may be just now, after some that were too much for it. Pure.
//!
//! A change that was in such a call remembers it itself (`group`). This is for those behind: where a call of 200 records runs
//! into a limit of the org's automation or is not answered in time, the next ones begin with less.
//!
//! Here: two sizes, which shrink at once and grow by and by. In memory only: after a restart they begin anew.

use std::time::Duration;

use orgpipe_reconcile::route::COLLECTIONS_MAX;

/// Calls of the full size that must be answered well before the size doubles.
const GOOD_TO_GROW: u32 = 10;
/// Records that are tried together however slow the org is; fewer only where a change's own history says so.
const SLOW_MIN: usize = 10;

/// The sizes of one org.
#[derive(Debug)]
pub(super) struct WritePace {
    /// After answers that did not come in time.
    slow: Size,
    /// After transactions that were too large for the org's automation.
    limited: Size,
    /// When a write was answered last (time since start).
    answered: Option<Duration>,
}

#[derive(Debug)]
struct Size {
    max: usize,
    good: u32,
}

impl Default for WritePace {
    fn default() -> Self {
        let full = || Size { max: COLLECTIONS_MAX, good: 0 };
        Self { slow: full(), limited: full(), answered: None }
    }
}

impl Size {
    fn shrink(&mut self, to: usize) {
        self.max = self.max.min(to.max(1));
        self.good = 0;
    }

    fn good(&mut self, records: usize) {
        if self.max >= COLLECTIONS_MAX || records < self.max {
            return;
        }
        self.good += 1;
        if self.good >= GOOD_TO_GROW {
            *self = Self { max: (self.max * 2).min(COLLECTIONS_MAX), good: 0 };
        }
    }
}

impl WritePace {
    /// Records that may go in one call.
    pub(super) fn records_max(&self) -> usize {
        self.slow.max.min(self.limited.max)
    }

    /// Whether transactions of the size that a Bulk job makes go through.
    pub(super) fn takes_bulk(&self) -> bool {
        self.limited.max >= COLLECTIONS_MAX
    }

    /// Whether another write was answered since then (time since start).
    pub(super) fn answered_since(&self, since: Duration) -> bool {
        self.answered.is_some_and(|answered| answered >= since)
    }

    /// A call of so many records was answered in time; of its rows so many ran into a limit of the transaction together.
    pub(super) fn answered(&mut self, records: usize, limited: usize, now: Duration) {
        self.answered = Some(now);
        if limited > 1 {
            self.limited.shrink(records / 2);
        } else {
            self.limited.good(records);
        }
        self.slow.good(records);
    }

    /// A call of so many records has not been answered for long.
    pub(super) fn slow(&mut self, records: usize) {
        if records / 2 >= SLOW_MIN {
            self.slow.shrink(records / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_shrink_at_once_and_grow_by_and_by() {
        let mut pace = WritePace::default();
        pace.slow(59);
        assert_eq!((pace.records_max(), pace.takes_bulk()), (29, true), "Bulk jobs are for the slow");
        pace.slow(12);
        assert_eq!(pace.records_max(), 29, "so few are no burden");
        for _ in 0..GOOD_TO_GROW {
            pace.answered(29, 0, Duration::ZERO);
            pace.answered(3, 0, Duration::ZERO);
        }
        assert_eq!(pace.records_max(), 58);
        pace.answered(58, 58, Duration::ZERO);
        assert_eq!((pace.records_max(), pace.takes_bulk()), (29, false));
        pace.answered(29, 1, Duration::ZERO);
        assert_eq!(pace.records_max(), 29, "one of many is that one's fault");
    }

    #[test]
    fn an_answer_counts_from_its_moment_on() {
        let mut pace = WritePace::default();
        assert!(!pace.answered_since(Duration::ZERO));
        pace.answered(1, 0, Duration::from_secs(5));
        assert!(pace.answered_since(Duration::from_secs(5)) && !pace.answered_since(Duration::from_secs(6)));
    }
}
