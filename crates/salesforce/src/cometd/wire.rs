//! Bayeux messages: JSON out, and whatever comes back in.
//!
//! Here: the only knowledge of field names. Not here: what a message calls for (`reaction`, `session`).
//!
//! Reading is tolerant: an array or one object, any field missing, fields of the wrong type taken as missing.
//! Writing is strict: one message per request, since Salesforce does not answer several in one request reliably.

mod message;

use std::time::Duration;

use serde_json::{Value, json};

use super::Event;
use crate::mend::mended;
use message::{Kind, Message};

/// The messages of a body, taken apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Received {
    /// Events with their channel, in order. They come first in the array, and count even when a reply failed.
    pub(super) events: Vec<(String, Event)>,
    /// All other messages, which answer what was asked or end the session.
    pub(super) replies: Vec<MetaReply>,
}

/// A reply, or a `/meta/disconnect` nobody asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MetaReply {
    /// Missing in `401::Request requires authentication` (restforce#103).
    pub(super) channel: Option<String>,
    pub(super) client: Option<String>,
    pub(super) successful: bool,
    pub(super) error: Option<String>,
    /// `ext.sfdc.failureReason`: the true reason, when there is one.
    pub(super) failure_reason: Option<String>,
    pub(super) advice: Advice,
}

/// The server's advice; only what the reply carried.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Advice {
    pub(super) reconnect: Option<Reconnect>,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) multiple_clients: bool,
}

/// What the server would have us do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reconnect {
    Retry,
    Handshake,
    None,
}

/// A body without Bayeux messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// No bytes, `null` or `[]`.
    Empty,
    /// A web page; `login` when it looks like a login page.
    Html { login: bool },
    /// JSON of another kind, cut JSON, or neither.
    Other(String),
}

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Result<Received, Unreadable> {
    let start = body.trim_ascii_start();
    if start.is_empty() {
        return Err(Unreadable::Empty);
    }
    if start.starts_with(b"<") {
        let page = String::from_utf8_lossy(&start[..start.len().min(65_536)]).to_ascii_lowercase();
        return Err(Unreadable::Html { login: page.contains("login") });
    }
    messages(start).or_else(|unreadable| match (unreadable, mended(start)) {
        (Unreadable::Other(_), Some(mended)) => messages(mended.as_bytes()),
        (unreadable, _) => Err(unreadable),
    })
}

fn messages(body: &[u8]) -> Result<Received, Unreadable> {
    let mut received = Received::default();
    match message::each(body, &mut |message| sort(message, &mut received)) {
        Ok(Kind::Messages) if received != Received::default() => Ok(received),
        Ok(Kind::Messages | Kind::Null) => Err(Unreadable::Empty),
        Ok(Kind::Other) => Err(Unreadable::Other("not a list of messages".to_owned())),
        Err(cause) => Err(Unreadable::Other(cause.to_string())),
    }
}

/// Opens a session.
pub(super) fn handshake(id: u64) -> String {
    json!([{
        "channel": "/meta/handshake", "id": id.to_string(), "version": "1.0", "minimumVersion": "1.0",
        "supportedConnectionTypes": ["long-polling"], "ext": { "replay": true },
    }])
    .to_string()
}

/// Polls; the first time with the request not to hold the answer.
pub(super) fn connect(id: u64, client: &str, first: bool) -> String {
    let mut message = json!({
        "channel": "/meta/connect", "id": id.to_string(), "clientId": client, "connectionType": "long-polling",
    });
    if first {
        message["advice"] = json!({ "timeout": 0 });
    }
    json!([message]).to_string()
}

/// Subscribes to one channel. The replay map has one entry, so a request never nears the 32,768 bytes Salesforce
/// takes; its key is the channel without filter, else "wasn't found using the provided replay ID map" (jsforce#888).
pub(super) fn subscribe(id: u64, client: &str, channel: &str, replay: i64) -> String {
    json!([{
        "channel": "/meta/subscribe", "id": id.to_string(), "clientId": client, "subscription": channel,
        "ext": { "replay": { name(channel): replay } },
    }])
    .to_string()
}

/// Ends a session.
pub(super) fn disconnect(id: u64, client: &str) -> String {
    json!([{ "channel": "/meta/disconnect", "id": id.to_string(), "clientId": client }]).to_string()
}

/// The channel that events come on: without the filter of a PushTopic, without a closing slash.
pub(super) fn name(channel: &str) -> &str {
    channel.split('?').next().unwrap_or(channel).trim_end_matches('/')
}

fn sort(message: Message, received: &mut Received) {
    match text(message.channel) {
        Some(channel) if !channel.starts_with("/meta/") => {
            if let Some(data) = message.data {
                received.events.push((channel, event(data)));
            }
        }
        channel => {
            if channel.is_some() || message.successful.is_some() || message.error.is_some() {
                received.replies.push(reply(channel, Message { channel: None, ..message }));
            }
        }
    }
}

fn event(data: Value) -> Event {
    let event = &data["event"];
    let replay_id = event["replayId"].as_i64().or_else(|| event["replayId"].as_str()?.parse().ok());
    let uuid = event["EventUuid"].as_str().filter(|uuid| !uuid.is_empty()).map(str::to_owned);
    Event { replay_id, uuid, data }
}

fn reply(channel: Option<String>, message: Message) -> MetaReply {
    let (client, error) = (text(message.client), text(message.error));
    let failure_reason = message
        .ext
        .as_ref()
        .and_then(|ext| ext["sfdc"]["failureReason"].as_str())
        .filter(|reason| !reason.trim().is_empty())
        .map(str::to_owned);
    let successful = match message.successful {
        Some(Value::Bool(successful)) => successful,
        Some(Value::String(successful)) => successful == "true",
        _ => error.is_none() && failure_reason.is_none() && client.is_some(),
    };
    let advice = advice(message.advice.as_ref());
    MetaReply { channel, client, successful, error, failure_reason, advice }
}

fn advice(advice: Option<&Value>) -> Advice {
    let Some(advice) = advice else { return Advice::default() };
    // Milliseconds. Clients that took them for seconds hung for a day (nameko, aiocometd).
    let millis = |key: &str| {
        let number = advice[key].as_f64()?;
        Some(Duration::try_from_secs_f64(number.max(0.0) / 1000.0).unwrap_or(Duration::MAX))
    };
    let reconnect = match advice["reconnect"].as_str() {
        Some("retry") => Some(Reconnect::Retry),
        Some("handshake") => Some(Reconnect::Handshake),
        Some("none") => Some(Reconnect::None),
        _ => None,
    };
    Advice {
        reconnect,
        interval: millis("interval"),
        timeout: millis("timeout"),
        multiple_clients: advice["multiple-clients"].as_bool().unwrap_or(false),
    }
}

fn text(field: Option<Value>) -> Option<String> {
    match field {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
