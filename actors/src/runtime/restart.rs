//! Whether a child that ended is started again, and when.
//!
//! Here: restart intensity as a pure decision. Not here: starting (`supervise`).

use std::{collections::VecDeque, time::Duration};

use crate::retry::Delays;

/// Ends within [`PERIOD`] that are still worth a restart.
const RESTARTS_MAX: usize = 5;
/// The period in which they are counted.
const PERIOD: Duration = Duration::from_mins(10);
/// First and longest wait.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_mins(1));

/// What to do about an end nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start a fresh one after this long.
    Restart(Duration),
    /// It ends again and again: leave it down, for an operator to look at.
    Park,
}

/// The recent ends of one child.
#[derive(Debug)]
pub(crate) struct Restarts {
    ends: VecDeque<Duration>,
    delays: Delays,
    total: u32,
}

impl Restarts {
    /// None so far.
    pub(crate) fn none() -> Self {
        Self { ends: VecDeque::new(), delays: Delays::new(WAITS.0, WAITS.1), total: 0 }
    }

    /// Counts an end at `now` (time since start) and decides.
    pub(crate) fn ended(&mut self, now: Duration, jitter: f64) -> Decision {
        while self.ends.front().is_some_and(|end| *end + PERIOD < now) {
            self.ends.pop_front();
        }
        if self.ends.is_empty() {
            self.delays.reset();
        }
        if self.ends.len() >= RESTARTS_MAX {
            return Decision::Park;
        }
        self.ends.push_back(now);
        self.total += 1;
        Decision::Restart(self.delays.next(jitter))
    }

    /// Restarts since the service started.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_ends_in_ten_minutes_are_forgiven_and_old_ones_forgotten() {
        let mut restarts = Restarts::none();
        let waits: Vec<_> = (0..5).map(|at| restarts.ended(Duration::from_secs(at), 1.0)).collect();
        let millis = [200, 400, 800, 1600, 3200];
        assert_eq!(waits, millis.map(|millis| Decision::Restart(Duration::from_millis(millis))));
        assert_eq!(restarts.ended(Duration::from_secs(6), 1.0), Decision::Park);
        let later = restarts.ended(Duration::from_secs(700), 1.0);
        assert_eq!(later, Decision::Restart(Duration::from_millis(200)), "counting starts over");
        assert_eq!(restarts.total(), 6);
    }
}
