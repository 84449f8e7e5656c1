//! The tree of an org's actors, and its channels.
//!
//! Here: what stands in each line; pure. Not here: what the parts do (`orgpipe_actors`).

use orgpipe_actors::{ChannelStatus, OrgStatus, OrgView, Part, PartStatus};
use orgpipe_store::UnixMs;

use crate::{admin::names, dashboard::words};

/// An actor of the org.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) told: &'static str,
    pub(crate) state: &'static str,
    /// Since when: for machines, and for people.
    pub(crate) since: (String, String),
    pub(crate) note: String,
    pub(crate) hint: String,
    /// How often it was started afresh, and how it ended the last time.
    pub(crate) restarts: String,
    pub(crate) last_exit: String,
}

/// The org's own actor, then its parts in the order of the flow.
pub(crate) fn tree(org: &OrgView, now: UnixMs) -> (Node, Vec<Node>) {
    let OrgStatus { started_ms, restarts, last_exit, parts, .. } = &org.status;
    let root = Node {
        name: "org",
        told: "starts the others and watches over them",
        state: names::state(org.state),
        since: moment(*started_ms, now),
        note: String::new(),
        hint: String::new(),
        restarts: times(*restarts),
        last_exit: last_exit.clone(),
    };
    (root, parts.iter().map(|(part, status)| node(*part, status, now)).collect())
}

fn node(part: Part, status: &PartStatus, now: UnixMs) -> Node {
    Node {
        name: names::part(part),
        told: told(part),
        state: names::state(status.state),
        since: moment(status.since_ms, now),
        note: words::sentence(&status.note),
        hint: status.hint.clone(),
        restarts: times(status.restarts),
        last_exit: status.last_exit.clone(),
    }
}

fn told(part: Part) -> &'static str {
    match part {
        Part::Login => "logs in to the org",
        Part::Events => "hears the org's events",
        Part::Refresh => "reads records by schedule, and after a gap",
        Part::Push => "finds the records that your API says have changed",
        Part::Ingest => "looks up in your API, matches and compares",
        Part::Writer => "writes what differs",
    }
}

fn times(restarts: u32) -> String {
    match restarts {
        0 => String::new(),
        1 => "restarted once".to_owned(),
        times => format!("restarted {times} times"),
    }
}

/// For machines, and for people.
pub(crate) fn moment(at: UnixMs, now: UnixMs) -> (String, String) {
    (words::machine_time(at), words::ago(at, now))
}

/// A channel that is subscribed.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) note: String,
    pub(crate) events: String,
    pub(crate) last: Option<(String, String)>,
    pub(crate) gaps: u64,
    /// Part of the time for which Salesforce keeps events that the position is old, in percent, its class and its words.
    pub(crate) position: Option<(u8, &'static str, String)>,
}

/// The channels by name.
pub(crate) fn channels(org: &OrgView, now: UnixMs) -> Vec<Channel> {
    let channels = &org.status.subscription.channels;
    channels.iter().map(|(name, channel)| one(name, channel, now)).collect()
}

fn one(name: &str, channel: &ChannelStatus, now: UnixMs) -> Channel {
    let kept = channel.retention_secs.max(1);
    let position = channel.position_age_secs.map(|age| {
        let percent = u8::try_from(age.saturating_mul(100) / kept).unwrap_or(100).min(100);
        let told = format!("{} of {}", words::seconds(age), words::seconds(channel.retention_secs));
        (percent, colour(percent), told)
    });
    let note = [words::sentence(&channel.note), channel.hint.clone()].join(" ");
    Channel {
        name: name.to_owned(),
        state: names::state(channel.state),
        note: note.trim().to_owned(),
        events: words::count(channel.events),
        last: channel.last_event_ms.map(|at| moment(at, now)),
        gaps: channel.gaps,
        position,
    }
}

/// The class of a share that is used up, in percent.
pub(crate) fn colour(percent: u8) -> &'static str {
    match percent {
        80.. => "bad",
        50..80 => "some",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_coloured_before_events_are_lost() {
        for (percent, kind) in [(0, ""), (49, ""), (50, "some"), (79, "some"), (80, "bad"), (100, "bad")] {
            assert_eq!(colour(percent), kind, "{percent}");
        }
        assert_eq!([times(0), times(1), times(7)], ["", "restarted once", "restarted 7 times"]);
    }
}
