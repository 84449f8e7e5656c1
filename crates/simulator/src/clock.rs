//! The simulator's clock: the one file that reads time.
//!
//! Here: simulated time, which runs `time_scale` times as fast as real time, and the real time of day.
//! Not here: what is done when; timers belong to those who wait.
//!
//! Two times on purpose. Waits and states (long polls, Bulk jobs, retention) follow simulated time, so that a
//! test need not sit through them. What a client compares with its own clock (a JWT's `exp`, a record's
//! `SystemModstamp`) follows real time, or a fast simulator would drift out of the client's sight. An org may have a
//! clock of its own that is ahead of real time, or behind.
#![expect(clippy::disallowed_methods, reason = "the one file of the simulator that reads the clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Slowest and fastest a simulator may run, as a factor of real time.
const SCALE_MIN: f64 = 0.01;
const SCALE_MAX: f64 = 10_000.0;

/// A clock started with the simulator; clones show the same time.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_ms: i64,
    scale: f64,
    /// How far its real time of day is ahead of this machine's.
    ahead_secs: Arc<AtomicI64>,
}

impl Clock {
    /// Starts at the real time of day. A scale that is no number counts as 1; others are held to 0.01 to 10,000.
    pub(crate) fn new(time_scale: f64) -> Self {
        let scale = if time_scale.is_finite() { time_scale.clamp(SCALE_MIN, SCALE_MAX) } else { 1.0 };
        Self { started: Instant::now(), started_ms: wall(), scale, ahead_secs: Arc::default() }
    }

    /// The same simulated time with a real time of day that is set by itself.
    pub(crate) fn apart(&self) -> Self {
        Self { ahead_secs: Arc::default(), ..self.clone() }
    }

    /// Sets the real time of day ahead of this machine's, or behind it.
    pub(crate) fn set_ahead(&self, secs: i64) {
        self.ahead_secs.store(secs, Ordering::Relaxed);
    }

    /// Whether it shows another time of day than this machine's.
    pub(crate) fn is_wrong(&self) -> bool {
        self.ahead_secs.load(Ordering::Relaxed) != 0
    }

    /// Simulated Unix time in milliseconds; never goes back.
    pub(crate) fn now_ms(&self) -> i64 {
        let passed = self.started.elapsed().mul_f64(self.scale);
        self.started_ms.saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
    }

    /// Real Unix time in milliseconds, as far as this clock is right.
    pub(crate) fn wall_ms(&self) -> i64 {
        wall().saturating_add(self.ahead_secs.load(Ordering::Relaxed).saturating_mul(1_000))
    }

    /// When a simulated time is reached, in real Unix milliseconds as this clock has them.
    pub(crate) fn wall_ms_at(&self, simulated_ms: i64) -> i64 {
        let left = simulated_ms.saturating_sub(self.now_ms());
        let real = Duration::from_millis(left.unsigned_abs()).div_f64(self.scale);
        let real_ms = i64::try_from(real.as_millis()).unwrap_or(i64::MAX);
        self.wall_ms().saturating_add(if left < 0 { -real_ms } else { real_ms })
    }

    /// Waits for a stretch of simulated time.
    pub(crate) async fn sleep(&self, simulated: Duration) {
        tokio::time::sleep(simulated.div_f64(self.scale)).await;
    }
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_runs_ahead_by_the_scale() {
        let clock = Clock::new(1_000.0);
        let before = clock.now_ms();
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.now_ms() - before >= 5_000);
    }

    #[test]
    fn an_hour_to_come_is_as_much_shorter_as_the_time_runs_faster() {
        let clock = Clock::new(100.0);
        for (hours, secs) in [(1, 36), (-1, -36)] {
            let away = clock.wall_ms_at(clock.now_ms() + hours * 3_600_000) - clock.wall_ms();
            assert!((away - secs * 1_000).abs() < 1_000, "{away}");
        }
    }

    #[test]
    fn a_scale_that_is_no_number_is_real_time() {
        assert!((Clock::new(f64::NAN).scale - 1.0).abs() < f64::EPSILON);
    }
}
