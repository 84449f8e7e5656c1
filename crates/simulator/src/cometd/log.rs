//! The events of one channel, kept for replay.
//!
//! Here: replay IDs, retention, where a replay option starts. Not here: who reads (`session`), the error texts
//! (`subscribe`).
//!
//! Invariant: replay IDs grow, and are not contiguous ("Message Durability", Streaming API Developer Guide).

use std::collections::VecDeque;

use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

/// How long a high-volume platform event can be replayed ("Message Durability": 72 hours).
pub(super) const RETENTION_MS: i64 = 72 * 60 * 60 * 1000;
/// Events kept per channel; older ones go before their time. Ours: it bounds the simulator's memory.
pub(super) const RETAINED_MAX: usize = 100_000;
/// Payload bytes kept per channel, likewise.
pub(super) const RETAINED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest step from one replay ID to the next. Ours: enough to break whoever computes `id + 1`.
const GAP_MAX: i64 = 50;

/// Replay only what comes after the subscribe.
pub(super) const TIP: i64 = -1;
/// Replay everything retained.
pub(super) const EARLIEST: i64 = -2;

/// An event as it was published.
#[derive(Debug)]
pub(super) struct Event {
    /// Its ID on its channel.
    pub(super) replay_id: i64,
    /// Its place among the events of all channels.
    pub(super) sequence: u64,
    /// When it was published, simulated Unix milliseconds.
    pub(super) at_ms: i64,
    /// Bytes of its payload as JSON.
    pub(super) payload_bytes: usize,
    /// The event's API name.
    pub(super) api_name: String,
    /// Unique everywhere, unlike the replay ID.
    pub(super) uuid: String,
    /// The ID of the event's schema.
    pub(super) schema: String,
    /// All fields of the event.
    pub(super) payload: Map<String, Value>,
}

impl Event {
    /// The Bayeux message that delivers the event. `EventUuid` came with API 52.0, `EventApiName` with 55.0.
    pub(super) fn message(&self, channel: &str, version: u32) -> Value {
        let mut event = Map::new();
        event.insert("replayId".into(), self.replay_id.into());
        if version >= 52 {
            event.insert("EventUuid".into(), self.uuid.as_str().into());
        }
        if version >= 55 {
            event.insert("EventApiName".into(), self.api_name.as_str().into());
        }
        json!({
            "data": { "schema": self.schema, "payload": self.payload, "event": event },
            "channel": channel,
        })
    }
}

/// The retained events of one channel, oldest first.
#[derive(Debug)]
pub(super) struct ChannelLog {
    events: VecDeque<Event>,
    bytes: usize,
    last_id: i64,
    /// The ID of the next event, when it was told.
    told_id: Option<i64>,
}

impl ChannelLog {
    /// An empty log whose IDs start somewhere.
    pub(super) fn new(rng: &mut StdRng) -> Self {
        Self { events: VecDeque::new(), bytes: 0, last_id: rng.random_range(1_000..1_000_000), told_id: None }
    }

    /// The ID of the next event.
    pub(super) fn next_id(&self, rng: &mut StdRng) -> i64 {
        self.told_id.unwrap_or_else(|| self.last_id + rng.random_range(1..=GAP_MAX))
    }

    /// Forgets all events.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    /// Forgets all events and gives the next one this ID.
    pub(super) fn restart(&mut self, next_id: i64) {
        self.clear();
        (self.last_id, self.told_id) = (next_id - 1, Some(next_id));
    }

    /// Adds an event that carries [`Self::next_id`]. It is retained even if it fills the log alone.
    pub(super) fn push(&mut self, event: Event) {
        (self.last_id, self.told_id) = (event.replay_id, None);
        self.purge(event.at_ms);
        self.bytes += event.payload_bytes;
        self.events.push_back(event);
        while self.events.len() > RETAINED_MAX || (self.bytes > RETAINED_BYTES_MAX && self.events.len() > 1) {
            self.pop();
        }
    }

    /// Drops what is older than [`RETENTION_MS`].
    pub(super) fn purge(&mut self, now_ms: i64) {
        while self.events.front().is_some_and(|event| event.at_ms < now_ms - RETENTION_MS) {
            self.pop();
        }
    }

    /// Drops all but the newest `keep`.
    pub(super) fn expire(&mut self, keep: usize) {
        while self.events.len() > keep {
            self.pop();
        }
    }

    fn pop(&mut self) {
        self.bytes -= self.events.pop_front().map_or(0, |event| event.payload_bytes);
    }

    /// The ID after which a subscriber with this replay option reads. `None`: the ID is not within the retained ones, or
    /// is none of theirs where `foreign_ids` are not taken.
    pub(super) fn start(&self, replay: i64, foreign_ids: bool) -> Option<i64> {
        match replay {
            TIP => Some(self.last_id),
            EARLIEST => Some(i64::MIN),
            id => {
                let oldest = self.events.front()?.replay_id;
                let within = (oldest..=self.last_id).contains(&id);
                let own = || self.events.binary_search_by_key(&id, |event| event.replay_id).is_ok();
                (within && (foreign_ids || own())).then_some(id)
            }
        }
    }

    /// The events after `id`, oldest first.
    pub(super) fn after(&self, id: i64) -> impl Iterator<Item = &Event> {
        let from = self.events.partition_point(|event| event.replay_id <= id);
        self.events.range(from..)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_full_log_forgets_its_oldest_events_early() {
        let cases = [
            (1, RETAINED_MAX + 3, RETAINED_MAX),
            (RETAINED_BYTES_MAX / 4, 7, 4),
            (RETAINED_BYTES_MAX + 1, 3, 1),
        ];
        for (payload_bytes, pushed, kept) in cases {
            let mut rng = StdRng::seed_from_u64(1);
            let mut log = ChannelLog::new(&mut rng);
            let mut ids = Vec::new();
            for sequence in 0..pushed as u64 {
                let replay_id = log.next_id(&mut rng);
                ids.push(replay_id);
                log.push(Event {
                    replay_id,
                    sequence,
                    at_ms: 0,
                    payload_bytes,
                    api_name: String::new(),
                    uuid: String::new(),
                    schema: String::new(),
                    payload: Map::new(),
                });
            }
            let left: Vec<i64> = log.after(i64::MIN).map(|event| event.replay_id).collect();
            assert_eq!(left, ids[pushed - kept..], "{pushed} of {payload_bytes} bytes");
            assert!(ids.windows(2).all(|pair| (1..=GAP_MAX).contains(&(pair[1] - pair[0]))));
        }
    }
}
