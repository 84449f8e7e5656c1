//! The sequence number of an entry.
//!
//! Here: the type, so that a number is not taken for a time or a count of records. Not here: giving numbers out
//! (`step.rs`).

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The number of a request, a change, a dead letter or a page of rows. There is one series over all orgs; it rises, and no
/// number is given twice. It is stored and sent as the plain number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub struct Seq(pub u64);

impl Seq {
    /// Before every number that is given.
    pub const MIN: Self = Self(0);
    /// Not before any number that is given.
    pub const MAX: Self = Self(u64::MAX);
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Seq {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
