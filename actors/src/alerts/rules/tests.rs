//! The rules, each by a board that says so.

use super::*;
use crate::{
    alerts::facts::DiskFacts,
    org::{
        api::gate::{BudgetStand, BudgetWait},
        schemas::Quarantined,
        status::{Board, Examined, OrgStatus},
    },
    problem::Problem,
    vendor::lookup::LookupStand,
};

const NOW: UnixMs = UnixMs(1_000_000_000);
const CHANNEL: &str = "/event/Sync_Request__e";

/// An org in which all is well, noted on its board by `note`.
fn board(note: impl FnOnce(&Board)) -> OrgStatus {
    let board = Board::default();
    for part in [Part::Login, Part::Refresh, Part::Push, Part::Ingest, Part::Writer] {
        board.running(part, UnixMs(1));
    }
    board.subscription(UnixMs(1), |subscription| {
        subscription.wanted(CHANNEL, Some(NOW), UnixMs(1));
        subscription.subscribed(CHANNEL, UnixMs(1));
    });
    note(&board);
    board.status()
}

/// What the rules say: kind, subject and severity of each, worst first.
fn told(status: &OrgStatus, budget: &BudgetStand, letters: u64) -> Vec<Alert> {
    let facts = OrgFacts {
        id: "acme",
        status,
        budget,
        dead_letters: letters,
        is_described: &|_| false,
        up: Duration::ZERO,
        now_ms: NOW,
    };
    let mut alerts = of_org(&facts, false, &AlertSettings::default());
    crate::alerts::alert::sort(&mut alerts);
    assert!(alerts.iter().all(|alert| alert.kind.is_of_org() && alert.org.as_deref() == Some("acme")));
    assert!(alerts.iter().all(|alert| !alert.summary.is_empty() && !alert.summary.ends_with('.')));
    alerts
}

fn keys(alerts: &[Alert]) -> Vec<(AlertKind, &str, AlertSeverity)> {
    alerts.iter().map(|alert| (alert.kind, alert.subject.as_str(), alert.severity)).collect()
}

fn noted(note: impl FnOnce(&Board)) -> Vec<Alert> {
    told(&board(note), &BudgetStand::default(), 0)
}

fn problem() -> Problem {
    Problem::new("it does not go on", "Mend it.")
}

#[test]
fn nothing_is_wrong_where_all_is_well_or_an_operator_paused_it() {
    assert_eq!(noted(|_| {}), []);
    let paused = noted(|board| {
        board.trouble(Part::Ingest, State::Waiting, &problem(), UnixMs(5));
        board.desired(DesiredState::Pause);
    });
    assert_eq!(paused, []);
}

#[test]
fn each_trouble_of_a_part_has_its_kind_its_reason_and_its_next_step() {
    use AlertKind::{OrgParked, OrgWaiting, RefreshStuck};
    use AlertSeverity::{Critical, Warning};
    for (part, state, expected) in [
        (Part::Writer, State::Parked, (OrgParked, "writer", Critical)),
        (Part::Events, State::Parked, (OrgParked, "events", Critical)),
        (Part::Ingest, State::Waiting, (OrgWaiting, "ingest", Critical)),
        (Part::Login, State::Waiting, (OrgWaiting, "login", Critical)),
        (Part::Refresh, State::Waiting, (RefreshStuck, "refresh", Warning)),
    ] {
        let alerts = noted(|board| board.trouble(part, state, &problem(), UnixMs(5)));
        assert_eq!(keys(&alerts), [expected]);
        let [alert] = &alerts[..] else { panic!("one") };
        assert!(alert.summary.ends_with("it does not go on"), "{}", alert.summary);
        assert_eq!((alert.hint.as_str(), alert.since_ms), ("Mend it.", UnixMs(5)));
    }
}

#[test]
fn a_refused_login_excuses_what_follows_from_it_and_says_who_has_to_act() {
    for (refused, state, kind) in [
        (Some(RefusedLogin::ByCustomer), State::Waiting, AlertKind::ReauthorizationNeeded),
        (Some(RefusedLogin::ByCustomer), State::Parked, AlertKind::ReauthorizationNeeded),
        (Some(RefusedLogin::Otherwise), State::Waiting, AlertKind::LoginRefused),
    ] {
        let alerts = noted(|board| {
            board.refused_login(refused);
            board.trouble(Part::Login, state, &problem(), UnixMs(5));
            board.trouble(Part::Ingest, State::Waiting, &problem(), UnixMs(5));
            board.subscription(UnixMs(6), |subscription| subscription.disconnected(&problem(), UnixMs(6)));
        });
        assert_eq!(keys(&alerts), [(kind, "", AlertSeverity::Critical)]);
    }
}

