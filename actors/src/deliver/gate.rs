//! The one way to an org's API: calls in flight, calls per second, calls per day.
//!
//! Here: waiting. Not here: the day's decision (`budget`), the call itself (`supervise::line`).

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use orgpipe_salesforce::{error::CallError, limits::ApiUsage};
use orgpipe_store::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::{Admission, Budget};
use crate::{clock::Clock, settings::Limits};

/// The gate of one org.
#[derive(Debug)]
pub(crate) struct Gate {
    budget: Mutex<Budget>,
    slots: Arc<Semaphore>,
    rate: DefaultDirectRateLimiter,
    clock: Clock,
}

/// Leave to make one call; given back when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Leave {
    _slot: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate with nothing spent.
    pub(crate) fn new(limits: Limits, clock: Clock) -> Self {
        let quota = Quota::per_second(NonZeroU32::new(limits.requests_per_second).unwrap_or(NonZeroU32::MIN));
        Self {
            budget: Mutex::new(Budget::new(limits)),
            slots: Arc::new(Semaphore::new(limits.concurrent_max.max(1) as usize)),
            rate: RateLimiter::direct(quota),
            clock,
        }
    }

    /// Waits for a slot and for the rate; does not wait for the day's allowance, which may take hours.
    pub(crate) async fn enter(&self, lane: Lane, cost: u32) -> Result<Leave, CallError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| CallError::Closed)?;
        if let Admission::Wait(wait) = self.budget().admit(lane, cost, self.clock.monotonic()) {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            return Err(CallError::WaitingForQuota { until_ms: self.clock.now_ms().saturating_add(wait_ms) });
        }
        self.rate.until_ready().await;
        Ok(Leave { _slot: slot })
    }

    /// Takes over what an answer told about the day's calls.
    pub(crate) fn learn(&self, usage: ApiUsage) {
        self.budget().learn(usage);
    }

    /// The part of our share of the day's calls that is gone.
    pub(crate) fn spent(&self) -> f64 {
        self.budget().spent()
    }

    /// The org has no calls left.
    pub(crate) fn exhausted(&self) {
        self.budget().exhausted();
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
