//! A moment, so that it is not taken for a length of time, a number of an entry or a count.
//!
//! Here: the type and the arithmetic with lengths of time. Not here: what time it is; the store reads no clock.

use std::{fmt, num::ParseIntError, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A moment, in milliseconds since the beginning of 1970 (UTC). Stored and sent as the plain number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// The beginning of 1970: before every moment of which anything is known.
    pub const EPOCH: Self = Self(0);
    /// After every moment that there is.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment so much later, or the last one that there is.
    pub fn saturating_add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(millis(length)))
    }

    /// The moment so much earlier, or the beginning of 1970.
    pub fn saturating_sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(millis(length)))
    }

    /// How long after another moment it is; zero if it is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How far it is from another moment, whichever is the earlier one.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }
}

/// The whole milliseconds of a length of time.
fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UnixMs {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(UnixMs(5).saturating_add(second), UnixMs(1_005));
        assert_eq!(UnixMs(u64::MAX - 5).saturating_add(second), UnixMs(u64::MAX));
        assert_eq!(UnixMs(5).saturating_add(Duration::MAX), UnixMs(u64::MAX));
        assert_eq!(UnixMs(1_005).saturating_sub(second), UnixMs(5));
        assert_eq!(UnixMs(5).saturating_sub(second), UnixMs::EPOCH);
        assert_eq!(UnixMs(1_005).since(UnixMs(5)), second);
        assert_eq!(UnixMs(5).since(UnixMs(1_005)), Duration::ZERO);
        assert_eq!([UnixMs(5).apart(UnixMs(1_005)), UnixMs(1_005).apart(UnixMs(5))], [second; 2]);
    }

    #[test]
    fn it_is_stored_and_sent_as_the_plain_number() {
        assert_eq!(serde_json::to_string(&UnixMs(1_700_000_000_000)).expect("a number"), "1700000000000");
        assert_eq!(serde_json::from_str::<UnixMs>("7").expect("a number"), UnixMs(7));
        assert_eq!((UnixMs(7).to_string(), "7".parse()), ("7".to_owned(), Ok(UnixMs(7))));
        assert!("-7".parse::<UnixMs>().is_err());
    }
}
