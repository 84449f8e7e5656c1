//! What waits after it failed. Pure.
//!
//! Here: how long each waits, and why. Not here: what failed (`refresh`), waits of requests (`decide/scheduler.rs`).
//!
//! Invariant: each waits by itself, so one sync's refresh does not hold up another's.

use std::{collections::BTreeMap, time::Duration};

use orgpipe_store::UnixMs;

use crate::{problem::Problem, retry::Delays};

/// First and longest wait.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// When something failed, and the chance that spreads its wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureTime {
    /// Time since start.
    pub now: Duration,
    /// The same by the clock.
    pub now_ms: UnixMs,
    /// Spreads the waits, 0 to 1.
    pub jitter: f64,
}

/// What waits, by name.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<String, Wait>);

#[derive(Debug)]
struct Wait {
    delays: Delays,
    /// Time since start.
    until: Duration,
    /// When it failed.
    since_ms: UnixMs,
    /// Why, and what to do about it.
    problem: Problem,
}

impl Waits {
    /// How much longer it waits, if it does.
    pub(super) fn left(&self, name: &str, now: Duration) -> Option<Duration> {
        let left = self.0.get(name)?.until.saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// It was asked for last at this time: if that was after it failed, it waits no longer.
    pub(super) fn asked(&mut self, name: &str, last_ms: Option<UnixMs>) {
        if let Some(wait) = self.0.get_mut(name).filter(|wait| last_ms.is_some_and(|at| wait.since_ms < at)) {
            wait.until = Duration::ZERO;
        }
    }

    /// It failed, the next time after longer; the answer is how long it waits.
    pub(super) fn failed(&mut self, name: &str, problem: Problem, at: FailureTime) -> Duration {
        let known = self.0.remove(name).map(|wait| wait.delays);
        let mut delays = known.unwrap_or_else(|| Delays::new(WAITS.0, WAITS.1));
        let after = delays.next(at.jitter);
        let wait = Wait { delays, until: at.now + after, since_ms: at.now_ms, problem };
        self.0.insert(name.to_owned(), wait);
        after
    }

    /// It goes on.
    pub(super) fn reset(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Why the first of them waits, and what to do about it.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.0.values().next().map(|wait| &wait.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_by_itself_and_longer_each_time() {
        let secs = Duration::from_secs;
        let problem = |text: &str| Problem::new(text, "hint");
        let moment = |now, now_ms| FailureTime { now, now_ms: UnixMs(now_ms), jitter: 1.0 };
        let mut waits = Waits::default();
        assert_eq!(waits.left("a", secs(0)), None);
        let first = waits.failed("a", problem("one"), moment(secs(0), 7));
        assert_eq!((waits.left("a", secs(0)), waits.left("b", secs(0))), (Some(first), None));
        assert_eq!(waits.left("a", first), None);
        assert!(waits.failed("a", problem("two"), moment(first, 9)) > first);
        assert_eq!(waits.problem(), Some(&problem("two")));
        waits.asked("a", Some(UnixMs(9)));
        assert!(waits.left("a", first).is_some());
        waits.asked("a", Some(UnixMs(10)));
        assert_eq!(waits.left("a", first), None, "an operator does not wait");
        waits.reset("a");
        assert_eq!((waits.problem(), waits.left("a", first)), (None, None));
    }
}
