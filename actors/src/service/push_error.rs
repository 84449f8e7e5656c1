//! Why a push is not taken in, or not shown.
//!
//! Here: the sentences and what to do. Not here: what an item may be (`push`), the checks (`pushes`).

use orgpipe_store::{Seq, StoreError};

use crate::{problem::Hint as _, push::PushProblem};

/// Why a push was not taken in, or is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// What it asks about.
    #[error(transparent)]
    Problem(#[from] PushProblem),
    /// No such org.
    #[error("there is no org `{0}`")]
    UnknownOrg(String),
    /// No such sync in any org.
    #[error("no org has a sync `{0}`")]
    UnknownSync(String),
    /// An org that is named has no such sync.
    #[error("org `{org}` has no sync `{sync}`")]
    NoSync {
        /// The org.
        org: String,
        /// The sync.
        sync: String,
    },
    /// Record IDs are of one org.
    #[error("record IDs are those of one org, and the push is for {0}")]
    RecordIdsOf(String),
    /// The target has no lookup by which its record is found.
    #[error(
        "in org `{org}` the sync `{sync}` writes no `$Id` to {target}, so an external ID leads to no record"
    )]
    NoLookup {
        /// The org.
        org: String,
        /// The sync.
        sync: String,
        /// Its target.
        target: String,
    },
    /// A key that the sync does not have.
    #[error("item {place} of the push has a key `{key}`, and the sync `{sync}` has {}", known.join(", "))]
    UnknownKey {
        /// Place of the item, from 0.
        place: usize,
        /// The key.
        key: String,
        /// The sync.
        sync: String,
        /// Its keys.
        known: Vec<String>,
    },
    /// The same key came with another push.
    #[error("the `Idempotency-Key` came with another push before, which has number {0}")]
    OtherPush(Seq),
    /// Too much waits.
    #[error("{waiting} pushes of {bytes} bytes wait for orgs to read them, and no more are taken in")]
    TooMany {
        /// Pushes that are kept.
        waiting: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// No such push.
    #[error("there is no push {0}")]
    Unknown(Seq),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PushError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Problem(problem) => return problem.hint(),
            Self::UnknownOrg(_) => "`orgpipe orgs list` shows the orgs there are.".to_owned(),
            Self::UnknownSync(_) | Self::NoSync { .. } => {
                "Name a sync as the settings do, and orgs that have it.".to_owned()
            }
            Self::RecordIdsOf(_) => "Name it with `org`, and push to each org by itself.".to_owned(),
            Self::NoLookup { .. } => {
                "Push the sync's keys or the record IDs instead, or map a lookup of the target, such as `Account__c = \"$Id\"`."
                    .to_owned()
            }
            Self::UnknownKey { .. } => "Name the keys as `keys` of the sync does.".to_owned(),
            Self::OtherPush(_) => {
                "Nothing was taken. Use a key of its own for each push, and the same one only to repeat it.".to_owned()
            }
            Self::TooMany { .. } => {
                "Look which orgs are behind: `orgpipe push --show`. Push again later, or refresh the sync.".to_owned()
            }
            Self::Unknown(_) => {
                "It never was, it is older than 7 days, or it made room for newer ones: GET /api/v1/changes lists them."
                    .to_owned()
            }
            Self::Store(error) => return error.hint(),
        })
    }
}
