//! What is known of the history between two minutes.
//!
//! Here: the counters as they were last, and where the store has values. Not here: counting (`history`).

use std::collections::HashMap;

use orgpipe_store::Counts;
use tokio::sync::Mutex;

use super::ledger::Ledger;
use crate::{history::levels::HistoryIndex, measure::HistogramView};

/// What is known of the history. One at a time counts, folds or looks.
#[derive(Debug, Default)]
pub(crate) struct HistoryKeeper(pub(super) Mutex<KnownHistory>);

/// What the keeper knows.
#[derive(Debug, Default)]
pub(super) struct KnownHistory {
    /// Where the store has values; none until it was asked.
    pub(super) index: Option<HistoryIndex>,
    /// The counters of every org as they were last.
    pub(super) orgs: HashMap<String, Counters>,
    pub(super) lag: HistogramView,
    /// The last minute that was counted.
    pub(super) last: Option<u32>,
}

/// The counters of an org at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) ledger: Ledger,
    pub(super) events: u64,
    pub(super) calls: u64,
    pub(super) lag: HistogramView,
    /// As it was told last.
    pub(super) open: u64,
    pub(super) api: u16,
}

impl HistoryKeeper {
    /// Begins with what the ledgers say.
    pub(crate) fn new(ledgers: Vec<(String, Counts)>) -> Self {
        let orgs = ledgers
            .into_iter()
            .map(|(org, counts)| (org, Counters { ledger: Ledger::from(counts), ..Counters::default() }));
        Self(Mutex::new(KnownHistory { orgs: orgs.collect(), ..KnownHistory::default() }))
    }
}
