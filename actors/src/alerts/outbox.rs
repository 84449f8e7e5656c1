//! What one receiver has been told, and what is still to be sent to it. Pure.
//!
//! What stands now is held against what it was told: what is new is put on the queue as *fired*, what is over as *resolved*. So
//! nothing is lost when the queue is full, or when the process dies: what could not be put on it is found at the next look.
//! All of it is on disk before anything is sent.
//!
//! An alert that is over before its *fired* was ever tried is not told at all; once a try was made, both are, as the receiver may
//! have it. Many of one kind at once are one incident, a group: every alert of that kind that was not told by itself belongs to
//! it, so it costs no memory. It is told again when it has doubled since there were fewest, or matters more, and is over when so
//! few are left that they can be told by themselves.
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
/// Alerts of one kind that a receiver is told of by themselves; more of it become a group. Each kind is stored by itself, so that
/// one with many takes no room from another.
const TOLD_MAX: usize = 40;
/// In so long new alerts of one kind are counted.
const ROUND: Duration = Duration::from_mins(5);
/// A group is told again so long after the last time at the earliest.
const GROWTH_PAUSE: Duration = Duration::from_mins(1);
/// So few are left of a group for so long before they are told by themselves: mostly the last ones are mended as well.
const FEW_FOR: Duration = Duration::from_mins(1);
/// Orgs of a group that are told by name.
const ORGS_TOLD: usize = 10;

/// What one receiver has been told and is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outbox {
    /// Told by themselves, and not over. Stored by kind.
    #[serde(skip)]
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

