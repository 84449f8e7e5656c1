//! Refreshes: every record once, over crashes, closed windows, short pages, lost cursors and late commits.
#![expect(clippy::disallowed_methods, reason = "windows and stamps are real times")]

mod support;

use std::{collections::BTreeMap, net::TcpListener};

use chrono::{Duration, Utc};
use orgpipe_simulator::{OrgOptions, Row};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

async fn rig(edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], edit).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

async fn begin(rig: &Rig, query: &str) {
    let url = format!("{}/api/v1/orgs/acme/refresh{query}", rig.admin);
    let reply = rig.http.post(url).send().await.expect("an answer");
    assert_eq!(reply.status(), 202);
}

/// Accounts about which nothing is known.
fn unknown_accounts(rig: &Rig, count: usize) -> Vec<String> {
    let create = |n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), None);
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    (0..count).map(create).collect()
}

/// The statements that read pages of accounts, with how often each was asked. Rows read before a restart are read once
/// more by their IDs, which is no page.
fn pages(rig: &Rig) -> BTreeMap<String, usize> {
    let mut pages = BTreeMap::new();
    for call in rig.org("acme").calls() {
        if call.query.contains("FROM Account") && call.query.contains("ORDER BY") {
            *pages.entry(call.query).or_default() += 1;
        }
    }
    pages
}

#[actix_rt::test]
async fn only_what_has_changed_is_read_and_what_was_committed_late_too() {
    let rig = rig(|text| text).await;
    let ids = unknown_accounts(&rig, 6);
    let ago = |minutes: i64| (Utc::now() - Duration::minutes(minutes)).timestamp_millis();
    for id in &ids {
        rig.org("acme").set_stamp("Account", id, ago(60));
    }
    begin(&rig, "?changed=true").await;
    rig.through("acme").await;
    rig.ledger("acme", json!({ "records_in": 6 })).await;

    // Committed after the first refresh had begun, stamped before.
    rig.org("acme").set_stamp("Account", &ids[4], ago(10));
    rig.org("acme").update("Account", &ids[2], account(2)).expect("changed");
    rig.simulator.vendor().clear_requests();
    begin(&rig, "?changed=true").await;
    rig.through("acme").await;
    let asked: Vec<String> =
        rig.simulator.vendor().requests().into_iter().flat_map(|asked| asked.ids).collect();
    assert_eq!(asked, [ids[4].clone(), ids[2].clone()], "in the order of their changes");
    rig.ledger("acme", json!({ "records_in": 8 })).await;
}

