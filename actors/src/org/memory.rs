//! One budget of memory for the work that all orgs hold beside its promise on disk.
//!
//! Here: taking and giving back bytes. Not here: what is held (`decide/window.rs`, `deliver/window.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes that all windows together may hold; what does not fit is read from disk when its turn comes.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes that are free for all.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget(Arc<AtomicUsize>);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(BYTES_MAX)))
    }
}

impl MemoryBudget {
    /// Another budget than the usual one.
    #[cfg(test)]
    pub(crate) fn of(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// A share that holds nothing yet and may grow to `bytes_max`.
    pub(crate) fn share(&self, bytes_max: usize) -> MemoryShare {
        MemoryShare { budget: self.clone(), bytes_max, held: 0 }
    }
}

/// What one window holds; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    budget: MemoryBudget,
    bytes_max: usize,
    held: usize,
}

impl MemoryShare {
    /// Takes bytes if the share and the budget have room for them.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        if self.held.saturating_add(bytes) > self.bytes_max {
            return false;
        }
        let fewer = |free: usize| free.checked_sub(bytes);
        let taken = self.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok();
        self.held += if taken { bytes } else { 0 };
        taken
    }

    /// Gives bytes back that were taken.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.budget.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_each_and_together_and_come_back() {
        let budget = MemoryBudget::of(100);
        let (mut one, mut other) = (budget.share(70), budget.share(70));
        assert!(one.take(70) && !one.take(1), "its own bound");
        assert!(other.take(30) && !other.take(1), "the bound of all");
        one.give_back(20);
        assert!(other.take(20) && !other.take(1));
        drop(one);
        assert!(other.take(20) && !other.take(1), "its own bound again");
    }
}
