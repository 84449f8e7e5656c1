//! Bulk API 2.0: many records in one job, uploaded as one CSV file, or read as pages of CSV.
//!
//! Here: what became of a record, and how often to look at a job; the calls of an ingest job's life ([`job`]), the
//! file it is given ([`csv`]) and those it gives ([`results`]); those of a query job ([`query`]). Not here: when to use it
//! (`reconcile::route`, `capture`), who polls.
//!
//! Invariant of ingest: neither `JobComplete` nor `Failed` says anything about a record. Only the three result files do, and a
//! record in none of them is unknown, not written (BULKDOC, "Get Job Results").

pub mod csv;
pub mod job;
pub mod query;
pub mod results;

use std::time::Duration;

use crate::error::ApiError;

/// First wait between two looks at a job.
const POLL_FIRST_SECS: f64 = 2.0;
/// Longest wait.
const POLL_SECS_MAX: f64 = 60.0;
/// Growth from look to look.
const POLL_GROWTH: f64 = 1.5;
/// Share of a wait that chance takes off.
const POLL_JITTER: f64 = 0.2;

/// What became of one uploaded record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum BulkRow {
    /// It is stored.
    Written {
        /// Its record ID.
        id: String,
        /// True if it is new.
        created: bool,
    },
    /// It is not stored.
    Failed(ApiError),
    /// Nobody looked at it, as the job ended before.
    Unprocessed,
    /// No result file mentions it: it may be stored or not (BULKDOC: results are not recorded for batches beyond the
    /// day's allowance).
    Unknown,
}

/// How long to wait before look number `polls` + 1: 2 s, growing by half each time, at most 60 s.
///
/// `dice` in 0..1 takes off up to a fifth, so that many jobs do not ask together.
pub fn poll_delay(polls: u32, dice: f64) -> Duration {
    let polls = i32::try_from(polls.min(64)).unwrap_or(64);
    let secs = (POLL_FIRST_SECS * POLL_GROWTH.powi(polls)).min(POLL_SECS_MAX);
    Duration::from_secs_f64(secs * (1.0 - POLL_JITTER * dice.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_grow_by_half() {
        for (polls, secs) in [(0, 2.0), (1, 3.0), (2, 4.5), (8, 51.257_812_5), (9, 60.0), (u32::MAX, 60.0)] {
            assert!((poll_delay(polls, 0.0).as_secs_f64() - secs).abs() < 1e-6, "{polls}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_short_nor_long(polls: u32, dice in 0.0..1.0_f64) {
            let wait = poll_delay(polls, dice).as_secs_f64();
            prop_assert!((1.6..=60.0).contains(&wait));
            prop_assert!(poll_delay(polls.saturating_add(1), dice) >= poll_delay(polls, dice));
        }
    }
}
