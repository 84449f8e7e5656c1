//! How fast an org is called: halved when Salesforce says that too many calls run at once, raised again bit by bit.
//!
//! Here: the decision, pure, and slots whose number can change. Not here: waiting for them (`gate`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Refusals this soon after one belong to the calls that were under way with it.
const SETTLE: Duration = Duration::from_secs(5);
/// After so long without a refusal one call more a second, and one more at a time.
const RAISE: Duration = Duration::from_mins(1);

/// Calls a second, and at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speed {
    /// Calls a second, 1 or more.
    pub per_second: u32,
    /// Calls at a time, 1 or more.
    pub at_once: u32,
}

/// What speed is allowed now. Times count from the start of the process.
#[derive(Debug)]
pub(super) struct Throttle {
    most: Speed,
    now: Speed,
    lowered: Option<Duration>,
    raise_at: Duration,
}

impl Throttle {
    /// Full speed.
    pub(super) fn new(most: Speed) -> Self {
        Self { most, now: most, lowered: None, raise_at: Duration::ZERO }
    }

    /// The speed.
    pub(super) fn speed(&self) -> Speed {
        self.now
    }

    /// A call was refused because too many run at once. The new speed, if that changes it.
    pub(super) fn crowded(&mut self, now: Duration) -> Option<Speed> {
        self.raise_at = now + RAISE;
        if self.lowered.is_some_and(|lowered| now < lowered + SETTLE) {
            return None;
        }
        self.lowered = Some(now);
        self.set(Speed { per_second: self.now.per_second / 2, at_once: self.now.at_once / 2 })
    }

    /// Time has passed. The new speed, if that changes it.
    pub(super) fn calm(&mut self, now: Duration) -> Option<Speed> {
        if self.now == self.most || now < self.raise_at {
            return None;
        }
        self.raise_at = now + RAISE;
        self.set(Speed { per_second: self.now.per_second + 1, at_once: self.now.at_once + 1 })
    }

    fn set(&mut self, speed: Speed) -> Option<Speed> {
        let speed = Speed {
            per_second: speed.per_second.clamp(1, self.most.per_second.max(1)),
            at_once: speed.at_once.clamp(1, self.most.at_once.max(1)),
        };
        (std::mem::replace(&mut self.now, speed) != speed).then_some(speed)
    }
}

/// Slots whose number can change while some are taken.
#[derive(Debug)]
pub(super) struct Slots {
    semaphore: Arc<Semaphore>,
    count: Arc<Mutex<Count>>,
}

#[derive(Debug)]
struct Count {
    size: usize,
    /// Taken slots that vanish when they are given back.
    surplus: usize,
}

impl Slots {
    /// So many, at least one.
    pub(super) fn new(size: u32) -> Self {
        let size = size.max(1) as usize;
        Self {
            semaphore: Arc::new(Semaphore::new(size)),
            count: Arc::new(Mutex::new(Count { size, surplus: 0 })),
        }
    }

    /// Waits for one, in the order of asking.
    pub(super) async fn take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.ok()?;
        Some(Slot { permit: Some(permit), count: Arc::clone(&self.count) })
    }

    /// Makes it so many.
    pub(super) fn resize(&self, size: u32) {
        let size = size.max(1) as usize;
        let mut count = lock(&self.count);
        if size >= count.size {
            let more = size - count.size;
            let kept = more.min(count.surplus);
            count.surplus -= kept;
            self.semaphore.add_permits(more - kept);
        } else {
            let fewer = count.size - size;
            count.surplus += fewer - self.semaphore.forget_permits(fewer);
        }
        count.size = size;
    }
}

/// A taken slot; given back when dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    count: Arc<Mutex<Count>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut count = lock(&self.count);
        if count.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            count.surplus -= 1;
            permit.forget();
        }
    }
}

fn lock(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_halve_the_speed_once_and_quiet_raises_it_step_by_step() {
        let mut throttle = Throttle::new(Speed { per_second: 10, at_once: 5 });
        let secs = Duration::from_secs;
        let speed = |per_second, at_once| Some(Speed { per_second, at_once });
        assert_eq!(throttle.calm(secs(1)), None, "it is at its most");
        assert_eq!(throttle.crowded(secs(10)), speed(5, 2));
        assert_eq!(throttle.crowded(secs(11)), None, "that call was under way");
        assert_eq!(throttle.crowded(secs(20)), speed(2, 1));
        assert_eq!(throttle.crowded(secs(30)), speed(1, 1));
        assert_eq!(throttle.crowded(secs(40)), None, "it never comes to nothing");
        assert_eq!(throttle.calm(secs(99)), None);
        assert_eq!(throttle.calm(secs(100)), speed(2, 2));
        assert_eq!(throttle.calm(secs(101)), None);
        for step in 2..20 {
            throttle.calm(secs(100 + 60 * step));
        }
        assert_eq!(throttle.speed(), Speed { per_second: 10, at_once: 5 });
    }

    #[actix_rt::test]
    async fn slots_vanish_as_they_are_given_back_and_come_back() {
        let slots = Slots::new(3);
        let free = || slots.semaphore.available_permits();
        let (one, two) = (slots.take().await, slots.take().await);
        slots.resize(1);
        assert_eq!(free(), 0);
        drop(one);
        assert_eq!(free(), 0, "two were too many for one");
        slots.resize(2);
        assert_eq!(free(), 1);
        slots.resize(1);
        drop(two);
        assert_eq!(free(), 1);
        slots.resize(3);
        assert_eq!(free(), 3);
    }
}
