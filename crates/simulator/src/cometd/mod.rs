//! The CometD (Bayeux) side of a simulated org: what a Streaming API client talks to.
//!
//! Here: the seam to the HTTP routes, and the waiting of the long poll. Every decision is a plain function of
//! (state, request, time) in `state`; this file only locks, waits and wakes.
//! Not here: routes, methods and content types (a body that starts with `<` is HTML, all others are JSON or plain
//! text), tokens and users, what the objects and events of the org are.
//!
//! Invariant: the lock is never held across an await, so a parked poll blocks nobody.
//! Invariant: events leave a session's queue before the answer is written. An answer lost on the way is a batch
//! lost to that session, as with the real server: only a replay brings it back.

mod catalogue;
mod cookies;
mod exchange;
mod faults;
mod log;
mod parked;
mod session;
mod settings;
mod state;
mod subscribe;
mod usage;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::clock::Clock;
pub(crate) use catalogue::{named, names};
pub(crate) use exchange::{CometdReply, CometdRequest, Delivery};
pub use exchange::{LoggedMessage, LoggedSubscribe, WrittenPart};
pub use faults::{CometdFault, CometdFaultEffect, Refuse, RequestKind};
pub use settings::{HangUp, Streaming, Wording};
use state::{CometdState, Now, RequestOutcome};
pub(crate) use usage::Usage;

/// The CometD server of one org.
pub(crate) struct CometdServer {
    clock: Clock,
    state: Mutex<CometdState>,
    /// Counts changes; every parked poll looks again when it moves.
    changes: watch::Sender<u64>,
}

