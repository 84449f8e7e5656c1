//! Polls: `/meta/connect`, held until there is something to say.
//!
//! Here: whether a connect is answered or parked, and what ends a parked one. Not here: the waiting (`cometd`), the
//! events (`session`).
//!
//! A session's first connect is never held, nor one in company, nor one with events waiting. A second connect of a
//! session ends the first with HTTP 500 and no body (CometD 3.1, `AbstractHttpTransport`).

use serde_json::{Value, json};

use super::effect::FaultedRequest;
use super::{Caller, CometdState, Now, RequestOutcome};
use crate::cometd::exchange::CometdReply;
use crate::cometd::parked::{Parked, PollEnding};
use crate::cometd::session::RECONNECT_MS;
use crate::cometd::settings::HangUp;
use crate::cometd::wire::{self, CONNECT, DISCONNECT, Message, Reply};

/// How long a client whose browser already polls shall wait before the next poll, in milliseconds (CometD 3.1).
const MULTIPLE_CLIENTS_MS: i64 = 2_000;

/// What came of a connect.
pub(super) enum ConnectAnswer {
    Refused(Reply),
    Granted { reply: Reply, hold_ms: i64 },
}

impl CometdState {
    /// A connect that is alone in its request, so it may be held.
    pub(super) fn poll(&mut self, message: &Message, caller: &Caller<'_>, now: Now) -> RequestOutcome {
        let client_id = message.client_id.as_deref();
        let reply = match self.admit(message, client_id, caller, now.ms) {
            Err(refusal) => {
                let mut set_cookies = Vec::new();
                let reply = self.refuse(message, &refusal, now, &mut set_cookies);
                return RequestOutcome::Answered(wire::array(vec![reply.json()], set_cookies));
            }
            Ok(client_id) => self.connect(client_id, message, now),
        };
        let client_id = client_id.unwrap_or_default();
        let (reply, hold_ms) = match reply {
            ConnectAnswer::Refused(reply) => (reply, 0),
            ConnectAnswer::Granted { reply, hold_ms } => (reply, hold_ms),
        };
        let Some(session) = self.sessions.get(client_id) else {
            return RequestOutcome::Answered(wire::plain(500, ""));
        };
        if hold_ms == 0 || session.has_events(&self.logs) {
            return RequestOutcome::Answered(self.with_events(
                client_id,
                caller.version,
                vec![reply.json()],
                now.ms,
            ));
        }
        if self.sessions.values().any(|other| other.ticket.is_some() && other.browser == session.browser) {
            let advice =
                json!({ "multiple-clients": true, "reconnect": "retry", "interval": MULTIPLE_CLIENTS_MS });
            return RequestOutcome::Answered(wire::array(
                vec![reply.with("advice", advice).json()],
                Vec::new(),
            ));
        }
        self.park(client_id, message, caller.version, now.ms + hold_ms)
    }

    fn park(&mut self, client_id: &str, message: &Message, version: u32, until_ms: i64) -> RequestOutcome {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if let Some(session) = self.sessions.get_mut(client_id) {
            session.ticket = Some(ticket);
        }
        let parked = Parked {
            client_id: client_id.to_owned(),
            message_id: message.id.clone(),
            version,
            with_advice: message.has_advice(),
            until_ms,
            ending: None,
        };
        self.parked.insert(ticket, parked);
        RequestOutcome::Parked { ticket, until_ms }
    }

    /// The part of a connect that does not depend on whether it may be held.
    pub(super) fn connect(&mut self, client_id: &str, message: &Message, now: Now) -> ConnectAnswer {
        let id = message.id.as_ref();
        if let Some(other) = message.connection_type.as_deref().filter(|kind| *kind != "long-polling") {
            let error = format!("400::Invalid connection type {{{other}}}");
            return ConnectAnswer::Refused(
                Reply::failure(CONNECT, id, &error).with("clientId", client_id.into()),
            );
        }
        let mut first = false;
        let mut earlier = None;
        if let Some(session) = self.sessions.get_mut(client_id) {
            first = !std::mem::replace(&mut session.connected, true);
            earlier = session.ticket.take();
            session.seen_ms = now.ms;
            if self.settings.sticky_renewed {
                session.sticky_until_ms = now.ms + self.settings.sticky_ms;
            }
        }
        self.end_poll(earlier, PollEnding::Superseded);
        if self.is_spent(now.ms) {
            return ConnectAnswer::Refused(self.cut_subscriptions(client_id, id));
        }
        let hold_ms = self.settings.hold_ms;
        let hold_ms = message.advice_timeout_ms().unwrap_or(hold_ms).clamp(0, hold_ms);
        let with_advice = first || message.has_advice();
        ConnectAnswer::Granted {
            reply: self.connected(client_id, id, with_advice),
            hold_ms: if first { 0 } else { hold_ms },
        }
    }

