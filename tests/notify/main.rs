//! Alerts that go out: each is told once and its end once, to each kind of receiver, whatever is killed in between.

mod receiver;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use orgpipe_simulator::{FieldRight, OrgOptions, Right};
use receiver::{Received, Receiver, hmac_sha256};
use serde_json::{Value, json};
use support::{
    Rig, account, answer,
    cli::{order, ordered},
    domain, eventually, request,
};

const SECRET: &str = "a-secret-of-the-test";
/// Nothing has to hold for long here.
const AT_ONCE: &str = "dead_letters_max = 0\nwaiting_minutes = 0\nhold_secs = 0\nclear_secs = 0\n";

/// `[[notify]]` of a webhook.
fn webhook(receiver: &Receiver) -> String {
    notify("ops", "webhook", &format!("url = \"{}\"\nsecret_env = \"ALERTS_SECRET\"", receiver.url))
}

fn notify(name: &str, kind: &str, rest: &str) -> String {
    format!("[[notify]]\nname = \"{name}\"\nkind = \"{kind}\"\n{rest}\n")
}

/// A rig whose service is not started yet.
async fn rig(orgs: &[&str], alerts: &str) -> Rig {
    let orgs = orgs.iter().map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) }).collect();
    let mut rig =
        Rig::with(orgs, |text| text.replace("[[sync]]", &format!("[alerts]\n{AT_ONCE}\n{alerts}\n[[sync]]")))
            .await;
    rig.variables.push(("ALERTS_SECRET", SECRET.to_owned()));
    rig
}

/// Makes a dead letter of an org.
fn spoil(rig: &Rig, org: &str) {
    rig.simulator.vendor().refuse(&domain(1), 422);
    rig.simulator.vendor().set_answer(&domain(2), Some(answer("K2", 1)));
    let ids: Vec<String> =
        (1..3).map(|n| rig.org(org).create("Account", account(n)).expect("an account")).collect();
    rig.org(org).publish("Sync_Request__e", request(&ids));
}

/// Throws the dead letters of an org away.
async fn discard(rig: &Rig, org: &str) {
    let (status, said) = rig.post(&format!("orgs/{org}/dead-letters/discard?all=true")).await;
    assert!(status < 300, "{said}");
}

/// Waits until a receiver was sent so many different messages, and no more.
async fn told(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually("the messages", async || (receiver.ids().len() >= count).then_some(())).await;
    assert_eq!(receiver.ids().len(), count, "{:?}", receiver.ids());
    receiver.received()
}

