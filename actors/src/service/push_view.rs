//! A push as it is answered and shown.
//!
//! Here: the values. Not here: putting them together (`pushes`).

use orgpipe_store::{PushCounts, Seq, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::push::{PushHead, PushKind};

/// A push that is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AcceptedPush {
    /// Its number.
    pub number: Seq,
    /// Name of the sync.
    pub sync: String,
    /// Items in it.
    pub items: usize,
    /// Orgs it is for.
    pub orgs: usize,
    /// Whether it had been taken in before, with the same key.
    pub repeated: bool,
}

impl AcceptedPush {
    /// That of this number.
    pub(super) fn new(number: Seq, head: &PushHead, repeated: bool) -> Self {
        Self { number, sync: head.sync.clone(), items: head.items, orgs: head.orgs.len(), repeated }
    }
}

/// What became of the records that a push asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushTally {
    /// Records that were found; the sum of all that follow.
    pub found: u64,
    /// In the org now.
    pub written: u64,
    /// The org held it already.
    pub unchanged: u64,
    /// Nothing is known about it, or it is gone.
    pub no_data: u64,
    /// A later request for the same record took its place.
    pub superseded: u64,
    /// It cannot be written; see the dead letter.
    pub dead_letters: u64,
    /// Still under way.
    pub open: u64,
}

impl PushTally {
    /// Those of one org more.
    pub(super) fn add(&mut self, counts: PushCounts) {
        self.found += counts.found;
        self.written += counts.written;
        self.unchanged += counts.unchanged;
        self.no_data += counts.no_data;
        self.superseded += counts.superseded;
        self.dead_letters += counts.dead;
        self.open += counts.open();
    }
}

/// A push in one org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrgPush {
    /// The org.
    pub org: String,
    /// Whether it has still to look for records.
    pub searching: bool,
    /// Its records.
    #[serde(flatten)]
    pub tally: PushTally,
}

/// A push as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushView {
    /// Its number.
    pub number: Seq,
    /// Name of the sync.
    pub sync: String,
    /// Which list it has.
    pub kind: PushKind,
    /// Items in it.
    pub items: usize,
    /// When it was accepted.
    pub at_ms: UnixMs,
    /// Orgs it is for, without those that are gone since.
    pub orgs_total: usize,
    /// Orgs that have still to look for records.
    pub searching: usize,
    /// Whether all is through.
    pub done: bool,
    /// The records of all orgs.
    #[serde(flatten)]
    pub tally: PushTally,
    /// The orgs that have found something or have still to look, by name, as far as they are told one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orgs: Vec<OrgPush>,
}

/// What waits of the pushes, and what came since the service started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushNumbers {
    /// Pushes that are kept.
    pub kept: usize,
    /// Of these, those that an org has still to read.
    pub waiting: usize,
    /// Pushes that were accepted.
    pub accepted: u64,
    /// Their items.
    pub items: u64,
}