#[test]
fn a_channel_is_told_of_when_it_is_down_the_more_so_the_older_its_position_and_when_it_is_silent() {
    let down = |position: Duration| {
        noted(|board| {
            board.subscription(NOW, |subscription| {
                subscription.wanted(CHANNEL, Some(NOW.saturating_sub(position)), NOW);
                subscription.disconnected(&Problem::passing("is disconnected"), NOW);
            });
        })
    };
    let kind = AlertKind::EventChannelDown;
    assert_eq!(keys(&down(Duration::from_hours(1))), [(kind, CHANNEL, AlertSeverity::Warning)]);
    let late = down(Duration::from_hours(40));
    assert_eq!(keys(&late), [(kind, CHANNEL, AlertSeverity::Critical)]);
    assert!(late[0].summary.contains("its position is 40 h old"), "{}", late[0].summary);

    let silent = |silence: Duration| {
        let at = NOW.saturating_sub(silence);
        noted(|board| {
            board.subscription(at, |subscription| {
                subscription.wanted(CHANNEL, Some(at), at);
                subscription.subscribed(CHANNEL, at);
            });
        })
    };
    assert_eq!(silent(Duration::from_hours(71)), []);
    assert_eq!(
        keys(&silent(Duration::from_hours(73))),
        [(AlertKind::NoEvent, CHANNEL, AlertSeverity::Warning)]
    );
}

#[test]
fn want_of_calls_is_one_alert_by_the_most_urgent_work_and_excuses_what_waits_for_them() {
    use AlertKind::{BudgetPaused, EventChannelDown, OrgWaiting, RefreshStuck};
    use AlertSeverity::{Critical, Warning};
    let wait = |work| BudgetWait { work, why: "the share is used up".into(), until_ms: NOW };
    let status = board(|board| {
        board.trouble(Part::Ingest, State::Waiting, &problem(), UnixMs(5));
        board.trouble(Part::Refresh, State::Waiting, &problem(), UnixMs(5));
        board.subscription(NOW, |subscription| subscription.disconnected(&problem(), NOW));
    });
    let others = [(OrgWaiting, "ingest", Critical), (EventChannelDown, CHANNEL, Warning)];
    let [ingest, channel] = others;
    let paused = (BudgetPaused, "", Warning);
    for (waits, expected) in [
        (vec![], vec![ingest, channel, (RefreshStuck, "refresh", Warning)]),
        (vec![wait(Priority::Refresh)], vec![ingest, channel, paused]),
        (vec![wait(Priority::Heal), wait(Priority::Refresh)], vec![ingest, channel, paused]),
        (vec![wait(Priority::Live), wait(Priority::Refresh)], vec![(BudgetPaused, "", Critical)]),
    ] {
        let budget = BudgetStand { waits, is_known: true };
        assert_eq!(keys(&told(&status, &budget, 0)), expected);
    }
}

#[test]
fn a_subject_has_a_bound() {
    let long = "ä".repeat(SUBJECT_BYTES_MAX);
    let alerts = noted(|board| board.quarantined(vec![Quarantined::unread("Account", &long, UnixMs(7))]));
    assert_eq!(alerts[0].subject.len(), SUBJECT_BYTES_MAX);
}

#[test]
fn letters_gaps_fields_and_findings_are_told_of_whatever_runs() {
    let status = board(|board| {
        board.gaps(2, None);
        board.quarantined(vec![Quarantined::unread("Account", "Website", UnixMs(7))]);
        board.examined(Examined { at_ms: UnixMs(8), worst: Some(Severity::Error), note: "1 error".into() });
        board.desired(DesiredState::Pause);
    });
    let alerts = told(&status, &BudgetStand::default(), 101);
    let expected = [
        (AlertKind::GapOpen, "", AlertSeverity::Warning),
        (AlertKind::DeadLetters, "", AlertSeverity::Warning),
        (AlertKind::FieldQuarantined, "Account.Website", AlertSeverity::Warning),
        (AlertKind::DoctorError, "", AlertSeverity::Warning),
    ];
    assert_eq!(keys(&alerts), expected);
    assert_eq!(told(&board(|_| {}), &BudgetStand::default(), 100), [], "so many are no alert");
}

