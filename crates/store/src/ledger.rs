//! The ledger: where every record that came in is now.
//!
//! Here: the counters and the one equation between them. Not here: when they change (`append.rs`, `settle.rs`, `resolve.rs`).
//!
//! Invariant: the counters are stored in the same commit as what they count.

/// Where an org's records are. Counted since the org was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that came in.
    pub records_in: u64,
    /// Records written to the org.
    pub written: u64,
    /// Records that needed no write.
    pub unchanged: u64,
    /// Records about which nothing is known.
    pub no_data: u64,
    /// Records whose change made room for a newer one.
    pub superseded: u64,
    /// Records that ended as dead letters, also those whose letter is no longer kept.
    pub dead: u64,
    /// Records in requests that wait.
    pub open_ingress: u64,
    /// Records in changes that wait or are being written.
    pub open_egress: u64,
}

impl Counts {
    /// Is every record that came in found in exactly one place?
    pub fn balanced(&self) -> bool {
        self.records_in == self.ended() + self.open()
    }

    /// Records that have not ended.
    pub fn open(&self) -> u64 {
        self.open_ingress + self.open_egress
    }

    /// Records that have ended.
    pub fn ended(&self) -> u64 {
        self.written + self.unchanged + self.no_data + self.superseded + self.dead
    }
}

/// Where an org's records are, with what is kept of those that ended as dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptCounts {
    /// Where the records are.
    pub counts: Counts,
    /// Dead letters that are kept: neither retried, discarded nor fallen out at the end.
    pub dead_letters: u64,
}

/// What is stored per org: the counts, and how many entries there must be. At opening, the entries found are held
/// against it, because a damaged database may open with some of them missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Where the records are.
    pub(crate) counts: Counts,
    /// Requests stored.
    pub(crate) requests: u64,
    /// Changes stored.
    pub(crate) changes: u64,
    /// Jobs stored.
    pub(crate) jobs: u64,
    /// Dead letters stored.
    pub(crate) dead_letters: u64,
    /// Positions stored.
    pub(crate) positions: u64,
    /// Pages of rows stored.
    pub(crate) pages: u64,
}