#[actix_rt::test]
async fn records_of_one_instant_are_read_once_each_in_short_pages_and_over_lost_cursors() {
    const COUNT: usize = 10_001;
    let rig = rig(|text| text.replace(r#"where = "Website != null""#, "")).await;
    let org = rig.org("acme");
    begin(&rig, "").await;
    rig.through("acme").await;
    let now = Utc::now().timestamp_millis();
    for n in 0..COUNT {
        let row = Row::from_iter([("Name".to_owned(), json!(format!("Company {n}")))]);
        let id = org.create("Account", row).expect("an account");
        org.set_stamp("Account", &id, now);
    }
    org.cut_pages(250);
    org.lose_cursors(1);
    begin(&rig, "?changed=true").await;
    rig.through("acme").await;
    rig.ledger("acme", json!({ "records_in": COUNT, "no_data": COUNT })).await;
    let pages = pages(&rig);
    assert!(pages.values().all(|times| *times == 1) && pages.len() >= 7, "{pages:#?}");
}

#[actix_rt::test]
async fn a_refresh_goes_on_after_a_kill_and_a_closed_window_and_reads_no_page_twice() {
    const COUNT: usize = 12_500;
    let window = |from: i64, to: i64| {
        let at = |hours| (Utc::now() + Duration::hours(hours)).format("%H:%M").to_string();
        format!(r#"window = "{}-{}""#, at(from), at(to))
    };
    let (open, closed) = (window(-2, 2), window(3, 5));
    let mut rig = rig(|text| text.replace("refresh = { ", &format!("refresh = {{ {open}, "))).await;
    unknown_accounts(&rig, COUNT);
    rig.simulator.vendor().set_down(true);
    begin(&rig, "").await;
    let waits = async |rig: &Rig, what: &str| {
        eventually(what, async || {
            let view = rig.view("acme").await;
            let waits = view["refreshes"]["accounts"]["waits"].as_str().unwrap_or_default().to_owned();
            waits.contains(what).then_some(view)
        })
        .await
    };
    let view = waits(&rig, "look-ups").await;
    assert_eq!(view["refreshes"]["accounts"]["total"], COUNT);
    rig.kill().await;

    rig.simulator.vendor().set_down(false);
    let path = rig.folder.path().join("orgpipe.toml");
    let text = std::fs::read_to_string(&path).expect("readable");
    rig.write("orgpipe.toml", &text.replace(&open, &closed));
    rig.start().await;
    waits(&rig, "window").await;
    rig.ledger("acme", json!({ "records_in": 10_000, "no_data": 10_000, "open": 0 })).await;
    waits(&rig, "window").await;

    assert!(rig.terminate().await.success());
    rig.write("orgpipe.toml", &text);
    rig.start().await;
    eventually("a further page", async || {
        (rig.view("acme").await["records"]["records_in"].as_u64() > Some(10_000)).then_some(())
    })
    .await;
    rig.kill().await;
    rig.start().await;
    rig.through("acme").await;
    rig.ledger("acme", json!({ "records_in": COUNT, "no_data": COUNT })).await;
    let pages = pages(&rig);
    let again: usize = pages.values().map(|times| times - 1).sum();
    assert!(again <= 1 && pages.len() == 7, "one page at most is read twice by a kill: {pages:#?}");
}

#[actix_rt::test]
async fn a_second_full_refresh_writes_nothing_and_the_command_waits_for_its_end() {
    let count = 10_000;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let rig = rig(|text| text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))).await;
    let org = rig.org("acme");
    for n in 0..count {
        org.create("Account", account(n)).expect("an account");
    }
    let refresh = async || {
        let done = rig.command(&["refresh", "acme", "--wait"]).output().await.expect("the command runs");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
        said
    };
    let said = refresh().await;
    assert!(said.contains(&format!("is through: {count} records, {count} written, 0 unchanged")), "{said}");
    org.clear_calls();
    let said = refresh().await;
    assert!(said.contains(&format!("is through: {count} records, 0 written, {count} unchanged")), "{said}");
    let writes = |call: &orgpipe_simulator::LoggedCall| call.method != "GET" && !call.path.contains("oauth");
    let written: Vec<_> =
        org.calls().into_iter().filter(|call| writes(call) && !call.path.contains("cometd")).collect();
    assert!(written.is_empty(), "{written:#?}");
    let view = rig.view("acme").await;
    assert_eq!(view["refreshes"], Value::Object(serde_json::Map::new()));
}

#[actix_rt::test]
async fn a_refresh_leaves_room_for_live_events_when_nothing_can_be_written() {
    const COUNT: usize = 8_000;
    let mut rig = rig(|text| text.replace("[service]", "[service]\nqueue_max = 10000")).await;
    let org = rig.org("acme").clone();
    for n in 0..COUNT {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
        org.create("Account", account(n)).expect("an account");
    }
    org.hold_jobs(true);
    begin(&rig, "").await;
    let why = eventually("the refresh to wait", async || {
        let waits = rig.view("acme").await["refreshes"]["accounts"]["waits"].clone();
        waits.as_str().is_some_and(|why| why.contains("queue_max")).then_some(waits)
    })
    .await;
    let records = rig.view("acme").await["records"].clone();
    let (open, came) =
        (records["open"].as_u64().expect("a count"), records["records_in"].as_u64().expect("a count"));
    assert!((5_000..8_000).contains(&open), "{open} open: {why}");
    rig.simulator.vendor().set_answer(&domain(COUNT), Some(answer("live", 7)));
    let live = org.create("Account", account(COUNT)).expect("an account");
    org.publish("Sync_Request__e", request(&[live]));
    eventually("the live event", async || {
        (rig.view("acme").await["records"]["records_in"].as_u64()? > came).then_some(())
    })
    .await;
    org.hold_jobs(false);
    rig.through("acme").await;
    rig.ledger("acme", json!({ "open": 0, "dead_letters": 0 })).await;
    assert_eq!(org.rows("Enrichment__c").len(), COUNT + 1);
    rig.kill().await;
}

#[actix_rt::test]
async fn a_pause_survives_a_kill_and_a_resume_reads_all() {
    let mut rig = rig(|text| text).await;
    unknown_accounts(&rig, 6);
    let wish = async |rig: &Rig, word: &str| {
        let url = format!("{}/api/v1/orgs/acme/refresh/{word}?sync=accounts", rig.admin);
        let reply = rig.http.post(url).send().await.expect("an answer");
        assert_eq!(reply.status(), 202);
        reply.json::<Value>().await.expect("JSON")["syncs"].clone()
    };
    assert_eq!(wish(&rig, "pause").await, json!(["accounts"]));
    begin(&rig, "?sync=accounts").await;
    rig.kill().await;
    rig.start().await;
    let waits = eventually("the run is told", async || {
        rig.view("acme").await["refreshes"]["accounts"]["waits"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(waits, "an operator to resume it");
    let url = format!("{}/api/v1/orgs/acme/refreshes", rig.admin);
    let plans: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    assert!(plans["refreshes"][0]["paused_ms"].is_u64(), "{plans}");
    assert_eq!(rig.view("acme").await["records"]["records_in"], 0);
    wish(&rig, "resume").await;
    rig.ledger("acme", json!({ "records_in": 6 })).await;
    begin(&rig, "?sync=accounts").await;
    wish(&rig, "cancel").await;
    eventually("none is under way", async || {
        rig.view("acme").await["refreshes"].as_object().is_some_and(serde_json::Map::is_empty).then_some(())
    })
    .await;
}
