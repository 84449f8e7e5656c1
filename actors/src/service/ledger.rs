//! Numbers that several views share: where records are, and the room on the disk.
//!
//! Here: the values. Not here: asking for them (`service`), what is made of them (the views).

use orgpipe_store::Counts;
use serde::Serialize;
use utoipa::ToSchema;

/// Where the records of one org have ended; `records_in` is the sum of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ledger {
    /// Asked for by events and refreshes.
    pub records_in: u64,
    /// In the org now.
    pub written: u64,
    /// The org held it already.
    pub unchanged: u64,
    /// The vendor knows nothing about it, or it is gone.
    pub no_data: u64,
    /// A later request for the same record took its place.
    pub superseded: u64,
    /// It cannot be written; see the reason.
    pub dead_letters: u64,
    /// Still under way.
    pub open: u64,
}

impl From<Counts> for Ledger {
    fn from(counts: Counts) -> Self {
        Self {
            records_in: counts.records_in,
            written: counts.written,
            unchanged: counts.unchanged,
            no_data: counts.no_data,
            superseded: counts.superseded,
            dead_letters: counts.dead,
            open: counts.open(),
        }
    }
}

/// Room on the disk of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoomView {
    /// Bytes free; null if the system does not tell.
    pub free_bytes: Option<u64>,
    /// Bytes that must stay free.
    pub free_bytes_min: u64,
    /// What is wrong about it, with what to do, if anything.
    pub warning: Option<String>,
}
