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

/// The first wait between two looks at a job.
const POLL_FIRST_SECS: f64 = 2.0;
/// The longest wait between two looks at a job.
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
/// `jitter` is a random number from 0 to 1, which takes off up to a fifth, so that many jobs do not ask together.
pub fn poll_delay(polls: u32, jitter: f64) -> Duration {
    let polls = i32::try_from(polls.min(64)).unwrap_or(64);
    let secs = (POLL_FIRST_SECS * POLL_GROWTH.powi(polls)).min(POLL_SECS_MAX);
    Duration::from_secs_f64(secs * (1.0 - POLL_JITTER * jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests;
