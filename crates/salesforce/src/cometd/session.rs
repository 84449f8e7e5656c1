//! When to ask Salesforce what: the life of one org's subscription, as a pure step.
//!
//! ```text
//! Idle ─Start→ Renewing ─→ Handshaking ─→ Subscribing ─→ Polling ─events→ Storing ─→ Polling …
//!                 ↑             ↑         (each channel)    └─ Waiting ─→ Polling (a pause was asked for)
//!                 └── Resting ──┘
//!
//! Polling ─a refused channel is due→ Asking ─→ Polling        (the subscribe goes beside the held poll)
//! any ──trouble→ Resting        any ──Stop→ Leaving ─Done→ Idle
//! an old session, a store that is slow or fails ──→ Leaving ─→ Resting
//! ```
//! Events that came with trouble, or with a stop, are stored first.
//!
//! Here: which input is an answer to what, stopping, and what a timer calls for. Not here: what the phases hold (`state`),
//! what follows from an answer (`arrows`), how it is asked (`turn`), what an answer says (`answer`), channels and their
//! positions (`channels`), how long to wait after trouble (`trouble`), what goes beside a held poll (`beside`).
//!
//! Invariants:
//! - Except when idle, a question is open: a request, a store, a token or a timer. Each has an end, so it goes on.
//! - One request is open at a time; only beside the held connect, on a connection of its own, a subscribe or a
//!   disconnect goes. Events are taken from two answers only if it is sure which Salesforce wrote first.
//! - At most one store is open, and no poll leaves while it is: Salesforce never runs ahead of the disk.
//! - A channel is subscribed to at the position last stored. Events that are not stored are asked for again.
//! - A number is never used twice, so an answer that comes after its phase finds nobody waiting.

mod answer;
mod arrows;
mod beside;
mod channels;
mod link;
mod state;
mod trouble;
mod turn;

use std::{fmt, time::Duration};

use state::{After, End, Leaving, Phase, Rest, State};
use turn::Turn;

use super::{Action, Fault, Input, Report, Wanted, options::Options};

/// One org's subscription.
#[derive(Clone, Debug)]
pub struct Session(State);

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing: it has not begun, or it has ended.
    Idle,
    /// It waits for a token.
    Renewing,
    /// It waits for the answer to a handshake.
    Handshaking,
    /// It waits for the answer to the subscribe of one channel.
    Subscribing,
    /// Salesforce holds its poll.
    Polling,
    /// Salesforce holds its poll, and beside it a channel is subscribed to.
    Asking,
    /// It pauses before the next poll.
    Waiting,
    /// It waits for events to be on disk.
    Storing,
    /// It takes leave of Salesforce.
    Leaving,
    /// It pauses before the next session.
    Resting,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Renewing => "renewing",
            Self::Handshaking => "handshaking",
            Self::Subscribing => "subscribing",
            Self::Polling => "polling",
            Self::Asking => "asking",
            Self::Waiting => "waiting",
            Self::Storing => "storing",
            Self::Leaving => "leaving",
            Self::Resting => "resting",
        })
    }
}

impl Session {
    /// An idle subscription to these channels; of two with the same name the first counts.
    pub fn new(wanted: Vec<Wanted>, options: Options) -> Self {
        Self(State::new(wanted, options))
    }

    /// True before `Input::Start` and after `Action::Done`.
    pub fn is_idle(&self) -> bool {
        self.phase() == Stage::Idle
    }

    /// What it is doing.
    pub fn phase(&self) -> Stage {
        match &self.0.phase {
            Phase::Idle => Stage::Idle,
            Phase::Renewing { .. } => Stage::Renewing,
            Phase::Handshaking { .. } => Stage::Handshaking,
            Phase::Subscribing { .. } => Stage::Subscribing,
            Phase::Polling { .. } => Stage::Polling,
            Phase::Asking(_) => Stage::Asking,
            Phase::Waiting { .. } => Stage::Waiting,
            Phase::Storing { .. } => Stage::Storing,
            Phase::Leaving(_) => Stage::Leaving,
            Phase::Resting(_) => Stage::Resting,
        }
    }
}

/// Takes one input.
///
/// `now` counts from any fixed moment and does not go back; `jitter` is a fresh random number from 0 to 1. The actions are to
/// be carried out in order. After `Action::Done`, answers that are still on their way may be dropped.
pub fn step(session: Session, input: Input, now: Duration, jitter: f64) -> (Session, Vec<Action>) {
    let jitter = if (0.0..=1.0).contains(&jitter) { jitter } else { 0.5 };
    let mut turn = Turn { state: session.0, now, jitter, actions: Vec::new() };
    turn.take(input);
    turn.arm();
    (Session(turn.state), turn.actions)
}

