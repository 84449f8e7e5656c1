//! What a receiver is told, over looks at what stands.

use std::cell::Cell;

use super::*;
use crate::settings::ReceiverKind;

fn receiver() -> ReceiverSettings {
    ReceiverSettings::sample("on-call", ReceiverKind::Webhook)
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
        assert!(self.outbox.queue.len() <= QUEUE_MAX);
        assert!(AlertKind::ALL.into_iter().all(|kind| self.outbox.told_of(kind).len() <= TOLD_MAX));
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
        let told = AlertKind::ALL.map(|kind| serde_json::to_vec(&self.outbox.told_of(kind)).expect("JSON"));
        self.outbox = serde_json::from_slice(&stored.expect("JSON")).expect("an outbox");
        self.outbox.queue = serde_json::from_slice(&queue.expect("JSON")).expect("a queue");
        for of_kind in told {
            self.outbox.restore(serde_json::from_slice(&of_kind).expect("alerts"));
        }
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
    desk.look(&with(10), 200);
    assert_eq!(desk.send(), [""; 0], "ten are left");
    desk.restart();
    desk.unsure = [AlertKind::OrgParked].into();
    desk.look(&with(1), 201);
    desk.look(&others, 202);
    assert_eq!(desk.send(), [""; 0], "nobody has looked at all orgs yet");
    desk.unsure.clear();
    desk.look(&others, 203);
    assert_eq!(desk.send(), [format!("{}.resolved", group.incident)]);
}

/// Twenty orgs lose their login at once. Nineteen are mended, one never, and what comes later must be told all the same.
#[test]
fn what_is_left_of_a_group_is_told_by_itself_and_so_is_what_comes_later() {
    let mut desk = Desk::new();
    desk.look(&many(20), 1);
    assert_eq!(desk.send(), ["1.fired"]);
    desk.look(&many(10), 400);
    desk.look(&many(19), 460);
    assert_eq!(desk.send(), [""; 0], "less than twice the fewest");
    desk.look(&many(20), 461);
    assert_eq!(desk.send(), ["1.grown.2"], "it has doubled since there were ten");
    desk.look(&many(1), 800);
    desk.restart();
    desk.look(&many(1), 859);
    assert_eq!(desk.send(), [""; 0], "it may be mended like the others");
    desk.look(&many(1), 860);
    assert_eq!(desk.send(), ["1.resolved", "2.fired"]);
    desk.look(&many(2), 861);
    assert_eq!(desk.send(), ["3.fired"]);
}

#[test]
fn the_last_ones_of_a_group_that_are_mended_soon_after_the_others_are_not_told() {
    let mut desk = Desk::new();
    desk.look(&many(20), 1);
    desk.look(&many(20), 700);
    desk.send();
    for (count, second) in [(9, 800), (11, 830), (3, 850), (1, 909)] {
        desk.look(&many(count), second);
        assert_eq!(desk.send(), [""; 0], "{count}");
    }
    desk.look(&[], 909);
    assert_eq!(desk.send(), ["1.resolved"]);
}

#[test]
fn a_group_that_grows_is_told_as_bad_as_it_is_and_also_when_only_one_of_it_gets_worse() {
    let mut desk = Desk::new();
    let mut alerts = many(20);
    desk.look(&alerts, 1);
    assert_eq!(desk.outbox.queue[0].alert.severity, AlertSeverity::Warning);
    desk.send();
    alerts[7].severity = AlertSeverity::Critical;
    desk.look(&alerts, 30);
    assert_eq!(desk.outbox.queue.len(), 0, "not so soon");
    desk.look(&alerts, 61);
    assert_eq!(desk.outbox.queue[0].alert.severity, AlertSeverity::Critical);
    assert_eq!(desk.send(), ["1.grown.2"]);
    alerts[7].severity = AlertSeverity::Warning;
    for (second, severity) in [(130, AlertSeverity::Warning), (131, AlertSeverity::Critical)] {
        alerts[7].severity = severity;
        desk.look(&alerts, second);
        assert_eq!(desk.send(), [""; 0], "it was told that it is critical");
    }
    let later = (0..40).map(|n| Alert { since_ms: UnixMs(9_000), ..many(40)[n].clone() });
    desk.look(&later.collect::<Vec<_>>(), 200);
    let grown = desk.outbox.queue[0].clone();
    assert_eq!((grown.alert.severity, grown.alert.since_ms), (AlertSeverity::Warning, UnixMs(9_000)));
}

