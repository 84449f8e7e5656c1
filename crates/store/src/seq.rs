//! The sequence number of an entry.
//!
//! Here: the type, so that a number is not taken for a time or a count of records. Not here: giving numbers out
//! (`step.rs`). What callers see has it as a plain `u64`, and
//! so has a line of an export.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a request, a change, a dead letter or a page of rows. There is one series over all orgs; it rises, and no
/// number is given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Seq(pub(crate) u64);

impl Seq {
    /// Before every number that is given.
    pub(crate) const MIN: Self = Self(0);
    /// Not before any number that is given.
    pub(crate) const MAX: Self = Self(u64::MAX);
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