/// An alert that was told by itself, as it was told: with the worst severity so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldAlert {
    incident: String,
    alert: Alert,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    incident: String,
    /// How many the receiver was told of last, and when.
    count: u64,
    at_ms: UnixMs,
    /// The fewest that there were since then.
    #[serde(default)]
    fewest: u64,
    /// Since when so few are left that they can be told by themselves.
    #[serde(default)]
    few_ms: Option<UnixMs>,
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

    /// Those of one kind, as they are stored.
    pub(crate) fn told_of(&self, kind: AlertKind) -> Vec<&ToldAlert> {
        self.told.iter().filter(|told| told.alert.kind == kind).collect()
    }

    /// Takes over what was stored of one kind.
    pub(crate) fn restore(&mut self, told: Vec<ToldAlert>) {
        self.told.extend(told);
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

    /// The message was refused, and perhaps all would be. Whether it alone is unfit: it was refused before, and `others_taken`
    /// since. Else it is kept, and lets those of other incidents go first.
    pub(crate) fn doubt(&mut self, id: &str, others_taken: bool) -> bool {
        let Some(head) = self.queue.front_mut().filter(|head| head.id == id) else { return false };
        if head.doubted && others_taken {
            return true;
        }
        head.doubted = true;
        let incident = head.incident.clone();
        let (of_it, others): (Vec<Message>, Vec<Message>) =
            self.queue.drain(..).partition(|queued| queued.incident == incident);
        self.queue.extend(others.into_iter().chain(of_it));
        false
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
        self.follow_clock(now_ms);
        let wanted: BTreeMap<AlertKey, &Alert> = standing
            .alerts
            .iter()
            .filter(|alert| wants(receiver, alert))
            .map(|alert| (alert.key(), alert))
            .collect();
        self.resolve(&wanted, now_ms);
        self.worsen(&wanted, now_ms);
        let told: BTreeSet<AlertKey> = self.told.iter().map(|told| told.alert.key()).collect();
        let mut new: BTreeMap<AlertKind, Vec<&Alert>> = BTreeMap::new();
        for (key, alert) in &wanted {
            if !told.contains(key) {
                new.entry(key.kind).or_default().push(alert);
            }
        }
        let count = |kind: AlertKind| new.get(&kind).map_or(0, Vec::len);
        let few: BTreeSet<AlertKind> = self
            .groups
            .keys()
            .copied()
            .filter(|kind| !standing.unsure.contains(kind) && self.are_few(*kind, count(*kind), group_from))
            .collect();
        let mut gone = Vec::new();
        for (kind, group) in self.groups.iter_mut().filter(|(kind, _)| !standing.unsure.contains(kind)) {
            group.fewest = group.fewest.min(count(*kind) as u64);
            group.few_ms = few.contains(kind).then(|| group.few_ms.unwrap_or(now_ms));
            let are_few = group.few_ms.is_some_and(|since| now_ms.since(since) >= FEW_FOR);
            if are_few || count(*kind) == 0 {
                gone.push(*kind);
            }
        }
        for kind in gone {
            self.resolve_group(kind, now_ms);
        }
        for (kind, alerts) in new {
            self.fire(kind, &alerts, now_ms, group_from, new_id);
        }
    }

    /// A clock that was set back leaves times ahead, which would not age.
    fn follow_clock(&mut self, now_ms: UnixMs) {
        self.lately.retain(|(_, at_ms)| *at_ms <= now_ms && now_ms.since(*at_ms) < ROUND);
        for group in self.groups.values_mut() {
            group.at_ms = group.at_ms.min(now_ms);
            group.few_ms = group.few_ms.map(|since| since.min(now_ms));
        }
    }

    fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_MAX
    }

    /// How many of a kind were told by themselves of late.
    fn lately(&self, kind: AlertKind) -> usize {
        self.lately.iter().filter(|(known, _)| *known == kind).count()
    }

    /// Whether so few of a group are left that they can as well be told by themselves, or none.
    fn are_few(&self, kind: AlertKind, count: usize, group_from: usize) -> bool {
        let fit = self.lately(kind) + count <= group_from && self.told_of(kind).len() + count <= TOLD_MAX;
        count < group_from && fit
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

    /// Tells of those that matter more than when they were told.
    fn worsen(&mut self, wanted: &BTreeMap<AlertKey, &Alert>, now_ms: UnixMs) {
        for one in &mut self.told {
            let Some(alert) = wanted.get(&one.alert.key()) else { continue };
            if alert.severity > one.alert.severity && self.queue.len() < QUEUE_MAX {
                self.queue.push_back(Message::of(&one.incident, Action::Worsened, now_ms, alert));
                one.alert = short(alert);
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
        if self.groups.contains_key(&kind) {
            self.grow(kind, alerts, now_ms);
            return;
        }
        let crowded = self.lately(kind) + alerts.len() > group_from;
        if crowded && alerts.len() == 1 {
            // The next one makes a group of it, and if none comes it is told once it is the only one again.
            return;
        }
        if crowded || self.told_of(kind).len() + alerts.len() > TOLD_MAX {
            if !self.has_room() {
                return;
            }
            let (count, severity, since_ms) = sum(alerts, now_ms);
            let (incident, fewest, few_ms) = (new_id(), count, None);
            let group =
                Group { incident, count, at_ms: now_ms, fewest, few_ms, times: 1, since_ms, severity };
            self.queue.push_back(group.message(kind, Action::Fired, now_ms, names(alerts)));
            self.groups.insert(kind, group);
            return;
        }
        for alert in alerts {
            if !self.has_room() {
                return;
            }
            let incident = new_id();
            self.queue.push_back(Message::of(&incident, Action::Fired, now_ms, alert));
            self.told.push(ToldAlert { incident, alert: short(alert) });
            self.lately.push((kind, now_ms));
        }
    }

    /// Tells of a group again when there are twice as many as the fewest since then, or when one of it matters more.
    fn grow(&mut self, kind: AlertKind, alerts: &[&Alert], now_ms: UnixMs) {
        let room = self.has_room();
        let Some(group) = self.groups.get_mut(&kind) else { return };
        let (count, severity, since_ms) = sum(alerts, now_ms);
        let more = count >= 2 * group.fewest || severity > group.severity;
        if more && now_ms.since(group.at_ms) >= GROWTH_PAUSE && room {
            (group.count, group.fewest, group.at_ms, group.times) = (count, count, now_ms, group.times + 1);
            (group.severity, group.since_ms) = (severity, since_ms);
            self.queue.push_back(group.message(kind, Action::Grown, now_ms, names(alerts)));
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

/// How many they are, how much the worst of them matters, and since when the first of them is wrong.
fn sum(alerts: &[&Alert], now_ms: UnixMs) -> (u64, AlertSeverity, UnixMs) {
    let severity = alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
    let since_ms = alerts.iter().map(|alert| alert.since_ms).min().unwrap_or(now_ms);
    (alerts.len() as u64, severity, since_ms)
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
