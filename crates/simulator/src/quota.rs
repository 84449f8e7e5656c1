//! The org's daily API calls: a rolling window of 24 hours.
//!
//! Here: counting. Not here: which calls count (`api/`). Source: REST guide, "API Request Limits and Allocations".

use std::collections::VecDeque;

/// The window is counted in buckets of this many milliseconds of simulated time.
const BUCKET_MS: i64 = 15 * 60 * 1000;
const BUCKETS: i64 = 24 * 4;

/// Calls used of those allowed.
#[derive(Debug)]
pub(crate) struct Quota {
    max: u64,
    buckets: VecDeque<(i64, u64)>,
}

impl Quota {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, buckets: VecDeque::new() }
    }

    /// Calls the window allows.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Calls of the 24 hours up to now.
    pub(crate) fn used(&mut self, now_ms: i64) -> u64 {
        let oldest = now_ms.div_euclid(BUCKET_MS) - BUCKETS;
        while self.buckets.front().is_some_and(|(bucket, _)| *bucket <= oldest) {
            self.buckets.pop_front();
        }
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Counts one call, or says that none is left.
    pub(crate) fn take(&mut self, now_ms: i64) -> bool {
        if self.used(now_ms) >= self.max {
            return false;
        }
        let now = now_ms.div_euclid(BUCKET_MS);
        match self.buckets.back_mut() {
            Some((bucket, count)) if *bucket == now => *count += 1,
            _ => self.buckets.push_back((now, 1)),
        }
        true
    }

    /// Makes the window look as if this many calls had just been used, by anybody.
    pub(crate) fn set_used(&mut self, now_ms: i64, used: u64) {
        self.buckets.clear();
        self.buckets.push_back((now_ms.div_euclid(BUCKET_MS), used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_refused_past_the_limit_and_come_back_after_a_day() {
        let day = 24 * 60 * 60 * 1000;
        let mut quota = Quota::new(2);
        assert!(quota.take(0) && quota.take(BUCKET_MS));
        assert!(!quota.take(2 * BUCKET_MS));
        assert_eq!(quota.used(day - 1), 2);
        assert_eq!(quota.used(day), 1, "the first bucket is a day old");
        assert!(quota.take(day));
        quota.set_used(day, 7);
        assert_eq!((quota.used(day), quota.take(day)), (7, false));
    }
}
