//! The parts of an org, and what a part can be at.
//!
//! Here: the two lists. Not here: what each part is at just now (`status`), their words for an operator
//! (`src/admin/names.rs`).

use serde::Serialize;
use utoipa::ToSchema;

/// Parts of an org, in the order of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The login by OAuth.
    Login,
    /// The event subscription.
    Events,
    /// Scheduled and demanded reading.
    Refresh,
    /// Finding the records that the vendor pushes.
    Push,
    /// Looking up, matching and comparing.
    Ingest,
    /// Writing to the org.
    Writer,
}

/// What a part is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing heard yet.
    Starting,
    /// As it should be.
    Running,
    /// It tries again by itself; the note says why.
    Waiting,
    /// It ended too often, or only somebody can mend it; the note says why.
    Parked,
    /// Nothing new is taken in, what is open is finished, then it is paused.
    Draining,
    /// An operator paused it.
    Paused,
    /// It was told to stop.
    Stopped,
}
