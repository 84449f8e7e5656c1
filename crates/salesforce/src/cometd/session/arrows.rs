//! What follows from each answer: one function per arrow of the session's picture.
//!
//! Here: answers and trouble while one request is open at a time. Not here: which input belongs to which phase
//! (`session`), how to ask (`turn`), two requests at a time (`beside`).

use std::time::Duration;

use super::{
    answer::{self, Heard},
    channels::Channel,
    link::{Link, STABLE},
    state::{After, End, Leaving, Phase, Rest},
    trouble,
    turn::Turn,
};
use crate::cometd::{
    Answer, Failure, Report,
    reaction::{self, Place, Reaction, Verdict},
    wire::Reconnect,
};

impl Turn {
    pub(super) fn login_failed(&mut self, stale: bool, permanent: bool) -> Phase {
        let retry_in = self.state.trouble.no_token(permanent, &self.state.options, self.jitter);
        self.report(Report::LoginFailed { permanent, retry_in });
        self.rest(Rest { until: self.now.saturating_add(retry_in), renew: Some(stale) })
    }

    pub(super) fn shaken(&mut self, stop: bool, http: Result<Answer, Failure>) -> Phase {
        let heard = answer::read(Place::Handshake, http);
        let verdict = match heard.outcome {
            Ok(reply) => match reply.client {
                Some(client) => {
                    let life = trouble::scaled(self.state.options.renew_after, 1.0 - self.jitter / 10.0);
                    let mut link = Link::new(client, self.now, life);
                    link.hear(&heard.cookies, self.now);
                    link.heed(&reply.advice);
                    self.report(Report::Connected);
                    self.state.channels.iter_mut().for_each(Channel::detach);
                    return if stop { self.leave(&link, None, None, End::Stop) } else { self.proceed(link) };
                }
                None => answer::nameless(),
            },
            Err(verdict) => verdict,
        };
        if stop {
            return self.done();
        }
        let rest = self.recover(&verdict);
        self.rest(rest)
    }

    pub(super) fn subscribed(
        &mut self,
        mut link: Link,
        index: usize,
        stop: bool,
        http: Result<Answer, Failure>,
    ) -> Phase {
        let heard = answer::read(Place::Subscribe, http);
        link.hear(&heard.cookies, self.now);
        let batches = self.receive(heard.events);
        let refused = match heard.outcome {
            Ok(_) => {
                if let Some(report) = self.state.channels[index].delivers() {
                    self.report(report);
                }
                None
            }
            Err(_) if stop => None,
            Err(verdict) => self.refused(index, verdict),
        };
        match refused {
            _ if stop => {
                let store = self.store(batches);
                self.leave(&link, None, store, End::Stop)
            }
            Some(rest) => self.settle(batches, After::Rest(rest)),
            None => self.settle(batches, After::Poll(link)),
        }
    }

    /// None when the verdict is on this channel alone and the session goes on.
    pub(super) fn refused(&mut self, index: usize, mut verdict: Verdict) -> Option<Rest> {
        let fresh_token = self.state.trouble.has_new_token();
        let channel = &mut self.state.channels[index];
        match verdict.reaction {
            _ if !verdict.told => return Some(self.recover(&verdict)),
            Reaction::Handshake | Reaction::Login | Reaction::LoginThenBug | Reaction::Denied => {
                return Some(self.recover(&verdict));
            }
            Reaction::LoginThenRefused if !fresh_token && channel.may_renew() => {
                verdict.reaction = Reaction::Login;
                return Some(self.recover(&verdict));
            }
            Reaction::Replay if channel.drop_before() => return None,
            Reaction::Replay => {
                if let Some(last) = channel.drop_position() {
                    let channel = channel.wanted.channel.clone();
                    self.report(Report::Gap { channel, last });
                    return None;
                }
            }
            Reaction::LoginThenRefused | Reaction::BackOff(_) | Reaction::Refused | Reaction::Bug => {}
        }
        let retry_in = channel.refuse(verdict.reaction, &self.state.options, self.now, self.jitter);
        let channel = Some(channel.wanted.channel.clone());
        self.alarm_of(&verdict);
        let Verdict { reason, hint, fault, .. } = verdict;
        self.report(Report::Refused { channel, reason, hint, retry_in, fault });
        None
    }

