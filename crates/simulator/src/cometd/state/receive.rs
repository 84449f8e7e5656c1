//! What becomes of a request: the reply to each of its messages.
//!
//! Here: handshakes, subscriptions, and the order in which messages and faults are seen to. Not here: whether a message
//! reaches its session (`admit`), connects (`poll`), what a fault does (`effect`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::effect::FaultedRequest;
use super::poll::ConnectAnswer;
use super::{Caller, CometdState, MESSAGES_LOGGED_MAX, Now, RequestOutcome, SUBSCRIBES_LOGGED_MAX};
use crate::cometd::exchange::{CometdReply, CometdRequest, LoggedMessage};
use crate::cometd::faults::{CometdFaultEffect, RequestKind};
use crate::cometd::parked::PollEnding;
use crate::cometd::session::Session;
use crate::cometd::wire::{self, CONNECT, DISCONNECT, HANDSHAKE, Message, Reply, SUBSCRIBE, UNSUBSCRIBE};
use crate::cometd::{cookies, subscribe};

impl CometdState {
    /// Decides what becomes of one request.
    pub(crate) fn receive(&mut self, request: &CometdRequest, now: Now) -> RequestOutcome {
        self.sweep(now.ms);
        if !self.available {
            return RequestOutcome::Answered(wire::unavailable());
        }
        if request.body.len() > wire::BODY_BYTES_MAX {
            return RequestOutcome::Answered(wire::plain(413, "Maximum Request Size Exceeded"));
        }
        let Some(messages) = wire::parse(&request.body) else {
            return RequestOutcome::Answered(wire::plain(400, ""));
        };
        let version = match wire::version(&request.version, &self.settings) {
            Ok(version) => version,
            Err(error) => {
                let status = self.settings.version_status;
                return RequestOutcome::Answered(CometdReply { status, ..wrong_version(&messages, error) });
            }
        };
        let caller = Caller { version, request };
        self.log_messages(&messages, &caller, now.ms);
        let outcome = match (self.trigger(&messages), messages.first()) {
            (Some(effect), Some(first)) => {
                let faulted = FaultedRequest {
                    channel: first.channel.as_deref().unwrap_or_default(),
                    id: first.id.as_ref(),
                    client_id: first.client_id.as_deref(),
                    subscription: first.subscription.as_ref(),
                    version,
                    now_ms: now.ms,
                };
                RequestOutcome::Answered(
                    self.with_effect(&faulted, effect, |state| state.answer_at_once(&messages, &caller, now)),
                )
            }
            _ => self.decide(&messages, &caller, now),
        };
        match outcome {
            RequestOutcome::Answered(reply) if !request.token_ok && reply.status == 200 => {
                RequestOutcome::Answered(CometdReply { status: self.settings.auth_status, ..reply })
            }
            outcome => outcome,
        }
    }

    fn decide(&mut self, messages: &[Message], caller: &Caller<'_>, now: Now) -> RequestOutcome {
        match messages {
            [only] if only.is(CONNECT) && caller.request.has_token => self.poll(only, caller, now),
            several => RequestOutcome::Answered(self.answer_at_once(several, caller, now)),
        }
    }

    fn answer_at_once(&mut self, messages: &[Message], caller: &Caller<'_>, now: Now) -> CometdReply {
        match messages {
            _ if !caller.request.has_token => wire::array(vec![wire::no_authentication()], Vec::new()),
            [only] if only.is(HANDSHAKE) => self.handshake(only, caller, now),
            // CometD throws when a handshake has company.
            several if several.iter().any(|message| message.is(HANDSHAKE)) => wire::plain(500, ""),
            several => self.batch(several, caller, now),
        }
    }

    fn trigger(&mut self, messages: &[Message]) -> Option<CometdFaultEffect> {
        let first = messages.first()?;
        let session = first.client_id.as_ref().and_then(|id| self.sessions.get(id));
        let has_events = session.is_some_and(|session| session.has_events(&self.logs));
        let channel = first.subscription.as_ref().and_then(Value::as_str);
        self.faults.trigger(RequestKind::of(messages)?, channel, has_events)
    }

    fn log_messages(&mut self, messages: &[Message], caller: &Caller<'_>, now_ms: i64) {
        for message in messages {
            if self.messages.len() == MESSAGES_LOGGED_MAX {
                self.messages.pop_front();
            }
            self.messages.push_back(LoggedMessage {
                at_ms: now_ms,
                channel: message.channel.clone().unwrap_or_default(),
                client_id: message.client_id.clone(),
                has_cookie: caller.cookie(cookies::BROWSER).is_some(),
            });
        }
    }

    fn handshake(&mut self, message: &Message, caller: &Caller<'_>, now: Now) -> CometdReply {
        let id = message.id.as_ref();
        let denied = if !caller.request.token_ok {
            Some(wire::AUTHENTICATION_INVALID)
        } else if self.sessions.len() >= self.settings.clients_max {
            Some(wire::TOO_MANY_CLIENTS)
        } else {
            None
        };
        if let Some(reason) = denied {
            return wire::array(vec![wire::handshake_denied(id, reason, &self.settings).json()], Vec::new());
        }
        let mut set_cookies = Vec::new();
        let browser = if let Some(known) = caller.cookie(cookies::BROWSER) {
            known.to_owned()
        } else {
            let made = cookies::base_36(&mut self.rng, 16);
            set_cookies.extend(cookies::set_bystanders(&mut self.rng, now.wall_ms));
            set_cookies.push(cookies::set_browser(&made));
            made
        };
        let sticky = cookies::new_sticky(&mut self.rng);
        set_cookies.push(cookies::set_sticky(&sticky, now.wall_ms + self.settings.sticky_ms));
        let client_id = cookies::base_36(&mut self.rng, 28);
        let reply = wire::handshake(id, &client_id, &self.settings).json();
        let session = Session {
            browser,
            sticky,
            sticky_until_ms: now.ms + self.settings.sticky_ms,
            user_id: caller.request.user_id.clone(),
            seen_ms: now.ms,
            connected: false,
            ticket: None,
            positions: BTreeMap::new(),
        };
        self.sessions.insert(client_id, session);
        wire::array(vec![reply], set_cookies)
    }

