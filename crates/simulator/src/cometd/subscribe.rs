//! What a subscribe request asks for, and whether it gets it.
//!
//! Here: the channel, the replay option and the texts that refuse them. Not here: the session that asks (`state`).
//!
//! Sources: "Message Durability" and "Streaming API Error Codes" (Streaming API Developer Guide). The two spaces in
//! the text about an invalid replay ID are on the wire, one is in the guide.

use serde_json::{Map, Value};

use super::exchange::{CometdRequest, LoggedSubscribe};
use super::log::{EARLIEST, TIP};
use super::session::Logs;
use super::settings::{Streaming, Wording};
use super::wire::{self, Message};

/// A subscription to set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The channel that is subscribed to.
    pub(super) channel: String,
    /// The last replay ID not to be delivered.
    pub(super) start: i64,
    /// Whether only new events were asked for.
    pub(super) from_tip: bool,
}

/// What is to happen for one subscribe message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SubscribeDecision {
    /// Subscriptions granted, also when a later one of the same message is refused.
    pub(super) grants: Vec<Grant>,
    /// What was asked for, as far as it could be read.
    pub(super) asked: Vec<LoggedSubscribe>,
    /// Why the message as a whole is refused.
    pub(super) error: Option<String>,
}

/// Judges a subscribe message. An array of channels is taken one by one, up to the first refusal.
pub(super) fn decide(
    message: &Message,
    request: &CometdRequest,
    logs: &Logs,
    settings: &Streaming,
) -> SubscribeDecision {
    let mut verdict = SubscribeDecision::default();
    let channels = channels(message);
    if channels.is_empty() {
        verdict.error = Some(wire::NO_NAME.to_owned());
    }
    for channel in channels {
        match decide_channel(message, channel, request, (logs, settings), &mut verdict.asked) {
            Ok(grant) => verdict.grants.push(grant),
            Err(error) => {
                verdict.error = Some(error);
                break;
            }
        }
    }
    verdict
}

/// The channels a subscribe or unsubscribe message names.
pub(super) fn channels(message: &Message) -> Vec<&str> {
    match &message.subscription {
        Some(Value::String(channel)) if !channel.is_empty() => vec![channel],
        Some(Value::Array(channels)) => channels.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn decide_channel(
    message: &Message,
    channel: &str,
    request: &CometdRequest,
    (logs, settings): (&Logs, &Streaming),
    asked: &mut Vec<LoggedSubscribe>,
) -> Result<Grant, String> {
    if !channel.starts_with('/') {
        return Err(wire::NO_SLASH.to_owned());
    }
    if request.channels_denied.iter().any(|denied| denied == channel) {
        return Err(wire::NO_ACCESS.to_owned());
    }
    if !request.channels_known.iter().any(|known| known == channel) {
        let not = if settings.wording == Wording::Guide { "doesn't" } else { "does not" };
        return Err(format!("400::The channel you requested to subscribe to {not} exist {{{channel}}}"));
    }
    let replay = match message.replay() {
        None => TIP,
        Some(map) => match map.get(channel) {
            None => return Err(no_entry(channel, map)),
            Some(option) => read(option).ok_or_else(|| invalid(option, settings))?,
        },
    };
    asked.push(LoggedSubscribe { channel: channel.to_owned(), replay });
    let start = match logs.get(channel) {
        Some(log) => log.start(replay, settings.foreign_ids),
        // Nothing was ever published here: both named options begin before the first event.
        None => (replay == TIP || replay == EARLIEST).then_some(i64::MIN),
    };
    let start = start.ok_or_else(|| invalid(&replay.into(), settings))?;
    Ok(Grant { channel: channel.to_owned(), start, from_tip: replay == TIP })
}

/// An ID must be a whole number; the two named options may be strings as well.
fn read(option: &Value) -> Option<i64> {
    match option {
        Value::String(text) if text == "-1" => Some(TIP),
        Value::String(text) if text == "-2" => Some(EARLIEST),
        other => other.as_i64(),
    }
}

fn invalid(option: &Value, settings: &Streaming) -> String {
    let blank = if settings.wording == Wording::Guide { " " } else { "  " };
    let id = option.as_str().map_or_else(|| option.to_string(), str::to_owned);
    format!(
        "400::The replayId {{{id}}} you provided was invalid.{blank}Please provide a valid ID, -2 to replay all events, or \
         -1 to replay only new events."
    )
}

fn no_entry(channel: &str, map: &Map<String, Value>) -> String {
    let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "400::The replayId for channel {{{channel}}} wasn't found using the provided replay ID map {{{{{}}}}}. Ensure \
         that the channel name you provided in the replay map is valid and matches the channel name used for \
         subscribing.",
        entries.join(", ")
    )
}
