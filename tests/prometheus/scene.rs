//! A service with something of everything: three orgs, of which one writes, one has trouble and one has no API calls left.

use std::time::Duration;

use orgpipe_simulator::{FieldRight, OrgOptions, Right};
use serde_json::json;

use crate::support::{Rig, account, answer, domain, eventually, request};

/// A second sync, for an event that no org has.
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

/// A receiver of alerts that nobody plays.
const RECEIVER: &str = r#"
[[notify]]
name = "nobody"
kind = "webhook"
url = "http://127.0.0.1:9/"
secret_env = "ALERTS_SECRET"
"#;

/// Org that writes.
const WRITES: &str = "acme";
/// Org with a field that may not be written.
const TROUBLED: &str = "globex";
/// Org whose share of the day is a few calls.
const USED_UP: &str = "initech";

/// Starts it and waits until each of them has come to that.
pub(crate) async fn busy() -> Rig {
    let orgs = [WRITES, TROUBLED, USED_UP].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| {
        let text = text.replace("[org_defaults.limits]", &format!("{MISSING}\n[org_defaults.limits]"));
        format!("{text}limits = {{ daily_share = 0.001 }}\n{RECEIVER}")
    })
    .await;
    rig.variables.push(("ALERTS_SECRET", "secret-of-the-receiver".to_owned()));
    rig.start().await;
    for org in [WRITES, TROUBLED] {
        delivers(&rig, org).await;
    }
    let right = Right::Field("Enrichment__c".into(), "Industry__c".into(), FieldRight::Edit);
    rig.org(TROUBLED).take_right(right);
    work(&rig, 0).await;
    let refresh = format!("{}/api/v1/orgs/{WRITES}/refresh", rig.admin);
    rig.http.post(refresh).send().await.expect("an answer").error_for_status().expect("accepted");
    eventually("the end of a refresh", async || {
        rig.view(WRITES).await["refreshed"]["accounts"].as_u64().map(drop)
    })
    .await;
    eventually("a field in quarantine", async || {
        rig.view(TROUBLED).await["quarantined"].as_array().filter(|all| !all.is_empty()).map(drop)
    })
    .await;
    eventually("calls that are used up", async || {
        publish(&rig, USED_UP, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.view(USED_UP).await["budget"]["waits"].as_array().filter(|all| !all.is_empty()).map(drop)
    })
    .await;
    rig
}

/// One more record in each org that can, made of this number.
pub(crate) async fn work(rig: &Rig, number: usize) {
    for org in [WRITES, TROUBLED] {
        publish(rig, org, number);
    }
    for org in [WRITES, TROUBLED] {
        rig.ledger(org, json!({ "written": number + 1, "open": 0 })).await;
    }
}

/// A new record of this number, and the event about it.
pub(crate) fn publish(rig: &Rig, org: &str, number: usize) {
    rig.simulator.vendor().set_answer(&domain(number), Some(answer(&format!("K{number}"), 10)));
    let id = rig.org(org).create("Account", account(number)).expect("an account");
    rig.org(org).publish("Sync_Request__e", request(&[id]));
}

/// The one channel delivers; the other is deaf, as the org does not have it.
async fn delivers(rig: &Rig, org: &str) {
    eventually("the channel to deliver", async || {
        let channels = rig.view(org).await["subscription"]["channels"].clone();
        (channels["/event/Sync_Request__e"]["state"] == "running").then_some(())
    })
    .await;
}
