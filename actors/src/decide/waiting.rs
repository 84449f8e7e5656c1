//! A request that waits to be decided, and what it belongs to.
//!
//! Here: the two values, which the window holds and the scheduler chooses from. Not here: holding (`window`), choosing
//! (`scheduler`).

use orgpipe_store::Request;
use serde::Deserialize;

use crate::queue_entry::{Origin, unpack};

/// What a request belongs to, without its records.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label {
    /// Name of the sync.
    pub sync: String,
    pub origin: Origin,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What it belongs to; `None` if nobody can read it.
    pub label: Option<Label>,
    /// As it is stored.
    pub request: Request,
    /// Bytes of the share that it holds; 0 if it was read from disk.
    pub held: usize,
}

impl Waiting {
    /// One that was read from disk.
    pub(super) fn of(request: Request) -> Self {
        Self { label: unpack(&request.body).ok(), request, held: 0 }
    }
}
