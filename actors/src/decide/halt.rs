//! Why a batch stays on the queue.
//!
//! Here: the errors that leave everything as it was. Not here: problems of one record, which end as dead letters
//! (`verdict`), how long the batch waits (`ingest`).

use std::time::Duration;

use orgpipe_salesforce::failure::CallError;
use orgpipe_store::StoreError;

use super::lookup::SourceError;
use crate::supervise::{schemas::SchemaError, sources::SourceHalt};

/// Why a batch stays on the queue.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Unread(#[from] SourceHalt),
}

impl Halt {
    /// What an operator can do about it.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Store(error) => error.hint().unwrap_or_default(),
            Self::Call(error) | Self::Schema(SchemaError::Call(error)) => error.hint().unwrap_or_default(),
            Self::Source(error) => error.hint().to_owned(),
            Self::Unread(error) => error.hint().unwrap_or_default(),
            Self::Schema(SchemaError::Unusable { .. }) => {
                "Check the target's API name and the integration user's permissions.".to_owned()
            }
        }
    }

    /// When the vendor's API may be asked again, if that is known.
    pub(super) fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::Source(SourceError::Down { retry_in, .. }) => Some(*retry_in),
            _ => None,
        }
    }
}
