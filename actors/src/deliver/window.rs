//! The changes at hand: what came by message after commit B, until it has an end.
//!
//! Here: which changes are in memory, and which of those that were taken have to be read. Pure. Not here: which changes
//! may be taken (the store), reading and sending (`writer`).
//!
//! Invariant: a change in the window is as it is stored: one that was put back is forgotten, as its tries have grown.

use std::collections::HashMap;

use orgpipe_store::{Change, Seq, Settled};

use crate::org::{memory::MemoryShare, messages::Delivery};

/// Bytes that the window of one org may hold.
pub(super) const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that an entry takes beside its body and its subjects.
const ENTRY_BYTES: usize = 256;

/// The window of one org.
#[derive(Debug)]
pub(super) struct ChangeWindow {
    changes: HashMap<Seq, Change>,
    /// There may be changes on disk that no message told of, so all are asked for.
    behind: bool,
    /// The newest number that a message told of.
    heard_up_to: Seq,
    /// Changes up to this number may have been taken before their message came.
    read_up_to: Seq,
    memory: MemoryShare,
}

impl ChangeWindow {
    /// Knows nothing of what is on disk.
    pub(super) fn new(memory: MemoryShare) -> Self {
        Self { changes: HashMap::new(), behind: true, heard_up_to: Seq::MIN, read_up_to: Seq::MIN, memory }
    }

    /// Takes in what a message brought.
    pub(super) fn decided(&mut self, Settled { changes, replaced }: Settled) -> Delivery {
        self.forget(replaced);
        let mut delivery = Delivery::Taken;
        for change in changes {
            self.heard_up_to = self.heard_up_to.max(change.seq);
            if change.seq <= self.read_up_to || !self.insert(change) {
                delivery = Delivery::Behind;
            }
        }
        delivery
    }

    /// There may be changes on disk that no message told of.
    pub(super) fn look(&mut self) {
        self.behind = true;
    }

    /// Up to which number changes are to be taken.
    pub(super) fn up_to(&self) -> Seq {
        if self.behind { Seq::MAX } else { self.heard_up_to }
    }

    /// Changes were taken up to `up_to`, when numbers up to `given` had been given.
    pub(super) fn claimed(&mut self, up_to: Seq, given: Seq) {
        if up_to == Seq::MAX {
            self.read_up_to = self.read_up_to.max(given);
            self.heard_up_to = self.heard_up_to.max(given);
            self.behind = false;
        }
    }

    /// Those of the numbers that are not at hand.
    pub(super) fn missing(&self, numbers: &[Seq]) -> Vec<Seq> {
        numbers.iter().filter(|seq| !self.changes.contains_key(seq)).copied().collect()
    }

    /// Changes that were read: kept as far as there is room, as they are asked for once more when they end.
    pub(super) fn keep(&mut self, changes: &[Change]) {
        for change in changes {
            self.insert(change.clone());
        }
    }

    /// One of them.
    pub(super) fn get(&self, number: Seq) -> Option<&Change> {
        self.changes.get(&number)
    }

    /// They have an end, or were put back: hands out what is known of them.
    pub(super) fn take(&mut self, numbers: impl IntoIterator<Item = Seq>) -> Vec<Change> {
        let taken: Vec<Change> = numbers.into_iter().filter_map(|seq| self.changes.remove(&seq)).collect();
        for change in &taken {
            self.memory.give_back(bytes(change));
        }
        taken
    }

    fn forget(&mut self, numbers: Vec<Seq>) {
        drop(self.take(numbers));
    }

    fn insert(&mut self, change: Change) -> bool {
        let room = self.memory.take(bytes(&change));
        if room && let Some(before) = self.changes.insert(change.seq, change) {
            self.memory.give_back(bytes(&before));
        }
        room
    }
}

fn bytes(change: &Change) -> usize {
    let subjects = change.subjects.iter().map(|subject| subject.record.len() + subject.trail.len() + 64);
    change.body.len() + change.target.len() + change.key.len() + subjects.sum::<usize>() + ENTRY_BYTES
}
