//! What is known of the history between two minutes.
//!
//! Here: the counters as they were last, and where the store has values. Not here: counting (`history`).

use std::collections::{HashMap, VecDeque};

use orgpipe_store::Counts;
use tokio::sync::Mutex;

use super::ledger::Ledger;
use crate::{
    history::{
        chart::{History, HistorySpan},
        levels::HistoryIndex,
    },
    measure::HistogramView,
};

/// Histories kept for whoever asks for the same again.
const TOLD_MAX: usize = 64;

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
    /// What was told since something was written last.
    pub(super) told: ToldHistories,
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

/// Histories that were told, for whoever asks for the same again: pages do, with each change. To be forgotten with each write.
#[derive(Debug, Default)]
pub(super) struct ToldHistories(VecDeque<(u32, History)>);

impl ToldHistories {
    /// That of an org, or of the whole service, whose last minute is before `end`.
    pub(super) fn find(&self, end: u32, org: Option<&str>, span: HistorySpan) -> Option<History> {
        let is_it = |of: u32, told: &History| of == end && told.span == span && told.org.as_deref() == org;
        self.0.iter().find(|(of, told)| is_it(*of, told)).map(|(_, told)| told.clone())
    }

    /// Keeps one; the oldest makes room.
    pub(super) fn keep(&mut self, end: u32, history: History) {
        if self.0.len() >= TOLD_MAX {
            self.0.pop_front();
        }
        self.0.push_back((end, history));
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_told_again_until_something_is_written_and_only_so_much_is_kept() {
        let mut told = ToldHistories::default();
        let history = |org: usize| History {
            org: Some(format!("org-{org}")),
            span: HistorySpan::Day,
            step_secs: 300,
            points: Vec::new(),
        };
        for org in 0..=TOLD_MAX {
            told.keep(7, history(org));
        }
        assert_eq!(told.find(7, Some("org-1"), HistorySpan::Day), Some(history(1)));
        assert_eq!(told.find(7, Some("org-0"), HistorySpan::Day), None, "it made room");
        assert_eq!(told.find(8, Some("org-1"), HistorySpan::Day), None, "a minute later");
        assert_eq!(told.find(7, Some("org-1"), HistorySpan::Hour), None);
        told.forget();
        assert_eq!(told.find(7, Some("org-1"), HistorySpan::Day), None);
    }
}
