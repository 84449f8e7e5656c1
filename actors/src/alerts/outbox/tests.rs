//! What a receiver is told, over looks at what stands.

use std::cell::Cell;

use super::*;
use crate::settings::ReceiverKind;

fn receiver() -> ReceiverSettings {
    ReceiverSettings {
        name: "on-call".into(),
        kind: ReceiverKind::Webhook,
        url: "https://ops.example.com".to_owned().into(),
        secret: None,
        alerts: BTreeSet::new(),
        orgs: BTreeSet::new(),
        severity_min: AlertSeverity::Info,
    }
}

fn alert(kind: AlertKind, org: &str) -> Alert {
    Alert {
        kind,
        org: Some(org.to_owned()),
        subject: String::new(),
        severity: AlertSeverity::Warning,
        summary: "it is wrong".into(),
        hint: "Mend it.".into(),
        since_ms: UnixMs(1),
    }
}

fn many(count: usize) -> Vec<Alert> {
    (0..count).map(|n| alert(AlertKind::OrgParked, &format!("org-{n:04}"))).collect()
}

/// An outbox, with numbers as incidents.
struct Desk {
    outbox: Outbox,
    receiver: ReceiverSettings,
    ids: Cell<u32>,
    unsure: BTreeSet<AlertKind>,
}

impl Desk {
    fn new() -> Self {
        let (outbox, receiver) = (Outbox::default(), receiver());
        Self { outbox, receiver, ids: Cell::new(0), unsure: BTreeSet::new() }
    }

    fn look(&mut self, alerts: &[Alert], second: u64) {
        let standing = Standing { alerts, unsure: &self.unsure, now_ms: UnixMs(second * 1_000) };
        let mut new_id = || {
            self.ids.set(self.ids.get() + 1);
            self.ids.get().to_string()
        };
        self.outbox.update(&standing, &self.receiver, 10, &mut new_id);
        assert!(self.outbox.queue.len() <= QUEUE_MAX && self.outbox.told.len() <= TOLD_MAX);
    }

    /// Sends all that waits: the IDs.
    fn send(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(message) = self.outbox.begin() {
            self.outbox.done(&message.id, Some(message.at_ms));
            sent.push(message.id);
        }
        sent
    }

    /// As after a kill and a start.
    fn restart(&mut self) {
        let (stored, queue) = (serde_json::to_vec(&self.outbox), serde_json::to_vec(&self.outbox.queue));
        self.outbox = serde_json::from_slice(&stored.expect("JSON")).expect("an outbox");
        self.outbox.queue = serde_json::from_slice(&queue.expect("JSON")).expect("a queue");
    }
}

#[test]
fn an_alert_is_told_once_and_its_end_once_also_over_a_restart() {
    let mut desk = Desk::new();
    let one = [alert(AlertKind::OrgParked, "acme")];
    desk.look(&one, 1);
    assert_eq!(desk.send(), ["1.fired"]);
    desk.restart();
    desk.look(&one, 2);
    assert_eq!(desk.send(), [""; 0]);
    desk.look(&[], 3);
    desk.restart();
    desk.look(&[], 4);
    assert_eq!(desk.send(), ["1.resolved"]);
    desk.look(&one, 5);
    assert_eq!(desk.send(), ["2.fired"], "another incident");
}

#[test]
fn what_is_over_before_it_was_tried_is_not_told_and_what_may_have_arrived_is_ended() {
    let mut desk = Desk::new();
    let one = [alert(AlertKind::OrgParked, "acme")];
    desk.look(&one, 1);
    desk.look(&[], 2);
    assert_eq!(desk.send(), [""; 0]);
    desk.look(&one, 3);
    assert!(desk.outbox.begin().is_some(), "a try, of whose end nothing is known");
    desk.look(&[], 4);
    assert_eq!(desk.send(), ["2.fired", "2.resolved"]);
    desk.look(&one, 5);
    desk.restart();
    desk.look(&[], 6);
    assert_eq!(desk.send(), ["3.fired", "3.resolved"], "the process before may have sent it");
}

