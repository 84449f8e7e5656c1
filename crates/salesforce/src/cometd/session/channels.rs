//! The channels of a session: where each goes on, and which events are new.
//!
//! Here: positions, replay ids, repeated events, retries of a refused channel. Not here: what a refusal means
//! (`reaction`).
//!
//! Invariants: a position changes only by `Pending::keep`, that is once it is stored; and only through a
//! subscription that began at it, so nothing in between is passed over.
//!
//! Replay ids are never compared by size: after a migration of the org they begin lower, and the same id may be
//! another event ("Message Durability"). A repeated event is known by its `EventUuid`, or where there is none by
//! its replay id. An event taken for new once too often costs a look-up; one taken for a repeat would be lost.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use super::trouble;
use crate::cometd::{Batch, Event, Report, StartFrom, Wanted, options::Options, reaction::Reaction, wire};

/// Stored events remembered per channel: at least this many, at most twice as many.
const SEEN_MAX: usize = 500;
/// Longest `EventUuid` taken for one; real ones have 36 characters.
const UUID_BYTES_MAX: usize = 64;

/// A channel and its state in the session.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) wanted: Wanted,
    state: Delivery,
    /// The position was refused: go on with whatever is retained, until there is a new one.
    aged: bool,
    /// It was asked for from -1 on. While no event came there is no position, so from then on only everything retained
    /// (-2) is sure to leave out none.
    begun: bool,
    /// The number of refusals in a row.
    refusals: u32,
    /// A token was renewed because of it.
    renewed: bool,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Off { due: Duration },
    Asked { replay: i64 },
    On,
}

/// What makes an event this one and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Uuid(u128),
    /// An `EventUuid` of another form.
    Name(Box<str>),
    Replay(i64),
}

/// The last events that were stored, in two generations.
#[derive(Clone, Debug, Default)]
struct Seen {
    young: HashSet<Key>,
    old: HashSet<Key>,
}

/// What a store will have changed on a channel.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    channel: usize,
    position: Option<Vec<u8>>,
    keys: Vec<Key>,
}

/// The wanted channels, none subscribed to; of two with the same name the first.
pub(super) fn all(wanted: Vec<Wanted>) -> Vec<Channel> {
    let mut names = BTreeSet::new();
    let first = wanted.into_iter().filter(|wanted| names.insert(wire::name(&wanted.channel).to_owned()));
    let state = Delivery::Off { due: Duration::ZERO };
    first
        .map(|wanted| Channel {
            wanted,
            state,
            aged: false,
            begun: false,
            refusals: 0,
            renewed: false,
            seen: Seen::default(),
        })
        .collect()
}

/// When the next refused channel is to be asked for again.
pub(super) fn next_due(channels: &[Channel]) -> Option<Duration> {
    let due = channels.iter().filter_map(|channel| match channel.state {
        Delivery::Off { due } => Some(due),
        Delivery::Asked { .. } | Delivery::On => None,
    });
    due.min()
}

/// Sorts delivered events into batches. An event of a channel that this session has not asked for is left out: its
/// turn comes when the channel is subscribed to at its position.
pub(super) fn receive(channels: &[Channel], events: Vec<(String, Event)>) -> (Vec<Batch>, Vec<Pending>) {
    let mut drafts: Vec<Draft> = channels.iter().map(|_| Draft::default()).collect();
    for (name, event) in events {
        let found = channels.iter().zip(&mut drafts).find(|(channel, _)| channel.hears(&name));
        if let Some((channel, draft)) = found {
            draft.take(channel, event);
        }
    }
    let mut stored = (Vec::new(), Vec::new());
    for (index, (channel, draft)) in channels.iter().zip(drafts).enumerate() {
        let position = draft.position.map(|id| id.to_string().into_bytes());
        let moved = position.is_some() && position != channel.wanted.position;
        if !draft.events.is_empty() || moved {
            stored.1.push(Pending { channel: index, position: position.clone(), keys: draft.keys });
            stored.0.push(Batch { channel: channel.wanted.channel.clone(), events: draft.events, position });
        }
    }
    stored
}

#[derive(Default)]
struct Draft {
    events: Vec<Event>,
    position: Option<i64>,
    /// What makes its events unique, in order of delivery.
    keys: Vec<Key>,
    here: HashSet<Key>,
}

impl Draft {
    fn take(&mut self, channel: &Channel, event: Event) {
        self.position = event.replay_id.filter(|id| *id >= 0).or(self.position);
        let Some(key) = Key::of(&event) else { return self.events.push(event) };
        if !channel.knows(&key) && self.here.insert(key.clone()) {
            self.keys.push(key);
            self.events.push(event);
        }
    }
}

impl Pending {
    /// The events are stored, so the channel stands at the new position and knows them.
    pub(super) fn keep(self, channels: &mut [Channel]) {
        let channel = &mut channels[self.channel];
        if self.position.is_some() {
            channel.wanted.position = self.position;
            channel.wanted.before = None;
            channel.aged = false;
        }
        channel.seen.add(self.keys);
    }
}

