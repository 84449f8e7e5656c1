//! Messages on the wire.

use orgpipe_store::UnixMs;

use super::*;
use crate::{alert_kind::AlertKind, alerts::alert::Alert};

fn receiver(kind: ReceiverKind, secret: &str) -> ReceiverSettings {
    ReceiverSettings { secret: Some(secret.to_owned().into()), ..ReceiverSettings::sample("on-call", kind) }
}

fn message(action: Action) -> Message {
    let alert = Alert {
        kind: AlertKind::FieldQuarantined,
        org: Some("acme".into()),
        subject: "Enrichment__c.A__c".into(),
        severity: AlertSeverity::Warning,
        summary: "A & <B> are not written".into(),
        hint: "Mend it.".into(),
        since_ms: UnixMs(0),
    };
    Message::of("7f", action, UnixMs(1_500), &alert)
}

fn body(kind: ReceiverKind, action: Action) -> Value {
    let base = "https://orgpipe.example.com".parse().expect("a URL");
    let posting = posting(&receiver(kind, "key"), &message(action), Some(&base), 1_600_000_000);
    serde_json::from_str(&posting.body).expect("JSON")
}

#[test]
fn a_webhook_gets_a_cloud_event_that_is_signed_over_its_id_its_time_and_its_body() {
    let event = body(ReceiverKind::Webhook, Action::Fired);
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], "7f.fired");
    assert_eq!(event["type"], "dev.orgpipe.alert.fired");
    assert_eq!(event["subject"], "field_quarantined/acme/Enrichment__c.A__c");
    assert_eq!(event["time"], "1970-01-01T00:00:01.500Z");
    assert_eq!(event["data"]["link"], "https://orgpipe.example.com/orgs/acme");
    assert_eq!(event["data"]["since_ms"], 0);

    // The example of the specification's reference implementation.
    let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn slack_gets_text_without_markup_of_ours() {
    let fired = body(ReceiverKind::Slack, Action::Fired);
    assert_eq!(fired["text"], ":large_orange_circle: Warning: acme: A &amp; &lt;B&gt; are not written");
    let section = fired["blocks"][0]["text"]["text"].as_str().expect("a text");
    assert!(section.ends_with("*\nMend it."), "{section}");
    let context = fired["blocks"][1]["elements"][0]["text"].as_str().expect("a text");
    assert!(context.contains("<https://orgpipe.example.com/orgs/acme|open in orgpipe>"), "{context}");
    let over = body(ReceiverKind::Slack, Action::Resolved);
    assert!(over["text"].as_str().expect("a text").starts_with(":white_check_mark: Over: acme"));
}

#[test]
fn pagerduty_gets_one_key_for_an_incident_from_its_trigger_to_its_end() {
    let fired = body(ReceiverKind::PagerDuty, Action::Fired);
    assert_eq!((&fired["routing_key"], &fired["event_action"]), (&json!("key"), &json!("trigger")));
    assert_eq!(fired["payload"]["severity"], "warning");
    assert_eq!(fired["payload"]["source"], "orgpipe.example.com");
    assert_eq!(fired["payload"]["component"], "acme");
    assert_eq!(fired["payload"]["class"], "field_quarantined");
    let over = body(ReceiverKind::PagerDuty, Action::Resolved);
    assert_eq!(over["event_action"], "resolve");
    assert_eq!(over["dedup_key"], fired["dedup_key"]);
    let mut long = message(Action::Fired);
    long.alert.summary = "ä".repeat(2_000);
    let of_process = Message { alert: Alert { org: None, ..long.alert.clone() }, ..long.clone() };
    let sent = pagerduty(None, &of_process, None, None);
    assert_eq!(sent["payload"].get("component"), None, "it has to be a text if there is one");
    let sent = pagerduty(None, &long, None, None);
    assert_eq!(sent["payload"]["summary"].as_str().map(|text| text.chars().count()), Some(1_024));
}

#[test]
fn an_alert_that_matters_more_is_told_under_the_same_key() {
    let worse = body(ReceiverKind::PagerDuty, Action::Worsened);
    assert_eq!((&worse["event_action"], &worse["dedup_key"]), (&json!("trigger"), &json!("7f")));
    let event = body(ReceiverKind::Webhook, Action::Worsened);
    assert_eq!(event["type"], "dev.orgpipe.alert.worsened");
    assert_eq!((&event["id"], &event["data"]["incident"]), (&json!("7f.worsened.warning"), &json!("7f")));
}

#[test]
fn an_answer_is_told_without_what_is_secret_of_the_way_to_its_receiver() {
    let url =
        "https://user:passw0rd@hooks.example.com/services/T0123456/s%C3%A4cret%2Ftoken?key=k3y+abcdef&v=2";
    let receiver =
        ReceiverSettings { url: url.to_owned().into(), ..receiver(ReceiverKind::Webhook, "sh0rt") };
    let pad = "x".repeat(190);
    let split = format!("{}/services/T0123456/s%C3", "y".repeat(300));
    for (said, is_cut, told) in [
        ("no hook\n /here ", false, "no hook  /here"),
        ("Cannot POST /services/T0123456/s%C3%A4cret%2Ftoken?key=k3y+abcdef&v=2.", false, "Cannot POST …."),
        ("no /services/T0123456/säcret/token", false, "no …"),
        (r#"{"path":"\/services\/T0123456\/s%C3%A4cret%2Ftoken"}"#, false, r#"{"path":"\/…\/…\/…"}"#),
        ("key=k3y abcdef&amp;v=2, k3y+abcdef", false, "…&amp;v=2, …"),
        ("sh0rt, passw0rd", false, "…, …"),
        (&format!("{pad} T0123456"), false, &format!("{pad} …")),
        (&split, true, &"y".repeat(200)),
        ("säcret/tok", true, ""),
    ] {
        assert_eq!(told_answer(said, is_cut, &receiver, 200), told, "{said}");
    }
}

#[test]
fn an_answer_says_whether_to_go_on_to_wait_or_to_give_up() {
    for (status, verdict) in [
        (202, ReplyVerdict::Taken),
        (302, ReplyVerdict::Refused),
        (400, ReplyVerdict::Doubtful),
        (422, ReplyVerdict::Unfit),
        (401, ReplyVerdict::Refused),
        (404, ReplyVerdict::Refused),
        (429, ReplyVerdict::Later),
        (503, ReplyVerdict::Later),
    ] {
        assert_eq!(ReplyVerdict::of(status), verdict, "{status}");
    }
    let secs = Duration::from_secs;
    assert_eq!(wait(1, ReplyVerdict::Later, None, 1.0), secs(1));
    assert_eq!(wait(3, ReplyVerdict::Later, Some(secs(90)), 1.0), secs(90), "as it asks");
    assert_eq!(wait(99, ReplyVerdict::Later, None, 1.0), secs(300));
    assert_eq!(wait(1, ReplyVerdict::Refused, None, 1.0), secs(60));
    assert_eq!(wait(1, ReplyVerdict::Later, Some(secs(99_999)), 1.0), secs(3_600));
}