#[test]
fn many_of_a_kind_are_one_incident_that_is_told_again_when_it_has_doubled_and_over_with_the_last() {
    let mut desk = Desk::new();
    let others = [alert(AlertKind::GapOpen, "acme")];
    let with = |count: usize| [many(count), others.to_vec()].concat();
    desk.look(&with(500), 1);
    assert_eq!(desk.outbox.queue.len(), 2);
    let group = desk.outbox.queue.iter().find(|message| message.count > 1).expect("a group").clone();
    assert_eq!((group.count, group.orgs.len()), (500, ORGS_TOLD));
    assert_eq!(group.alert.summary, "500 parts of orgs are parked");
    desk.send();
    desk.look(&with(999), 100);
    assert_eq!(desk.send(), [""; 0]);
    desk.look(&with(1_000), 101);
    assert_eq!(desk.send(), [format!("{}.grown.2", group.incident)]);
    desk.restart();
    desk.look(&with(2_000), 120);
    assert_eq!(desk.send(), [""; 0], "not so soon");
    desk.look(&with(1), 200);
    assert_eq!(desk.send(), [""; 0], "one is left");
    desk.restart();
    desk.unsure = [AlertKind::OrgParked].into();
    desk.look(&others, 201);
    assert_eq!(desk.send(), [""; 0], "nobody has looked at all orgs yet");
    desk.unsure.clear();
    desk.look(&others, 202);
    assert_eq!(desk.send(), [format!("{}.resolved", group.incident)]);
}

#[test]
fn alerts_that_come_one_by_one_become_a_group_once_there_are_many_in_five_minutes() {
    let mut desk = Desk::new();
    let mut sent = Vec::new();
    for count in 1..=60 {
        desk.look(&many(count), count as u64);
        sent.extend(desk.send());
    }
    // Ten by themselves, then a group of two that doubles at most once a minute.
    assert_eq!(sent.len(), 11, "{sent:?}");
    desk.look(&many(60), 80);
    assert_eq!(desk.send(), ["11.grown.2"]);
    desk.look(&[], 90);
    assert_eq!(desk.send().len(), 11, "each incident is ended");
    desk.look(&many(1), 91);
    assert_eq!(desk.send(), [""; 0], "after so many it waits");
    desk.look(&many(1), 320);
    assert_eq!(desk.send(), ["12.fired"]);
}

#[test]
fn a_receiver_is_told_what_it_wants_to_know() {
    let mut desk = Desk::new();
    desk.receiver.alerts = [AlertKind::OrgParked, AlertKind::NotifyFailing].into();
    desk.receiver.orgs = ["acme".to_owned()].into();
    let alerts = [
        alert(AlertKind::OrgParked, "acme"),
        alert(AlertKind::OrgParked, "globex"),
        alert(AlertKind::GapOpen, "acme"),
    ];
    desk.look(&alerts, 1);
    assert_eq!(desk.outbox.told.len(), 1);
    desk.receiver.severity_min = AlertSeverity::Critical;
    desk.send();
    desk.look(&alerts, 2);
    assert_eq!(desk.send(), ["1.resolved"], "it wants to know no more");
    let mut desk = Desk::new();
    let itself = Alert { org: None, subject: "on-call".into(), ..alert(AlertKind::NotifyFailing, "") };
    desk.look(&[itself.clone(), Alert { subject: "other".into(), ..itself }], 1);
    assert_eq!(desk.outbox.told.len(), 1, "nobody is told of itself");
}

#[test]
fn a_full_queue_loses_nothing() {
    let mut desk = Desk::new();
    let alerts: Vec<Alert> = AlertKind::ALL
        .into_iter()
        .flat_map(|kind| (0..9).map(move |n| alert(kind, &format!("org-{n}"))))
        .collect();
    let mut fired = BTreeSet::new();
    for second in 0..20 {
        desk.look(&alerts, second);
        fired.extend(desk.send());
    }
    let stood: BTreeSet<&str> = fired.iter().map(|id| id.split('.').next().expect("a part")).collect();
    assert_eq!(stood.len(), desk.ids.get() as usize, "all were told, by themselves or as a group");
    let mut over = BTreeSet::new();
    for second in 20..40 {
        desk.look(&[], second);
        over.extend(desk.send());
    }
    assert_eq!(over.len(), stood.len());
}
