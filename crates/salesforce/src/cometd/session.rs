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
//! Here: the phases, and which input is an answer to what. Not here: what follows (`arrows`), how it is asked
//! (`ask`), what an answer says (`answer`), channels and their positions (`channels`), how long to wait after
//! trouble (`trouble`), what goes beside a held poll (`beside`).
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
mod ask;
mod beside;
mod channels;
mod link;
mod trouble;

#[cfg(test)]
mod org;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod talk;
#[cfg(test)]
mod tests;

use std::time::Duration;

use beside::Asking;
use channels::{Channel, Pending};
use link::Link;
use trouble::Trouble;

use super::{Action, Input, Report, Wanted};

/// The times of a subscription that are ours to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A session whose events are not stored this long after they came is left, and resumed by replay. Default 30 s:
    /// Salesforce drops a session 40 s after an answer without a poll ("Using Streaming API Timeouts").
    pub poll_within: Duration,
    /// Within this time Salesforce must begin to answer anything but a poll that it holds. Default 30 s: a session that
    /// is not heard of for 40 s is gone (same page).
    pub answer_within: Duration,
    /// Age at which a session is replaced, less up to a tenth by chance. Default 2 h 45 min: the balancer's cookie
    /// lives 3 h, and without it the session is unknown.
    pub renew_after: Duration,
    /// First ceiling of the wait after trouble, doubled each time. Default 1 s.
    pub retry_base: Duration,
    /// Last ceiling of the wait after trouble. Default 5 min.
    pub retry_max: Duration,
    /// Wait before asking again what only a person can mend; up to half is added by chance. Default 15 min.
    pub probe_after: Duration,
    /// Time for taking leave of Salesforce. Default 10 s.
    pub leave_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(30),
            renew_after: Duration::from_mins(165),
            retry_base: Duration::from_secs(1),
            retry_max: Duration::from_mins(5),
            probe_after: Duration::from_mins(15),
            leave_within: Duration::from_secs(10),
        }
    }
}

/// One org's subscription.
#[derive(Clone, Debug)]
pub struct Session {
    options: Options,
    phase: Phase,
    channels: Vec<Channel>,
    /// What the open store will have changed.
    pending: Vec<Pending>,
    trouble: Trouble,
    /// The timer that counts; older ones may still ring.
    alarm: Option<Alarm>,
    /// Number of the next question.
    next: u64,
}

impl Session {
    /// An idle subscription to these channels; of two with the same name the first counts.
    pub fn new(wanted: Vec<Wanted>, options: Options) -> Self {
        let (phase, trouble) = (Phase::Idle, Trouble::default());
        Self {
            options,
            phase,
            channels: channels::all(wanted),
            pending: Vec::new(),
            trouble,
            alarm: None,
            next: 1,
        }
    }

    /// True before `Input::Start` and after `Action::Done`.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// What it is doing, in one word for an operator.
    pub fn phase(&self) -> &'static str {
        match &self.phase {
            Phase::Idle => "idle",
            Phase::Renewing { .. } => "renewing",
            Phase::Handshaking { .. } => "handshaking",
            Phase::Subscribing { .. } => "subscribing",
            Phase::Polling { .. } => "polling",
            Phase::Asking(_) => "asking",
            Phase::Waiting { .. } => "waiting",
            Phase::Storing { .. } => "storing",
            Phase::Leaving(_) => "leaving",
            Phase::Resting(_) => "resting",
        }
    }
}

#[derive(Clone, Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// Open: the token.
    Renewing { stale: bool },
    /// Open: the handshake. `stop`: until when it is awaited, since it shall end with this answer.
    Handshaking { request: u64, stop: Option<Duration> },
    /// Open: the subscribe of one channel.
    Subscribing { link: Link, request: u64, channel: usize, stop: Option<Duration> },
    /// Open: the connect.
    Polling { link: Link, request: u64, sent: Duration },
    /// Open: a subscribe, beside the connect or its answer.
    Asking(Asking),
    /// Open: a timer, before the next connect.
    Waiting { link: Link, until: Duration },
    /// Open: the store, and a timer while the session is alive.
    Storing { request: u64, after: After },
    /// Open: whichever is there.
    Leaving(Leaving),
    /// Open: a timer; there is no session.
    Resting(Rest),
}

/// What follows the store.
#[derive(Clone, Debug)]
enum After {
    Poll(Link),
    Rest(Rest),
}

/// No session until then; afterwards a token first (`Some(stale)`) or at once a handshake.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Duration,
    renew: Option<bool>,
}

/// Taking leave: over when nothing is open.
#[derive(Clone, Debug)]
struct Leaving {
    disconnect: Option<u64>,
    connect: Option<u64>,
    store: Option<u64>,
    /// Until when answers of the server are awaited. A store is awaited in any case.
    until: Duration,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Rest(Rest),
    Stop,
}

#[derive(Clone, Copy, Debug)]
struct Alarm {
    timer: u64,
    at: Duration,
}

/// Takes one input.
///
/// `now` counts from any fixed moment and does not go back; `dice` is a fresh number from 0 to 1. The actions are to
/// be carried out in order. After `Action::Done`, answers that are still on their way may be dropped.
pub fn step(session: Session, input: Input, now: Duration, dice: f64) -> (Session, Vec<Action>) {
    let dice = if (0.0..=1.0).contains(&dice) { dice } else { 0.5 };
    let mut turn = Turn { session, now, dice, actions: Vec::new() };
    turn.take(input);
    turn.arm();
    (turn.session, turn.actions)
}

struct Turn {
    session: Session,
    now: Duration,
    dice: f64,
    actions: Vec<Action>,
}

impl Turn {
    fn take(&mut self, input: Input) {
        let phase = std::mem::take(&mut self.session.phase);
        self.session.phase = match (phase, input) {
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
                self.session.pending.clear();
                self.leave_on(Leaving { store: None, ..leaving })
            }
            (phase, Input::Stop) => self.stop(phase),
            (phase, Input::Woke { timer }) if timer < self.session.next => self.woke(phase, timer),
            (phase, input) => {
                self.report(Report::Unasked { input: kind(&input) });
                phase
            }
        };
    }
}

impl Session {
    /// When a timer must ring.
    fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Idle | Phase::Renewing { .. } | Phase::Storing { after: After::Rest(_), .. } => None,
            Phase::Handshaking { stop, .. }
            | Phase::Subscribing { stop, .. }
            | Phase::Asking(Asking { stop, .. }) => *stop,
            Phase::Polling { .. } => channels::next_due(&self.channels),
            Phase::Waiting { until, .. } => {
                Some(channels::next_due(&self.channels).map_or(*until, |due| due.min(*until)))
            }
            Phase::Resting(Rest { until, .. }) => Some(*until),
            Phase::Storing { after: After::Poll(link), .. } => {
                Some(link.heard.saturating_add(self.options.poll_within))
            }
            Phase::Leaving(leaving) => leaving.disconnect.or(leaving.connect).map(|_| leaving.until),
        }
    }
}

impl Leaving {
    fn awaits(&self, request: u64) -> bool {
        self.disconnect == Some(request) || self.connect == Some(request)
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
