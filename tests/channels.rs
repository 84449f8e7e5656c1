//! The channels of an org: which deliver, which are deaf and why, and how that is seen.

mod support;

use orgpipe_simulator::{OrgOptions, Row};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

/// A second sync, for an event that the org does not have.
const MISSING: &str = r#"
[[sync]]
name = "missing"
channel = "/event/Missing__e"
object = "Account"
keys = { domain = "Website" }
target = "Enrichment__c"
external_id = { field = "External_Id__c", from = "/key" }

[sync.fields]
Account__c = "$Id"
"#;

/// The one sync of the rig on another channel.
fn on(channel: &str, event: &str) -> impl FnOnce(String) -> String {
    let line = format!("channel = \"{channel}\"\n{event}");
    move |text| text.replace("channel = \"/event/Sync_Request__e\"", &line)
}

/// A change event's payload.
fn change(kind: &str, ids: &[&str]) -> Row {
    let header =
        json!({ "entityName": "Account", "recordIds": ids, "changeType": kind, "commitTimestamp": 0 });
    Row::from_iter([("ChangeEventHeader".to_owned(), header)])
}

async fn text(rig: &Rig, path: &str) -> String {
    let answer = rig.http.get(format!("{}{path}", rig.admin)).send().await.expect("an answer");
    answer.text().await.expect("text")
}

