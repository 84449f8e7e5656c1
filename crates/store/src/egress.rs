//! The egress queue in memory: which change may be offered next.
//!
//! ```text
//! push ─▶ free ─take─▶ taken ─enlist─▶ in a job
//!          ▲  ▲          │ free │            │ retry, free
//!          │  └──────────┴──────┘            │
//!          └─────────────────────────────────┘          any of them ─end─▶ gone
//! ```
//!
//! Here: lanes, due times, order per key. Not here: bodies, the ledger and what is written to disk (`settle.rs`,
//! `resolve.rs`).
//!
//! Invariant: of one key at most two changes are here, and only the older one may be taken.
//! Invariant: `ready` and `timed` together hold exactly the changes that are free and have none of their key before them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use crate::{
    commands::{Change, Lane, units},
    seq::Seq,
    unix_ms::UnixMs,
};

/// No change is put back for longer than this, twice the longest wait of those who write: a time beyond was told by a
/// clock that ran ahead.
const DUE_AHEAD_MAX: Duration = Duration::from_hours(2);

/// Who has a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flight {
    /// Nobody.
    Free,
    /// Somebody who must not die over it: forgotten by a restart.
    Taken,
    /// A stored job.
    Job(Arc<str>),
}

/// What is known of a change in memory.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) lane: Lane,
    pub(crate) target: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) units: u64,
    /// Not to be offered before; none once it has been due at a take.
    pub(crate) due_ms: Option<UnixMs>,
    pub(crate) flight: Flight,
}

impl Waiting {
    /// Does the change belong to this entry?
    pub(crate) fn is_of(&self, change: &Change) -> bool {
        self.lane == change.lane
            && *self.target == *change.target
            && *self.key == *change.key
            && self.units == units(&change.subjects)
    }
}

#[derive(Debug, Default)]
struct Target {
    slots: HashMap<Arc<str>, Slot>,
    ready: BTreeSet<(Lane, Seq)>,
}

/// The changes of one key.
#[derive(Clone, Copy, Debug)]
struct Slot {
    front: Seq,
    behind: Option<Seq>,
}

/// What a push did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// The lane that the new change got.
    pub(crate) lane: Lane,
    /// Number and units of those that made room.
    pub(crate) replaced: Vec<(Seq, u64)>,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    changes: BTreeMap<Seq, Waiting>,
    targets: BTreeMap<Arc<str>, Target>,
    timed: BTreeSet<(UnixMs, Seq)>,
    ended: u64,
}

impl Egress {
    /// Changes that have left since the store was opened.
    pub(crate) fn ended(&self) -> u64 {
        self.ended
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Waiting> {
        self.changes.get(&seq)
    }

    pub(crate) fn len(&self) -> u64 {
        self.changes.len() as u64
    }

    pub(crate) fn units(&self) -> u64 {
        self.changes.values().map(|waiting| waiting.units).sum()
    }

    /// Numbers after this one, in order.
    pub(crate) fn after(&self, seq: Seq, count: usize) -> Vec<Seq> {
        let rest = self.changes.range((std::ops::Bound::Excluded(seq), std::ops::Bound::Unbounded));
        rest.take(count).map(|(seq, _)| *seq).collect()
    }

    /// The oldest change, waiting or in flight.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        self.changes.first_key_value().map(|(seq, _)| *seq)
    }

    /// The changes of a key, waiting or in flight, oldest first.
    pub(crate) fn open(&self, target: &str, key: &str) -> impl Iterator<Item = Seq> {
        let slot = self.targets.get(target).and_then(|target| target.slots.get(key));
        slot.into_iter().flat_map(|slot| [Some(slot.front), slot.behind]).flatten()
    }

    /// The newer change of the same key, if one has come.
    pub(crate) fn newer(&self, seq: Seq) -> Option<Seq> {
        let slot = self.changes.get(&seq).and_then(|waiting| self.slot(waiting))?;
        slot.behind.filter(|_| slot.front == seq)
    }