impl Channel {
    /// A new session knows nothing of it. A refused channel keeps its time.
    pub(super) fn detach(&mut self) {
        if !matches!(self.state, Delivery::Off { .. }) {
            self.state = Delivery::Off { due: Duration::ZERO };
        }
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        matches!(self.state, Delivery::Off { due } if due <= now)
    }

    /// It is subscribed to from this replay id on.
    pub(super) fn ask(&mut self) -> i64 {
        let start = match self.wanted.start {
            StartFrom::Latest if !self.begun => -1,
            StartFrom::Latest | StartFrom::Earliest => -2,
        };
        let before = self.wanted.before.as_deref().and_then(replay_id);
        let replay = if self.aged { -2 } else { before.or(self.position()).unwrap_or(start) };
        self.begun |= replay == -1;
        self.state = Delivery::Asked { replay };
        replay
    }

    /// Gives up a position that is no replay id; returns it.
    pub(super) fn drop_unreadable(&mut self) -> Option<Vec<u8>> {
        let unreadable = !self.aged && self.wanted.position.is_some() && self.position().is_none();
        self.aged |= unreadable;
        unreadable.then(|| self.wanted.position.clone()).flatten()
    }

    /// Gives up the position before the stored one, if that is what Salesforce has just refused, and makes the channel due
    /// again.
    pub(super) fn drop_before(&mut self) -> bool {
        let asked = matches!(self.state, Delivery::Asked { replay: 0.. }) && !self.aged;
        let dropped = asked && self.wanted.before.take().is_some();
        if dropped {
            self.state = Delivery::Off { due: Duration::ZERO };
        }
        dropped
    }

    /// Gives up the position that Salesforce has just refused, and makes the channel due again; returns it, or none
    /// when it was not a position that was asked for.
    pub(super) fn drop_position(&mut self) -> Option<Vec<u8>> {
        let Delivery::Asked { replay: 0.. } = self.state else { return None };
        self.aged = true;
        self.state = Delivery::Off { due: Duration::ZERO };
        self.wanted.position.clone()
    }

    /// Salesforce has agreed to the subscription.
    pub(super) fn delivers(&mut self) -> Option<Report> {
        let Delivery::Asked { replay } = std::mem::replace(&mut self.state, Delivery::On) else {
            return None;
        };
        (self.refusals, self.renewed) = (0, false);
        Some(Report::Subscribed { channel: self.wanted.channel.clone(), replay })
    }

    /// True once until it delivers again: whether a new token might help.
    pub(super) fn may_renew(&mut self) -> bool {
        !std::mem::replace(&mut self.renewed, true)
    }

    /// Salesforce refuses it; returns when it is asked again.
    pub(super) fn refuse(
        &mut self,
        reaction: Reaction,
        options: &Options,
        now: Duration,
        jitter: f64,
    ) -> Duration {
        self.refusals = self.refusals.saturating_add(1);
        let retry_in = match reaction {
            Reaction::BackOff(least) => trouble::back_off(self.refusals, least, options, jitter),
            _ => trouble::probe(options, jitter),
        };
        self.state = Delivery::Off { due: now.saturating_add(retry_in) };
        retry_in
    }

    fn position(&self) -> Option<i64> {
        self.wanted.position.as_deref().and_then(replay_id)
    }

    fn hears(&self, name: &str) -> bool {
        !matches!(self.state, Delivery::Off { .. }) && wire::name(&self.wanted.channel) == wire::name(name)
    }

    fn knows(&self, key: &Key) -> bool {
        let last = matches!(key, Key::Replay(id) if self.position() == Some(*id));
        last || self.seen.young.contains(key) || self.seen.old.contains(key)
    }
}

/// A position as the replay ID that it is.
fn replay_id(position: &[u8]) -> Option<i64> {
    std::str::from_utf8(position).ok()?.parse().ok().filter(|id| *id >= 0)
}

impl Key {
    fn of(event: &Event) -> Option<Self> {
        match &event.uuid {
            Some(uuid) if uuid.len() <= UUID_BYTES_MAX => {
                Some(uuid_number(uuid).map_or_else(|| Self::Name(uuid.as_str().into()), Self::Uuid))
            }
            Some(_) => None,
            None => event.replay_id.map(Self::Replay),
        }
    }
}

/// An `EventUuid` of the usual form, `2ec0e371-1395-457f-9275-be1b527a72f7`, as one number.
fn uuid_number(uuid: &str) -> Option<u128> {
    let bytes: &[u8; 36] = uuid.as_bytes().try_into().ok()?;
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate() {
        match (index, byte) {
            (8 | 13 | 18 | 23, b'-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => number = number << 4 | u128::from(byte - b'0'),
            (_, b'a'..=b'f') => number = number << 4 | u128::from(byte - b'a' + 10),
            _ => return None,
        }
    }
    Some(number)
}

impl Seen {
    fn add(&mut self, keys: Vec<Key>) {
        let surplus = keys.len().saturating_sub(SEEN_MAX);
        for key in keys.into_iter().skip(surplus) {
            if self.young.len() >= SEEN_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key);
        }
    }
}

#[cfg(test)]
mod tests;
