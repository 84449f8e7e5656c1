//! How long something took, where no clock is at hand.
//!
//! Here: the machine's steady clock, to measure by. Not here: deciding by time; whoever does that is given the time.
#![expect(clippy::disallowed_methods, reason = "nothing decides by what a stopwatch says")]

use std::time::{Duration, Instant};

/// A running stopwatch.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// It runs from now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since its start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
