//! One input's turn: what is asked next. Every `Action` but most reports is made here.
//!
//! Here: the way into each phase, the numbers of questions, the timer. Not here: why (`arrows`, `beside`).

use std::time::Duration;

use super::{
    channels,
    link::{HOLD_MARGIN, Link},
    state::{After, Alarm, End, Leaving, Phase, Rest, State},
    trouble,
};
use crate::cometd::{Action, Batch, Event, Report, wire};

/// A session while it takes an input.
pub(super) struct Turn {
    pub(super) state: State,
    pub(super) now: Duration,
    pub(super) jitter: f64,
    pub(super) actions: Vec<Action>,
}

impl Turn {
    pub(super) fn renew(&mut self, stale: bool) -> Phase {
        self.actions.push(Action::RenewToken { stale });
        Phase::Renewing { stale }
    }

    /// Always with an empty jar: old cookies would file the session under the old browser, or be refused.
    pub(super) fn handshake(&mut self) -> Phase {
        let request = self.send("/handshake", self.state.options.answer_within, None, wire::handshake);
        Phase::Handshaking { request, stop: None }
    }

    /// The session lives and nothing is open: what is due next?
    pub(super) fn proceed(&mut self, link: Link) -> Phase {
        if self.now >= link.renew_at {
            return self.leave(&link, None, None, End::Rest(Rest { until: self.now, renew: None }));
        }
        if let Some(channel) = self.due() {
            let request = self.subscribe(&link, channel);
            return Phase::Subscribing { link, request, channel, stop: None };
        }
        let until = link.next_poll(self.state.options.poll_within);
        if link.connected && self.now < until { Phase::Waiting { link, until } } else { self.connect(link) }
    }

    /// The first channel whose time has come.
    pub(super) fn due(&self) -> Option<usize> {
        self.state.channels.iter().position(|channel| channel.is_due(self.now))
    }

    /// Asks for a channel from its stored position on.
    pub(super) fn subscribe(&mut self, link: &Link, index: usize) -> u64 {
        let channel = &mut self.state.channels[index];
        let (name, unreadable) = (channel.wanted.channel.clone(), channel.drop_unreadable());
        let replay = channel.ask();
        if let Some(last) = unreadable {
            self.report(Report::Gap { channel: name.clone(), last });
        }
        let (timeout, cookies) = (self.state.options.answer_within, link.jar.header(self.now));
        self.send("/subscribe", timeout, cookies, |id| wire::subscribe(id, &link.client, &name, replay))
    }

    pub(super) fn connect(&mut self, link: Link) -> Phase {
        let held = link.hold.saturating_add(HOLD_MARGIN);
        let timeout = if link.connected { held } else { self.state.options.answer_within };
        let cookies = link.jar.header(self.now);
        let request =
            self.send("/connect", timeout, cookies, |id| wire::connect(id, &link.client, !link.connected));
        Phase::Polling { link, request, sent: self.now }
    }

    /// Frees the session's place in the org.
    pub(super) fn leave(&mut self, link: &Link, connect: Option<u64>, store: Option<u64>, end: End) -> Phase {
        let timeout = self.state.options.leave_within;
        let cookies = link.jar.header(self.now);
        let request = self.send("/disconnect", timeout, cookies, |id| wire::disconnect(id, &link.client));
        // Later than the request's own timeout, so that usually its answer comes first.
        let until = self.now.saturating_add(trouble::scaled(timeout, 1.5));
        Phase::Leaving(Leaving { disconnect: Some(request), connect, store, until, end })
    }

    pub(super) fn rest(&mut self, rest: Rest) -> Phase {
        match rest.renew {
            _ if self.now < rest.until => Phase::Resting(rest),
            Some(stale) => self.renew(stale),
            None => self.handshake(),
        }
    }

    pub(super) fn go_on(&mut self, after: After) -> Phase {
        match after {
            After::Poll(link) => self.proceed(link),
            After::Rest(rest) => self.rest(rest),
        }
    }

    pub(super) fn settle(&mut self, batches: Vec<Batch>, after: After) -> Phase {
        match self.store(batches) {
            Some(request) => Phase::Storing { request, after },
            None => self.go_on(after),
        }
    }

    pub(super) fn store(&mut self, batches: Vec<Batch>) -> Option<u64> {
        if batches.is_empty() {
            return None;
        }
        let request = self.number();
        self.actions.push(Action::Store { request, batches });
        Some(request)
    }

    pub(super) fn receive(&mut self, events: Vec<(String, Event)>) -> Vec<Batch> {
        let (batches, pending) = channels::receive(&self.state.channels, events);
        self.state.pending = pending;
        batches
    }

    pub(super) fn keep(&mut self) {
        for pending in std::mem::take(&mut self.state.pending) {
            pending.keep(&mut self.state.channels);
        }
    }

    pub(super) fn done(&mut self) -> Phase {
        self.actions.push(Action::Done);
        // The caller may have dropped the timer with everything else.
        self.state.alarm = None;
        self.state.trouble.forget();
        Phase::Idle
    }

    /// Sees to it that a timer rings no later than the phase needs it. One that rings earlier is set again then, so
    /// that a busy channel does not leave a heap of timers behind.
    pub(super) fn arm(&mut self) {
        let Some(at) = self.state.deadline() else { return };
        if self.state.alarm.is_some_and(|alarm| alarm.at <= at) {
            return;
        }
        let timer = self.number();
        self.state.alarm = Some(Alarm { timer, at });
        self.actions.push(Action::Wake { after: at.saturating_sub(self.now), timer });
    }

    pub(super) fn send(
        &mut self,
        suffix: &'static str,
        timeout: Duration,
        cookies: Option<String>,
        message: impl FnOnce(u64) -> String,
    ) -> u64 {
        let request = self.number();
        self.actions.push(Action::Send { request, message: message(request), suffix, timeout, cookies });
        request
    }

    pub(super) fn number(&mut self) -> u64 {
        let number = self.state.next;
        self.state.next += 1;
        number
    }

    pub(super) fn report(&mut self, report: Report) {
        self.actions.push(Action::Report(report));
    }
}
