//! What a session is in the middle of.
//!
//! Here: the phases, what each of them waits for, and when a timer must ring. Not here: what leads from one phase to the
//! next (`arrows`, `beside`).
//!
//! Invariant: a phase holds the numbers of all its open questions, so an answer to any other number is nobody's.

use std::time::Duration;

use super::{
    answer::Heard,
    channels::{self, Channel, Pending},
    link::Link,
    trouble::Trouble,
};
use crate::cometd::{Wanted, options::Options};

/// All that a session knows from one input to the next.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) phase: Phase,
    pub(super) channels: Vec<Channel>,
    /// What the open store will have changed.
    pub(super) pending: Vec<Pending>,
    pub(super) trouble: Trouble,
    /// The timer that counts; older ones may still ring.
    pub(super) alarm: Option<Alarm>,
    /// Number of the next question.
    pub(super) next: u64,
}

impl State {
    /// An idle session of these channels; of two with the same name the first counts.
    pub(super) fn new(wanted: Vec<Wanted>, options: Options) -> Self {
        Self {
            options,
            phase: Phase::Idle,
            channels: channels::all(wanted),
            pending: Vec::new(),
            trouble: Trouble::default(),
            alarm: None,
            next: 1,
        }
    }

    /// When a timer must ring.
    pub(super) fn deadline(&self) -> Option<Duration> {
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

/// A phase, and what it waits for.
#[derive(Clone, Debug, Default)]
pub(super) enum Phase {
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
    /// Open: whichever of its three questions is there.
    Leaving(Leaving),
    /// Open: a timer; there is no session.
    Resting(Rest),
}

/// What follows the store.
#[derive(Clone, Debug)]
pub(super) enum After {
    Poll(Link),
    Rest(Rest),
}

/// No session until then; afterwards a token first (`Some(stale)`) or at once a handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) until: Duration,
    pub(super) renew: Option<bool>,
}

/// Taking leave: over when nothing is open.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    pub(super) disconnect: Option<u64>,
    pub(super) connect: Option<u64>,
    pub(super) store: Option<u64>,
    /// Until when answers of the server are awaited. A store is awaited in any case.
    pub(super) until: Duration,
    pub(super) end: End,
}

/// What follows when leave is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Rest(Rest),
    Stop,
}

/// A timer that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    pub(super) timer: u64,
    pub(super) at: Duration,
}

impl Leaving {
    /// True if this is the number of one of its open requests.
    pub(super) fn awaits(&self, request: u64) -> bool {
        self.disconnect == Some(request) || self.connect == Some(request)
    }
}

/// A subscribe is open beside a poll.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) link: Link,
    pub(super) poll: Poll,
    /// When the poll left.
    pub(super) sent: Duration,
    pub(super) subscribe: u64,
    pub(super) channel: usize,
    /// Until when the subscribe is awaited, since the session shall end with its answer.
    pub(super) stop: Option<Duration>,
}

/// The poll beside a subscribe.
#[derive(Clone, Debug)]
pub(super) enum Poll {
    /// The poll with this number is open.
    Held(u64),
    /// The poll has been answered, and the answer waits for the subscribe's.
    Over(Box<Heard>),
}

impl Asking {
    /// The poll, while it is open.
    pub(super) fn held(&self) -> Option<u64> {
        match self.poll {
            Poll::Held(request) => Some(request),
            Poll::Over(_) => None,
        }
    }

    /// The session shall end with the subscribe's answer, which is awaited until then.
    pub(super) fn until(self, until: Duration) -> Self {
        Self { stop: self.stop.or(Some(until)), ..self }
    }
}
