//! How often the store was read.
//!
//! Here: the counters, and the view of them that a caller gets. Not here: who counts (`store.rs`).
//!
//! A read is a call of the handle whose answer is something stored, whether it came from memory or from disk: each one is
//! a way to the store's thread and back behind a commit. A call that reads page by page counts once per page. Commands are
//! no reads, although a settle and a resolve look at the changes that they name; nor are `room` and `failed`, which ask for
//! nothing stored. Counted from the opening of the store, over all orgs and all clones of the handle.

use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of read, named as the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// [`Store::position`](crate::Store::position)
    Position,
    /// [`Store::ingress_head`](crate::Store::ingress_head)
    IngressHead,
    /// [`Store::open_changes`](crate::Store::open_changes)
    OpenChanges,
    /// [`Store::ingress_behind`](crate::Store::ingress_behind)
    IngressBehind,
    /// [`Store::changes`](crate::Store::changes) and [`Store::egress_take`](crate::Store::egress_take)
    Changes,
    /// [`Store::jobs`](crate::Store::jobs)
    Jobs,
    /// [`Store::orgs`](crate::Store::orgs) and [`Store::ledgers`](crate::Store::ledgers)
    Orgs,
    /// [`Store::counts`](crate::Store::counts)
    Counts,
    /// [`Store::progress`](crate::Store::progress)
    Progress,
    /// [`Store::next_due_ms`](crate::Store::next_due_ms)
    NextDue,
    /// [`Store::dead_letters`](crate::Store::dead_letters)
    DeadLetters,
    /// [`Store::dead_letter`](crate::Store::dead_letter)
    DeadLetter,
    /// [`Store::rows`](crate::Store::rows) and [`Store::dead_letter_commands`](crate::Store::dead_letter_commands)
    Rows,
    /// [`Store::changes_of`](crate::Store::changes_of) and [`Store::changes_that`](crate::Store::changes_that)
    ChangesOf,
    /// [`Store::fingerprints`](crate::Store::fingerprints)
    Fingerprints,
    /// [`Store::registry`](crate::Store::registry)
    Registry,
    /// [`Store::pushes`](crate::Store::pushes), [`Store::push`](crate::Store::push) and what is counted for them
    Pushes,
    /// [`Store::history`](crate::Store::history) and [`Store::history_keys`](crate::Store::history_keys)
    History,
}

impl Read {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 18] = [
        Self::Position,
        Self::IngressHead,
        Self::OpenChanges,
        Self::IngressBehind,
        Self::Changes,
        Self::Jobs,
        Self::Orgs,
        Self::Counts,
        Self::Progress,
        Self::NextDue,
        Self::DeadLetters,
        Self::DeadLetter,
        Self::Rows,
        Self::ChangesOf,
        Self::Fingerprints,
        Self::Registry,
        Self::Pushes,
        Self::History,
    ];

    /// The name of the call, for instance as a label of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::IngressHead => "ingress_head",
            Self::OpenChanges => "open_changes",
            Self::IngressBehind => "ingress_behind",
            Self::Changes => "changes",
            Self::Jobs => "jobs",
            Self::Orgs => "orgs",
            Self::Counts => "counts",
            Self::Progress => "progress",
            Self::NextDue => "next_due_ms",
            Self::DeadLetters => "dead_letters",
            Self::DeadLetter => "dead_letter",
            Self::Rows => "rows",
            Self::ChangesOf => "changes_of",
            Self::Fingerprints => "fingerprints",
            Self::Registry => "registry",
            Self::Pushes => "pushes",
            Self::History => "history",
        }
    }
}

/// How many reads there were of each kind, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    calls: [u64; Read::ALL.len()],
    entries: u64,
}

impl Reads {
    /// Reads of one kind.
    pub fn of(&self, read: Read) -> u64 {
        self.calls[read as usize]
    }

    /// Reads of all kinds.
    pub fn total(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// Stored entries that were fetched and decoded for them, and for the commands that look at what they change.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What has come since an earlier moment.
    pub fn since(&self, earlier: &Self) -> Self {
        let calls = std::array::from_fn(|at| self.calls[at].saturating_sub(earlier.calls[at]));
        Self { calls, entries: self.entries.saturating_sub(earlier.entries) }
    }
}

/// The counters, shared by the handles and the thread.
#[derive(Debug, Default)]
pub(crate) struct ReadCounters {
    calls: [AtomicU64; Read::ALL.len()],
    entries: AtomicU64,
}

impl ReadCounters {
    /// A call that reads is made.
    pub(crate) fn call(&self, read: Read) {
        self.calls[read as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An entry is read.
    pub(crate) fn entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn now(&self) -> Reads {
        let calls = std::array::from_fn(|at| self.calls[at].load(Ordering::Relaxed));
        Reads { calls, entries: self.entries.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_at_its_place_under_its_own_name() {
        let counters = ReadCounters::default();
        for (at, read) in Read::ALL.into_iter().enumerate() {
            assert_eq!(read as usize, at);
            assert!(Read::ALL[..at].iter().all(|other| other.name() != read.name()));
            counters.call(read);
            assert_eq!((counters.now().of(read), counters.now().total()), (1, at as u64 + 1));
        }
        let earlier = counters.now();
        counters.call(Read::Jobs);
        counters.entry();
        let since = counters.now().since(&earlier);
        assert_eq!((since.of(Read::Jobs), since.total(), since.entries()), (1, 1, 1));
    }
}
