//! What counts against an org's streaming allocations.
//!
//! Here: counts over a rolling window. Not here: the allocations themselves, which are not enforced; only the number
//! of live clients is (`state`).

use std::collections::VecDeque;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Use of the streaming allocations at one moment, as `/limits` reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Sessions alive now.
    pub(crate) clients: u64,
    /// Events delivered in the last 24 hours, once per subscriber.
    pub(crate) delivered_day: u64,
    /// Events published in the last hour.
    pub(crate) published_hour: u64,
}

/// A count over a rolling window, exact to the minute; holds at most one entry per minute.
#[derive(Debug)]
pub(super) struct RollingCount {
    minutes: i64,
    counts: VecDeque<(i64, u64)>,
}

impl RollingCount {
    /// Counts over 24 hours.
    pub(super) fn day() -> Self {
        Self { minutes: 24 * HOUR_MS / MINUTE_MS, counts: VecDeque::new() }
    }

    /// Counts over an hour.
    pub(super) fn hour() -> Self {
        Self { minutes: HOUR_MS / MINUTE_MS, counts: VecDeque::new() }
    }

    /// Adds what happened at `now_ms`.
    pub(super) fn add(&mut self, now_ms: i64, count: u64) {
        let minute = now_ms.div_euclid(MINUTE_MS);
        self.forget(minute);
        match self.counts.back_mut() {
            Some((last, sum)) if *last >= minute => *sum += count,
            _ => self.counts.push_back((minute, count)),
        }
    }

    /// The sum over the window that ends at `now_ms`.
    pub(super) fn sum(&mut self, now_ms: i64) -> u64 {
        self.forget(now_ms.div_euclid(MINUTE_MS));
        self.counts.iter().map(|(_, count)| count).sum()
    }

    fn forget(&mut self, minute: i64) {
        while self.counts.front().is_some_and(|(oldest, _)| *oldest <= minute - self.minutes) {
            self.counts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_leaves_the_window_when_its_minute_does() {
        let mut count = RollingCount::hour();
        count.add(0, 2);
        count.add(59_999, 3);
        count.add(60_000, 5);
        let cases = [(60_000, 10), (HOUR_MS - 1, 10), (HOUR_MS, 5), (HOUR_MS + MINUTE_MS, 0)];
        for (now_ms, expected) in cases {
            assert_eq!(count.sum(now_ms), expected, "at {now_ms}");
        }
    }

    #[test]
    fn a_day_of_events_takes_one_entry_per_minute() {
        let mut count = RollingCount::day();
        for second in 0..3 * 24 * 3600 {
            count.add(second * 1000, 1);
        }
        assert_eq!(count.counts.len(), 24 * 60);
    }
}
