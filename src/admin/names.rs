//! States and parts in an operator's words.
//!
//! Here: the words, which the page, the metrics and the command line share. Not here: what they mean (`orgpipe_actors`).
//!
//! Invariant: they are the words of the API.

use orgpipe_actors::{BreakerState, Part, Priority, State};

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
        Part::Events => "events",
        Part::Refresh => "refresh",
        Part::Push => "push",
        Part::Ingest => "ingest",
        Part::Writer => "writer",
    }
}

/// What calls are for, as operators read it.
pub(crate) fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Live => "live",
        Priority::Heal => "heal",
        Priority::Refresh => "refresh",
    }
}

/// What the breaker before the vendor's API is at, as operators read it.
pub(crate) fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn same(value: impl Serialize, word: &str) {
        assert_eq!(serde_json::to_value(value).expect("JSON"), word);
    }

    #[test]
    fn a_thing_is_called_in_the_api_as_it_is_elsewhere() {
        use State::{Draining, Parked, Paused, Running, Starting, Stopped, Waiting};

        for (one, word) in [
            (Part::Login, "login"),
            (Part::Events, "events"),
            (Part::Refresh, "refresh"),
            (Part::Push, "push"),
            (Part::Ingest, "ingest"),
            (Part::Writer, "writer"),
        ] {
            assert_eq!(part(one), word);
            same(one, word);
        }
        for one in Priority::ALL {
            same(one, priority(one));
        }
        for one in [Starting, Running, Waiting, Parked, Draining, Paused, Stopped] {
            same(one, state(one));
        }
        for one in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
            same(one, breaker(one));
        }
    }
}
