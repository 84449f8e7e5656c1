//! What is known about one org, and about the process, at one moment.
//!
//! Here: the values that the rules look at. Not here: where they come from (`service/alerts.rs`), what follows (`rules`).

use std::time::Duration;

use orgpipe_store::UnixMs;

use crate::{
    org::{api::gate::BudgetStand, status::OrgStatus},
    runtime::watchdog::ThreadStatus,
    vendor::lookup::LookupStand,
};

/// What is known about one org.
#[derive(Clone, Copy)]
pub(super) struct OrgFacts<'a> {
    /// The operator's name for it.
    pub id: &'a str,
    /// Its board.
    pub status: &'a OrgStatus,
    /// What its budget says.
    pub budget: &'a BudgetStand,
    /// Dead letters that are kept.
    pub dead_letters: u64,
    /// Whether an object has been described since the start.
    pub is_described: &'a dyn Fn(&str) -> bool,
    /// How long the process has run: what is not known from before it is settled after a while.
    pub up: Duration,
    /// What time it is.
    pub now_ms: UnixMs,
}

/// What is known about the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessFacts {
    /// The vendor's look-up API.
    pub lookup: LookupStand,
    /// Room on the disk.
    pub disk: DiskFacts,
    /// The threads that actors run on.
    pub threads: Vec<ThreadStatus>,
    /// Receivers that are not reached.
    pub receivers: Vec<FailingReceiver>,
    /// How long the process has run.
    pub up: Duration,
    /// What time it is.
    pub now_ms: UnixMs,
}

/// Room on the disk of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskFacts {
    /// The system tells.
    pub is_known: bool,
    /// Nothing more is taken in.
    pub is_full: bool,
    /// What is wrong, and behind the first full stop what to do; none if nothing is.
    pub warning: Option<String>,
}

/// A receiver of alerts that is not reached, or refuses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailingReceiver {
    /// Its name in the settings.
    pub name: String,
    /// What happened, as a clause.
    pub why: String,
    /// It will not pass by itself.
    pub for_good: bool,
    /// Since when.
    pub since_ms: UnixMs,
}
