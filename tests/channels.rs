//! The channels of an org: which deliver, which are deaf and why, and how that is seen.

mod support;

use orgpipe_simulator::OrgOptions;
use serde_json::json;
use support::{Rig, account, answer, domain, eventually};

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

async fn text(rig: &Rig, path: &str) -> String {
    let answer = reqwest::get(format!("{}{path}", rig.admin)).await.expect("an answer");
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
    assert_eq!(view["parts"]["stream"]["state"], "waiting", "one deaf channel is enough: {view}");
    let subscription = &view["subscription"];
    let live = &subscription["channels"]["/event/Sync_Request__e"];
    assert_eq!((&live["events"], &live["retention_secs"]), (&json!(1), &json!(72 * 3600)));
    assert!(live["last_event_ms"].is_u64() && live["position_age_secs"].is_u64(), "{live}");
    assert!(
        subscription["last_reply_ms"].is_u64() && subscription["handshakes"] == json!(1),
        "{subscription}"
    );
    assert_eq!(subscription["faults"]["permission"], json!(1));

    let page = text(&rig, "/").await;
    assert!(page.contains("/event/Missing__e was refused") && page.contains("that it is deployed"), "{page}");
    let metrics = text(&rig, "/metrics").await;
    for line in [
        r#"orgpipe_ledger_imbalance{org="acme"} 0.0"#,
        r#"orgpipe_records_in_total{org="acme"} 1"#,
        r#"orgpipe_records_ended_total{org="acme",end="written"} 1"#,
        r#"orgpipe_channel_up{org="acme",channel="/event/Missing__e"} 0.0"#,
        r#"orgpipe_channel_up{org="acme",channel="/event/Sync_Request__e"} 1.0"#,
        r#"orgpipe_channel_events_total{org="acme",channel="/event/Sync_Request__e"} 1"#,
        r#"orgpipe_subscription_faults_total{org="acme",class="permission"} 1"#,
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no `{line}` in\n{metrics}");
    }

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