#[test]
fn that_an_alert_matters_more_is_told_once_also_over_a_restart() {
    let mut desk = Desk::new();
    let warning = [alert(AlertKind::DiskLow, "acme")];
    let critical = [Alert { severity: AlertSeverity::Critical, ..warning[0].clone() }];
    desk.look(&warning, 1);
    desk.look(&critical, 2);
    assert_eq!(desk.send(), ["1.fired", "1.worsened.critical"]);
    desk.restart();
    for second in 3..9 {
        desk.look(if second % 2 == 0 { &critical } else { &warning }, second);
    }
    assert_eq!(desk.send(), [""; 0], "it was told the worst of it");
    desk.look(&[], 9);
    assert_eq!(desk.outbox.queue[0].alert.severity, AlertSeverity::Critical);
    assert_eq!(desk.send(), ["1.resolved"]);
    desk.look(&warning, 10);
    desk.look(&critical, 11);
    desk.look(&[], 12);
    assert_eq!(desk.send(), [""; 0], "it was over before it was tried");
}

#[test]
fn many_chronic_alerts_of_some_kinds_make_no_group_of_another() {
    let mut desk = Desk::new();
    let mut alerts = Vec::new();
    for (n, kind) in
        [AlertKind::GapOpen, AlertKind::DeadLetters, AlertKind::FieldQuarantined].iter().enumerate()
    {
        for org in 0..TOLD_MAX {
            alerts.push(alert(*kind, &format!("org-{org}")));
            desk.look(&alerts, (n * TOLD_MAX + org) as u64 * 60);
            desk.send();
        }
    }
    assert_eq!((desk.outbox.told.len(), desk.outbox.groups.len()), (3 * TOLD_MAX, 0));
    alerts.push(Alert { severity: AlertSeverity::Critical, ..alert(AlertKind::OrgParked, "acme") });
    desk.look(&alerts, 100_000);
    let [message] = &desk.outbox.queue.make_contiguous()[..] else { panic!("one") };
    assert_eq!((message.alert.org.as_deref(), message.alert.summary.as_str()), (Some("acme"), "it is wrong"));
}

/// The longest texts, forty times: what the registry takes as one value.
#[test]
fn what_is_stored_of_one_kind_has_room() {
    let mut desk = Desk::new();
    let mut alerts = Vec::new();
    for org in 0..TOLD_MAX {
        let (summary, hint, subject) = ("ä".repeat(999), "ä".repeat(999), "ä".repeat(100));
        let org = format!("{org:064}");
        alerts.push(Alert { subject, summary, hint, ..alert(AlertKind::ReauthorizationNeeded, &org) });
        desk.look(&alerts, org.parse::<u64>().expect("a number") * 60);
        desk.send();
    }
    let told = desk.outbox.told_of(AlertKind::ReauthorizationNeeded);
    assert_eq!(told.len(), TOLD_MAX);
    assert!(serde_json::to_vec(&told).expect("JSON").len() < orgpipe_store::REGISTRY_VALUE_BYTES_MAX);
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up() {
    let mut desk = Desk::new();
    for count in 1..=10 {
        desk.look(&many(count), 1_000_000);
    }
    assert_eq!(desk.send().len(), 10);
    desk.look(&many(11), 1_000);
    assert_eq!(desk.send(), ["11.fired"], "those ahead are none of the last five minutes");
    let mut desk = Desk::new();
    desk.look(&many(20), 1_000_000);
    desk.look(&many(40), 1_000);
    desk.look(&many(40), 1_060);
    assert_eq!(desk.send(), ["1.fired", "1.grown.2"]);
}

#[test]
fn what_may_be_refused_by_itself_or_as_all_are_is_given_up_only_once_another_was_taken() {
    let mut desk = Desk::new();
    desk.look(&many(3), 1);
    let ids = |desk: &Desk| desk.outbox.queue.iter().map(|queued| queued.id.clone()).collect::<Vec<_>>();
    desk.outbox.begin();
    assert!(!desk.outbox.doubt("1.fired", true), "others were taken before, with a key that held then");
    desk.look(&many(3)[1..], 2);
    assert_eq!(ids(&desk), ["2.fired", "3.fired", "1.fired", "1.resolved"], "the others first");
    for id in ["2.fired", "3.fired", "1.fired", "2.fired", "3.fired"] {
        assert!(!desk.outbox.doubt(id, false), "all are refused");
    }
    assert_eq!(ids(&desk), ["1.fired", "1.resolved", "2.fired", "3.fired"]);
    assert!(desk.outbox.doubt("1.fired", true), "it alone is");
    assert!(!desk.outbox.doubt("7.fired", true), "it is not there any more");
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
