//! What is wrong now, kept for whoever asks, and the settings that say when something is.
//!
//! Here: one look at all facts, and its result. Not here: where facts come from and how often it is looked
//! (`service/alerts.rs`), what follows from facts (`rules`, `tracker`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use orgpipe_store::UnixMs;

use super::{
    alert::Alert,
    facts::{OrgFacts, ProcessFacts},
    outbox::Outbox,
    receiver::Receiver,
    rules,
    tracker::Tracker,
};
use crate::{
    alert_kind::{AlertKind, AlertSeverity},
    failpoint::Failpoints,
    org::context::OrgContext,
    settings::AlertSettings,
};

/// How long one message may take to be sent.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is wrong now.
#[derive(Debug)]
pub(crate) struct Alerts {
    settings: Mutex<Arc<AlertSettings>>,
    standing: Mutex<Arc<[Alert]>>,
    /// What is wrong at this moment, whether it is an alert yet or not.
    wrong_now: Mutex<Arc<[Alert]>>,
    receivers: Mutex<Receivers>,
    /// The way to receivers.
    pub http: reqwest::Client,
    /// Where tests let it fail.
    pub failpoints: Failpoints,
    /// The service stops: what is not seen any more is not over.
    closed: AtomicBool,
}

/// Who is told.
#[derive(Debug, Default)]
struct Receivers {
    all: Arc<[Arc<Receiver>]>,
    /// What was stored of each, until it has been read none is told anything.
    is_read: bool,
    /// Names of those that are gone.
    gone: Vec<String>,
}

/// What a look has found.
#[derive(Debug)]
pub(crate) struct LookResult {
    /// What stands.
    pub alerts: Arc<[Alert]>,
    /// Kinds of which more may stand than is known, as the process has not run for long.
    pub unsure: BTreeSet<AlertKind>,
}

impl Alerts {
    /// Nothing is known yet. Fails only if the TLS library cannot start.
    pub(crate) fn new(settings: AlertSettings, failpoints: Failpoints) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("orgpipe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            settings: Mutex::new(Arc::new(settings)),
            standing: Mutex::new(Arc::from([])),
            wrong_now: Mutex::new(Arc::from([])),
            receivers: Mutex::default(),
            http,
            failpoints,
            closed: AtomicBool::new(false),
        })
    }

    /// Who is told; nobody until it was read what they were told before.
    pub(crate) fn receivers(&self) -> Arc<[Arc<Receiver>]> {
        Arc::clone(&lock(&self.receivers).all)
    }

    /// That was stored of the receivers. What is stored of others is to be forgotten.
    pub(crate) fn load(&self, mut stored: BTreeMap<String, Outbox>) {
        let settings = self.settings();
        let mut receivers = lock(&self.receivers);
        if receivers.is_read {
            return;
        }
        let all = settings.receivers.iter().map(|one| {
            let outbox = stored.remove(&one.name).unwrap_or_default();
            Arc::new(Receiver::new(one.clone(), outbox))
        });
        receivers.all = all.collect();
        receivers.is_read = true;
        receivers.gone = stored.into_keys().collect();
    }

    /// Whether this one is told, and not one that is gone or another one of its name.
    pub(crate) fn is_told(&self, receiver: &Arc<Receiver>) -> bool {
        lock(&self.receivers).all.iter().any(|one| Arc::ptr_eq(one, receiver))
    }

    /// Names of receivers that are gone since this was asked last.
    pub(crate) fn take_gone(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.receivers).gone)
    }

    /// Those that stand, worst first.
    pub(crate) fn standing(&self) -> Arc<[Alert]> {
        Arc::clone(&lock(&self.standing))
    }

    /// What was wrong at the last look, worst first.
    pub(crate) fn wrong_now(&self) -> Arc<[Alert]> {
        Arc::clone(&lock(&self.wrong_now))
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
            lock(&self.receivers).exchange(settings);
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
    ) -> LookResult {
        let settings = self.settings();
        let lookup_down = process.lookup.down_since_ms.is_some();
        let (mut wrong, mut unsure) = (rules::of_process(process), BTreeSet::new());
        let any: Vec<Alert> =
            AlertKind::ALL.into_iter().filter(|kind| kind.is_of_org()).map(any_of).collect();
        for org in orgs {
            wrong.extend(with_facts(org, letters, |facts| {
                let unknown = any.iter().filter(|any| rules::is_unsure(any, facts));
                unsure.extend(unknown.map(|any| any.kind));
                rules::of_org(facts, lookup_down, &settings)
            }));
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
        unsure.extend(tracker.held(rules::SETTLED));
        *lock(&self.wrong_now) = tracker.wrong_now().into();
        let alerts: Arc<[Alert]> = tracker.standing().into();
        *lock(&self.standing) = Arc::clone(&alerts);
        LookResult { alerts, unsure }
    }
}

impl Receivers {
    fn exchange(&mut self, settings: &AlertSettings) {
        if !self.is_read {
            return;
        }
        let known: BTreeMap<String, Arc<Receiver>> =
            self.all.iter().map(|one| (one.settings().name.clone(), Arc::clone(one))).collect();
        let wanted = |name: &String| settings.receivers.iter().any(|one| one.name == *name);
        self.gone.extend(known.keys().filter(|name| !wanted(name)).cloned());
        self.gone.retain(|name| !wanted(name));
        let all = settings.receivers.iter().map(|one| match known.get(&one.name) {
            Some(receiver) => {
                receiver.exchange(one);
                Arc::clone(receiver)
            }
            None => Arc::new(Receiver::new(one.clone(), Outbox::default())),
        });
        self.all = all.collect();
    }
}

/// One of a kind that speaks for all of it.
fn any_of(kind: AlertKind) -> Alert {
    let subject = match kind {
        AlertKind::OrgParked | AlertKind::OrgWaiting | AlertKind::RefreshStuck => "refresh",
        _ => "",
    };
    let (severity, since_ms) = (AlertSeverity::Info, UnixMs::EPOCH);
    let (subject, summary, hint) = (subject.to_owned(), String::new(), String::new());
    Alert { kind, org: None, subject, severity, summary, hint, since_ms }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ReceiverKind, ReceiverSettings};

    fn receiver(name: &str) -> ReceiverSettings {
        ReceiverSettings::sample(name, ReceiverKind::Webhook)
    }

    #[test]
    fn a_receiver_that_was_removed_is_told_no_more_also_when_another_one_has_its_name() {
        let with = |names: &[&str]| AlertSettings {
            receivers: names.iter().map(|name| receiver(name)).collect(),
            ..AlertSettings::default()
        };
        let alerts = Alerts::new(with(&["ops", "on-call"]), Failpoints::default()).expect("a client");
        alerts.load(BTreeMap::new());
        let before = alerts.receivers();
        assert!(before.iter().all(|receiver| alerts.is_told(receiver)));
        alerts.exchange(&with(&["on-call"]));
        assert_eq!(before.iter().map(|one| alerts.is_told(one)).collect::<Vec<_>>(), [false, true]);
        assert_eq!(alerts.take_gone(), ["ops"]);
        alerts.exchange(&with(&["ops", "on-call"]));
        assert_eq!(before.iter().map(|one| alerts.is_told(one)).collect::<Vec<_>>(), [false, true]);
    }
}
