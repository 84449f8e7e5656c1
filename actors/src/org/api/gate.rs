//! The one way to an org's API: calls in flight, calls per second, calls per day.
//!
//! Here: waiting, and what of it is stored. Not here: the day's decision (`budget`), the speed's (`throttle`), the call
//! itself (`org::api::client`).
//!
//! Work reserves its calls before the first: a [`Reservation`] sets them aside, and gives back what it did not need.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use orgpipe_salesforce::limits::ApiUsage;
use orgpipe_store::UnixMs;
use serde::Serialize;
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::{
    budget::{Admission, Budget},
    throttle::{Slot, Slots, Speed, Throttle},
};
use crate::{
    clock::Clock,
    org::{
        step_error::{QuotaWait, StepError},
        store::{OrgStore, Position},
    },
    priority::Priority,
    settings::Limits,
};

/// Calls per second, by our own clock.
type Limiter = RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>;

/// The gate of one org.
#[derive(Debug)]
pub(crate) struct Gate {
    budget: Arc<Mutex<Budget>>,
    /// `None`: what is counted ends with the process.
    store: Option<OrgStore>,
    /// Held while the count is read or stored.
    keeping: tokio::sync::Mutex<()>,
    /// The count has been read, or there is none to read.
    is_read: AtomicBool,
    throttle: Mutex<Throttle>,
    slots: Slots,
    /// One fewer, for all but live calls: so that those find a slot.
    slots_of_others: Slots,
    rate: Mutex<Arc<Limiter>>,
    /// The rate has changed.
    changed: Notify,
    clock: Clock,
}

/// Calls set aside for a piece of work; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Mutex<Budget>>,
    /// What for.
    pub priority: Priority,
    left: AtomicU64,
}

impl Reservation {
    /// One of the calls set aside, if one is left.
    pub(crate) fn permit(&self) -> Option<Permit> {
        let fewer = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).ok()?;
        Some(Permit { budget: Arc::clone(&self.budget), used: false })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.budget).give_back(self.left.load(Ordering::SeqCst));
    }
}

/// One call that may be made; given back when dropped unused.
#[derive(Debug)]
#[must_use]
pub(crate) struct Permit {
    budget: Arc<Mutex<Budget>>,
    used: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.used {
            lock(&self.budget).give_back(1);
        }
    }
}

/// A call under way; its slot is given back when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct InFlight {
    /// The call's number, which tells what its answer can know. `None` for a call that costs nothing.
    pub number: Option<u64>,
    _slots: (Slot, Option<Slot>),
}

/// What asking for calls comes to.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// They are set aside.
    Go(Reservation),
    /// One is, to find out whether more may be.
    Look(Reservation),
}

/// One org's budget as shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BudgetView {
    /// The org's API calls of 24 hours; null until Salesforce has told.
    pub allowed: Option<u64>,
    /// Used of them by everybody, as told last, with ours since.
    pub used: Option<u64>,
    /// Ours of the last 24 hours.
    pub ours: u64,
    /// Of ours at most so many are allowed.
    pub share: u64,
    /// Set aside for work under way.
    pub planned: u64,
    /// So many stay free for the customer.
    pub reserve: u64,
    /// Calls a second at most, now.
    pub requests_per_second: u32,
    /// Calls at a time at most, now.
    pub concurrent_max: u32,
    /// What stands still, and why.
    pub waits: Vec<BudgetWait>,
}

/// Work that stands still for want of calls.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BudgetWait {
    /// What kind of work.
    pub work: Priority,
    /// Why, as a sentence.
    pub why: String,
    /// When it is looked at again.
    pub until_ms: UnixMs,
}

/// What of an org's work stands still for want of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct BudgetStand {
    /// What stands still, and why.
    pub waits: Vec<BudgetWait>,
    /// Salesforce has told since the start how many calls are used.
    pub is_known: bool,
}

impl Gate {
    /// A gate that knows what `store` holds; without one, what is counted ends with the process.
    pub(crate) fn new(limits: Limits, store: Option<OrgStore>, clock: Clock) -> Self {
        let most = Speed { per_second: limits.requests_per_second, at_once: limits.concurrent_max };
        Self {
            budget: Arc::new(Mutex::new(Budget::new(limits))),
            keeping: tokio::sync::Mutex::default(),
            is_read: AtomicBool::new(store.is_none()),
            store,
            throttle: Mutex::new(Throttle::new(most)),
            slots: Slots::new(most.at_once),
            slots_of_others: Slots::new(others(most)),
            rate: Mutex::new(Arc::new(RateLimiter::direct_with_clock(quota(most), clock))),
            changed: Notify::new(),
            clock,
        }
    }

    /// Sets calls aside, or says why not; does not wait for the day's allowance, which may take hours.
    pub(crate) async fn reserve(&self, priority: Priority, calls: u64) -> Result<Reserved, StepError> {
        self.keep(false).await?;
        let reservation =
            |calls| Reservation { budget: Arc::clone(&self.budget), priority, left: AtomicU64::new(calls) };
        match lock(&self.budget).admit(priority, calls, self.clock.now_ms()) {
            Admission::Go(calls) => Ok(Reserved::Go(reservation(calls))),
            Admission::Look => Ok(Reserved::Look(reservation(1))),
            Admission::Wait(until_ms, why) => Err(StepError::WaitingForQuota { until_ms, why }),
        }
    }