    /// Several messages, or one that is neither handshake nor connect: answered at once, events included.
    fn batch(&mut self, messages: &[Message], caller: &Caller<'_>, now: Now) -> CometdReply {
        let client_id = messages.first().and_then(|message| message.client_id.as_deref());
        let array = |message: &Message| message.subscription.as_ref().is_some_and(Value::is_array);
        if !self.settings.batches && (messages.len() > 1 || messages.iter().any(array)) {
            let refused = messages.iter().map(|message| {
                let channel = message.channel.as_deref().unwrap_or_default();
                Reply::failure(channel, message.id.as_ref(), wire::UNKNOWN_CLIENT).json()
            });
            return wire::array(refused.collect(), Vec::new());
        }
        let mut replies = Vec::new();
        let mut set_cookies = Vec::new();
        let mut admitted = false;
        for message in messages {
            let reply = match self.admit(message, client_id, caller, now.ms) {
                Ok(client_id) => {
                    admitted = true;
                    self.carry_out(client_id, message, caller, now)
                }
                Err(refusal) => self.refuse(message, &refusal, now, &mut set_cookies),
            };
            replies.push(reply.json());
        }
        let polls = messages.iter().any(|message| message.is(CONNECT));
        match client_id {
            Some(client_id) if admitted && (polls || !self.settings.polls_deliver_only) => {
                let reply = self.with_events(client_id, caller.version, replies, now.ms);
                CometdReply { set_cookies, ..reply }
            }
            _ => wire::array(replies, set_cookies),
        }
    }

    fn carry_out(&mut self, client_id: &str, message: &Message, caller: &Caller<'_>, now: Now) -> Reply {
        let id = message.id.as_ref();
        match message.channel.as_deref() {
            Some(CONNECT) => match self.connect(client_id, message, now) {
                ConnectAnswer::Refused(reply) | ConnectAnswer::Granted { reply, .. } => reply,
            },
            Some(SUBSCRIBE) => self.subscribe(client_id, message, caller, now),
            Some(UNSUBSCRIBE) => self.unsubscribe(client_id, message, caller),
            Some(DISCONNECT) => {
                let session = self.sessions.remove(client_id);
                self.end_poll(session.and_then(|session| session.ticket), PollEnding::Disconnected);
                Reply::success(DISCONNECT, id, client_id)
            }
            None => Reply::failure("", id, wire::CHANNEL_MISSING),
            Some(meta) if meta.starts_with("/meta/") => Reply::failure(meta, id, wire::CHANNEL_UNKNOWN),
            // Events are published by the REST and SOAP APIs only.
            Some(event) => Reply::failure(event, id, wire::PUBLISH_DENIED),
        }
    }

    fn subscribe(&mut self, client_id: &str, message: &Message, caller: &Caller<'_>, now: Now) -> Reply {
        for log in self.logs.values_mut() {
            log.purge(now.ms);
        }
        let mut verdict = subscribe::decide(message, caller.request, &self.logs, &self.settings);
        if verdict.error.is_none() && self.is_spent(now.ms) {
            verdict.grants.clear();
            verdict.error = Some(wire::DELIVERIES_SPENT.to_owned());
        }
        for asked in verdict.asked {
            if self.subscribes.len() == SUBSCRIBES_LOGGED_MAX {
                self.subscribes.pop_front();
            }
            self.subscribes.push_back(asked);
        }
        if let Some(session) = self.sessions.get_mut(client_id) {
            session.seen_ms = now.ms;
            for grant in verdict.grants {
                // Asking for new events once more must not skip those that already wait.
                if !(grant.from_tip && session.positions.contains_key(&grant.channel)) {
                    session.positions.insert(grant.channel, grant.start);
                }
            }
        }
        let reply = match verdict.error {
            None => Reply::success(SUBSCRIBE, message.id.as_ref(), client_id),
            Some(error) => {
                Reply::failure(SUBSCRIBE, message.id.as_ref(), &error).with("clientId", client_id.into())
            }
        };
        reply.with_some("subscription", message.subscription.as_ref())
    }

    fn unsubscribe(&mut self, client_id: &str, message: &Message, caller: &Caller<'_>) -> Reply {
        let channels = subscribe::channels(message);
        let known = |channel: &&str| caller.request.channels_known.iter().any(|known| known == channel);
        let reply = if channels.is_empty() || !channels.iter().all(known) {
            Reply::failure(UNSUBSCRIBE, message.id.as_ref(), wire::NOT_SUBSCRIBABLE)
                .with("clientId", client_id.into())
        } else {
            if let Some(session) = self.sessions.get_mut(client_id) {
                session.positions.retain(|channel, _| !channels.contains(&channel.as_str()));
            }
            Reply::success(UNSUBSCRIBE, message.id.as_ref(), client_id)
        };
        reply.with_some("subscription", message.subscription.as_ref())
    }
}

fn wrong_version(messages: &[Message], error: &str) -> CometdReply {
    let first = messages.first();
    let channel = first.and_then(|message| message.channel.as_deref()).unwrap_or_default();
    let reply = Reply::failure(channel, first.and_then(|message| message.id.as_ref()), error);
    wire::array(vec![reply.json()], Vec::new())
}
