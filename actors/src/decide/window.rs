//! The requests at hand: what came by message after commit A, and what was read from disk where no message did.
//!
//! Here: which requests are in memory, and what has to be read. Pure. Not here: which of them are next (`scheduler`),
//! reading (`ingest`).
//!
//! ```text
//! complete ──no room, or a message is missing──▶ behind ──read up to the newest number heard of──▶ complete
//! ```
//! Each lane is complete or behind by itself, so a refresh that is far ahead costs live events nothing.
//!
//! Invariant: a lane's requests in the window are its oldest: all with numbers up to `up_to` that are not settled.
//! Invariant: a lane that is complete has every request of which a message told.

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_store::{Appended, Head, Lane, Request, Seq};

use super::waiting::Waiting;
use crate::org::{memory::MemoryShare, messages::Delivery};

/// Bytes that the window of one org may hold of what came by message.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records that it may hold of them.
const RECORDS_MAX: u64 = 20_000;
/// Bytes that an entry takes beside its body.
const ENTRY_BYTES: usize = 128;

const LANES: [Lane; 2] = [Lane::Live, Lane::Refresh];

/// How far a lane is known.
#[derive(Clone, Copy, Debug, Default)]
struct LaneState {
    /// Every request with a number up to this one is in the window or settled.
    up_to: Seq,
    /// There may be more on disk.
    behind: bool,
}

/// The window of one org.
#[derive(Debug)]
pub(super) struct RequestWindow {
    waiting: BTreeMap<(Lane, Seq), Waiting>,
    lanes: [LaneState; 2],
    /// The newest number that a message or a read told of.
    heard_up_to: Seq,
    records: u64,
    /// Bytes of all bodies in it, also of those that were read.
    bytes: usize,
    memory: MemoryShare,
}

impl RequestWindow {
    /// Knows nothing of what is on disk.
    pub(super) fn new(memory: MemoryShare) -> Self {
        let behind = LaneState { up_to: Seq::MIN, behind: true };
        Self {
            waiting: BTreeMap::new(),
            lanes: [behind; 2],
            heard_up_to: Seq::MIN,
            records: 0,
            bytes: 0,
            memory,
        }
    }

    /// Takes in what a message brought.
    pub(super) fn arrived(&mut self, Appended { after, requests }: Appended) -> Delivery {
        if after > self.heard_up_to {
            // A message before this one is missing.
            self.look();
        }
        let mut delivery = Delivery::Taken;
        for request in requests {
            self.heard_up_to = self.heard_up_to.max(request.seq);
            let state = self.lanes[place(request.lane)];
            if request.seq <= state.up_to {
                // It was read from disk before its message came.
                continue;
            }
            let held = request.body.len() + ENTRY_BYTES;
            let fits = self.records == 0 || self.records + u64::from(request.records) <= RECORDS_MAX;
            if state.behind || !fits || !self.memory.take(held) {
                self.lanes[place(request.lane)].behind = true;
                delivery = Delivery::Behind;
                continue;
            }
            self.lanes[place(request.lane)].up_to = request.seq;
            self.insert(request, held);
        }
        delivery
    }

    /// There may be more on disk than messages told of.
    pub(super) fn look(&mut self) {
        for state in &mut self.lanes {
            state.behind = true;
        }
    }

    /// What is to be read so that `records` are at hand that are not under way: the lane, and behind which number.
    pub(super) fn missing(&self, records: u64, under_way: &BTreeSet<Seq>) -> Option<(Lane, Seq)> {
        if self.bytes >= BYTES_MAX {
            return None;
        }
        let mut at_hand = 0;
        for lane in LANES {
            let of_lane = self.waiting.range((lane, Seq::MIN)..=(lane, Seq::MAX));
            for ((_, seq), waiting) in of_lane {
                if at_hand >= records {
                    return None;
                }
                if !under_way.contains(seq) {
                    at_hand += u64::from(waiting.request.records);
                }
            }
            let state = self.lanes[place(lane)];
            if state.behind && at_hand < records {
                return Some((lane, state.up_to));
            }
        }
        None
    }

    /// Takes in what was read behind `up_to` of a lane.
    pub(super) fn read(&mut self, lane: Lane, head: Head) {
        let Head { requests, complete, given } = head;
        let newest = requests.last().map(|request| request.seq);
        for request in requests {
            self.insert(request, 0);
        }
        // What was appended since the read is known by number, and is read next.
        let all = complete && given >= self.heard_up_to;
        self.heard_up_to = self.heard_up_to.max(given);
        let state = &mut self.lanes[place(lane)];
        state.up_to = state.up_to.max(if complete { given } else { newest.unwrap_or_default() });
        state.behind = !all;
    }

    /// Those that wait and are not under way, live ones first, then oldest first: as many as make so many records, but one
    /// at least.
    pub(super) fn waiting(&self, records: u64, under_way: &BTreeSet<Seq>) -> Vec<&Waiting> {
        let mut sum = 0;
        let mut head = Vec::new();
        for ((_, seq), waiting) in &self.waiting {
            if sum >= records {
                break;
            }
            if !under_way.contains(seq) {
                sum += u64::from(waiting.request.records);
                head.push(waiting);
            }
        }
        head
    }

    /// They have left the queue.
    pub(super) fn settled(&mut self, requests: &BTreeSet<Seq>) {
        for seq in requests {
            for lane in LANES {
                if let Some(gone) = self.waiting.remove(&(lane, *seq)) {
                    self.drop(&gone);
                }
            }
        }
    }

    fn insert(&mut self, request: Request, held: usize) {
        self.records += u64::from(request.records);
        self.bytes += request.body.len();
        let place = (request.lane, request.seq);
        let before = self.waiting.insert(place, Waiting { held, ..Waiting::of(request) });
        if let Some(before) = before {
            self.drop(&before);
        }
    }

    fn drop(&mut self, gone: &Waiting) {
        self.records -= u64::from(gone.request.records);
        self.bytes -= gone.request.body.len();
        self.memory.give_back(gone.held);
    }
}

fn place(lane: Lane) -> usize {
    match lane {
        Lane::Live => 0,
        Lane::Refresh => 1,
    }
}
