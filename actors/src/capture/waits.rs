//! What waits after it failed, each by itself: one sync's refresh does not hold up another's. Pure.

use std::{collections::BTreeMap, time::Duration};

use crate::retry::Delays;

/// First and longest wait.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// By name.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<String, Wait>);

#[derive(Debug)]
struct Wait {
    delays: Delays,
    /// Time since start.
    until: Duration,
    /// When it failed, Unix milliseconds.
    since_ms: u64,
    /// Why, and what to do about it.
    note: (String, String),
}

impl Waits {
    /// How much longer it waits, if it does.
    pub(super) fn left(&self, name: &str, now: Duration) -> Option<Duration> {
        let left = self.0.get(name)?.until.saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// It was asked for last at this time, Unix milliseconds: if that was after it failed, it waits no longer.
    pub(super) fn asked(&mut self, name: &str, last_ms: u64) {
        if let Some(wait) = self.0.get_mut(name).filter(|wait| wait.since_ms < last_ms) {
            wait.until = Duration::ZERO;
        }
    }

    /// It failed, the next time after longer; the answer is how long it waits.
    pub(super) fn failed(
        &mut self,
        name: &str,
        note: (String, String),
        (now, now_ms): (Duration, u64),
        jitter: f64,
    ) -> Duration {
        let fresh = || Wait {
            delays: Delays::new(WAITS.0, WAITS.1),
            until: Duration::ZERO,
            since_ms: now_ms,
            note: (String::new(), String::new()),
        };
        let wait = self.0.entry(name.to_owned()).or_insert_with(fresh);
        let after = wait.delays.next(jitter);
        (wait.until, wait.since_ms, wait.note) = (now + after, now_ms, note);
        after
    }

    /// It goes on.
    pub(super) fn reset(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Why the first of them waits, and what to do about it.
    pub(super) fn note(&self) -> Option<(&str, &str)> {
        self.0.values().next().map(|wait| (wait.note.0.as_str(), wait.note.1.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_by_itself_and_longer_each_time() {
        let secs = Duration::from_secs;
        let note = |text: &str| (text.to_owned(), "hint".to_owned());
        let mut waits = Waits::default();
        assert_eq!(waits.left("a", secs(0)), None);
        let first = waits.failed("a", note("one"), (secs(0), 7), 1.0);
        assert_eq!((waits.left("a", secs(0)), waits.left("b", secs(0))), (Some(first), None));
        assert_eq!(waits.left("a", first), None);
        assert!(waits.failed("a", note("two"), (first, 9), 1.0) > first);
        assert_eq!(waits.note(), Some(("two", "hint")));
        waits.asked("a", 9);
        assert!(waits.left("a", first).is_some());
        waits.asked("a", 10);
        assert_eq!(waits.left("a", first), None, "an operator does not wait");
        waits.reset("a");
        assert_eq!((waits.note(), waits.left("a", first)), (None, None));
    }
}