impl CometdServer {
    /// A server without sessions or events. IDs it makes up follow from `seed`.
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self { clock, state: Mutex::new(CometdState::new(seed)), changes: watch::Sender::new(0) }
    }

    /// Puts an event on `/event/{event_api_name}` and returns its replay ID. `payload` holds the event's own fields;
    /// `CreatedDate` (unless it is among them), `CreatedById`, the schema ID and the `EventUuid` are filled in here. The name
    /// is taken as it is: whether the org has such an event is the caller's question.
    pub(crate) fn publish(&self, event_api_name: &str, payload: Map<String, Value>, created_by: &str) -> i64 {
        let replay_id = self.state().publish(event_api_name, payload, created_by, None, self.now());
        self.wake();
        replay_id
    }

    /// The same, under an `EventUuid` that the publisher has been told.
    pub(crate) fn publish_as(
        &self,
        uuid: &str,
        event_api_name: &str,
        payload: Map<String, Value>,
        created_by: &str,
    ) {
        self.state().publish(event_api_name, payload, created_by, Some(uuid), self.now());
        self.wake();
    }

    /// Puts a payload as it is on any channel, such as `/data/AccountChangeEvent`, and returns its replay ID.
    pub(crate) fn publish_on(&self, channel: &str, payload: Map<String, Value>) -> i64 {
        let api_name = channel.rsplit('/').next().unwrap_or(channel);
        let replay_id = self.state().put(channel, api_name, payload, None, self.now());
        self.wake();
        replay_id
    }

    /// Adds faults, all before the first takes effect. One on connects may hit the poll that is held now.
    pub(crate) fn add_faults(&self, faults: Vec<CometdFault>) {
        let mut state = self.state();
        for fault in faults {
            state.add_fault(fault);
        }
        drop(state);
        self.wake();
    }

    /// Forgets the faults that are still to come.
    pub(crate) fn clear_faults(&self) {
        self.state().clear_faults();
    }

    /// How the endpoint behaves.
    pub(crate) fn settings(&self) -> Streaming {
        self.state().settings().clone()
    }

    /// Changes how the endpoint behaves.
    pub(crate) fn set_settings(&self, settings: Streaming) {
        self.state().set_settings(settings);
        self.wake();
    }

    /// Forgets all retained events and goes on with lower replay IDs, as after an instance refresh: the next event
    /// of each channel gets this ID.
    pub(crate) fn restart_replay_ids(&self, next: i64) {
        self.state().restart_replay_ids(next);
    }

    /// The Bayeux messages since the last [`Self::clear_log`], oldest first, at most `MESSAGES_LOGGED_MAX`.
    pub(crate) fn messages(&self) -> Vec<LoggedMessage> {
        self.state().messages()
    }

    /// The channels that something was published on.
    pub(crate) fn channels(&self) -> Vec<String> {
        self.state().channels()
    }

    /// The subscribe requests since the last [`Self::clear_log`], oldest first, at most `SUBSCRIBES_LOGGED_MAX`.
    pub(crate) fn subscribes(&self) -> Vec<LoggedSubscribe> {
        self.state().subscribes()
    }

    /// Forgets the messages and subscribe requests seen so far.
    pub(crate) fn clear_log(&self) {
        self.state().clear_log();
    }

    /// While not available, every request and every parked poll is answered with HTTP 503 and an HTML page. Sessions
    /// stay, but nobody can poll, so those without a poll die after 40 s.
    pub(crate) fn set_available(&self, available: bool) {
        self.state().set_available(available);
        self.wake();
    }

    /// Forgets every session, as a server does that is shut down: a parked poll ends with `/meta/disconnect` and
    /// `403::Unknown client`, later requests of these sessions with `403::Unknown client`.
    pub(crate) fn drop_sessions(&self) {
        self.state().drop_sessions();
        self.wake();
    }

    /// Forgets all but the newest `keep` events of each channel.
    pub(crate) fn expire_events(&self, keep: usize) {
        self.state().expire_events(keep);
    }

    /// Forgets all events and sessions; replay IDs begin anew.
    pub(crate) fn migrate(&self) {
        self.state().migrate();
        self.wake();
    }

    /// What counts against the org's streaming allocations now.
    pub(crate) fn usage(&self) -> Usage {
        self.state().usage(self.clock.now_ms())
    }

    /// Answers one request. A lone `/meta/connect` with nothing to deliver is held up to 110 simulated seconds. When
    /// the caller drops the future (the client hung up), the session stays for another 40 s. A caller that does not
    /// notice goes on waiting, and the next events are lost on the dead connection; the real server does the same.
    pub(crate) async fn answer(&self, request: CometdRequest) -> CometdReply {
        // Taken before the decision: a change between the decision and the wait is then not missed.
        let changes = self.changes.subscribe();
        tracing::trace!(version = %request.version, suffix = %request.path_suffix, "CometD request");
        let outcome = self.state().receive(&request, self.now());
        self.wake();
        match outcome {
            RequestOutcome::Answered(reply) => reply,
            RequestOutcome::Parked { ticket, until_ms } => self.hold(ticket, until_ms, changes).await,
        }
    }

    async fn hold(&self, ticket: u64, until_ms: i64, mut changes: watch::Receiver<u64>) -> CometdReply {
        let _hung_up = HangUpGuard { server: self, ticket };
        loop {
            let left_ms = u64::try_from(until_ms - self.clock.now_ms()).unwrap_or(0).max(1);
            tokio::select! {
                _ = changes.changed() => {}
                () = self.clock.sleep(Duration::from_millis(left_ms)) => {}
            }
            let reply = self.state().resume(ticket, self.clock.now_ms());
            if let Some(reply) = reply {
                return reply;
            }
        }
    }

    fn now(&self) -> Now {
        Now { ms: self.clock.now_ms(), wall_ms: self.clock.wall_ms() }
    }

    fn wake(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, CometdState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the session of a poll whose future is dropped before its answer. After an answer it finds nothing to free.
struct HangUpGuard<'a> {
    server: &'a CometdServer,
    ticket: u64,
}

impl Drop for HangUpGuard<'_> {
    fn drop(&mut self) {
        let now_ms = self.server.clock.now_ms();
        self.server.state().hung_up(self.ticket, now_ms);
    }
}
