//! Faults of the CometD endpoint: which request is hit, and how its answer goes wrong.
//!
//! Here: the words of a fault and its counting down. Not here: what an effect does to the state (`state/effect`), broken
//! connections (`server/entry`), the faults known by name (`catalogue`).

use serde::Deserialize;
use serde_json::Value;

use super::exchange::WrittenPart;
use super::wire::{self, Message};

/// The kind of a request, by its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// `/meta/handshake`.
    Handshake,
    /// `/meta/connect`. A fault without `with_events` also ends the poll that is being held.
    Connect,
    /// `/meta/subscribe`.
    Subscribe,
    /// `/meta/unsubscribe`.
    Unsubscribe,
    /// `/meta/disconnect`.
    Disconnect,
}

/// A fault and the requests it hits: after `skip` that fit, the next `count`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CometdFault {
    /// The kind of request that is hit.
    pub at: RequestKind,
    /// If set, only subscribe requests to this channel are hit.
    #[serde(default)]
    pub channel: Option<String>,
    /// Whether only requests are hit for whose session events wait.
    #[serde(default)]
    pub with_events: bool,
    /// So many fitting requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many of them are hit.
    #[serde(default = "once")]
    pub count: u32,
    /// What happens to those that are hit.
    #[serde(rename = "harm")]
    pub effect: CometdFaultEffect,
}

fn once() -> u32 {
    1
}

/// How a request goes wrong.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CometdFaultEffect {
    /// Not done; answered with a Bayeux failure.
    Refuse(Refuse),
    /// Not done; answered with this HTTP status and body, letter by letter.
    Respond {
        /// The HTTP status of the answer.
        status: u16,
        /// The body of the answer.
        body: String,
        /// The `Location` header.
        #[serde(default)]
        location: Option<String>,
    },
    /// The session ends: the events that wait, `/meta/disconnect` with this `successful`, then a failed reply.
    End {
        /// `successful` of `/meta/disconnect`; absent in some captures.
        #[serde(default)]
        successful: Option<bool>,
    },
    /// Done, events taken, but the connection closes in the middle of the answer.
    Cut {
        /// How much of the body is written.
        written: WrittenPart,
        /// Chunked instead of with a `Content-Length`.
        #[serde(default)]
        chunked: bool,
    },
    /// Done, and answered so many simulated milliseconds later.
    Delay(u64),
    /// Done, and the body is written byte group by byte group: so many pieces, so many simulated milliseconds apart.
    Drip {
        /// How many pieces the body is cut into.
        pieces: usize,
        /// Simulated milliseconds between two of them.
        every_ms: u64,
    },
    /// Done, but never answered.
    Silence,
    /// Done; these messages stand ahead in the answer.
    Insert(Vec<Value>),
    /// Done; each event is delivered twice.
    Repeat {
        /// The second time under another replay ID.
        other_id: bool,
    },
    /// Done; with these `Set-Cookie` headers on top.
    Cookies(Vec<String>),
    /// Done; the reply gets these keys on top, such as advice. `{}` just ends a held poll.
    Merge(serde_json::Map<String, Value>),
    /// Done; a single object instead of an array, with keys nobody knows.
    Odd,
}

/// A Bayeux failure. Absent keys are absent in the reply.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refuse {
    /// The reply's `error`.
    pub error: Option<String>,
    /// The reply's `ext.sfdc.failureReason`.
    pub failure_reason: Option<String>,
    /// The reply's `advice`.
    pub advice: Option<Value>,
    /// Whether `channel`, `id` and `clientId` are left out.
    pub bare: bool,
    /// Whether the session ends with it.
    pub ends_session: bool,
    /// The balancer sets a new cookie, as when it led to the wrong server.
    pub new_sticky: bool,
}

impl RequestKind {
    /// The kind of a request: that of its first message.
    pub(super) fn of(messages: &[Message]) -> Option<Self> {
        match messages.first()?.channel.as_deref()? {
            wire::HANDSHAKE => Some(Self::Handshake),
            wire::CONNECT => Some(Self::Connect),
            wire::SUBSCRIBE => Some(Self::Subscribe),
            wire::UNSUBSCRIBE => Some(Self::Unsubscribe),
            wire::DISCONNECT => Some(Self::Disconnect),
            _ => None,
        }
    }
}

/// The faults that are still to come, in the order they were asked for.
#[derive(Debug, Default)]
pub(super) struct PendingFaults(Vec<CometdFault>);

impl PendingFaults {
    pub(super) fn add(&mut self, fault: CometdFault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The effect due on a request, counted down.
    pub(super) fn trigger(
        &mut self,
        kind: RequestKind,
        channel: Option<&str>,
        has_events: bool,
    ) -> Option<CometdFaultEffect> {
        let fits = |fault: &CometdFault| {
            fault.at == kind
                && (has_events || !fault.with_events)
                && fault.channel.as_deref().is_none_or(|wanted| Some(wanted) == channel)
        };
        let mut effect = None;
        for fault in self.0.iter_mut().filter(|fault| fits(fault)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.count > 0 {
                fault.count -= 1;
                effect = Some(fault.effect.clone());
                break;
            }
        }
        self.0.retain(|fault| fault.count > 0);
        effect
    }

    /// Whether a poll that is held is hit now. Faults that let requests pass count only those that arrive.
    pub(super) fn trigger_held(&mut self, has_events: bool) -> Option<CometdFaultEffect> {
        let due = self.0.iter().any(|fault| {
            fault.at == RequestKind::Connect && fault.skip == 0 && (has_events || !fault.with_events)
        });
        due.then(|| self.trigger(RequestKind::Connect, None, has_events)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(value: Value) -> CometdFault {
        serde_json::from_value(value).expect("a fault")
    }

    #[test]
    fn a_fault_hits_what_fits_after_those_it_lets_pass() {
        let mut waiting = PendingFaults::default();
        waiting.add(fault(json!({"at": "connect", "skip": 1, "count": 2, "harm": "silence"})));
        waiting.add(fault(json!({"at": "subscribe", "channel": "/event/A__e", "harm": {"delay": 5}})));
        waiting.add(fault(json!({"at": "connect", "with_events": true, "harm": "odd"})));
        assert_eq!(waiting.trigger_held(false), None, "the first connect to come is let pass");
        let faulted = [
            (RequestKind::Connect, None, false),
            (RequestKind::Subscribe, Some("/event/B__e"), false),
            (RequestKind::Subscribe, Some("/event/A__e"), false),
            (RequestKind::Connect, None, false),
            (RequestKind::Connect, None, true),
            (RequestKind::Connect, None, false),
            (RequestKind::Connect, None, true),
            (RequestKind::Connect, None, true),
        ]
        .map(|(kind, channel, has_events)| waiting.trigger(kind, channel, has_events));
        let silence = Some(CometdFaultEffect::Silence);
        let expected = [
            None,
            None,
            Some(CometdFaultEffect::Delay(5)),
            silence.clone(),
            silence,
            None,
            Some(CometdFaultEffect::Odd),
            None,
        ];
        assert_eq!(faulted, expected);
    }
}