impl Turn {
    fn take(&mut self, input: Input) {
        let phase = std::mem::take(&mut self.state.phase);
        self.state.phase = match (phase, input) {
            (Phase::Idle, Input::Start) => self.renew(false),
            (Phase::Renewing { .. }, Input::TokenReady) => self.handshake(),
            (Phase::Renewing { stale }, Input::TokenFailed { permanent }) => {
                self.login_failed(stale, permanent)
            }
            (Phase::Handshaking { request, stop }, Input::Answer { request: answered, http })
                if request == answered =>
            {
                self.shaken(stop.is_some(), http)
            }
            (
                Phase::Subscribing { link, request, channel, stop },
                Input::Answer { request: answered, http },
            ) if request == answered => self.subscribed(link, channel, stop.is_some(), http),
            (Phase::Polling { link, request, sent }, Input::Answer { request: answered, http })
                if request == answered =>
            {
                self.polled(link, sent, http)
            }
            (Phase::Asking(asking), Input::Answer { request, http }) if asking.subscribe == request => {
                self.asked(asking, http)
            }
            (Phase::Asking(asking), Input::Answer { request, http }) if asking.held() == Some(request) => {
                self.poll_waits(asking, http)
            }
            (Phase::Storing { request, after }, Input::Stored { request: stored }) if request == stored => {
                self.keep();
                self.go_on(after)
            }
            (Phase::Storing { request, after }, Input::StoreFailed { request: failed })
                if request == failed =>
            {
                self.not_stored(after)
            }
            (Phase::Leaving(leaving), Input::Answer { request, http }) if leaving.awaits(request) => {
                self.left(leaving, request, http)
            }
            (Phase::Leaving(leaving), Input::Stored { request }) if leaving.store == Some(request) => {
                self.keep();
                self.leave_on(Leaving { store: None, ..leaving })
            }
            (Phase::Leaving(leaving), Input::StoreFailed { request }) if leaving.store == Some(request) => {
                self.state.pending.clear();
                self.leave_on(Leaving { store: None, ..leaving })
            }
            (phase, Input::Stop) => self.stop(phase),
            (phase, Input::Woke { timer }) if timer < self.state.next => self.woke(phase, timer),
            (phase, input) => {
                self.report(Report::Unasked { input: kind(&input) });
                phase
            }
        };
    }

    /// The session shall end, as soon as its phase allows.
    fn stop(&mut self, phase: Phase) -> Phase {
        let until = self.now.saturating_add(self.state.options.leave_within);
        match phase {
            Phase::Idle | Phase::Renewing { .. } | Phase::Resting(_) => self.done(),
            Phase::Handshaking { request, stop } => {
                Phase::Handshaking { request, stop: stop.or(Some(until)) }
            }
            Phase::Subscribing { link, request, channel, stop } => {
                Phase::Subscribing { link, request, channel, stop: stop.or(Some(until)) }
            }
            Phase::Asking(asking) => Phase::Asking(asking.until(until)),
            Phase::Polling { link, request, .. } => self.leave(&link, Some(request), None, End::Stop),
            Phase::Waiting { link, .. } => self.leave(&link, None, None, End::Stop),
            Phase::Storing { request, after: After::Poll(link) } => {
                self.leave(&link, None, Some(request), End::Stop)
            }
            Phase::Storing { request, after: After::Rest(_) } => Phase::Leaving(Leaving {
                disconnect: None,
                connect: None,
                store: Some(request),
                until: self.now,
                end: End::Stop,
            }),
            Phase::Leaving(leaving) => Phase::Leaving(Leaving { end: End::Stop, ..leaving }),
        }
    }

    /// A timer rang: if it is the one that counts and its time has come, the wait is over.
    fn woke(&mut self, phase: Phase, timer: u64) -> Phase {
        if self.state.alarm.is_none_or(|alarm| alarm.timer != timer) {
            return phase;
        }
        self.state.alarm = None;
        self.state.phase = phase;
        let due = self.state.deadline().is_some_and(|at| at <= self.now);
        let phase = std::mem::take(&mut self.state.phase);
        if !due {
            return phase;
        }
        match phase {
            Phase::Waiting { link, .. } => self.proceed(link),
            Phase::Polling { link, request, sent } => self.ask_beside(link, request, sent),
            Phase::Resting(rest) => self.rest(rest),
            Phase::Storing { request, after: After::Poll(link) } => {
                let reason = "the events could not be stored in time for the next poll".to_owned();
                self.report(Report::Lost { reason, retry_in: Duration::ZERO, fault: Fault::Store });
                let rest = Rest { until: self.now, renew: None };
                self.leave(&link, None, Some(request), End::Rest(rest))
            }
            Phase::Leaving(leaving) => self.leave_on(Leaving { disconnect: None, connect: None, ..leaving }),
            Phase::Handshaking { .. } | Phase::Subscribing { .. } | Phase::Asking(_) => self.done(),
            phase => phase,
        }
    }
}

fn kind(input: &Input) -> &'static str {
    match input {
        Input::Start => "Start",
        Input::Answer { .. } => "Answer",
        Input::Stored { .. } => "Stored",
        Input::StoreFailed { .. } => "StoreFailed",
        Input::TokenReady => "TokenReady",
        Input::TokenFailed { .. } => "TokenFailed",
        Input::Woke { .. } => "Woke",
        Input::Stop => "Stop",
    }
}

#[cfg(test)]
mod tests;
