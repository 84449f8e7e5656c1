//! What one receiver has been told, and what is still to be sent to it. Pure.
//!
//! What stands now is held against what it was told: what is new is put on the queue as *fired*, what is over as *resolved*. So
//! nothing is lost when the queue is full, or when the process dies: what could not be put on it is found at the next look.
//! All of it is on disk before anything is sent.
//!
//! An alert that is over before its *fired* was ever tried is not told at all; once a try was made, both are, as the receiver may
//! have it. Many of one kind at once are one incident, a group: every alert of that kind that was not told by itself belongs to
//! it, so it costs no memory; it is told again when it has doubled, and is over when the last of them is.
//!
//! Here: these decisions. Not here: sending (`service/notify.rs`), which alerts stand (`tracker`).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use super::{
    alert::{Alert, AlertKey},
    message::{Action, Message, short},
};
use crate::{
    alert_kind::{AlertKind, AlertSeverity},
    settings::ReceiverSettings,
};

/// Messages that wait at most.
const QUEUE_MAX: usize = 40;
/// Alerts that a receiver is told of by themselves; more of a kind become a group.
const TOLD_MAX: usize = 40;
/// In so long new alerts of one kind are counted.
const ROUND: Duration = Duration::from_mins(5);
/// A group is told again so long after the last time at the earliest.
const GROWTH_PAUSE: Duration = Duration::from_mins(1);
/// Orgs of a group that are told by name.
const ORGS_TOLD: usize = 10;

/// What one receiver has been told and is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outbox {
    /// Told by themselves, and not over.
    told: Vec<ToldAlert>,
    /// Told as groups, and not over.
    groups: BTreeMap<AlertKind, Group>,
    /// When alerts were told by themselves lately.
    lately: Vec<(AlertKind, UnixMs)>,
    /// When something was taken last.
    pub sent_ms: Option<UnixMs>,
    /// To be sent, oldest first. Stored by itself, so that neither is large.
    #[serde(skip)]
    pub queue: VecDeque<Message>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ToldAlert {
    incident: String,
    alert: Alert,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    incident: String,
    /// How many the receiver was told of last, and when.
    count: u64,
    at_ms: UnixMs,
    /// How often it was told.
    times: u64,
    since_ms: UnixMs,
    severity: AlertSeverity,
}

/// What stands, as far as anybody knows.
pub(crate) struct Standing<'a> {
    /// The alerts.
    pub alerts: &'a [Alert],
    /// Kinds of which one more may stand: nobody has looked at all orgs yet, or one has to hold for longer.
    pub unsure: &'a BTreeSet<AlertKind>,
    /// What time it is.
    pub now_ms: UnixMs,
}