    pub(super) fn polled(&mut self, mut link: Link, sent: Duration, http: Result<Answer, Failure>) -> Phase {
        let heard = answer::read(Place::Connect, http);
        link.hear(&heard.cookies, self.now);
        self.poll_over(link, sent, heard)
    }

    /// A poll that left at `sent` is over.
    pub(super) fn poll_over(&mut self, mut link: Link, sent: Duration, heard: Heard) -> Phase {
        let batches = self.receive(heard.events);
        let verdict = match heard.outcome {
            Ok(reply) => {
                if reply.advice.multiple_clients && !std::mem::replace(&mut link.warned, true) {
                    self.report(Report::MultipleClients);
                }
                let news = batches.iter().any(|batch| !batch.events.is_empty());
                link.poll_ended(news, sent, self.now);
                link.heed(&reply.advice);
                if self.now.saturating_sub(link.born) >= STABLE {
                    self.state.trouble.forget();
                }
                match reply.advice.reconnect {
                    // `none` never means for ever: it comes with sessions that ended on the server's side.
                    Some(Reconnect::Handshake | Reconnect::None) => {
                        reaction::of_disconnect("Salesforce advised against this session")
                    }
                    Some(Reconnect::Retry) | None => return self.settle(batches, After::Poll(link)),
                }
            }
            Err(verdict) => verdict,
        };
        let rest = self.recover(&verdict);
        self.settle(batches, After::Rest(rest))
    }

    /// The events are gone from the server's queue: only a new subscription brings them back.
    pub(super) fn not_stored(&mut self, after: After) -> Phase {
        self.state.pending.clear();
        match after {
            After::Poll(link) => {
                let rest = self.recover(&answer::not_stored());
                self.leave(&link, None, None, End::Rest(rest))
            }
            After::Rest(rest) => self.rest(rest),
        }
    }

    /// The session, or its beginning, is lost: when to begin anew, and how.
    pub(super) fn recover(&mut self, verdict: &Verdict) -> Rest {
        let plan = self.state.trouble.plan(verdict.reaction, &self.state.options, self.jitter);
        if plan.refused || verdict.reaction != Reaction::LoginThenBug {
            self.alarm_of(verdict);
        }
        let (reason, retry_in, fault) = (verdict.reason.clone(), plan.retry_in, verdict.fault);
        self.report(if plan.refused {
            Report::Refused { channel: None, reason, hint: verdict.hint, retry_in, fault }
        } else {
            Report::Lost { reason, retry_in, fault }
        });
        Rest { until: self.now.saturating_add(retry_in), renew: plan.renew.then_some(true) }
    }

    fn alarm_of(&mut self, verdict: &Verdict) {
        if verdict.alarm || matches!(verdict.reaction, Reaction::Bug | Reaction::LoginThenBug) {
            self.report(Report::Bug { reason: verdict.reason.clone(), hint: verdict.hint });
        }
    }

    /// An answer while leaving. Of two answers that were open together nobody knows which was written first, so only
    /// the connect's events are taken; what came with the disconnect is asked for again.
    pub(super) fn left(
        &mut self,
        mut leaving: Leaving,
        request: u64,
        http: Result<Answer, Failure>,
    ) -> Phase {
        if leaving.connect == Some(request) {
            leaving.connect = None;
            let batches = self.receive(answer::read(Place::Connect, http).events);
            leaving.store = self.store(batches);
        } else {
            leaving.disconnect = None;
            // Whoever does not let us leave does not answer the poll either, for instance as the token has expired. What
            // it may still bring is asked for again.
            if answer::read(Place::Disconnect, http).outcome.is_err() {
                leaving.connect = None;
            }
        }
        self.leave_on(leaving)
    }

    pub(super) fn leave_on(&mut self, leaving: Leaving) -> Phase {
        match leaving.end {
            _ if leaving.disconnect.or(leaving.connect).or(leaving.store).is_some() => {
                Phase::Leaving(leaving)
            }
            End::Rest(rest) => self.rest(rest),
            End::Stop => self.done(),
        }
    }
}
