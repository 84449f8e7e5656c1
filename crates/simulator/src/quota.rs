//! The org's daily API calls: a rolling window of 24 hours.
//!
//! Here: counting. Not here: which calls count (`api/`). Source: REST guide, "API Request Limits and Allocations".

use std::collections::VecDeque;

/// The window is counted in pieces of this many milliseconds of simulated time.
const PIECE_MS: i64 = 15 * 60 * 1000;
const PIECES: i64 = 24 * 4;

/// Calls used of those allowed.
#[derive(Debug)]
pub(crate) struct Quota {
    max: u64,
    pieces: VecDeque<(i64, u64)>,
}

impl Quota {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, pieces: VecDeque::new() }
    }

    /// Calls the window allows.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Calls of the 24 hours up to now.
    pub(crate) fn used(&mut self, now_ms: i64) -> u64 {
        let oldest = now_ms.div_euclid(PIECE_MS) - PIECES;
        while self.pieces.front().is_some_and(|(piece, _)| *piece <= oldest) {
            self.pieces.pop_front();
        }
        self.pieces.iter().map(|(_, count)| count).sum()
    }

    /// Counts one call, or says that none is left.
    pub(crate) fn take(&mut self, now_ms: i64) -> bool {
        if self.used(now_ms) >= self.max {
            return false;
        }
        let now = now_ms.div_euclid(PIECE_MS);
        match self.pieces.back_mut() {
            Some((piece, count)) if *piece == now => *count += 1,
            _ => self.pieces.push_back((now, 1)),
        }
        true
    }

    /// Makes the window look as if this many calls had just been used, by anybody.
    pub(crate) fn set_used(&mut self, now_ms: i64, used: u64) {
        self.pieces.clear();
        self.pieces.push_back((now_ms.div_euclid(PIECE_MS), used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_refused_past_the_limit_and_come_back_after_a_day() {
        let day = 24 * 60 * 60 * 1000;
        let mut quota = Quota::new(2);
        assert!(quota.take(0) && quota.take(PIECE_MS));
        assert!(!quota.take(2 * PIECE_MS));
        assert_eq!(quota.used(day - 1), 2);
        assert_eq!(quota.used(day), 1, "the first piece is a day old");
        assert!(quota.take(day));
        quota.set_used(day, 7);
        assert_eq!((quota.used(day), quota.take(day)), (7, false));
    }
}
