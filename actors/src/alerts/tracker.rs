//! Which alerts stand: what is wrong has to hold for a while, and to be right for a while, so that a flap of seconds is none.
//!
//! ```text
//!         wrong           held for long enough           right            right for long enough
//! nothing ────▶ Held ─────────────────────────▶ Standing ────▶ Clearing ─────────────────────────▶ nothing
//!          ◀────  right at once                          ◀────  wrong again
//! ```
//!
//! Here: the states, pure; time is an argument. Not here: what is wrong (`rules`), telling others (`outbox`).

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use super::alert::{Alert, AlertKey, sort};
use crate::{
    alert_kind::{AlertKind, AlertSeverity},
    settings::AlertSettings,
};

/// What is wrong, was wrong a moment ago, or may be.
#[derive(Debug, Default)]
pub(crate) struct Tracker(BTreeMap<AlertKey, Tracked>);

#[derive(Debug)]
struct Tracked {
    alert: Alert,
    phase: AlertPhase,
    /// Since when it matters less than the alert says.
    lesser: Option<Duration>,
}

/// Times count from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AlertPhase {
    Held(Duration),
    Standing,
    Clearing(Duration),
}

impl Tracker {
    /// These stood when the process ended.
    pub(crate) fn restore(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        for alert in alerts {
            self.0.entry(alert.key()).or_insert(Tracked { alert, phase: AlertPhase::Standing, lesser: None });
        }
    }

    /// This is wrong now and nothing else; `is_known`: whether one that is not found is known to be over.
    pub(super) fn step(
        &mut self,
        wrong: Vec<Alert>,
        is_known: impl Fn(&Alert) -> bool,
        settings: &AlertSettings,
        now: Duration,
    ) {
        let mut before = std::mem::take(&mut self.0);
        for alert in wrong {
            let hold = hold(alert.kind, settings);
            let tracked = match before.remove(&alert.key()) {
                Some(known) => known.still(alert, hold, settings.clear, now),
                None => Tracked { alert, phase: AlertPhase::Held(now), lesser: None }.after(hold, now),
            };
            // Of two with the same key the first, which came first, counts.
            if let Entry::Vacant(vacant) = self.0.entry(tracked.alert.key()) {
                vacant.insert(tracked);
            }
        }
        for (key, gone) in before {
            if let Some(left) = gone.gone(&is_known, settings.clear, now) {
                self.0.entry(key).or_insert(left);
            }
        }
    }

    /// Kinds of which some that began before then have to hold for longer before they stand.
    pub(super) fn held(&self, before: Duration) -> BTreeSet<AlertKind> {
        let is_held = |tracked: &&Tracked| matches!(tracked.phase, AlertPhase::Held(from) if from < before);
        self.0.values().filter(is_held).map(|tracked| tracked.alert.kind).collect()
    }

    /// Those that stand, worst first.
    pub(super) fn standing(&self) -> Vec<Alert> {
        let standing = self.0.values().filter(|tracked| !matches!(tracked.phase, AlertPhase::Held(_)));
        let mut alerts: Vec<Alert> = standing.map(|tracked| tracked.alert.clone()).collect();
        sort(&mut alerts);
        alerts
    }

    /// What is wrong at this moment, worst first: what has not held for long enough is at most a warning.
    pub(super) fn wrong_now(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.0.values().filter_map(Tracked::wrong_now).collect();
        sort(&mut alerts);
        alerts
    }
}

impl Tracked {
    fn wrong_now(&self) -> Option<Alert> {
        let alert = self.alert.clone();
        match self.phase {
            AlertPhase::Held(_) => {
                Some(Alert { severity: alert.severity.min(AlertSeverity::Warning), ..alert })
            }
            AlertPhase::Standing => Some(alert),
            AlertPhase::Clearing(_) => None,
        }
    }

    /// It is wrong as before, or in other words. That it matters more counts at once, that it matters less after a while.
    fn still(self, alert: Alert, hold: Duration, clear: Duration, now: Duration) -> Self {
        let since_ms = self.alert.since_ms.min(alert.since_ms);
        let phase = if let AlertPhase::Held(_) = self.phase { self.phase } else { AlertPhase::Standing };
        let lesser = (alert.severity < self.alert.severity).then(|| self.lesser.unwrap_or(now));
        let lesser = lesser.filter(|from| now.saturating_sub(*from) < clear);
        let severity = if lesser.is_some() { self.alert.severity } else { alert.severity };
        Self { alert: Alert { severity, since_ms, ..alert }, phase, lesser }.after(hold, now)
    }

    /// It stands once it has held for long enough.
    fn after(self, hold: Duration, now: Duration) -> Self {
        match self.phase {
            AlertPhase::Held(from) if now.saturating_sub(from) >= hold => {
                Self { phase: AlertPhase::Standing, ..self }
            }
            _ => self,
        }
    }

    /// It is not wrong any more, as far as anybody knows; none: it is over.
    fn gone(self, is_known: &impl Fn(&Alert) -> bool, clear: Duration, now: Duration) -> Option<Self> {
        let phase = match self.phase {
            AlertPhase::Held(_) => return None,
            _ if !is_known(&self.alert) => AlertPhase::Standing,
            AlertPhase::Standing => AlertPhase::Clearing(now),
            AlertPhase::Clearing(from) => AlertPhase::Clearing(from),
        };
        let over = matches!(phase, AlertPhase::Clearing(from) if now.saturating_sub(from) >= clear);
        (!over).then_some(Self { phase, ..self })
    }
}