impl Outbox {
    /// The alerts that it was told of by themselves.
    pub(crate) fn told(&self) -> impl Iterator<Item = Alert> + '_ {
        self.told.iter().map(|told| told.alert.clone())
    }

    /// How many messages wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The next message to send; from now on it may have been sent.
    pub(crate) fn begin(&mut self) -> Option<Message> {
        let head = self.queue.front_mut()?;
        head.tried = true;
        Some(head.clone())
    }

    /// The message was taken, or is given up.
    pub(crate) fn done(&mut self, id: &str, sent_ms: Option<UnixMs>) {
        if self.queue.front().is_some_and(|head| head.id == id) {
            self.queue.pop_front();
        }
        self.sent_ms = sent_ms.or(self.sent_ms);
    }

    /// Puts on the queue what differs between what stands and what was told.
    pub(crate) fn update(
        &mut self,
        standing: &Standing<'_>,
        receiver: &ReceiverSettings,
        group_from: usize,
        new_id: &mut dyn FnMut() -> String,
    ) {
        let now_ms = standing.now_ms;
        self.lately.retain(|(_, at_ms)| now_ms.since(*at_ms) < ROUND);
        let wanted: BTreeMap<AlertKey, &Alert> = standing
            .alerts
            .iter()
            .filter(|alert| wants(receiver, alert))
            .map(|alert| (alert.key(), alert))
            .collect();
        self.resolve(&wanted, now_ms);
        let told: BTreeSet<AlertKey> = self.told.iter().map(|told| told.alert.key()).collect();
        let mut new: BTreeMap<AlertKind, Vec<&Alert>> = BTreeMap::new();
        for (key, alert) in &wanted {
            if !told.contains(key) {
                new.entry(key.kind).or_default().push(alert);
            }
        }
        let gone: Vec<AlertKind> = self
            .groups
            .keys()
            .filter(|kind| !new.contains_key(kind) && !standing.unsure.contains(kind))
            .copied()
            .collect();
        for kind in gone {
            self.resolve_group(kind, now_ms);
        }
        for (kind, alerts) in new {
            self.fire(kind, &alerts, now_ms, group_from, new_id);
        }
    }

    fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_MAX
    }

    /// Takes back what was never tried; else the end is told, if there is room. Whether it is settled.
    fn end(&mut self, incident: &str, message: impl FnOnce() -> Message) -> bool {
        let of_it = |queued: &&Message| queued.incident == incident;
        let untold =
            self.queue.iter().find(of_it).is_some_and(|first| first.action == Action::Fired && !first.tried);
        if untold {
            self.queue.retain(|queued| queued.incident != incident);
            return true;
        }
        let room = self.has_room();
        if room {
            self.queue.push_back(message());
        }
        room
    }

    fn resolve(&mut self, wanted: &BTreeMap<AlertKey, &Alert>, now_ms: UnixMs) {
        let told = std::mem::take(&mut self.told);
        for one in told {
            let over = !wanted.contains_key(&one.alert.key());
            let resolved = || Message::of(&one.incident, Action::Resolved, now_ms, &one.alert);
            if !(over && self.end(&one.incident, resolved)) {
                self.told.push(one);
            }
        }
    }

    fn resolve_group(&mut self, kind: AlertKind, now_ms: UnixMs) {
        let Some(group) = self.groups.remove(&kind) else { return };
        let resolved = || group.message(kind, Action::Resolved, now_ms, Vec::new());
        if !self.end(&group.incident, resolved) {
            self.groups.insert(kind, group);
        }
    }

    fn fire(
        &mut self,
        kind: AlertKind,
        alerts: &[&Alert],
        now_ms: UnixMs,
        group_from: usize,
        new_id: &mut dyn FnMut() -> String,
    ) {
        if let Some(group) = self.groups.get_mut(&kind) {
            let count = alerts.len() as u64;
            let room = self.queue.len() < QUEUE_MAX;
            if count >= 2 * group.count && now_ms.since(group.at_ms) >= GROWTH_PAUSE && room {
                (group.count, group.at_ms, group.times) = (count, now_ms, group.times + 1);
                self.queue.push_back(group.message(kind, Action::Grown, now_ms, names(alerts)));
            }
            return;
        }
        let lately = self.lately.iter().filter(|(known, _)| *known == kind).count();
        let crowded = lately + alerts.len() > group_from;
        if crowded && alerts.len() == 1 {
            // The next one makes a group of it, and if none comes it is told once it is the only one again.
            return;
        }
        if crowded || self.told.len() + alerts.len() > TOLD_MAX {
            if !self.has_room() {
                return;
            }
            let first = alerts.iter().map(|alert| alert.since_ms).min().unwrap_or(now_ms);
            let severity = alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
            let count = alerts.len() as u64;
            let group =
                Group { incident: new_id(), count, at_ms: now_ms, times: 1, since_ms: first, severity };
            self.queue.push_back(group.message(kind, Action::Fired, now_ms, names(alerts)));
            self.groups.insert(kind, group);
            return;
        }
        for alert in alerts {
            if !self.has_room() || self.told.len() >= TOLD_MAX {
                return;
            }
            let incident = new_id();
            self.queue.push_back(Message::of(&incident, Action::Fired, now_ms, alert));
            self.told.push(ToldAlert { incident, alert: short(alert) });
            self.lately.push((kind, now_ms));
        }
    }
}

impl Group {
    fn message(&self, kind: AlertKind, action: Action, now_ms: UnixMs, orgs: Vec<String>) -> Message {
        let summary = format!("{} {}", self.count, kind.of_many());
        let hint = "The Fleet page, or `orgpipe alerts`, shows each of them with its next step.".to_owned();
        let (org, subject) = (None, String::new());
        let (severity, since_ms) = (self.severity, self.since_ms);
        let alert = Alert { kind, org, subject, severity, summary, hint, since_ms };
        let mut message = Message::of(&self.incident, action, now_ms, &alert);
        if action == Action::Grown {
            message.id = format!("{}.{}", message.id, self.times);
        }
        Message { count: self.count, orgs, ..message }
    }
}

fn names(alerts: &[&Alert]) -> Vec<String> {
    let names: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert.org.as_deref()).collect();
    names.into_iter().take(ORGS_TOLD).map(str::to_owned).collect()
}

/// Whether a receiver wants to be told. Nobody is told that it is not reached itself.
fn wants(receiver: &ReceiverSettings, alert: &Alert) -> bool {
    let kind = receiver.alerts.is_empty() || receiver.alerts.contains(&alert.kind);
    let org = receiver.orgs.is_empty() || alert.org.as_ref().is_some_and(|org| receiver.orgs.contains(org));
    let itself = alert.kind == AlertKind::NotifyFailing && alert.subject == receiver.name;
    kind && org && !itself && alert.severity >= receiver.severity_min
}

#[cfg(test)]
mod tests;
