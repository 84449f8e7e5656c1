//! How long to wait before another try.
//!
//! Here: the one use of the `backoff` crate, as interval arithmetic. Not here: what is worth a retry (error classes).

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff};
use orgpipe_store::UnixMs;

/// Growing waits with full jitter: the n-th is between nothing and `first × 2ⁿ`, at most `cap`.
///
/// Full jitter because a vendor's orgs fail together: without it they would come back together, too.
#[derive(Debug)]
pub(crate) struct Delays(ExponentialBackoff);

impl Delays {
    /// Starts at `first`.
    pub(crate) fn new(first: Duration, cap: Duration) -> Self {
        let mut intervals = ExponentialBackoff {
            initial_interval: first,
            max_interval: cap,
            multiplier: 2.0,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        intervals.reset();
        Self(intervals)
    }

    /// The next wait; `jitter` from 0 to 1.
    pub(crate) fn next(&mut self, jitter: f64) -> Duration {
        let ceiling = self.0.next_backoff().unwrap_or(self.0.max_interval);
        ceiling.mul_f64(jitter.clamp(0.05, 1.0))
    }

    /// Starts over, after a success.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

/// Longest time between two looks whether paused work may go on; what it waits for may come early.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The wait of work that may go on at a known time, but at least `wait`.
pub(crate) fn until(again_at_ms: Option<UnixMs>, now_ms: UnixMs, wait: Duration) -> Duration {
    let pause = again_at_ms.map_or(Duration::ZERO, |at_ms| at_ms.since(now_ms));
    wait.max(pause.min(PAUSE_MAX))
}

/// The wait before try number `attempts + 1` of one record.
pub(crate) fn before_attempt(attempts: u32, first: Duration, cap: Duration, jitter: f64) -> Duration {
    let mut delays = Delays::new(first, cap);
    for _ in 0..attempts.min(30) {
        delays.next(1.0);
    }
    delays.next(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_over() {
        let mut delays = Delays::new(Duration::from_secs(1), Duration::from_secs(5));
        let waits: Vec<u64> = (0..5).map(|_| delays.next(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        delays.reset();
        assert_eq!(delays.next(0.5), Duration::from_millis(500));
    }

    #[test]
    fn paused_work_looks_once_a_minute() {
        let wait =
            |at_ms: Option<u64>| until(at_ms.map(UnixMs), UnixMs(1_000), Duration::from_secs(2)).as_secs();
        assert_eq!([wait(None), wait(Some(500)), wait(Some(11_000)), wait(Some(9_000_000))], [2, 2, 10, 60]);
    }

    #[test]
    fn the_attempts_so_far_decide_the_wait() {
        let wait = |attempts| {
            before_attempt(attempts, Duration::from_secs(1), Duration::from_mins(1), 1.0).as_secs()
        };
        assert_eq!([wait(0), wait(1), wait(3), wait(10_000)], [1, 2, 8, 60]);
    }
}
