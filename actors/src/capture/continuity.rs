//! Whether the events that come go on from where a channel was: by their replay IDs and times. Pure.
//!
//! Here: the decision, and what is remembered for it. Not here: that Salesforce itself refuses a replay ID
//! (`salesforce::cometd`), what a gap leads to (`gap_recovery`).
//!
//! After a migration of the org replay IDs begin anew. While nobody listens they may pass the one that is stored, which
//! Salesforce then takes for one of the new ones. What came in between is missing. So a subscription does not begin behind
//! the last event, but behind the one before it: the last one comes once more, with the time that it had, or the replay IDs
//! are of another series. That costs one event of the org's delivery allowance at each start.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use orgpipe_salesforce::{
    cometd::{Batch, Event},
    limits::EVENT_RETENTION,
};
use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use super::requests::published_ms;
use crate::org::store::{Moved, Position};

/// An event's replay ID and when it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub replay_id: i64,
    pub published_ms: UnixMs,
}

/// The last two events of a channel that were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastTwo {
    before: Mark,
    last: Mark,
}

/// Behind an event that is older than this nothing is asked for: that Salesforce has it no more would look like a gap.
const BEFORE_MAX: Duration = Duration::from_hours(48);

const _: () = assert!(BEFORE_MAX.as_secs() < EVENT_RETENTION.as_secs());

impl LastTwo {
    /// Where to begin so that the last event comes once more: if that is the one at the stored position, and the one before
    /// it is young enough.
    pub(super) fn begin(&self, position: &[u8], org_now_ms: UnixMs) -> Option<Vec<u8>> {
        let text = |mark: Mark| mark.replay_id.to_string().into_bytes();
        let young = org_now_ms.since(self.before.published_ms) < BEFORE_MAX;
        (young && text(self.last) == position && self.before.replay_id < self.last.replay_id)
            .then(|| text(self.before))
    }
}

/// How far each channel is.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The last event of each channel that was stored, as far as it says when it was published.
    last: BTreeMap<String, Mark>,
    /// Channels whose last event has to come once more, first of all.
    again: BTreeMap<String, LastTwo>,
}

impl Continuity {
    /// The last stored event of a channel.
    pub(super) fn stored(&mut self, channel: &str, last: Mark) {
        self.last.insert(channel.to_owned(), last);
    }

    /// A channel begins behind the event before its last one.
    pub(super) fn comes_again(&mut self, channel: &str, two: LastTwo) {
        self.again.insert(channel.to_owned(), two);
    }

    /// A channel has begun behind this replay ID: if it is not the one before its last event, that does not come.
    pub(super) fn subscribed(&mut self, channel: &str, replay_id: i64) {
        self.again.retain(|name, two| name != channel || two.before.replay_id == replay_id);
    }

    /// What is retained comes from its beginning.
    pub(super) fn forget(&mut self, channel: &str) {
        self.last.remove(channel);
        self.again.remove(channel);
    }

    /// Takes events in: takes those out that were only to come once more, and remembers where the channels are now. Gives
    /// back the channels whose events do not go on from where they were, and what is to be stored with the events.
    pub(super) fn follow(&mut self, batches: &mut [Batch]) -> (Vec<String>, Vec<Moved>) {
        let (mut broken, mut moved) = (BTreeSet::new(), Vec::new());
        for Batch { channel, events, position } in batches {
            if let Some(first) = events.first()
                && let Some(LastTwo { last: expected, .. }) = self.again.remove(channel)
            {
                if mark(first) == Some(expected) {
                    events.remove(0);
                    // Where it is stored already is where the channel is.
                    position.take_if(|_| events.is_empty());
                } else {
                    broken.insert(channel.clone());
                }
            }
            let (first, last) = (events.first().and_then(mark), events.last().and_then(mark));
            let known = match last {
                Some(last) => self.last.insert(channel.clone(), last),
                None => self.last.get(channel).copied(),
            };
            if known.zip(first).is_some_and(|(known, first)| is_broken(known, first)) {
                broken.insert(channel.clone());
            }
            let before = match events.as_slice() {
                [.., before, _] => mark(before),
                _ => known.filter(|_| !broken.contains(channel)),
            };
            if let Some((before, last)) = before.zip(last) {
                moved.push(Position::LastTwo(channel).json(&LastTwo { before, last }));
            }
        }
        (broken.into_iter().collect(), moved)
    }
}

fn mark(event: &Event) -> Option<Mark> {
    let replay_id = event.replay_id.filter(|id| *id >= 0)?;
    Some(Mark { replay_id, published_ms: published_ms(event)? })
}

/// How much earlier an event may have been published than the one before it: transactions of different servers.
const BACK_MAX: Duration = Duration::from_mins(5);
/// IDs that may be passed over at once, and beyond these in each second between two events: they are shared by all
/// channels of all orgs of an instance, and an org publishes 70 a second at most ("Platform Event Allocations").
const JUMP_MAX: (u64, u64) = (10_000_000, 10_000);

