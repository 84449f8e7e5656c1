//! What an operator can see of one org's event subscription: the session, and each channel.
//!
//! Here: notes and counters. Not here: what happens when (`capture/cometd.rs`), the board they hang on (`status`).

use std::collections::BTreeMap;

use orgpipe_salesforce::{cometd::Fault, limits::EVENT_RETENTION};
use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::part::State;
use crate::problem::Problem;

/// The subscription of one org. Counters start with the service.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Subscription {
    /// Sessions that Salesforce agreed to.
    pub handshakes: u64,
    /// When Salesforce last answered anything. A poll is answered within two minutes even if there are no events.
    pub last_reply_ms: Option<UnixMs>,
    /// Troubles by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// By name.
    pub channels: BTreeMap<String, ChannelStatus>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelStatus {
    /// Running: Salesforce agreed to deliver it in the session that lives. Waiting: it is disconnected; the note says why.
    pub state: State,
    /// Why, as a sentence; empty when there is nothing to say.
    pub note: String,
    /// What to do; empty when there is nothing to do.
    pub hint: String,
    /// Since when.
    pub since_ms: UnixMs,
    /// Events stored since the service started.
    pub events: u64,
    /// When the last of them was stored.
    pub last_event_ms: Option<UnixMs>,
    /// When the event at the stored position was published; null before the first.
    pub position_ms: Option<UnixMs>,
    /// How old that is. Past `retention_secs` Salesforce may not know the position any more, which counts only when
    /// the channel is subscribed to anew.
    pub position_age_secs: Option<u64>,
    /// How long Salesforce keeps events.
    pub retention_secs: u64,
    /// Times that events may have been missed.
    pub gaps: u64,
    /// The channel itself is refused, whatever becomes of the session.
    #[serde(skip)]
    refused: bool,
}

impl ChannelStatus {
    fn new(now_ms: UnixMs) -> Self {
        Self {
            state: State::Starting,
            note: String::new(),
            hint: String::new(),
            since_ms: now_ms,
            events: 0,
            last_event_ms: None,
            position_ms: None,
            position_age_secs: None,
            retention_secs: EVENT_RETENTION.as_secs(),
            gaps: 0,
            refused: false,
        }
    }

    fn set(&mut self, state: State, problem: Option<&Problem>, now_ms: UnixMs) {
        if self.state != state {
            self.since_ms = now_ms;
        }
        (self.state, self.refused) = (state, false);
        problem.map_or("", |problem| problem.reason.as_str()).clone_into(&mut self.note);
        let hint = problem.and_then(|problem| problem.hint.as_deref()).unwrap_or_default();
        hint.clone_into(&mut self.hint);
    }
}

impl Subscription {
    /// A channel is wanted; `position_ms`: when the event at its stored position was published.
    pub(crate) fn wanted(&mut self, channel: &str, position_ms: Option<UnixMs>, now_ms: UnixMs) {
        let entry = self.channel(channel, now_ms);
        entry.position_ms = position_ms;
        entry.set(State::Starting, None, now_ms);
    }

    /// Salesforce delivers a channel.
    pub(crate) fn subscribed(&mut self, channel: &str, now_ms: UnixMs) {
        self.channel(channel, now_ms).set(State::Running, None, now_ms);
    }

    /// Salesforce refused a channel.
    pub(crate) fn refused(&mut self, channel: &str, problem: &Problem, now_ms: UnixMs) {
        let entry = self.channel(channel, now_ms);
        entry.set(State::Waiting, Some(problem), now_ms);
        entry.refused = true;
    }

    /// There is no session: what was delivered is not any more. A channel that was refused keeps its own reason.
    pub(crate) fn disconnected(&mut self, problem: &Problem, now_ms: UnixMs) {
        for channel in self.channels.values_mut().filter(|channel| !channel.refused) {
            channel.set(State::Waiting, Some(problem), now_ms);
        }
    }

