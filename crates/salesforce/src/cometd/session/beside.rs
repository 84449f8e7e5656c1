//! The second connection: a channel that was refused is asked for again on time, while the poll is held.
//!
//! Here: the two open questions, and what follows from either answer. Not here: what a refusal calls for (`arrows`).
//!
//! Salesforce empties its queue into whichever answer it writes first, and two connections do not tell which that was. So
//! the poll's answer waits for the subscribe's, and events count only if the other answer cannot hold any. Where it can,
//! the session is left, and its events come again, in order, from the stored positions.

use std::time::Duration;

use super::{
    answer,
    link::Link,
    state::{Asking, End, Phase, Poll},
    turn::Turn,
};
use crate::cometd::{Answer, Failure, reaction::Place};

impl Turn {
    /// Asks for a channel whose time has come, if there is one.
    pub(super) fn ask_beside(&mut self, link: Link, request: u64, sent: Duration) -> Phase {
        let Some(channel) = self.due() else { return Phase::Polling { link, request, sent } };
        let subscribe = self.subscribe(&link, channel);
        Phase::Asking(Asking { link, poll: Poll::Held(request), sent, subscribe, channel, stop: None })
    }

    /// The poll is answered before the subscribe.
    pub(super) fn poll_waits(&mut self, mut asking: Asking, http: Result<Answer, Failure>) -> Phase {
        let heard = answer::read(Place::Connect, http);
        asking.link.hear(&heard.cookies, self.now);
        Phase::Asking(Asking { poll: Poll::Over(Box::new(heard)), ..asking })
    }

    /// The subscribe is answered; the poll is open, or its answer waits.
    pub(super) fn asked(&mut self, asking: Asking, http: Result<Answer, Failure>) -> Phase {
        let Asking { mut link, poll, sent, channel, stop, .. } = asking;
        let heard = answer::read(Place::Subscribe, http);
        link.hear(&heard.cookies, self.now);
        let in_order = match &poll {
            _ if !heard.took_events() => true,
            Poll::Held(_) => false,
            Poll::Over(poll) => !poll.took_events(),
        };
        let mut end = stop.map(|_| End::Stop);
        match heard.outcome {
            Err(verdict) if stop.is_none() => end = self.refused(channel, verdict).map(End::Rest),
            Ok(_) if in_order => {
                if let Some(report) = self.state.channels[channel].delivers() {
                    self.report(report);
                }
            }
            Ok(_) | Err(_) => {}
        }
        if !in_order && end.is_none() {
            end = Some(End::Rest(self.recover(&answer::crossed())));
        }
        match (poll, end) {
            (Poll::Held(request), None) => self.ask_beside(link, request, sent),
            // Where a new session follows, what the poll brings comes again; it is not waited for.
            (Poll::Held(request), Some(end)) => {
                let awaited = in_order && matches!(end, End::Stop);
                self.leave(&link, awaited.then_some(request), None, end)
            }
            (Poll::Over(mut poll), end) => {
                if in_order {
                    poll.events.extend(heard.events);
                } else {
                    poll.events.clear();
                }
                match end {
                    None => self.poll_over(link, sent, *poll),
                    Some(end) => {
                        let batches = self.receive(poll.events);
                        let store = self.store(batches);
                        self.leave(&link, None, store, end)
                    }
                }
            }
        }
    }
}
