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
    /// Why, and what to do about it.
    note: (String, String),
}

impl Waits {
    /// How much longer it waits, if it does.
    pub(super) fn left(&self, name: &str, now: Duration) -> Option<Duration> {
        let left = self.0.get(name)?.until.saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// It failed, the next time after longer; the answer is how long it waits.
    pub(super) fn failed(
        &mut self,
        name: &str,
        note: (String, String),
        now: Duration,
        dice: f64,
    ) -> Duration {
        let fresh = || Wait {
            delays: Delays::new(WAITS.0, WAITS.1),
            until: Duration::ZERO,
            note: (String::new(), String::new()),
        };
        let wait = self.0.entry(name.to_owned()).or_insert_with(fresh);
        let after = wait.delays.next(dice);
        (wait.until, wait.note) = (now + after, note);
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
        let first = waits.failed("a", note("one"), secs(0), 1.0);
        assert_eq!((waits.left("a", secs(0)), waits.left("b", secs(0))), (Some(first), None));
        assert_eq!(waits.left("a", first), None);
        assert!(waits.failed("a", note("two"), first, 1.0) > first);
        assert_eq!(waits.note(), Some(("two", "hint")));
        waits.reset("a");
        assert_eq!((waits.note(), waits.left("a", first)), (None, None));
    }
}
