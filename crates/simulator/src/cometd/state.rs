//! All that the CometD server of one org knows.
//!
//! Here: the state, publishing into it, and taking events out of it. What a request gets is a plain function of (state,
//! request, time), without waiting and without a clock: `receive` reads a request, `admit` says whether its messages
//! reach their session, `poll` when a connect is answered, `effect` what a fault makes of an answer.
//! Not here: the wait itself (the parent module), the wording (`wire`).
//!
//! Modelled on CometD 3.1, which Salesforce's endpoint is built on, with the differences Salesforce documents in
//! "Handling Streaming API Errors" and "Client Connection Considerations" (Streaming API Developer Guide).
//!
//! Invariant: a session has at most one parked poll, and every parked poll is known under its ticket until `resume`
//! answers it or `hung_up` forgets it.

mod admit;
mod effect;
mod poll;
mod receive;

use std::collections::{BTreeMap, VecDeque};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value};

use super::cookies;
use super::exchange::{CometdReply, CometdRequest, LoggedMessage, LoggedSubscribe};
use super::faults::{CometdFault, PendingFaults};
use super::log::{ChannelLog, Event};
use super::parked::{Parked, PollEnding};
use super::session::{Logs, Session};
use super::settings::Streaming;
use super::usage::{RollingCount, Usage};
use super::wire;

/// Subscribe requests kept for inspection; older ones go first. Ours.
pub(super) const SUBSCRIBES_LOGGED_MAX: usize = 10_000;
/// Messages kept for inspection, likewise.
pub(super) const MESSAGES_LOGGED_MAX: usize = 50_000;

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
pub(super) enum RequestOutcome {
    /// Answer it now.
    Answered(CometdReply),
    /// Hold it: ask [`CometdState::resume`] after every change, and at `until_ms` at the latest.
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
pub(super) struct CometdState {
    rng: StdRng,
    available: bool,
    sessions: BTreeMap<String, Session>,
    parked: BTreeMap<u64, Parked>,
    next_ticket: u64,
    logs: Logs,
    next_sequence: u64,
    subscribes: VecDeque<LoggedSubscribe>,
    messages: VecDeque<LoggedMessage>,
    faults: PendingFaults,
    settings: Streaming,
    delivered: RollingCount,
    published: RollingCount,
}

impl CometdState {
    /// A state without sessions, events and faults.
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
            faults: PendingFaults::default(),
            settings: Streaming::default(),
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
        let created = created.to_rfc3339_opts(SecondsFormat::Millis, true);
        payload.entry("CreatedDate").or_insert_with(|| created.into());
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

    /// Empties the logs of messages and subscribe requests.
    pub(super) fn clear_log(&mut self) {
        self.subscribes.clear();
        self.messages.clear();
    }

    /// Adds a fault to those that are still to come.
    pub(super) fn add_fault(&mut self, fault: CometdFault) {
        self.faults.add(fault);
    }

    /// Forgets the faults that wait.
    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// How the endpoint behaves.
    pub(super) fn settings(&self) -> &Streaming {
        &self.settings
    }

    /// Changes how the endpoint behaves.
    pub(super) fn set_settings(&mut self, settings: Streaming) {
        self.settings = settings;
    }

    /// The channels that something was published on.
    pub(super) fn channels(&self) -> Vec<String> {
        self.logs.keys().cloned().collect()
    }

    /// Forgets all retained events and gives the next one of each channel this ID. Sessions read on from there.
    pub(super) fn restart_replay_ids(&mut self, next: i64) {
        self.logs.values_mut().for_each(|log| log.restart(next));
        for place in self.sessions.values_mut().flat_map(|session| session.positions.values_mut()) {
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
            self.end_poll(session.ticket, PollEnding::Dropped);
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

    /// Whether the allocation of deliveries is used up.
    fn is_spent(&mut self, now_ms: i64) -> bool {
        self.settings.deliveries_max.is_some_and(|max| self.delivered.sum(now_ms) >= max)
    }

    fn sweep(&mut self, now_ms: i64) {
        self.sessions.retain(|_, session| session.is_alive(now_ms));
    }

    pub(super) fn end_poll(&mut self, ticket: Option<u64>, ending: PollEnding) {
        if let Some(parked) = ticket.and_then(|ticket| self.parked.get_mut(&ticket)) {
            parked.ending = Some(ending);
        }
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
            session.map(|session| session.take(&self.logs, version, &self.settings)).unwrap_or_default();
        self.delivered.add(now_ms, messages.len() as u64);
        messages
    }
}

/// 22 characters that stay the same for one event definition, as those of real schemas do.
fn schema_id(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, name.as_bytes()).as_ref()[..16])
}