#[test]
fn the_process_is_told_of_by_what_it_shares() {
    let facts = ProcessFacts {
        lookup: LookupStand {
            host: "api.example.com".into(),
            is_known: true,
            down_since_ms: Some(UnixMs(4)),
            what: "it answered status 503".into(),
        },
        disk: DiskFacts { is_known: true, is_full: true, warning: Some("It is full. Make room.".into()) },
        receivers: vec![FailingReceiver {
            name: "on-call".into(),
            why: "it answered status 404".into(),
            for_good: true,
            since_ms: UnixMs(6),
        }],
        now_ms: NOW,
        ..ProcessFacts::default()
    };
    let alerts = of_process(&facts);
    let expected = [
        (AlertKind::LookupDown, "", AlertSeverity::Critical),
        (AlertKind::DiskLow, "", AlertSeverity::Critical),
        (AlertKind::NotifyFailing, "on-call", AlertSeverity::Critical),
    ];
    assert_eq!(keys(&alerts), expected);
    assert_eq!(alerts[0].summary, "your API at api.example.com does not answer: it answered status 503");
    assert_eq!((alerts[1].summary.as_str(), alerts[1].hint.as_str()), ("It is full", "Make room."));
    assert!(alerts.iter().all(|alert| alert.org.is_none() && !alert.kind.is_of_org()));
}

#[test]
fn after_a_start_an_alert_is_over_only_once_that_is_known() {
    let known = |kind: AlertKind, subject: &str, status: &OrgStatus, up: Duration| {
        let (budget, described) = (BudgetStand::default(), |object: &str| object == "Known__c");
        let facts = OrgFacts {
            id: "acme",
            status,
            budget: &budget,
            dead_letters: 0,
            is_described: &described,
            up,
            now_ms: NOW,
        };
        let (org, subject, hint) = (Some("acme".to_owned()), subject.to_owned(), String::new());
        let (severity, summary, since_ms) = (AlertSeverity::Warning, String::new(), UnixMs(1));
        org_is_known(&Alert { kind, org, subject, severity, summary, hint, since_ms }, &facts)
    };
    let (fresh, running) = (Board::default().status(), board(|_| {}));
    for (kind, subject) in [
        (AlertKind::ReauthorizationNeeded, ""),
        (AlertKind::OrgParked, "ingest"),
        (AlertKind::EventChannelDown, CHANNEL),
        (AlertKind::GapOpen, ""),
    ] {
        assert!(!known(kind, subject, &fresh, Duration::ZERO), "{kind:?}");
        assert!(known(kind, subject, &running, Duration::ZERO), "{kind:?}");
    }
    for (kind, subject) in
        [(AlertKind::BudgetPaused, ""), (AlertKind::FieldQuarantined, "Enrichment__c.A__c")]
    {
        assert!(!known(kind, subject, &running, Duration::ZERO), "{kind:?}");
        assert!(known(kind, subject, &running, SETTLED), "{kind:?}");
    }
    assert!(known(AlertKind::FieldQuarantined, "Known__c.A__c", &running, Duration::ZERO));
    assert!(!known(AlertKind::DoctorError, "", &running, SETTLED), "only another examination tells");
    let lost = |board: &Board| {
        board.trouble(Part::Events, State::Waiting, &problem(), UnixMs(5));
        board.subscription(NOW, |subscription| subscription.disconnected(&problem(), NOW));
    };
    assert!(!known(AlertKind::NoEvent, CHANNEL, &board(lost), SETTLED), "it is as silent as before");
    let mended = board(|board| board.running(Part::Events, UnixMs(5)));
    assert!(known(AlertKind::NoEvent, CHANNEL, &mended, Duration::ZERO));
}

/// With thousands of orgs one is always being logged in or was never examined: the end of a group does not wait for it.
#[test]
fn after_a_while_no_kind_is_unsure_whatever_is_not_known() {
    let (fresh, budget) = (Board::default().status(), BudgetStand::default());
    let unsure = |up: Duration| {
        let facts = OrgFacts {
            id: "acme",
            status: &fresh,
            budget: &budget,
            dead_letters: 0,
            is_described: &|_| false,
            up,
            now_ms: NOW,
        };
        let any = |kind: AlertKind| {
            let (org, subject, summary, hint) = (None, String::new(), String::new(), String::new());
            Alert { kind, org, subject, severity: AlertSeverity::Info, summary, hint, since_ms: NOW }
        };
        AlertKind::ALL.into_iter().filter(|kind| is_unsure(&any(*kind), &facts)).count()
    };
    assert!(unsure(Duration::ZERO) > 0);
    assert_eq!(unsure(SETTLED), 0);
}
