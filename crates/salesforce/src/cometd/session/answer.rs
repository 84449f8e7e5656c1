//! What an answer says to the question it answers.
//!
//! Here: finding the reply, and the verdict when it is no success. Not here: what follows from it (`session`).

use std::time::Duration;

use crate::cometd::{
    Answer, Event, Failure, Fault,
    reaction::{self, Place, Reaction, Verdict},
    wire::{self, MetaReply},
};

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// They count whatever the outcome: Salesforce has taken them out of its queue.
    pub(super) events: Vec<(String, Event)>,
    pub(super) cookies: Vec<String>,
    pub(super) outcome: Result<MetaReply, Verdict>,
}

/// Reads an answer, or the lack of one.
pub(super) fn read(place: Place, http: Result<Answer, Failure>) -> Heard {
    let Answer { status, set_cookies: cookies, body } = match http {
        Ok(answer) => answer,
        Err(failure) => return failed(Vec::new(), reaction::of_failure(place, &failure)),
    };
    let received = match wire::read(&body) {
        Ok(received) => received,
        Err(unreadable) => return failed(cookies, reaction::of_http(status, Some(&unreadable))),
    };
    let named = |name| received.replies.iter().find(move |reply| reply.channel.as_deref() == name);
    let ended = place != Place::Disconnect && named(Some("/meta/disconnect")).is_some();
    // Failures may come without a channel (restforce#103); a success must say of what.
    let failure = || named(None).filter(|reply| !reply.successful);
    let outcome = match named(Some(channel(place))).or_else(failure) {
        Some(reply) if !reply.successful => Err(reaction::of_reply(place, reply)),
        _ if ended => Err(reaction::of_disconnect("Salesforce ended the session")),
        Some(reply) if (200..300).contains(&status) => Ok(reply.clone()),
        Some(_) | None => Err(reaction::of_http(status, None)),
    };
    Heard { events: received.events, cookies, outcome }
}

/// The verdict on a successful handshake that names no client, which leads nowhere.
pub(super) fn nameless() -> Verdict {
    ours("the handshake succeeded but named no client", Fault::Transport)
}

impl Heard {
    /// Whether events may have left Salesforce's queue with it. An answer that got lost may have held some.
    pub(super) fn took_events(&self) -> bool {
        !self.events.is_empty() || self.outcome.as_ref().is_err_and(|verdict| !verdict.told)
    }
}

/// The verdict when events came in two answers of which nobody knows which was written first.
pub(super) fn crossed() -> Verdict {
    let reason = "events came beside the poll, so their order is not sure".to_owned();
    let (reaction, fault) = (Reaction::Handshake, Fault::Session);
    Verdict { reaction, reason, hint: "", told: true, alarm: false, fault }
}

/// The verdict when the store failed.
pub(super) fn not_stored() -> Verdict {
    ours("the events could not be stored", Fault::Store)
}

fn ours(reason: &str, fault: Fault) -> Verdict {
    let reaction = Reaction::BackOff(Duration::ZERO);
    Verdict { reaction, reason: reason.to_owned(), hint: "", told: false, alarm: false, fault }
}

fn failed(cookies: Vec<String>, verdict: Verdict) -> Heard {
    Heard { events: Vec::new(), cookies, outcome: Err(verdict) }
}

fn channel(place: Place) -> &'static str {
    match place {
        Place::Handshake => "/meta/handshake",
        Place::Connect => "/meta/connect",
        Place::Subscribe => "/meta/subscribe",
        Place::Disconnect => "/meta/disconnect",
    }
}
