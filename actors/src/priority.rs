//! Whose turn it is: what a piece of work is for. The most urgent first.
//!
//! Here: the three priorities and what follows from a request's origin or a queue's lane. Not here: what of the org's calls
//! each may use (`org/api/budget.rs`).

use orgpipe_store::Lane;
use serde::Serialize;
use utoipa::ToSchema;

use crate::queue_entry::Origin;

/// What calls are for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A change of the moment.
    Live,
    /// Re-reading what was missed.
    Heal,
    /// Re-reading everything.
    Refresh,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Live, Self::Heal, Self::Refresh];

    /// Part of the reserve that must be free for it.
    pub(crate) const fn of_reserve(self) -> f64 {
        match self {
            Self::Live => 0.5,
            Self::Heal => 0.75,
            Self::Refresh => 1.0,
        }
    }

    /// Part of our share that it may use up.
    pub(crate) const fn of_share(self) -> f64 {
        match self {
            Self::Live => 1.0,
            Self::Heal => 0.9,
            Self::Refresh => 0.8,
        }
    }
}

impl From<Lane> for Priority {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Live => Self::Live,
            Lane::Refresh => Self::Refresh,
        }
    }
}

impl From<Origin> for Priority {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Live | Origin::Retry | Origin::Push => Self::Live,
            Origin::Heal => Self::Heal,
            Origin::Refresh | Origin::Orphan => Self::Refresh,
        }
    }
}