    /// Nobody listens any more, as the org is paused or its part has ended.
    pub(crate) fn rests(&mut self, state: State, now_ms: UnixMs) {
        for channel in self.channels.values_mut() {
            channel.set(state, None, now_ms);
        }
    }

    /// Events of a channel are stored.
    pub(crate) fn stored(&mut self, channel: &str, events: u64, position_ms: Option<UnixMs>, now_ms: UnixMs) {
        let entry = self.channel(channel, now_ms);
        entry.position_ms = position_ms.or(entry.position_ms);
        if events > 0 {
            entry.events += events;
            entry.last_event_ms = Some(now_ms);
        }
    }

    /// Events of a channel may have been missed.
    pub(crate) fn gap(&mut self, channel: &str, now_ms: UnixMs) {
        self.channel(channel, now_ms).gaps += 1;
    }

    /// Counts a trouble.
    pub(crate) fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault.name()).or_default() += 1;
    }

    /// What speaks for all channels: the first that is disconnected and why, or one that has yet to begin, or that all is
    /// well.
    pub(crate) fn summary(&self) -> (State, Option<Problem>) {
        let find = |state| self.channels.iter().find(move |(_, channel)| channel.state == state);
        if let Some((name, channel)) = find(State::Waiting) {
            let hint = Some(channel.hint.clone()).filter(|hint| !hint.is_empty());
            return (State::Waiting, Some(Problem { reason: format!("{name} {}", channel.note), hint }));
        }
        let state = if find(State::Starting).is_some() { State::Starting } else { State::Running };
        (state, None)
    }

    /// With the ages at this moment.
    pub(crate) fn at(mut self, now_ms: UnixMs) -> Self {
        for channel in self.channels.values_mut() {
            channel.position_age_secs = channel.position_ms.map(|position| now_ms.since(position).as_secs());
        }
        self
    }

    fn channel(&mut self, name: &str, now_ms: UnixMs) -> &mut ChannelStatus {
        if !self.channels.contains_key(name) {
            self.channels.insert(name.to_owned(), ChannelStatus::new(now_ms));
        }
        self.channels.get_mut(name).expect("just inserted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_channel_speaks_for_all_and_keeps_its_reason_when_the_session_is_lost() {
        let mut subscription = Subscription::default();
        for channel in ["/event/A__e", "/event/B__e"] {
            subscription.wanted(channel, Some(UnixMs(1_000)), UnixMs(5_000));
        }
        assert_eq!(subscription.summary().0, State::Starting);
        subscription.subscribed("/event/A__e", UnixMs(6_000));
        let restricted = "was refused: 403::Restricted channel";
        subscription.refused("/event/B__e", &Problem::new(restricted, "Give permission."), UnixMs(7_000));
        let told = Problem::new(format!("/event/B__e {restricted}"), "Give permission.");
        assert_eq!(subscription.summary(), (State::Waiting, Some(told)));

        subscription.disconnected(&Problem::passing("is disconnected: no answer in time"), UnixMs(8_000));
        subscription.stored("/event/A__e", 3, Some(UnixMs(4_000)), UnixMs(9_000));
        let at = subscription.clone().at(UnixMs(64_000));
        let (a, b) = (&at.channels["/event/A__e"], &at.channels["/event/B__e"]);
        assert_eq!(
            (a.note.as_str(), a.since_ms, a.events),
            ("is disconnected: no answer in time", UnixMs(8_000), 3)
        );
        assert_eq!(
            (a.position_age_secs, b.position_age_secs, b.since_ms),
            (Some(60), Some(63), UnixMs(7_000))
        );
        assert_eq!((b.note.as_str(), b.hint.as_str()), (restricted, "Give permission."));

        subscription.subscribed("/event/A__e", UnixMs(10_000));
        subscription.subscribed("/event/B__e", UnixMs(10_000));
        assert_eq!(subscription.summary(), (State::Running, None));
    }
}
