//! One CometD session: who holds it, how far it has read.
//!
//! Here: life and death by time, and which events come next. Not here: requests (`state`).
//!
//! A session has no queue of its own. It has a position in each channel's log, so a slow reader costs no memory,
//! and "taken from the queue" means that the position has moved.

use std::collections::BTreeMap;

use serde_json::Value;

use super::log::{ChannelLog, Event};
use super::settings::Streaming;

/// How long a session lives without a poll in progress ("Streaming API Timeouts": reconnect within 40 seconds).
pub(super) const RECONNECT_MS: i64 = 40_000;

/// The logs of an org by channel.
pub(super) type Logs = BTreeMap<String, ChannelLog>;

/// A client's session.
#[derive(Debug)]
pub(super) struct Session {
    /// The browser cookie it is filed under.
    pub(super) browser: String,
    /// The sticky cookie that leads to it.
    pub(super) sticky: String,
    /// When the sticky cookie stops leading to it.
    pub(super) sticky_until_ms: i64,
    /// The user whose token made it.
    pub(super) user_id: String,
    /// The last reply that restarted its 40 seconds.
    pub(super) seen_ms: i64,
    /// Whether it has polled before; the first poll is never held.
    pub(super) connected: bool,
    /// The ticket of its poll in progress.
    pub(super) ticket: Option<u64>,
    /// The last replay ID delivered, for each channel subscribed to.
    pub(super) positions: BTreeMap<String, i64>,
}

impl Session {
    /// Whether the session still exists at `now_ms`.
    pub(super) fn is_alive(&self, now_ms: i64) -> bool {
        self.ticket.is_some() || now_ms - self.seen_ms <= RECONNECT_MS
    }

    /// Whether the sticky cookie leads to this session at `now_ms`.
    pub(super) fn is_led_to_by(&self, sticky: Option<&str>, now_ms: i64) -> bool {
        sticky == Some(self.sticky.as_str()) && now_ms < self.sticky_until_ms
    }

    /// Whether anything waits for delivery.
    pub(super) fn has_events(&self, logs: &Logs) -> bool {
        self.positions.iter().any(|(channel, place)| after(logs, channel, *place).next().is_some())
    }

    /// Takes the next events, in the order of their publishing, as the messages that deliver them.
    pub(super) fn take(&mut self, logs: &Logs, version: u32, settings: &Streaming) -> Vec<Value> {
        let (events_max, bytes_max) = (settings.answer_events_max, settings.answer_bytes_max);
        let mut waiting: Vec<(&str, &Event)> = Vec::new();
        for (channel, place) in &self.positions {
            waiting
                .extend(after(logs, channel, *place).take(events_max).map(|event| (channel.as_str(), event)));
        }
        waiting.sort_by_key(|(_, event)| event.sequence);
        let mut bytes = 0;
        let taken = waiting
            .iter()
            .take(events_max)
            .take_while(|(_, event)| {
                let first = bytes == 0;
                bytes += event.payload_bytes;
                first || bytes <= bytes_max
            })
            .count();
        waiting.truncate(taken);
        let messages = waiting.iter().map(|(channel, event)| event.message(channel, version)).collect();
        let positions: Vec<(String, i64)> =
            waiting.into_iter().map(|(channel, event)| (channel.to_owned(), event.replay_id)).collect();
        self.positions.extend(positions);
        messages
    }
}

fn after<'a>(logs: &'a Logs, channel: &str, place: i64) -> impl Iterator<Item = &'a Event> {
    logs.get(channel).into_iter().flat_map(move |log| log.after(place))
}
