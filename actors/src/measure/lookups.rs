//! Look-ups in the vendor's API: how long they take, and how they end.
//!
//! Here: the ends, and the instruments. Not here: which answer is which end (`vendor/lookup.rs`).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use orgpipe_measure::{Histogram, HistogramView};

/// Seconds.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How a look-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupEnd {
    /// With status 200 and a whole body.
    Ok,
    /// The API refused this batch, with a status that blames its records.
    Refused,
    /// The API did not let us in: 401 or 403.
    Unauthorised,
    /// The API asked to be called less: 429.
    Limited,
    /// Any other status below 500 but 200.
    OtherStatus,
    /// The API failed: 500 and above.
    ServerError,
    /// No answer in time.
    Timeout,
    /// Nothing reached the API.
    Unreachable,
    /// The answer broke off, or is too large.
    Broken,
    /// No call was made, as the API has failed several times in a row.
    BreakerOpen,
}

impl LookupEnd {
    /// Every end, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Refused,
        Self::Unauthorised,
        Self::Limited,
        Self::OtherStatus,
        Self::ServerError,
        Self::Timeout,
        Self::Unreachable,
        Self::Broken,
        Self::BreakerOpen,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unauthorised => "unauthorised",
            Self::Limited => "limited",
            Self::OtherStatus => "other_status",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::BreakerOpen => "breaker_open",
        }
    }

    /// Of an answer with this status, which is not 200 and blames no record.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Unauthorised,
            429 => Self::Limited,
            500.. => Self::ServerError,
            _ => Self::OtherStatus,
        }
    }
}

/// The instruments.
#[derive(Debug)]
pub(crate) struct LookupMeasures {
    duration: Histogram,
    ends: [AtomicU64; LookupEnd::ALL.len()],
    unusable: AtomicU64,
}

impl Default for LookupMeasures {
    fn default() -> Self {
        let ends = std::array::from_fn(|_| AtomicU64::new(0));
        Self { duration: Histogram::new(SECONDS), ends, unusable: AtomicU64::new(0) }
    }
}

impl LookupMeasures {
    /// A call has ended.
    pub(crate) fn ended(&self, end: LookupEnd, took: Duration) {
        self.duration.record(took);
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// No call was made.
    pub(crate) fn held_back(&self) {
        self.ends[LookupEnd::BreakerOpen as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An answer that came whole is no answer to a look-up.
    pub(crate) fn unusable(&self) {
        self.unusable.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn view(&self) -> LookupsView {
        LookupsView {
            duration: self.duration.view(),
            unusable: self.unusable.load(Ordering::Relaxed),
            ends: std::array::from_fn(|end| self.ends[end].load(Ordering::Relaxed)),
        }
    }
}

/// Look-ups up to one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookupsView {
    /// How long calls took, seconds; the wait for a turn before them is not part of it.
    pub duration: HistogramView,
    /// Of those that ended well, the answers that could not be used.
    pub unusable: u64,
    ends: [u64; LookupEnd::ALL.len()],
}

impl LookupsView {
    /// How many ended so.
    pub fn of(&self, end: LookupEnd) -> u64 {
        self.ends[end as usize]
    }

    /// Those that brought nothing usable, since the service started.
    pub fn failed(&self) -> u64 {
        LookupEnd::ALL.into_iter().filter(|end| *end != LookupEnd::Ok).map(|end| self.of(end)).sum::<u64>()
            + self.unusable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_listed_at_its_place_and_all_but_ok_are_failures() {
        let lookups = LookupMeasures::default();
        for (at, end) in LookupEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, at, "{end:?}");
            lookups.ended(end, Duration::from_millis(20));
        }
        lookups.unusable();
        lookups.held_back();
        let view = lookups.view();
        assert_eq!((view.duration.count, view.of(LookupEnd::BreakerOpen), view.failed()), (10, 2, 11));
    }

    #[test]
    fn each_status_has_its_end() {
        for (status, end) in [
            (302, LookupEnd::OtherStatus),
            (401, LookupEnd::Unauthorised),
            (404, LookupEnd::OtherStatus),
            (429, LookupEnd::Limited),
            (503, LookupEnd::ServerError),
        ] {
            assert_eq!(LookupEnd::of_status(status), end, "{status}");
        }
    }
}