#[actix_rt::test]
async fn a_channel_that_is_refused_is_visible_with_reason_and_hint_and_the_other_delivers() {
    let orgs = vec![OrgOptions { flow: true, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, |text| {
        text.replace("[org_defaults.limits]", &format!("{MISSING}\n[org_defaults.limits]"))
    })
    .await;
    rig.start().await;
    let channels = eventually("both channels to be settled", async || {
        let channels = rig.view("acme").await["subscription"]["channels"].clone();
        let state = |name: &str| channels[name]["state"].as_str().map(str::to_owned);
        let settled = state("/event/Missing__e").as_deref() == Some("waiting")
            && state("/event/Sync_Request__e").as_deref() == Some("running");
        settled.then_some(channels)
    })
    .await;
    let missing = &channels["/event/Missing__e"];
    assert!(missing["note"].as_str().expect("a note").contains("does not exist"), "{missing}");
    assert!(missing["hint"].as_str().expect("a hint").contains("deployed"), "{missing}");

    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 42)));
    rig.org("acme").create("Account", account(1)).expect("an account");
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;

    let view = rig.view("acme").await;
    assert_eq!(view["parts"]["events"]["state"], "waiting", "one deaf channel is enough: {view}");
    let subscription = &view["subscription"];
    let live = &subscription["channels"]["/event/Sync_Request__e"];
    assert_eq!((&live["events"], &live["retention_secs"]), (&json!(1), &json!(72 * 3600)));
    assert!(live["last_event_ms"].is_u64() && live["position_age_secs"].is_u64(), "{live}");
    assert!(
        subscription["last_reply_ms"].is_u64() && subscription["handshakes"] == json!(1),
        "{subscription}"
    );
    assert_eq!(subscription["faults"]["permission"], json!(1));

    // What is wrong is looked at once a second.
    eventually("the page to tell it", async || {
        let page = text(&rig, "/").await;
        (page.contains("/event/Missing__e was refused") && page.contains("that it is deployed")).then_some(())
    })
    .await;
    let wanted = [
        r#"orgpipe_org_ledger_imbalance{org="acme"} 0.0"#,
        r#"orgpipe_org_records_in_total{org="acme"} 1"#,
        r#"orgpipe_org_records_ended_total{org="acme",end="written"} 1"#,
        r#"orgpipe_org_channel_up{org="acme",channel="/event/Missing__e"} 0.0"#,
        r#"orgpipe_org_channel_up{org="acme",channel="/event/Sync_Request__e"} 1.0"#,
        r#"orgpipe_org_channel_events_total{org="acme",channel="/event/Sync_Request__e"} 1"#,
        r#"orgpipe_org_subscription_faults_total{org="acme",class="permission"} 1"#,
    ];
    // They may tell what was true a second ago.
    eventually("the metrics to tell it", async || {
        let metrics = text(&rig, "/metrics").await;
        wanted.iter().all(|line| metrics.lines().any(|found| found == *line)).then_some(())
    })
    .await;

    // The age of a position outlives the process.
    let age = live["position_ms"].clone();
    rig.kill().await;
    rig.start().await;
    eventually("the channel to deliver again", async || {
        let live = rig.view("acme").await["subscription"]["channels"]["/event/Sync_Request__e"].clone();
        let same = live["state"] == "running" && live["position_ms"] == age && live["events"] == 0;
        same.then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn change_data_capture_asks_for_what_changed_in_the_fields_that_are_watched() {
    let orgs = vec![OrgOptions { flow: false, change_data: true, ..OrgOptions::named("acme") }];
    let watch = "event = { watch = [\"Website\"] }";
    let mut rig = Rig::with(orgs, on("/data/AccountChangeEvent", watch)).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let (org, vendor) = (rig.org("acme"), rig.simulator.vendor());
    for n in 1..=2 {
        vendor.set_answer(&domain(n), Some(answer(&format!("K{n}"), 42)));
    }
    let id = org.create("Account", account(1)).expect("an account");
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;

    // Not watched, and gone: neither asks for anything.
    org.update("Account", &id, Row::from_iter([("Name".to_owned(), json!("Other"))])).expect("changed");
    let gone = org.create("Account", account(3)).expect("an account");
    org.delete("Account", &gone).expect("deleted");
    org.update("Account", &id, Row::from_iter([("Website".to_owned(), json!(domain(2)))])).expect("changed");
    rig.ledger("acme", json!({ "records_in": 3, "written": 2, "no_data": 1 })).await;
    assert!(rig.enrichment("acme", "K2").is_some());

    let asked =
        |id: &str| vendor.requests().iter().flat_map(|asked| asked.ids.clone()).filter(|of| of == id).count();
    assert_eq!(asked(&id), 2, "once for the creation and once for the new website");
}

#[actix_rt::test]
async fn gap_events_are_read_by_id_and_an_overflow_reads_all_that_changed_with_a_receipt() {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, on("/data/ChangeEvents", "")).await;
    let org = rig.org("acme").clone();
    // The channel is there once something was published on it.
    org.publish_on("/data/ChangeEvents", change("DELETE", &["001000000000001AAA"]));
    rig.start().await;
    rig.subscribed("acme").await;
    let ids: Vec<String> = (0..5)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
            org.create("Account", account(n)).expect("an account")
        })
        .collect();
    org.publish_on("/data/ChangeEvents", change("GAP_UPDATE", &[&ids[0], &ids[1]]));
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;

    org.publish_on("/data/ChangeEvents", change("GAP_OVERFLOW", &["000000000000000AAA"]));
    rig.ledger("acme", json!({ "records_in": 7, "written": 5, "unchanged": 2 })).await;
    let receipt = eventually("the receipt", async || {
        let receipts: Value = serde_json::from_str(&text(&rig, "/api/v1/orgs/acme/receipts").await).ok()?;
        receipts["receipts"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (&receipt["reason"], &receipt["checked"], &receipt["changed"]),
        (&json!("overflow"), &json!(5), &json!(3))
    );
    // The position was not given up for it.
    let subscription = &rig.view("acme").await["subscription"];
    assert_eq!(subscription["channels"]["/data/ChangeEvents"]["gaps"], json!(1), "{subscription}");
    rig.kill().await;
    org.clear_subscribes();
    rig.start().await;
    rig.subscribed("acme").await;
    assert!(org.subscribes()[0].replay > 0, "{:?}", org.subscribes());
    rig.ledger("acme", json!({ "records_in": 7, "open": 0 })).await;
}

#[actix_rt::test]
async fn a_custom_channel_of_platform_events_is_a_source() {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, on("/event/Vendor__chn", "")).await;
    let org = rig.org("acme").clone();
    let channel = "/event/Vendor__chn";
    org.publish_on(channel, request(&["001000000000001AAA".to_owned()]));
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 1)));
    let id = org.create("Account", account(1)).expect("an account");
    org.publish_on(channel, request(&[id]));
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
}
