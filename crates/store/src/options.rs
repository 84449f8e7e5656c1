//! How the store runs, and what it tells of the disk that it runs on.
//!
//! Here: the settings of a store as its caller gives them. Not here: what they lead to (`engine.rs`, `disk.rs`).

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: the file is synced after each commit.
    Power,
    /// A killed process: the system has the data, the disk perhaps not yet.
    Process,
}

/// How the store runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What an acknowledged commit survives.
    pub durability: Durability,
    /// Bytes of memory for the database's cache; 32 to 64 MiB serve thousands of orgs.
    pub cache_bytes: u64,
    /// Records that may be open per org; an append that would pass it is refused, unless nothing is open.
    pub depth_max: u64,
    /// Days for which the ledger's rows are kept. The counts are kept for ever.
    pub ledger_days: u32,
    /// Bytes that must stay free on the disk: with less, nothing more is taken in; what is there goes on.
    pub free_bytes_min: u64,
}

/// Room on the disk of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes free; None if the system does not tell.
    pub free_bytes: Option<u64>,
    /// Bytes that must stay free.
    pub free_bytes_min: u64,
}

impl Options {
    /// For work on a store that no service has open: nobody waits for it, and a power cut must not undo it.
    pub(crate) const OFFLINE: Self = Self {
        durability: Durability::Power,
        cache_bytes: 64 * 1024 * 1024,
        depth_max: u64::MAX,
        ledger_days: u32::MAX,
        free_bytes_min: 0,
    };
}
