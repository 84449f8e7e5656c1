//! A session as the server knows it: client id, cookies, advice.
//!
//! Here: when the next poll may leave. Not here: what leaves (`ask`).

use std::time::Duration;

use crate::cometd::{cookies::Jar, wire};

/// How long Salesforce holds a poll unless it says otherwise ("Using Streaming API Timeouts").
const HOLD: Duration = Duration::from_secs(110);
/// The longest hold we wait for; a larger advice would blind us to a dead connection.
const HOLD_MAX: Duration = Duration::from_mins(10);
/// Time for the network on top of the hold.
pub(super) const HOLD_MARGIN: Duration = Duration::from_secs(15);
/// A session that polls this long after its handshake is healthy, and former trouble is forgotten.
pub(super) const STABLE: Duration = Duration::from_mins(1);
/// A poll without news that is answered sooner was not held.
const QUICK: Duration = Duration::from_secs(1);
/// First pause between polls that are not held, doubled each time.
const QUICK_PAUSE: Duration = Duration::from_millis(250);
/// Last pause between polls that are not held.
const QUICK_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A session as Salesforce knows it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) client: String,
    pub(super) jar: Jar,
    pub(super) born: Duration,
    pub(super) renew_at: Duration,
    /// When the last answer came; Salesforce counts its 40 s from it.
    pub(super) heard: Duration,
    /// When the last poll was answered; the pause counts from it.
    polled: Duration,
    /// False until a connect has succeeded; the first one asks not to be held.
    pub(super) connected: bool,
    interval: Duration,
    pub(super) hold: Duration,
    /// Polls in a row that were neither held nor brought an event.
    quick: u32,
    pub(super) warned: bool,
}

impl Link {
    /// A session that has just begun and is to be replaced after `life`.
    pub(super) fn new(client: String, now: Duration, life: Duration) -> Self {
        Self {
            client,
            jar: Jar::default(),
            born: now,
            renew_at: now.saturating_add(life),
            heard: now,
            polled: now,
            connected: false,
            interval: Duration::ZERO,
            hold: HOLD,
            quick: 0,
            warned: false,
        }
    }

    pub(super) fn next_poll(&self, poll_within: Duration) -> Duration {
        self.polled.saturating_add(self.pause(poll_within))
    }

    pub(super) fn hear(&mut self, set_cookies: &[String], now: Duration) {
        self.heard = now;
        for header in set_cookies {
            self.jar.merge(header, now);
        }
    }

    /// `interval` and `timeout` last until changed; `reconnect` counts for its own reply only, since a handshake's
    /// reply carries none and an old one would outlive its session (aiocometd#1).
    pub(super) fn heed(&mut self, advice: &wire::Advice) {
        self.interval = advice.interval.unwrap_or(self.interval);
        self.hold = advice.timeout.unwrap_or(self.hold).min(HOLD_MAX);
    }

    /// A poll that left at `sent` has succeeded.
    pub(super) fn poll_ended(&mut self, news: bool, sent: Duration, now: Duration) {
        let quick = !news && now.saturating_sub(sent) < QUICK;
        self.quick = if quick && self.connected { self.quick.saturating_add(1) } else { 0 };
        (self.connected, self.polled) = (true, now);
    }

    /// How long to wait after a poll, as the server asks for, and longer while it answers at once without news, so that those answers do not become a storm.
    fn pause(&self, poll_within: Duration) -> Duration {
        let doubled = self.quick.saturating_sub(1).min(10);
        let own = if doubled == 0 { Duration::ZERO } else { QUICK_PAUSE.saturating_mul(1 << (doubled - 1)) };
        self.interval.max(own.min(QUICK_PAUSE_MAX)).min(poll_within)
    }
}