async fn get(rig: &Rig, path: &str) -> Value {
    let url = format!("{}/api/v1/{path}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

/// Waits until an alert of this kind stands, or does not.
async fn stands(rig: &Rig, kind: &str, wanted: bool) {
    eventually(kind, async || {
        let alerts = get(rig, "alerts").await;
        let found = alerts["alerts"].as_array()?.iter().any(|alert| alert["kind"] == kind);
        (found == wanted).then_some(())
    })
    .await;
}

/// The stages that an incident went through, by its kind and subject: each ID once, in the order of their first arrival.
fn stages(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let mut stages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = Vec::new();
    for one in receiver.received() {
        if !seen.contains(&one.body["id"]) {
            seen.push(one.body["id"].clone());
            let kind = one.body["data"]["kind"].as_str().unwrap_or_default().to_owned();
            let stage =
                one.body["type"].as_str().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
            stages.entry(kind).or_default().push(stage.to_owned());
        }
    }
    stages
}

#[actix_rt::test]
async fn an_outage_of_the_look_up_api_is_told_once_to_each_kind_of_receiver_and_so_is_its_end() {
    let (hook, slack, pager) = (Receiver::start(204), Receiver::start(200), Receiver::start(202));
    let receivers = [
        webhook(&hook),
        notify("channel", "slack", "url_env = \"SLACK_URL\""),
        notify("on-call", "pagerduty", &format!("url = \"{}\"\nsecret_env = \"ROUTING_KEY\"", pager.url)),
    ];
    let mut rig = rig(&["acme"], &receivers.concat()).await;
    rig.variables.push(("SLACK_URL", slack.url.clone()));
    rig.variables.push(("ROUTING_KEY", "a-routing-key".to_owned()));
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().fail_next(503, 1_000);
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 1)));
    let id = rig.org("acme").create("Account", account(1)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(&[id]));
    stands(&rig, "lookup_down", true).await;
    assert!(ordered(&rig, &["alerts"]).await.contains("lookup_down"));
    eventually("all three are told", async || {
        let told = [&hook, &slack, &pager].map(|one| !one.received().is_empty());
        told.iter().all(|told| *told).then_some(())
    })
    .await;
    rig.kill().await;
    rig.start().await;
    stands(&rig, "lookup_down", true).await;
    rig.simulator.vendor().fail_next(503, 0);
    rig.ledger("acme", json!({ "written": 1, "open": 0 })).await;
    stands(&rig, "lookup_down", false).await;

    let of = |receiver: &Receiver, is: fn(&Value) -> bool| {
        receiver.received().into_iter().filter(|one| is(&one.body)).collect::<Vec<_>>()
    };
    let posted = eventually("both messages", async || {
        let posted = of(&hook, |body| body["data"]["kind"] == "lookup_down");
        (posted.len() >= 2).then_some(posted)
    })
    .await;
    assert_eq!(stages(&hook)["lookup_down"], ["fired", "resolved"]);
    for one in &posted {
        assert_eq!(one.header("content-type"), "application/cloudevents+json; charset=utf-8");
        let (id, time) = (one.header("webhook-id"), one.header("webhook-timestamp"));
        assert_eq!(one.body["id"], id);
        let signed = hmac_sha256(SECRET.as_bytes(), format!("{id}.{time}.{}", one.text).as_bytes());
        assert_eq!(one.header("webhook-signature"), format!("v1,{signed}"));
        assert!(!one.text.contains(&domain(1)), "no value of a record: {}", one.text);
    }

    let paged = eventually("both events", async || {
        let paged = of(&pager, |body| body["payload"]["class"] == "lookup_down");
        (paged.len() >= 2).then_some(paged)
    })
    .await;
    let actions: Vec<&Value> = paged.iter().map(|one| &one.body["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(paged[0].body["dedup_key"], paged[1].body["dedup_key"]);
    assert_eq!(paged[0].body["routing_key"], "a-routing-key");

    let written = eventually("both texts", async || {
        let written =
            of(&slack, |body| body["text"].as_str().is_some_and(|text| text.contains("your API at")));
        (written.len() >= 2).then_some(written)
    })
    .await;
    assert!(written[0].body["text"].as_str().expect("a text").starts_with(":red_circle: Critical"));
    assert!(written[1].body["text"].as_str().expect("a text").starts_with(":white_check_mark: Over"));
}

/// Before and after the commit, and between the receiver's answer and its record.
#[actix_rt::test]
async fn a_kill_at_any_moment_tells_nothing_twice_and_loses_no_end() {
    for point in ["before-notify", "after-notify", "before-sent", "after-sent"] {
        let hook = Receiver::start(204);
        let mut rig = rig(&["acme"], &(webhook(&hook) + "alerts = [\"dead_letters\"]\n")).await;
        rig.start_failing(&format!("{point}=abort")).await;
        rig.subscribed("acme").await;
        spoil(&rig, "acme");
        rig.ended().await;
        rig.start().await;
        let first = told(&hook, 1).await;
        assert_eq!(first[0].body["data"]["kind"], "dead_letters", "{point}");
        let repeats = first.iter().filter(|one| one.body["id"] == first[0].body["id"]).count();
        assert!(repeats <= 2, "{point}: sent {repeats} times");
        rig.terminate().await;
        rig.start_failing(&format!("{point}=abort")).await;
        // Over at once: what it aborts at is told after the start.
        discard(&rig, "acme").await;
        rig.ended().await;
        rig.start().await;
        told(&hook, 2).await;
        assert_eq!(stages(&hook)["dead_letters"], ["fired", "resolved"], "{point}");
        rig.kill().await;
    }
}

#[actix_rt::test]
async fn a_receiver_that_was_down_is_told_once_it_is_back_and_one_that_refuses_is_told_of() {
    let (down, gone) = (Receiver::start(503), Receiver::start(404));
    let other = notify("gone", "webhook", &format!("url = \"{}\"\nsecret_env = \"ALERTS_SECRET\"", gone.url));
    let mut rig = rig(&["acme"], &(webhook(&down) + &other)).await;
    rig.start().await;
    rig.subscribed("acme").await;
    spoil(&rig, "acme");
    stands(&rig, "notify_failing", true).await;
    let of_gone = eventually("the receiver that refuses", async || {
        let receivers = get(&rig, "notify").await;
        let gone = receivers["receivers"].as_array()?.iter().find(|one| one["name"] == "gone")?.clone();
        (gone["refuses"] == true).then_some(gone)
    })
    .await;
    assert_eq!(of_gone["error"], "it answered status 404: noted");
    let (done, said) = order(&rig, &["notify", "test", "gone"]).await;
    assert!(!done && said.contains("did NOT take it: it answered status 404"), "{said}");
    rig.kill().await;
    down.answers(204);
    rig.start().await;
    let fired = |receiver: &Receiver| {
        let all = receiver.received();
        all.iter().any(|one| one.body["data"]["kind"] == "dead_letters")
    };
    eventually("what waited", async || fired(&down).then_some(())).await;
    eventually("none waits", async || {
        let receivers = get(&rig, "notify").await;
        let ops = receivers["receivers"].as_array()?.iter().find(|one| one["name"] == "ops")?.clone();
        (ops["waiting"] == 0 && ops["error"].is_null()).then_some(())
    })
    .await;
    assert_eq!(stages(&down)["dead_letters"], ["fired"]);
    let said = ordered(&rig, &["notify", "test", "ops"]).await;
    assert!(said.contains("ops: took it: it answered status 204"), "{said}");
    assert!(ordered(&rig, &["notify", "list"]).await.contains("gone (webhook): last taken never"));
}

#[actix_rt::test]
async fn a_customer_who_lets_nobody_in_any_more_is_told_of_and_so_is_the_way_back() {
    let hook = Receiver::start(204);
    let mut rig = rig(&["acme"], &(webhook(&hook) + "alerts = [\"reauthorization_needed\"]\n")).await;
    let acme = rig.org("acme");
    let consent = acme.grant_refresh_token(acme.username()).expect("such a user");
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let jwt = settings.lines().find(|line| line.starts_with("auth = ")).expect("a login");
    let granted = format!(
        "auth = {{ flow = \"refresh_token\", client_id = \"{}\", client_secret_file = \"secret\", \
         refresh_token_file = \"refresh.token\" }}",
        acme.client_id()
    );
    rig.write("orgpipe.toml", &settings.replace(jwt, &granted));
    rig.write_secret("secret", acme.client_secret());
    rig.write_secret("refresh.token", &consent);
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").revoke_grants();
    rig.org("acme").revoke_tokens();
    rig.post("orgs/acme/limits").await;
    let told_of = told(&hook, 1).await[0].body["data"].clone();
    assert_eq!(
        (&told_of["kind"], &told_of["severity"]),
        (&json!("reauthorization_needed"), &json!("critical"))
    );
    assert!(told_of["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{told_of}");
    // A restart knows what was told, and that nobody has let it in again.
    rig.kill().await;
    rig.start().await;
    stands(&rig, "reauthorization_needed", true).await;
    assert_eq!(hook.ids().len(), 1);
    rig.write("orgpipe.toml", &settings);
    let (status, said) = rig.post("reload").await;
    assert_eq!(status, 200, "{said}");
    told(&hook, 2).await;
    assert_eq!(stages(&hook)["reauthorization_needed"], ["fired", "resolved"]);
}

#[actix_rt::test]
async fn a_field_that_is_locked_is_told_of_with_the_next_step() {
    let hook = Receiver::start(204);
    let mut rig = rig(&["acme"], &(webhook(&hook) + "alerts = [\"field_quarantined\"]\n")).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let lock = Right::Field("Enrichment__c".into(), "Industry__c".into(), FieldRight::Edit);
    rig.org("acme").take_right(lock.clone());
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 1)));
    let id = rig.org("acme").create("Account", account(1)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(&[id]));
    let locked = told(&hook, 1).await[0].body["data"].clone();
    assert_eq!((&locked["kind"], &locked["org"]), (&json!("field_quarantined"), &json!("acme")));
    assert_eq!(locked["subject"], "Enrichment__c.Industry__c");
    assert!(locked["hint"].as_str().is_some_and(|hint| hint.contains("permission set")), "{locked}");
    rig.kill().await;
    rig.start().await;
    stands(&rig, "field_quarantined", true).await;
    rig.kill().await;
    // What the org has is read again at a start.
    rig.org("acme").give_right(lock);
    rig.start().await;
    let id = rig.org("acme").create("Account", account(2)).expect("an account");
    rig.simulator.vendor().set_answer(&domain(2), Some(answer("K2", 1)));
    rig.org("acme").publish("Sync_Request__e", request(&[id]));
    told(&hook, 2).await;
    assert_eq!(stages(&hook)["field_quarantined"], ["fired", "resolved"]);
}