    /// The changes that a newer one of this key would replace.
    pub(crate) fn replaceable(&self, target: &str, key: &str) -> impl Iterator<Item = Seq> {
        self.open(target, key)
            .filter(|seq| self.changes.get(seq).is_some_and(|waiting| waiting.flight == Flight::Free))
    }

    /// Adds the newest change of all.
    pub(crate) fn push(&mut self, seq: Seq, lane: Lane, target: &str, key: &str, units: u64) -> Pushed {
        let target = match self.targets.get_key_value(target) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(target),
        };
        let queue = self.targets.entry(Arc::clone(&target)).or_default();
        let (key, before) = match queue.slots.get_key_value(key) {
            Some((known, slot)) => (Arc::clone(known), Some(*slot)),
            None => (Arc::from(key), None),
        };
        let older = before.into_iter().flat_map(|slot| [Some(slot.front), slot.behind]).flatten();
        let (mut lane, mut replaced, mut kept) = (lane, Vec::new(), None);
        for old in older.collect::<Vec<_>>() {
            let Some(waiting) = self.changes.get(&old) else { continue };
            lane = lane.min(waiting.lane);
            if waiting.flight == Flight::Free {
                replaced.push((old, waiting.units));
            } else {
                kept = Some(old);
            }
        }
        for (old, _) in &replaced {
            self.withdraw(*old);
            self.changes.remove(old);
            self.ended += 1;
        }
        let slot = match kept {
            Some(front) => Slot { front, behind: Some(seq) },
            None => Slot { front: seq, behind: None },
        };
        self.targets.entry(Arc::clone(&target)).or_default().slots.insert(Arc::clone(&key), slot);
        self.changes.insert(seq, Waiting { lane, target, key, units, due_ms: None, flight: Flight::Free });
        self.offer(seq);
        Pushed { lane, replaced }
    }

    /// Puts back a stored change, oldest first. False if it breaks the order of its key.
    pub(crate) fn restore(&mut self, seq: Seq, waiting: Waiting) -> bool {
        let target = match self.targets.get_key_value(&waiting.target) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::clone(&waiting.target),
        };
        let waiting = Waiting { target: Arc::clone(&target), ..waiting };
        let slots = &mut self.targets.entry(target).or_default().slots;
        let slot = match slots.get(&waiting.key).copied() {
            None => Slot { front: seq, behind: None },
            Some(Slot { front, behind: None }) if waiting.flight == Flight::Free => {
                Slot { front, behind: Some(seq) }
            }
            Some(_) => return false,
        };
        slots.insert(Arc::clone(&waiting.key), slot);
        self.changes.insert(seq, waiting);
        self.offer(seq);
        true
    }

    /// The changes with numbers up to `up_to` that would be taken now.
    pub(crate) fn due(&mut self, now_ms: UnixMs, changes_max: usize, up_to: Seq) -> Vec<Seq> {
        while let Some(&(due_ms, seq)) = self.timed.first()
            && due_ms <= now_ms
        {
            self.timed.pop_first();
            self.is_due(seq);
        }
        let mut beyond = 0;
        while let Some(&(due_ms, seq)) = self.timed.last()
            && due_ms > now_ms.saturating_add(DUE_AHEAD_MAX)
        {
            self.timed.pop_last();
            self.is_due(seq);
            beyond += 1;
        }
        if beyond > 0 {
            tracing::warn!(
                changes = beyond,
                "changes were put back for longer than any wait, so the clock was set back since: they are due now"
            );
        }
        // One lane at a time: a live change must not wait for a job that a refresh fills.
        let oldest = |target: &Target, lane| {
            target.ready.range((lane, Seq::MIN)..=(lane, up_to)).next().map(|(_, seq)| *seq)
        };
        let first = [Lane::Live, Lane::Refresh].into_iter().find_map(|lane| {
            let targets = self.targets.values().filter_map(|target| Some((oldest(target, lane)?, target)));
            targets.min_by_key(|(seq, _)| *seq).map(|(_, target)| (lane, target))
        });
        let Some((lane, target)) = first else { return Vec::new() };
        let ready = target.ready.range((lane, Seq::MIN)..=(lane, up_to));
        ready.take(changes_max).map(|(_, seq)| *seq).collect()
    }

    fn is_due(&mut self, seq: Seq) {
        if let Some(waiting) = self.changes.get_mut(&seq) {
            waiting.due_ms = None;
        }
        self.offer(seq);
    }

    /// The earliest due time among the changes that may be offered; the beginning of 1970 if one may be at once.
    pub(crate) fn next_due_ms(&self) -> Option<UnixMs> {
        if self.targets.values().any(|target| !target.ready.is_empty()) {
            return Some(UnixMs::EPOCH);
        }
        self.timed.first().map(|(due_ms, _)| *due_ms)
    }

    /// Gives a free change to somebody, or one that somebody has to somebody else.
    pub(crate) fn enlist(&mut self, seq: Seq, flight: Flight) {
        self.withdraw(seq);
        if let Some(waiting) = self.changes.get_mut(&seq) {
            waiting.flight = flight;
        }
    }

    /// Nobody has it any more; it is offered again as soon as it was due before.
    pub(crate) fn free(&mut self, seq: Seq) {
        if let Some(waiting) = self.changes.get_mut(&seq) {
            waiting.flight = Flight::Free;
        }
        self.offer(seq);
    }

    /// Frees all changes that are in no job.
    pub(crate) fn free_taken(&mut self) {
        let taken = self.changes.iter().filter(|(_, waiting)| waiting.flight == Flight::Taken);
        for seq in taken.map(|(seq, _)| *seq).collect::<Vec<_>>() {
            self.free(seq);
        }
    }

    /// It is to be tried again, not before a time if there is one.
    pub(crate) fn retry(&mut self, seq: Seq, due_ms: Option<UnixMs>) {
        if let Some(waiting) = self.changes.get_mut(&seq) {
            waiting.due_ms = due_ms;
        }
        self.free(seq);
    }

    /// It is done with; the one behind it may come.
    pub(crate) fn end(&mut self, seq: Seq) {
        self.withdraw(seq);
        let Some(Waiting { target, key, .. }) = self.changes.remove(&seq) else { return };
        self.ended += 1;
        let Some(queue) = self.targets.get_mut(&target) else { return };
        if let Some(behind) = queue.slots.get(&key).and_then(|slot| slot.behind) {
            queue.slots.insert(key, Slot { front: behind, behind: None });
            self.offer(behind);
            return;
        }
        queue.slots.remove(&key);
        if queue.slots.is_empty() {
            self.targets.remove(&target);
        }
    }

    fn slot(&self, waiting: &Waiting) -> Option<&Slot> {
        self.targets.get(&waiting.target)?.slots.get(&waiting.key)
    }

    /// Lists it as one that may be offered, if it may be.
    fn offer(&mut self, seq: Seq) {
        let Some(waiting) = self.changes.get(&seq) else { return };
        if waiting.flight != Flight::Free || self.slot(waiting).is_none_or(|slot| slot.front != seq) {
            return;
        }
        if let Some(due_ms) = waiting.due_ms {
            self.timed.insert((due_ms, seq));
        } else if let Some(target) = self.targets.get_mut(&waiting.target) {
            target.ready.insert((waiting.lane, seq));
        }
    }

    fn withdraw(&mut self, seq: Seq) {
        let Some(waiting) = self.changes.get(&seq) else { return };
        if let Some(due_ms) = waiting.due_ms {
            self.timed.remove(&(due_ms, seq));
        }
        if let Some(target) = self.targets.get_mut(&waiting.target) {
            target.ready.remove(&(waiting.lane, seq));
        }
    }
}
