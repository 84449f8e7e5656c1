//! The only `now` and the only chance: everything else takes time and chance as arguments.
#![expect(clippy::disallowed_methods, reason = "this is the file the clock is read in")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeZone, Utc};
use orgpipe_store::UnixMs;
use secrecy::SecretString;
use tokio::time::Instant;

/// Reads the machine's clocks; in tests on virtual time, the time that the test runs on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// What time it was at the start, for a clock that is not the machine's.
    #[cfg(test)]
    started_ms: Option<UnixMs>,
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

    /// A clock that begins at this time and goes on with the test's virtual time.
    #[cfg(test)]
    pub(crate) fn virtual_from(started_ms: UnixMs) -> Self {
        Self { started: Instant::now(), started_ms: Some(started_ms) }
    }

    /// What time it is.
    pub fn now_ms(&self) -> UnixMs {
        #[cfg(test)]
        if let Some(started_ms) = self.started_ms {
            return started_ms.saturating_add(self.monotonic());
        }
        UnixMs::EPOCH.saturating_add(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// What time it is, as finely as the machine tells.
    pub fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Unix time in seconds.
    pub fn now_secs(&self) -> i64 {
        secs(self.now_ms())
    }

    /// Time since `start`, never going back.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// An ID that no other call gives.
    pub fn unique_id(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    /// Bytes that nobody can guess, from the crypto library's generator.
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system's generator of random numbers works");
        bytes
    }

    /// A text that nobody can guess: 43 characters that any URL or cookie takes.
    pub fn random_text(&self) -> SecretString {
        SecretString::from(URL_SAFE_NO_PAD.encode(self.random_bytes::<32>()))
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

/// A time as Salesforce answers it, `2026-01-31T10:00:00.000+0000`.
pub(crate) fn instant_ms(text: &str) -> Option<UnixMs> {
    let zoned = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z")
        .or_else(|_| DateTime::parse_from_rfc3339(text));
    moment(&zoned.ok()?)
}

/// A moment of chrono's; none before 1970.
pub(crate) fn moment<Z: TimeZone>(time: &DateTime<Z>) -> Option<UnixMs> {
    u64::try_from(time.timestamp_millis()).ok().map(UnixMs)
}

/// A moment in Unix seconds.
pub(crate) fn secs(at: UnixMs) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)
}

/// A moment for chrono.
pub(crate) fn time(at: UnixMs) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(i64::try_from(at.0).unwrap_or(i64::MAX)).unwrap_or_default()
}
