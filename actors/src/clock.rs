//! The only `now` and the only chance: everything else takes time and chance as arguments.
#![expect(clippy::disallowed_methods, reason = "this is the file the clock is read in")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// Reads the machine's clocks; in tests on virtual time, the time that the test runs on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Unix time at the start, milliseconds, for a clock that is not the machine's.
    #[cfg(test)]
    started_ms: Option<u64>,
}

impl Clock {
    /// A clock whose `monotonic` starts at zero.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            #[cfg(test)]
            started_ms: None,
        }
    }

    /// A clock that begins at this Unix time, milliseconds, and goes on with the test's virtual time.
    #[cfg(test)]
    pub(crate) fn virtual_from(started_ms: u64) -> Self {
        Self { started: Instant::now(), started_ms: Some(started_ms) }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        #[cfg(test)]
        if let Some(started_ms) = self.started_ms {
            return started_ms + u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX);
        }
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

/// For the rate limiters, so that they have no clock of their own.
impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.monotonic()
    }
}

/// A time as Salesforce answers it, `2026-01-31T10:00:00.000+0000`, in Unix milliseconds.
pub(crate) fn instant_ms(text: &str) -> Option<u64> {
    let zoned = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z")
        .or_else(|_| DateTime::parse_from_rfc3339(text));
    u64::try_from(zoned.ok()?.timestamp_millis()).ok()
}

/// Unix milliseconds as a time.
pub(crate) fn time(unix_ms: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(i64::try_from(unix_ms).unwrap_or(i64::MAX)).unwrap_or_default()
}
