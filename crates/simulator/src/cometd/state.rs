//! All that the CometD server of one org knows, and what it answers.
//!
//! Here: which reply a request gets. A plain function of (state, request, time): no waiting, no clock.
//! In `poll`: connects, and when a parked one ends. In `admit`: whether a message reaches its session at all.
//! Not here: the wait itself (`super`), the wording (`wire`).
//!
//! Modelled on CometD 3.1, which Salesforce's endpoint is built on, with the differences Salesforce documents in
//! "Handling Streaming API Errors" and "Client Connection Considerations" (Streaming API Developer Guide).
//!
//! Invariant: a session has at most one parked poll, and every parked poll is known under its ticket until `resume`
//! answers it or `hung_up` forgets it.

mod admit;
mod harm;
mod poll;

use std::collections::{BTreeMap, VecDeque};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value};

use super::faults::{CometdFault, Place, Waiting};
use super::log::{ChannelLog, Event};
use super::session::{Logs, Session};
use super::switches::{HangUp, Streaming};
use super::usage::{RollingCount, Usage};
use super::wire::{self, Message, Reply};
use super::{CometdReply, CometdRequest, LoggedMessage, LoggedSubscribe, cookies, subscribe};
use harm::Struck;
use poll::{Connect, Ending, Parked};

/// Subscribe requests kept for inspection; older ones go first. Ours.
pub(super) const SUBSCRIBES_LOGGED_MAX: usize = 10_000;
/// Messages kept for inspection, likewise.
pub(super) const MESSAGES_LOGGED_MAX: usize = 50_000;

const HANDSHAKE: &str = "/meta/handshake";
const CONNECT: &str = "/meta/connect";
const SUBSCRIBE: &str = "/meta/subscribe";
const UNSUBSCRIBE: &str = "/meta/unsubscribe";
const DISCONNECT: &str = "/meta/disconnect";

/// The time of one decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Simulated Unix milliseconds: all timers and the retention.
    pub(super) ms: i64,
    /// Real Unix milliseconds: dates that a client reads.
    pub(super) wall_ms: i64,
}

/// What is to be done about a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Answer it now.
    Answered(CometdReply),
    /// Hold it: ask [`State::resume`] after every change, and at `until_ms` at the latest.
    Parked { ticket: u64, until_ms: i64 },
}

/// What is read once from each request.
struct Caller<'a> {
    version: u32,
    request: &'a CometdRequest,
}

impl Caller<'_> {
    fn cookie(&self, name: &str) -> Option<&str> {
        cookies::find(&self.request.cookies, name)
    }
}

/// The CometD state of one org.
#[derive(Debug)]
pub(super) struct State {
    rng: StdRng,
    available: bool,
    sessions: BTreeMap<String, Session>,
    parked: BTreeMap<u64, Parked>,
    next_ticket: u64,
    logs: Logs,
    next_sequence: u64,
    subscribes: VecDeque<LoggedSubscribe>,
    messages: VecDeque<LoggedMessage>,
    faults: Waiting,
    terms: Streaming,
    delivered: RollingCount,
    published: RollingCount,
}