#[actix_rt::test]
async fn many_orgs_at_once_are_few_messages_and_as_many_ends() {
    let hook = Receiver::start(204);
    let names: Vec<String> = (0..60).map(|n| format!("org-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let filter = "alerts = [\"dead_letters\"]\n";
    let mut rig = rig(&names, &(webhook(&hook) + filter)).await;
    rig.start().await;
    for name in &names {
        rig.subscribed(name).await;
    }
    for name in &names {
        spoil(&rig, name);
    }
    for name in &names {
        rig.ledger(name, json!({ "dead_letters": 1 })).await;
    }
    eventually("all told", async || {
        let told = hook.received();
        told.iter().any(|one| one.body["data"]["count"].as_u64() > Some(1)).then_some(())
    })
    .await;
    for name in &names {
        discard(&rig, name).await;
    }
    let incidents = || {
        let all = stages(&hook)["dead_letters"].clone();
        let count = |stage: &str| all.iter().filter(|known| *known == stage).count();
        (count("fired"), count("resolved"))
    };
    eventually("each end", async || (incidents().0 == incidents().1).then_some(())).await;
    assert!(incidents().0 <= 12, "ten by themselves and a group, not 60: {:?}", incidents());
}

/// What happens to an org that is parked, to one whose calls are used up and which has missed events, to one that is silent,
/// and to the disk: with a `kill -9` while each of them stands.
#[actix_rt::test]
async fn what_stands_is_told_once_and_its_end_once_over_kills() {
    const BEHIND_SECS: i64 = 3 * 3_600;
    let hook = Receiver::start(204);
    let kinds = "[\"org_parked\", \"gap_open\", \"budget_paused\", \"no_event\", \"disk_low\"]";
    let mut rig =
        rig(&["parked", "poor", "silent"], &(webhook(&hook) + &format!("alerts = {kinds}\n"))).await;
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml"))
        .expect("settings")
        .replace("clear_secs = 0", "clear_secs = 3\nno_event_hours = 2")
        .replace("reserve = 0.0", "reserve = 0.4");
    let ask = |rig: &Rig, org: &str, n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 1)));
        let id = rig.org(org).create("Account", account(n)).expect("an account");
        rig.org(org).publish("Sync_Request__e", request(&[id]));
    };
    let both = ["fired", "resolved"];
    let are = async |kind: &'static str, wanted: &[&str]| {
        eventually(kind, async || {
            let known = stages(&hook).remove(kind).unwrap_or_default();
            assert!(known.len() <= wanted.len(), "{kind}: {known:?}");
            (known == wanted).then_some(())
        })
        .await;
    };

    // As much as may be asked for: machines of tests have less than 2 TB free.
    let full = settings.replace("data_dir = \"data\"", "data_dir = \"data\"\nfree_min_mb = 1000000");
    rig.write("orgpipe.toml", &full);
    rig.start().await;
    are("disk_low", &both[..1]).await;
    rig.kill().await;

    rig.write("orgpipe.toml", &settings);
    rig.start_failing("ingest/parked=panic@1-6").await;
    for org in ["parked", "poor", "silent"] {
        rig.subscribed(org).await;
    }
    ask(&rig, "parked", 1);
    are("org_parked", &both[..1]).await;
    rig.org("silent").set_clock_ahead(-BEHIND_SECS);
    ask(&rig, "silent", 2);
    ask(&rig, "poor", 3);
    for org in ["poor", "silent"] {
        rig.ledger(org, json!({ "written": 1 })).await;
    }
    are("disk_low", &both).await;
    rig.org("silent").set_clock_ahead(0);
    rig.kill().await;

    ask(&rig, "poor", 4);
    rig.org("poor").expire_events(0);
    rig.org("poor").set_calls_used(14_000);
    rig.start().await;
    are("org_parked", &both).await;
    for kind in ["gap_open", "budget_paused", "no_event"] {
        are(kind, &both[..1]).await;
    }
    rig.kill().await;

    rig.start().await;
    for kind in ["gap_open", "budget_paused", "no_event"] {
        stands(&rig, kind, true).await;
    }
    rig.write("orgpipe.toml", &settings.replace("reserve = 0.4", "reserve = 0.0"));
    let (status, said) = rig.post("reload").await;
    assert_eq!(status, 200, "{said}");
    ask(&rig, "silent", 5);
    for kind in ["org_parked", "gap_open", "budget_paused", "no_event", "disk_low"] {
        are(kind, &both).await;
    }
    // Nothing comes after that.
    rig.ledger("poor", json!({ "written": 2, "open": 0 })).await;
    rig.terminate().await;
    for (kind, known) in stages(&hook) {
        assert_eq!(known, both, "{kind}");
    }
}