    /// Answers a parked poll if it is time to.
    pub(crate) fn resume(&mut self, ticket: u64, now_ms: i64) -> Option<CometdReply> {
        let Some(parked) = self.parked.get(&ticket) else {
            return Some(wire::plain(500, ""));
        };
        let session = self.sessions.get(&parked.client_id);
        let has_events = session.is_some_and(|session| session.has_events(&self.logs));
        let open = self.available && parked.ending.is_none();
        let held = now_ms < parked.until_ms && !has_events;
        let effect = if open { self.faults.trigger_held(has_events) } else { None };
        if open && held && effect.is_none() {
            return None;
        }
        let parked = self.forget_poll(ticket, now_ms)?;
        if !self.available {
            return Some(wire::unavailable());
        }
        if let Some(effect) = effect {
            let faulted = FaultedRequest {
                channel: CONNECT,
                id: parked.message_id.as_ref(),
                client_id: Some(&parked.client_id),
                subscription: None,
                version: parked.version,
                now_ms,
            };
            return Some(self.with_effect(&faulted, effect, |state| state.poll_over(&parked, now_ms)));
        }
        let id = parked.message_id.as_ref();
        Some(match parked.ending {
            None => self.poll_over(&parked, now_ms),
            Some(PollEnding::Superseded) => wire::plain(500, ""),
            Some(PollEnding::Disconnected) => wire::array(
                vec![self.connected(&parked.client_id, id, false).advise("none").json()],
                Vec::new(),
            ),
            Some(PollEnding::Dropped) => {
                let told = json!({ "channel": DISCONNECT, "successful": true });
                let refused = Reply::failure(CONNECT, id, wire::UNKNOWN_CLIENT)
                    .with("clientId", parked.client_id.as_str().into())
                    .advise("none");
                wire::array(vec![told, refused.json()], Vec::new())
            }
        })
    }

    /// A poll that has been held to its end, by time or by events.
    fn poll_over(&mut self, parked: &Parked, now_ms: i64) -> CometdReply {
        let id = parked.message_id.as_ref();
        let reply = if self.is_spent(now_ms) {
            self.cut_subscriptions(&parked.client_id, id)
        } else {
            self.connected(&parked.client_id, id, parked.with_advice)
        };
        self.with_events(&parked.client_id, parked.version, vec![reply.json()], now_ms)
    }

    /// The allocation is used up: the session stays, its subscriptions do not.
    fn cut_subscriptions(&mut self, client_id: &str, id: Option<&Value>) -> Reply {
        if let Some(session) = self.sessions.get_mut(client_id) {
            session.positions.clear();
        }
        Reply::failure(CONNECT, id, wire::DELIVERIES_SPENT).with("clientId", client_id.into()).advise("none")
    }

    fn connected(&self, client_id: &str, id: Option<&Value>, with_advice: bool) -> Reply {
        let reply = Reply::success(CONNECT, id, client_id);
        if with_advice { reply.with("advice", wire::polling_advice(&self.settings)) } else { reply }
    }

    /// Forgets a parked poll that nobody waits for any more. Its session has taken no events for it.
    pub(crate) fn hung_up(&mut self, ticket: u64, now_ms: i64) {
        let Some(parked) = self.forget_poll(ticket, now_ms) else { return };
        match (self.settings.hang_up, self.sessions.get_mut(&parked.client_id)) {
            (HangUp::AtOnce, Some(session)) if session.ticket.is_none() => {
                session.seen_ms = now_ms - RECONNECT_MS - 1;
            }
            (HangUp::Unnoticed, Some(session)) => session.seen_ms = parked.until_ms,
            _ => {}
        }
    }

    fn forget_poll(&mut self, ticket: u64, now_ms: i64) -> Option<Parked> {
        let parked = self.parked.remove(&ticket)?;
        if let Some(session) = self.sessions.get_mut(&parked.client_id)
            && session.ticket == Some(ticket)
        {
            session.ticket = None;
            session.seen_ms = now_ms;
        }
        Some(parked)
    }
}
