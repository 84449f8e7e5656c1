//! States and parts in an operator's words.
//!
//! Here: the words, which the page, the metrics and the command line share. Not here: what they mean (`orgpipe_actors`).

use orgpipe_actors::{Part, Priority, State};

/// A state as operators read it.
pub(crate) fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Waiting => "waiting",
        State::Parked => "parked",
        State::Draining => "draining",
        State::Paused => "paused",
        State::Stopped => "stopped",
    }
}

/// A part as operators read it.
pub(crate) fn part(part: Part) -> &'static str {
    match part {
        Part::Login => "login",
        Part::Stream => "events",
        Part::Refresh => "refresh",
        Part::Push => "push",
        Part::Ingest => "look-up",
        Part::Writer => "writer",
    }
}

/// What calls are for, as operators read it.
pub(crate) fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Live => "live work",
        Priority::Heal => "healing",
        Priority::Refresh => "refresh",
    }
}