    /// Waits for a slot and for the rate. No permit: the call costs nothing.
    pub(crate) async fn enter(
        &self,
        priority: Priority,
        permit: Option<Permit>,
    ) -> Result<InFlight, StepError> {
        let speed = lock(&self.throttle).calm(self.clock.monotonic());
        if let Some(speed) = speed {
            self.apply(speed);
        }
        let other = match priority {
            Priority::Live => None,
            Priority::Heal | Priority::Refresh => {
                Some(self.slots_of_others.take().await.ok_or(StepError::ShuttingDown)?)
            }
        };
        let slot = self.slots.take().await.ok_or(StepError::ShuttingDown)?;
        self.rate().await;
        let mut number = None;
        if let Some(mut permit) = permit {
            self.keep(true).await?;
            number = Some(lock(&self.budget).begin(self.clock.now_ms()));
            permit.used = true;
        }
        Ok(InFlight { number, _slots: (slot, other) })
    }

    /// Takes over what the answer to call `number` told about the day's calls.
    pub(crate) fn learn(&self, number: u64, usage: ApiUsage) {
        lock(&self.budget).learn(number, usage);
    }

    /// A call was let through.
    pub(crate) fn accepted(&self) {
        lock(&self.budget).accepted();
    }

    /// The org has no calls left.
    pub(crate) fn refused(&self) {
        lock(&self.budget).refuse(self.clock.now_ms());
    }

    /// The org runs too many calls at once.
    pub(crate) fn crowded(&self) -> Option<u32> {
        let speed = lock(&self.throttle).crowded(self.clock.monotonic())?;
        self.apply(speed);
        Some(speed.at_once)
    }

    /// The part of our share of the day's calls that is gone.
    pub(crate) fn spent(&self) -> f64 {
        lock(&self.budget).spent(self.clock.now_ms())
    }

    /// All that an operator may want to know; also before the first call what an earlier process counted.
    pub(crate) async fn view(&self) -> BudgetView {
        // A store that is closed tells no more than is known already.
        if let Err(error) = self.keep(false).await {
            tracing::debug!("the stored count of calls was not read: {error}");
        }
        self.view_so_far()
    }

    /// The same without a look at the store: none of what an earlier process counted until [`is_read`](Self::is_read).
    pub(crate) fn view_so_far(&self) -> BudgetView {
        let now_ms = self.clock.now_ms();
        let speed = lock(&self.throttle).speed();
        let budget = lock(&self.budget);
        BudgetView {
            allowed: budget.max(),
            used: budget.used(),
            ours: budget.ours(now_ms),
            share: budget.share(),
            planned: budget.planned(),
            reserve: budget.reserve(),
            requests_per_second: speed.per_second,
            concurrent_max: speed.at_once,
            waits: waits(&budget, now_ms),
        }
    }

    /// Whether what an earlier process counted is known.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    /// What stands still, as far as it is known without a look at the store.
    pub(crate) fn stand(&self) -> BudgetStand {
        let budget = lock(&self.budget);
        BudgetStand { waits: waits(&budget, self.clock.now_ms()), is_known: budget.used().is_some() }
    }

    /// Reads what is stored, once; with `write`, puts the calls set aside on disk before the first of them is made.
    async fn keep(&self, write: bool) -> Result<(), StepError> {
        let Some(store) = &self.store else { return Ok(()) };
        if !write && self.is_read() {
            // Whoever only looks does not wait for another's commit.
            return Ok(());
        }
        let _keeping = self.keeping.lock().await;
        if !self.is_read() {
            if let Some(stored) = store.bytes(Position::ApiCalls).await? {
                lock(&self.budget).load(&stored);
            }
            self.is_read.store(true, Ordering::Release);
        }
        if write {
            let to_store = lock(&self.budget).to_store(self.clock.now_ms());
            if let Some((value, cover)) = to_store {
                store.put(vec![Position::ApiCalls.bytes(value)]).await?;
                lock(&self.budget).stored(cover);
            }
        }
        Ok(())
    }

    /// Waits for the rate, whatever it changes to meanwhile: governor's own wait would stay with the old one.
    async fn rate(&self) {
        loop {
            let changed = self.changed.notified();
            let limiter = Arc::clone(&lock(&self.rate));
            let Err(refused) = limiter.check() else { return };
            let wait = refused.wait_time_from(self.clock.monotonic());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
    }

    fn apply(&self, speed: Speed) {
        let quota = quota(speed);
        let limiter = RateLimiter::direct_with_clock(quota, self.clock);
        // A new limiter lets a second's worth through at once: that was just spent.
        let _ = limiter.check_n(quota.burst_size());
        *lock(&self.rate) = Arc::new(limiter);
        self.slots.resize(speed.at_once);
        self.slots_of_others.resize(others(speed));
        self.changed.notify_waiters();
    }
}

fn waits(budget: &Budget, now_ms: UnixMs) -> Vec<BudgetWait> {
    let wait = |work: Priority| {
        let why: QuotaWait = budget.stands(work, 1, now_ms)?;
        Some(BudgetWait { work, why: why.to_string(), until_ms: budget.again_at(why, now_ms) })
    };
    Priority::ALL.into_iter().filter_map(wait).collect()
}

fn quota(speed: Speed) -> Quota {
    Quota::per_second(NonZeroU32::new(speed.per_second).unwrap_or(NonZeroU32::MIN))
}

fn others(speed: Speed) -> u32 {
    speed.at_once.saturating_sub(1).max(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