/// Does the first event that comes not follow the last one that was stored?
fn is_broken(last: Mark, first: Mark) -> bool {
    if last.published_ms.since(first.published_ms) > BACK_MAX {
        return true;
    }
    let passed_secs = first.published_ms.since(last.published_ms).as_secs();
    let most = JUMP_MAX.0.saturating_add(JUMP_MAX.1.saturating_mul(passed_secs));
    // An ID that is lower is Salesforce's to refuse or to begin anew with; either way nothing was passed over.
    u64::try_from(first.replay_id.saturating_sub(last.replay_id)).is_ok_and(|jump| jump > most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CHANNEL: &str = "/event/A__e";

    fn event(replay_id: i64, minute: u32) -> Event {
        let created = format!("2026-01-01T00:{minute:02}:00.000Z");
        Event {
            replay_id: Some(replay_id),
            uuid: None,
            data: json!({ "payload": { "CreatedDate": created } }),
        }
    }

    fn batch(events: Vec<Event>) -> Batch {
        let position = events.last().and_then(|event| event.replay_id).map(|id| id.to_string().into_bytes());
        Batch { channel: CHANNEL.into(), events, position }
    }

    fn two(before: &Event, last: &Event) -> LastTwo {
        LastTwo { before: mark(before).expect("a time"), last: mark(last).expect("a time") }
    }

    #[test]
    fn the_last_event_comes_once_more_or_the_replay_ids_are_of_another_series() {
        let (before, last) = (event(6, 1), event(7, 2));
        // What comes, whether it is a gap, and the replay IDs that are taken in.
        for (came, broken, taken) in [
            (vec![last.clone()], false, vec![]),
            (vec![last.clone(), event(8, 3)], false, vec![8]),
            (vec![event(7, 3), event(8, 3)], true, vec![7, 8]),
            (vec![event(8, 3)], true, vec![8]),
            (vec![event(900, 2)], true, vec![900]),
        ] {
            let mut continuity = Continuity::default();
            continuity.stored(CHANNEL, mark(&last).expect("a time"));
            continuity.comes_again(CHANNEL, two(&before, &last));
            let mut batches = [batch(came)];
            let (gaps, _) = continuity.follow(&mut batches);
            assert_eq!(!gaps.is_empty(), broken, "{batches:?}");
            let ids: Vec<i64> = batches[0].events.iter().filter_map(|event| event.replay_id).collect();
            assert_eq!(ids, taken);
            assert_eq!(batches[0].position.is_some(), !taken.is_empty());
            // Only the first answer tells.
            let (gaps, _) = continuity.follow(&mut [batch(vec![event(901, 4)])]);
            assert!(gaps.is_empty());
        }
    }

    #[test]
    fn two_events_are_remembered_and_begun_behind_while_they_are_young() {
        let mut continuity = Continuity::default();
        let moved = |continuity: &mut Continuity, events| continuity.follow(&mut [batch(events)]).1;
        assert_eq!(moved(&mut continuity, vec![event(1, 1)]), [], "there is none before it");
        let stored = |before, last| [Position::LastTwo(CHANNEL).json(&two(&before, &last))];
        assert_eq!(moved(&mut continuity, vec![event(5, 2)]), stored(event(1, 1), event(5, 2)));
        let both = vec![event(8, 3), event(9, 4)];
        assert_eq!(moved(&mut continuity, both), stored(event(8, 3), event(9, 4)));

        let two = two(&event(8, 3), &event(9, 4));
        let then = two.before.published_ms;
        let hours = |hours| then.saturating_add(Duration::from_hours(hours));
        assert_eq!(two.begin(b"9", hours(47)), Some(b"8".to_vec()));
        assert_eq!(two.begin(b"9", hours(49)), None, "Salesforce may not have it much longer");
        assert_eq!(two.begin(b"10", hours(1)), None, "an operator has set another place");
    }

    #[test]
    fn a_jump_back_in_time_or_an_unlikely_one_of_ids_is_a_gap() {
        const HOUR: u64 = 3_600_000;
        let last = Mark { replay_id: 1_000, published_ms: UnixMs(100 * HOUR) };
        for (replay_id, published_ms, broken) in [
            (1_001, 100 * HOUR, false),
            (1_001, 100 * HOUR - 60_000, false),
            (1_001, 170 * HOUR, false),
            (900_000, 101 * HOUR, false),
            (30_000_000, 101 * HOUR, false),
            (1_001, 99 * HOUR, true),
            (1_001, 0, true),
            (20_000_000, 100 * HOUR, true),
            (i64::MAX, 170 * HOUR, true),
            (5, 100 * HOUR + 1, false),
        ] {
            assert_eq!(
                is_broken(last, Mark { replay_id, published_ms: UnixMs(published_ms) }),
                broken,
                "{replay_id} {published_ms}"
            );
        }
    }
}
