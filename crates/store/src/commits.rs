//! How long commits take, and how many calls share one.
//!
//! Here: the counters, and the view of them that a caller gets. Not here: who counts (`thread.rs`).
//!
//! A commit is one batch that is written and flushed. Where nothing was to be written there was none, so it is not counted.

use std::time::Duration;

use orgpipe_measure::{Histogram, HistogramView};

/// Seconds. A disk that is asked to flush takes from parts of a millisecond to seconds, when it is ailing.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Calls.
const CALLS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Commits since the store was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commits {
    /// How long each took, flush included.
    pub duration: HistogramView,
    /// How many calls were answered behind each: those that wrote, and those that asked meanwhile.
    pub calls: HistogramView,
}

/// The counters, shared by the handles and the thread.
#[derive(Debug)]
pub(crate) struct CommitCounters {
    duration: Histogram,
    calls: Histogram,
}

impl Default for CommitCounters {
    fn default() -> Self {
        Self { duration: Histogram::new(SECONDS), calls: Histogram::new(CALLS) }
    }
}

impl CommitCounters {
    /// A commit behind which so many calls are answered took so long.
    pub(crate) fn committed(&self, took: Duration, calls: usize) {
        self.duration.record(took);
        self.calls.record_size(calls as u64);
    }

    /// What was counted so far.
    pub(crate) fn now(&self) -> Commits {
        Commits { duration: self.duration.view(), calls: self.calls.view() }
    }
}
