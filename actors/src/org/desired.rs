//! What an operator wants of an org: run, finish what is open and pause, or pause.
//!
//! Here: the desired state, and which parts it lets run. Pure. Not here: starting and stopping them
//! (`supervise/org_actor.rs`).
//!
//! The desired state is a value in the store, so that a paused org is still paused after a restart of the service.

use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::part::Part;

/// What an operator wants of an org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum DesiredState {
    /// Everything runs.
    #[default]
    Run,
    /// Nothing new is taken in; once nothing is open, or at this time, it is paused.
    Drain {
        /// The time.
        until_ms: UnixMs,
    },
    /// Nothing runs; events wait at Salesforce, which keeps them for 72 hours.
    Pause,
}

impl DesiredState {
    /// Whether this part runs.
    pub(crate) fn lets_run(self, part: Part) -> bool {
        match self {
            Self::Run => true,
            Self::Drain { .. } => matches!(part, Part::Ingest | Part::Writer),
            Self::Pause => false,
        }
    }
}
