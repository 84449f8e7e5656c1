//! The only `now` and the only chance: everything else takes time and chance as arguments.
#![expect(clippy::disallowed_methods, reason = "this is the file the clock is read in")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

/// Reads the machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose `monotonic` starts at zero.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis())
            .unwrap_or(u64::MAX)
    }

    /// Unix time in seconds.
    pub fn now_secs(&self) -> i64 {
        i64::try_from(self.now_ms() / 1000).unwrap_or(i64::MAX)
    }

    /// Time since `start`, never going back.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// An ID that no other call gives.
    pub fn unique_id(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    /// A random number from 0 (included) to 1 (excluded), for spreading waits.
    pub fn jitter(&self) -> f64 {
        rand::random()
    }
}

/// Unix milliseconds as a time.
pub(crate) fn time(unix_ms: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(i64::try_from(unix_ms).unwrap_or(i64::MAX)).unwrap_or_default()
}
