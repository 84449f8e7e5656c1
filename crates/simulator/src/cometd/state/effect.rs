//! What a fault makes of a request.
//!
//! Here: the answer in place of the right one, or the right one altered. Not here: which request is hit
//! (`faults`), connections that break (`server/entry`).

use serde_json::{Map, Value, json};

use super::CometdState;
use crate::cometd::cookies;
use crate::cometd::exchange::{CometdReply, Delivery};
use crate::cometd::faults::{CometdFaultEffect, Refuse};
use crate::cometd::wire::{self, CONNECT, DISCONNECT, Reply};

/// The message a fault hits.
pub(super) struct FaultedRequest<'a> {
    pub(super) channel: &'a str,
    pub(super) id: Option<&'a Value>,
    pub(super) client_id: Option<&'a str>,
    pub(super) subscription: Option<&'a Value>,
    pub(super) version: u32,
    pub(super) now_ms: i64,
}

impl CometdState {
    /// The answer of a request that a fault hits; `done` carries the request out and gives the right one.
    pub(super) fn with_effect(
        &mut self,
        faulted: &FaultedRequest<'_>,
        effect: CometdFaultEffect,
        done: impl FnOnce(&mut Self) -> CometdReply,
    ) -> CometdReply {
        match effect {
            CometdFaultEffect::Refuse(refuse) => self.refused_by_fault(faulted, &refuse),
            CometdFaultEffect::Respond { status, body, location } => {
                CometdReply { status, body, location, ..CometdReply::default() }
            }
            CometdFaultEffect::End { successful } => self.ended(faulted, successful),
            CometdFaultEffect::Cut { written, chunked } => {
                let session = faulted.client_id.and_then(|id| self.sessions.get(id));
                let positions = session.map(|session| session.positions.clone());
                let reply = done(self);
                if let (true, Some(positions)) = (self.settings.redelivers, positions)
                    && let Some(session) = faulted.client_id.and_then(|id| self.sessions.get_mut(id))
                {
                    session.positions = positions;
                }
                CometdReply { delivery: Delivery::Cut { written, chunked }, ..reply }
            }
            CometdFaultEffect::Delay(ms) => CometdReply { delivery: Delivery::Late { ms }, ..done(self) },
            CometdFaultEffect::Drip { pieces, every_ms } => {
                CometdReply { delivery: Delivery::Drip { pieces, every_ms }, ..done(self) }
            }
            CometdFaultEffect::Silence => CometdReply { delivery: Delivery::Never, ..done(self) },
            CometdFaultEffect::Insert(ahead) => edit(done(self), |messages| {
                messages.splice(0..0, ahead);
            }),
            CometdFaultEffect::Repeat { other_id } => edit(done(self), |messages| repeat(messages, other_id)),
            CometdFaultEffect::Cookies(cookies) => {
                let mut reply = done(self);
                reply.set_cookies.extend(cookies);
                reply
            }
            CometdFaultEffect::Merge(keys) => edit(done(self), |messages| {
                if let Some(Value::Object(reply)) = messages.last_mut() {
                    reply.extend(keys);
                }
            }),
            CometdFaultEffect::Odd => odd(done(self)),
        }
    }

    fn refused_by_fault(&mut self, faulted: &FaultedRequest<'_>, refuse: &Refuse) -> CometdReply {
        if refuse.ends_session {
            self.end_session(faulted.client_id);
        }
        let mut set_cookies = Vec::new();
        if refuse.new_sticky {
            let sticky = cookies::new_sticky(&mut self.rng);
            set_cookies.push(cookies::set_sticky(&sticky, faulted.now_ms + self.settings.sticky_ms));
        }
        let mut reply = Map::new();
        if !refuse.bare {
            reply.insert("channel".into(), faulted.channel.into());
            let echoed = [("id", faulted.id), ("subscription", faulted.subscription)];
            reply
                .extend(echoed.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))));
        }
        reply.insert("successful".into(), false.into());
        if let Some(error) = &refuse.error {
            reply.insert("error".into(), error.as_str().into());
        }
        if let Some(reason) = &refuse.failure_reason {
            reply.insert("ext".into(), json!({ "sfdc": { "failureReason": reason } }));
        }
        if let Some(advice) = &refuse.advice {
            reply.insert("advice".into(), advice.clone());
        }
        wire::array(vec![Value::Object(reply)], set_cookies)
    }

    fn ended(&mut self, faulted: &FaultedRequest<'_>, successful: Option<bool>) -> CometdReply {
        let mut messages =
            self.events_for(faulted.client_id.unwrap_or_default(), faulted.version, faulted.now_ms);
        messages.push(match successful {
            Some(successful) => json!({ "channel": DISCONNECT, "successful": successful }),
            None => json!({ "channel": DISCONNECT }),
        });
        let refused = Reply::failure(CONNECT, faulted.id, wire::UNKNOWN_CLIENT)
            .with_some("clientId", faulted.client_id.map(Value::from).as_ref())
            .advise("none");
        messages.push(refused.json());
        self.end_session(faulted.client_id);
        wire::array(messages, Vec::new())
    }

    fn end_session(&mut self, client_id: Option<&str>) {
        if let Some(client_id) = client_id {
            self.sessions.remove(client_id);
        }
    }
}

fn edit(mut reply: CometdReply, change: impl FnOnce(&mut Vec<Value>)) -> CometdReply {
    if let Ok(Value::Array(mut messages)) = serde_json::from_str(&reply.body) {
        change(&mut messages);
        reply.body = Value::Array(messages).to_string();
    }
    reply
}

fn repeat(messages: &mut Vec<Value>, other_id: bool) {
    let events = messages.iter().filter(|message| message.get("data").is_some());
    let mut again: Vec<Value> = events.cloned().collect();
    let count = again.len();
    for id in again.iter_mut().filter_map(|event| event.pointer_mut("/data/event/replayId")) {
        if let (true, Some(number)) = (other_id, id.as_i64()) {
            *id = (number + 1).into();
        }
    }
    messages.splice(count..count, again);
}

fn odd(mut reply: CometdReply) -> CometdReply {
    if let Ok(Value::Array(mut messages)) = serde_json::from_str(&reply.body) {
        for message in messages.iter_mut().filter_map(Value::as_object_mut) {
            message.insert("unheardOf".into(), json!([{ "a": null }, 1.5, "b"]));
        }
        let only = (messages.len() == 1).then(|| messages.remove(0));
        reply.body = only.unwrap_or(Value::Array(messages)).to_string();
    }
    reply
}
