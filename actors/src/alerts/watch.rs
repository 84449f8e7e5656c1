//! What is wrong now, kept for whoever asks, and the settings that say when something is.
//!
//! Here: one look at all facts, and its result. Not here: where facts come from and how often it is looked
//! (`service/alerts.rs`), what follows from facts (`rules`, `tracker`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    alert::Alert,
    facts::{OrgFacts, ProcessFacts},
    rules,
    tracker::Tracker,
};
use crate::{org::context::OrgContext, settings::AlertSettings};

/// What is wrong now.
#[derive(Debug)]
pub(crate) struct Alerts {
    settings: Mutex<Arc<AlertSettings>>,
    standing: Mutex<Arc<[Alert]>>,
    /// The service stops: what is not seen any more is not over.
    closed: AtomicBool,
}

impl Alerts {
    /// Nothing is known yet.
    pub(crate) fn new(settings: AlertSettings) -> Self {
        let settings = Mutex::new(Arc::new(settings));
        Self { settings, standing: Mutex::new(Arc::from([])), closed: AtomicBool::new(false) }
    }

    /// Those that stand, worst first.
    pub(crate) fn standing(&self) -> Arc<[Alert]> {
        Arc::clone(&lock(&self.standing))
    }

    /// Nothing follows any more from what is seen.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether the service stops.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Other settings hold from now on; whether they differ.
    pub(crate) fn exchange(&self, settings: &AlertSettings) -> bool {
        let mut known = lock(&self.settings);
        let differs = **known != *settings;
        if differs {
            *known = Arc::new(settings.clone());
        }
        differs
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Arc<AlertSettings> {
        Arc::clone(&lock(&self.settings))
    }

    /// Looks at these orgs, with how many dead letters are kept of each, and at the process.
    ///
    /// With thousands of orgs no board is copied: the rules look at each under its lock, which they hold for microseconds.
    pub(crate) fn look(
        &self,
        tracker: &mut Tracker,
        orgs: &[Arc<OrgContext>],
        letters: &HashMap<String, u64>,
        process: &ProcessFacts,
        now: Duration,
    ) {
        let settings = self.settings();
        let lookup_down = process.lookup.down_since_ms.is_some();
        let mut wrong = rules::of_process(process);
        for org in orgs {
            let found = with_facts(org, letters, |facts| rules::of_org(facts, lookup_down, &settings));
            wrong.extend(found);
        }
        let by_name: BTreeMap<&str, &Arc<OrgContext>> = orgs.iter().map(|org| (org.id(), org)).collect();
        let is_known = |alert: &Alert| match &alert.org {
            None => rules::process_is_known(alert, process),
            // One that is not worked for any more has nothing wrong.
            Some(id) => by_name
                .get(id.as_str())
                .is_none_or(|org| with_facts(org, letters, |facts| rules::org_is_known(alert, facts))),
        };
        tracker.step(wrong, is_known, &settings, now);
        *lock(&self.standing) = tracker.standing().into();
    }
}

fn with_facts<T>(
    org: &OrgContext,
    letters: &HashMap<String, u64>,
    what: impl FnOnce(&OrgFacts<'_>) -> T,
) -> T {
    let budget = org.api.budget_stand();
    let dead_letters = letters.get(org.id()).copied().unwrap_or_default();
    let is_described = |object: &str| org.schemas.is_described(object);
    let (up, now_ms) = (org.clock.monotonic(), org.clock.now_ms());
    org.board.look(|status| {
        what(&OrgFacts {
            id: org.id(),
            status,
            budget: &budget,
            dead_letters,
            is_described: &is_described,
            up,
            now_ms,
        })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