impl State {
    /// Nothing yet.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            available: true,
            sessions: BTreeMap::new(),
            parked: BTreeMap::new(),
            next_ticket: 0,
            logs: Logs::new(),
            next_sequence: 0,
            subscribes: VecDeque::new(),
            messages: VecDeque::new(),
            faults: Waiting::default(),
            terms: Streaming::default(),
            delivered: RollingCount::day(),
            published: RollingCount::hour(),
        }
    }

    /// Adds an event to its channel's log and returns its replay ID.
    pub(super) fn publish(
        &mut self,
        name: &str,
        mut payload: Map<String, Value>,
        created_by: &str,
        uuid: Option<&str>,
        now: Now,
    ) -> i64 {
        let created = DateTime::<Utc>::from_timestamp_millis(now.wall_ms).unwrap_or_default();
        payload.insert("CreatedDate".into(), created.to_rfc3339_opts(SecondsFormat::Millis, true).into());
        payload.insert("CreatedById".into(), created_by.into());
        self.put(&format!("/event/{name}"), name, payload, uuid, now)
    }

    /// Adds a payload to a channel's log and returns its replay ID.
    pub(super) fn put(
        &mut self,
        channel: &str,
        api_name: &str,
        payload: Map<String, Value>,
        uuid: Option<&str>,
        now: Now,
    ) -> i64 {
        let log = self.logs.entry(channel.to_owned()).or_insert_with(|| ChannelLog::new(&mut self.rng));
        let replay_id = log.next_id(&mut self.rng);
        log.push(Event {
            replay_id,
            sequence: self.next_sequence,
            at_ms: now.ms,
            payload_bytes: serde_json::to_string(&payload).map_or(0, |text| text.len()),
            api_name: api_name.to_owned(),
            uuid: uuid.map_or_else(
                || uuid::Builder::from_random_bytes(self.rng.random()).into_uuid().to_string(),
                str::to_owned,
            ),
            schema: schema_id(api_name),
            payload,
        });
        self.next_sequence += 1;
        self.published.add(now.ms, 1);
        replay_id
    }

    /// The logged subscribe requests, oldest first.
    pub(super) fn subscribes(&self) -> Vec<LoggedSubscribe> {
        self.subscribes.iter().cloned().collect()
    }

    /// The logged messages, oldest first.
    pub(super) fn messages(&self) -> Vec<LoggedMessage> {
        self.messages.iter().cloned().collect()
    }

    /// Empties these logs.
    pub(super) fn clear_log(&mut self) {
        self.subscribes.clear();
        self.messages.clear();
    }

    /// Adds a fault.
    pub(super) fn add_fault(&mut self, fault: CometdFault) {
        self.faults.add(fault);
    }

    /// Forgets the faults that wait.
    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// How the endpoint behaves.
    pub(super) fn terms(&self) -> &Streaming {
        &self.terms
    }

    /// Changes how the endpoint behaves.
    pub(super) fn set_terms(&mut self, terms: Streaming) {
        self.terms = terms;
    }

    /// The channels that something was published on.
    pub(super) fn channels(&self) -> Vec<String> {
        self.logs.keys().cloned().collect()
    }

    /// Forgets all retained events and gives the next one of each channel this ID. Sessions read on from there.
    pub(super) fn restart_replay_ids(&mut self, next: i64) {
        self.logs.values_mut().for_each(|log| log.restart(next));
        for place in self.sessions.values_mut().flat_map(|session| session.places.values_mut()) {
            *place = next - 1;
        }
    }

    /// Switches the server off or on.
    pub(super) fn set_available(&mut self, available: bool) {
        self.available = available;
    }

    /// Forgets every session.
    pub(super) fn drop_sessions(&mut self) {
        for session in std::mem::take(&mut self.sessions).into_values() {
            self.end_poll(session.ticket, Ending::Dropped);
        }
    }

    /// Events go before their time.
    pub(super) fn expire_events(&mut self, keep: usize) {
        self.logs.values_mut().for_each(|log| log.expire(keep));
    }

    /// Events and sessions are gone.
    pub(super) fn migrate(&mut self) {
        self.logs.clear();
        self.drop_sessions();
    }

    /// What counts against the allocations at `now_ms`.
    pub(super) fn usage(&mut self, now_ms: i64) -> Usage {
        self.sweep(now_ms);
        Usage {
            clients: self.sessions.len() as u64,
            delivered_day: self.delivered.sum(now_ms),
            published_hour: self.published.sum(now_ms),
        }
    }

    /// Decides about one request.
    pub(super) fn receive(&mut self, request: &CometdRequest, now: Now) -> Outcome {
        self.sweep(now.ms);
        if !self.available {
            return Outcome::Answered(wire::unavailable());
        }
        if request.body.len() > wire::BODY_BYTES_MAX {
            return Outcome::Answered(wire::plain(413, "Maximum Request Size Exceeded"));
        }
        let Some(messages) = wire::parse(&request.body) else {
            return Outcome::Answered(wire::plain(400, ""));
        };
        let version = match wire::version(&request.version, &self.terms) {
            Ok(version) => version,
            Err(error) => {
                let status = self.terms.version_status;
                return Outcome::Answered(CometdReply { status, ..wrong_version(&messages, error) });
            }
        };
        let caller = Caller { version, request };
        self.note(&messages, &caller, now.ms);
        let outcome = match (self.strike(&messages), messages.first()) {
            (Some(harm), Some(first)) => {
                let struck = Struck {
                    channel: first.channel.as_deref().unwrap_or_default(),
                    id: first.id.as_ref(),
                    client_id: first.client_id.as_deref(),
                    subscription: first.subscription.as_ref(),
                    version,
                    now_ms: now.ms,
                };
                Outcome::Answered(
                    self.harmed(&struck, harm, |state| state.answer_at_once(&messages, &caller, now)),
                )
            }
            _ => self.decide(&messages, &caller, now),
        };
        match outcome {
            Outcome::Answered(reply) if !request.token_ok && reply.status == 200 => {
                Outcome::Answered(CometdReply { status: self.terms.auth_status, ..reply })
            }
            outcome => outcome,
        }
    }

    fn decide(&mut self, messages: &[Message], caller: &Caller<'_>, now: Now) -> Outcome {
        match messages {
            [only] if only.is(CONNECT) && caller.request.has_token => self.poll(only, caller, now),
            several => Outcome::Answered(self.answer_at_once(several, caller, now)),
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

    fn strike(&mut self, messages: &[Message]) -> Option<super::faults::Harm> {
        let first = messages.first()?;
        let session = first.client_id.as_ref().and_then(|id| self.sessions.get(id));
        let has_events = session.is_some_and(|session| session.has_events(&self.logs));
        let channel = first.subscription.as_ref().and_then(Value::as_str);
        self.faults.strike(Place::of(messages)?, channel, has_events)
    }

    fn note(&mut self, messages: &[Message], caller: &Caller<'_>, now_ms: i64) {
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

    /// Whether the allocation of deliveries is used up.
    fn is_spent(&mut self, now_ms: i64) -> bool {
        self.terms.deliveries_max.is_some_and(|max| self.delivered.sum(now_ms) >= max)
    }

    fn sweep(&mut self, now_ms: i64) {
        self.sessions.retain(|_, session| session.is_alive(now_ms));
    }

    fn handshake(&mut self, message: &Message, caller: &Caller<'_>, now: Now) -> CometdReply {
        let id = message.id.as_ref();
        let denied = if !caller.request.token_ok {
            Some(wire::AUTHENTICATION_INVALID)
        } else if self.sessions.len() >= self.terms.clients_max {
            Some(wire::TOO_MANY_CLIENTS)
        } else {
            None
        };
        if let Some(reason) = denied {
            return wire::array(vec![wire::handshake_denied(id, reason, &self.terms).json()], Vec::new());
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
        set_cookies.push(cookies::set_sticky(&sticky, now.wall_ms + self.terms.sticky_ms));
        let client_id = cookies::base_36(&mut self.rng, 28);
        let reply = wire::handshake(id, &client_id, &self.terms).json();
        let session = Session {
            browser,
            sticky,
            sticky_until_ms: now.ms + self.terms.sticky_ms,
            user_id: caller.request.user_id.clone(),
            seen_ms: now.ms,
            connected: false,
            ticket: None,
            places: BTreeMap::new(),
        };
        self.sessions.insert(client_id, session);
        wire::array(vec![reply], set_cookies)
    }

    /// Several messages, or one that is neither handshake nor connect: answered at once, events included.
    fn batch(&mut self, messages: &[Message], caller: &Caller<'_>, now: Now) -> CometdReply {
        let client_id = messages.first().and_then(|message| message.client_id.as_deref());
        let array = |message: &Message| message.subscription.as_ref().is_some_and(Value::is_array);
        if !self.terms.batches && (messages.len() > 1 || messages.iter().any(array)) {
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
            Some(client_id) if admitted && (polls || !self.terms.polls_deliver_only) => {
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
                Connect::Refused(reply) | Connect::Granted { reply, .. } => reply,
            },
            Some(SUBSCRIBE) => self.subscribe(client_id, message, caller, now),
            Some(UNSUBSCRIBE) => self.unsubscribe(client_id, message, caller),
            Some(DISCONNECT) => {
                let session = self.sessions.remove(client_id);
                self.end_poll(session.and_then(|session| session.ticket), Ending::Disconnected);
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
        let mut verdict = subscribe::judge(message, caller.request, &self.logs, &self.terms);
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
                if !(grant.from_tip && session.places.contains_key(&grant.channel)) {
                    session.places.insert(grant.channel, grant.start);
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
                session.places.retain(|channel, _| !channels.contains(&channel.as_str()));
            }
            Reply::success(UNSUBSCRIBE, message.id.as_ref(), client_id)
        };
        reply.with_some("subscription", message.subscription.as_ref())
    }

    /// An answer that first delivers what the session waits for, then carries the replies.
    fn with_events(
        &mut self,
        client_id: &str,
        version: u32,
        replies: Vec<Value>,
        now_ms: i64,
    ) -> CometdReply {
        let mut messages = self.events_for(client_id, version, now_ms);
        messages.extend(replies);
        wire::array(messages, Vec::new())
    }

    /// Takes what a session waits for.
    fn events_for(&mut self, client_id: &str, version: u32, now_ms: i64) -> Vec<Value> {
        let session = self.sessions.get_mut(client_id);
        let messages =
            session.map(|session| session.take(&self.logs, version, &self.terms)).unwrap_or_default();
        self.delivered.add(now_ms, messages.len() as u64);
        messages
    }
}

fn wrong_version(messages: &[Message], error: &str) -> CometdReply {
    let first = messages.first();
    let channel = first.and_then(|message| message.channel.as_deref()).unwrap_or_default();
    let reply = Reply::failure(channel, first.and_then(|message| message.id.as_ref()), error);
    wire::array(vec![reply.json()], Vec::new())
}

/// 22 characters that stay the same for one event definition, as those of real schemas do.
fn schema_id(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, name.as_bytes()).as_ref()[..16])
}