/// What tries again by itself is given time to; the rest only has to be more than a flap.
fn hold(kind: AlertKind, settings: &AlertSettings) -> Duration {
    match kind {
        AlertKind::OrgWaiting
        | AlertKind::EventChannelDown
        | AlertKind::WritesWaiting
        | AlertKind::RefreshStuck => settings.waiting,
        _ => settings.hold,
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_store::UnixMs;

    use super::*;

    fn settings() -> AlertSettings {
        let (hold, clear) = (Duration::from_secs(10), Duration::from_mins(1));
        AlertSettings { hold, clear, waiting: Duration::from_mins(10), ..AlertSettings::default() }
    }

    fn alert(kind: AlertKind) -> Alert {
        let (org, subject, hint) = (Some("acme".to_owned()), String::new(), String::new());
        let (severity, summary, since_ms) = (AlertSeverity::Warning, "wrong".to_owned(), UnixMs(5));
        Alert { kind, org, subject, severity, summary, hint, since_ms }
    }

    /// A step at each of these seconds, in which it is wrong or not: whether it stands after each.
    fn stands(kind: AlertKind, known: bool, steps: &[(u64, bool)]) -> Vec<bool> {
        let mut tracker = Tracker::default();
        let step = |(second, wrong): &(u64, bool)| {
            let wrong = if *wrong { vec![alert(kind)] } else { Vec::new() };
            tracker.step(wrong, |_| known, &settings(), Duration::from_secs(*second));
            !tracker.standing().is_empty()
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn a_flap_is_none_and_one_that_stands_is_over_only_after_a_while() {
        let steps = [(0, true), (9, true), (9, false), (10, true), (19, true), (20, true)];
        assert_eq!(stands(AlertKind::OrgParked, true, &steps), [false, false, false, false, false, true]);
        let steps = [
            (0, true),
            (10, true),
            (20, false),
            (70, false),
            (71, true),
            (72, false),
            (131, false),
            (132, false),
        ];
        let expected = [false, true, true, true, true, true, true, false];
        assert_eq!(stands(AlertKind::OrgParked, true, &steps), expected);
        let steps = [(0, true), (599, true), (600, true)];
        assert_eq!(stands(AlertKind::OrgWaiting, true, &steps), [false, false, true], "it tries by itself");
    }

    #[test]
    fn what_matters_more_does_at_once_and_what_matters_less_after_a_while() {
        use AlertSeverity::{Critical, Warning};
        let mut tracker = Tracker::default();
        for (second, found, stands) in [
            (0, Warning, Warning),
            (10, Warning, Warning),
            (11, Critical, Critical),
            (12, Warning, Critical),
            (71, Warning, Critical),
            (71, Critical, Critical),
            (72, Warning, Critical),
            (131, Warning, Critical),
            (132, Warning, Warning),
            (133, Critical, Critical),
        ] {
            let wrong = Alert { severity: found, ..alert(AlertKind::DiskLow) };
            tracker.step(vec![wrong], |_| true, &settings(), Duration::from_secs(second));
            let standing = tracker.standing();
            assert!(standing.iter().all(|alert| alert.severity == stands), "{second}: {standing:?}");
            assert_eq!(standing.len(), usize::from(second >= 10));
        }
    }

    #[test]
    fn only_what_is_held_since_the_start_leaves_its_kind_unsure() {
        let mut tracker = Tracker::default();
        let wrong = || vec![alert(AlertKind::OrgWaiting), alert(AlertKind::OrgParked)];
        for (second, held) in
            [(0, [AlertKind::OrgParked, AlertKind::OrgWaiting].into()), (20, BTreeSet::new())]
        {
            let mut tracker = Tracker::default();
            tracker.step(wrong(), |_| true, &settings(), Duration::from_secs(second));
            assert_eq!(tracker.held(Duration::from_secs(20)), held);
        }
        tracker.step(wrong(), |_| true, &settings(), Duration::ZERO);
        tracker.step(wrong(), |_| true, &settings(), Duration::from_secs(10));
        assert_eq!(tracker.held(Duration::from_secs(20)), [AlertKind::OrgWaiting].into(), "the other stands");
        tracker.step(wrong(), |_| true, &settings(), settings().waiting);
        assert_eq!(tracker.held(Duration::MAX), BTreeSet::new());
    }

    #[test]
    fn what_nobody_has_looked_at_is_not_over() {
        let steps = [(0, true), (10, true), (20, false), (999, false)];
        assert_eq!(stands(AlertKind::OrgParked, false, &steps), [false, true, true, true]);
    }

    #[test]
    fn what_stood_before_a_restart_stands_with_its_old_time() {
        let mut tracker = Tracker::default();
        tracker.restore([alert(AlertKind::GapOpen)]);
        let again =
            Alert { since_ms: UnixMs(9), summary: "in other words".into(), ..alert(AlertKind::GapOpen) };
        tracker.step(vec![again], |_| true, &settings(), Duration::ZERO);
        let [standing] = &tracker.standing()[..] else { panic!("one") };
        assert_eq!((standing.since_ms, standing.summary.as_str()), (UnixMs(5), "in other words"));
    }
}
