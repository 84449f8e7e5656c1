//! How long to wait after trouble, and what to try next.
//!
//! Here: the counters since the session was last healthy, and delays. Not here: which trouble it is (`reaction`).
//!
//! Invariant: whatever the jitter, the waits of one kind of trouble grow until their cap. The session never gives up.

use std::time::Duration;

use crate::cometd::{options::Options, reaction::Reaction};

/// Handshakes that are refused without a reason, before a new token is tried.
const DENIALS_MAX: u32 = 3;
/// New tokens in a row that do not help, before it is a case for a person.
const LOGINS_MAX: u32 = 3;
/// Doublings beyond any cap.
const DOUBLINGS_MAX: u32 = 30;

/// What went wrong since the session was last healthy.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    failures: u32,
    logins: u32,
    denials: u32,
}

/// What to do about a lost session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) retry_in: Duration,
    /// Get a new token first.
    pub(super) renew: bool,
    /// Only a person can mend it.
    pub(super) refused: bool,
}

impl Trouble {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// True when a refused token is not the reason any more.
    pub(super) fn has_new_token(&self) -> bool {
        self.logins > 0
    }

    /// A session is lost or could not be had.
    pub(super) fn plan(&mut self, reaction: Reaction, options: &Options, jitter: f64) -> Plan {
        self.failures = self.failures.saturating_add(1);
        let soon = back_off(self.failures, Duration::ZERO, options, jitter);
        let at_once = if self.failures == 1 { Duration::ZERO } else { soon };
        let again = |retry_in| Plan { retry_in, renew: false, refused: false };
        let person = || Plan { retry_in: probe(options, jitter).max(soon), renew: false, refused: true };
        match reaction {
            Reaction::Handshake => again(at_once),
            Reaction::Login => self.login(at_once, options, jitter),
            Reaction::LoginThenRefused | Reaction::LoginThenBug if self.logins == 0 => {
                self.login(at_once, options, jitter)
            }
            Reaction::Denied => {
                self.denials += 1;
                if self.denials < DENIALS_MAX {
                    return again(soon);
                }
                self.denials = 0;
                self.login(soon, options, jitter)
            }
            Reaction::BackOff(least) => again(back_off(self.failures, least, options, jitter)),
            // Replay ids are judged where a channel is subscribed to; elsewhere such a reply makes no sense.
            Reaction::Replay => again(soon),
            Reaction::LoginThenRefused | Reaction::LoginThenBug | Reaction::Refused | Reaction::Bug => {
                person()
            }
        }
    }

    /// No token was to be had.
    pub(super) fn no_token(&mut self, permanent: bool, options: &Options, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let soon = back_off(self.failures, Duration::ZERO, options, jitter);
        if permanent { probe(options, jitter).max(soon) } else { soon }
    }

    fn login(&mut self, retry_in: Duration, options: &Options, jitter: f64) -> Plan {
        self.logins = self.logins.saturating_add(1);
        let refused = self.logins > LOGINS_MAX;
        Plan { retry_in: if refused { probe(options, jitter) } else { retry_in }, renew: true, refused }
    }
}

/// Full jitter below a doubling ceiling, but never less than a fifth of it, so that chance cannot make it hammer.
pub(super) fn back_off(failures: u32, least: Duration, options: &Options, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    let ceiling = options.retry_base.saturating_mul(1 << doublings).min(options.retry_max);
    scaled(ceiling, 0.2 + 0.8 * jitter).max(scaled(least, 1.0 + jitter / 2.0))
}

/// The wait for something that only a person can mend.
pub(super) fn probe(options: &Options, jitter: f64) -> Duration {
    scaled(options.probe_after, 1.0 + jitter / 2.0)
}

/// A duration times a factor, without overflow.
pub(super) fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
