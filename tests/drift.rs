//! What the org changes about the fields that are written: a field that vanishes or is locked is left out, loudly, and the
//! rest of each record goes on.

mod support;

use orgpipe_simulator::{FieldRight, OrgHandle, Right};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

const TARGET: &str = "Enrichment__c";

/// An event that asks for the records.
fn publish(rig: &Rig, ids: &[String]) {
    rig.org("acme").publish("Sync_Request__e", request(ids));
}

/// Gives the integration user a right on the field, or takes it away.
fn industry(org: &OrgHandle, right: FieldRight, given: bool) {
    let right = Right::Field(TARGET.into(), "Industry__c".into(), right);
    if given { org.give_right(right) } else { org.take_right(right) }
}

fn knows(rig: &Rig, employees: u32) {
    for n in 0..12 {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), employees)));
    }
}

fn held(rig: &Rig, key: &str) -> (Value, Value) {
    let row = rig.enrichment("acme", key).expect("the record");
    (row["Employee_Count__c"].clone(), row["Industry__c"].clone())
}

async fn quarantined(rig: &Rig, fields: &[&str]) -> Value {
    eventually("the quarantine", async || {
        let all = rig.view("acme").await["quarantined"].clone();
        let named: Vec<&str> = all.as_array()?.iter().filter_map(|one| one["field"].as_str()).collect();
        (named == fields).then_some(all)
    })
    .await
}

#[actix_rt::test]
async fn a_field_that_vanishes_is_left_out_loudly_and_comes_back_by_itself() {
    let mut rig = Rig::acme(false).await;
    let org = rig.org("acme").clone();
    knows(&rig, 1);
    let ids: Vec<String> = (0..2).map(|n| org.create("Account", account(n)).expect("an account")).collect();
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "written": 2 })).await;
    assert_eq!(rig.view("acme").await["quarantined"], json!([]));

    // The match query is refused, so the describe of a moment ago is no longer trusted.
    industry(&org, FieldRight::Read, false);
    knows(&rig, 2);
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "written": 4, "dead_letters": 0, "open": 0 })).await;
    let all = quarantined(&rig, &["Industry__c"]).await;
    assert!(all[0]["why"].as_str().is_some_and(|why| why.contains("no such field")), "{all}");
    let metrics = reqwest::get(format!("{}/metrics", rig.admin)).await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let line = r#"orgpipe_quarantined_field{org="acme",object="Enrichment__c",field="Industry__c"} 1.0"#;
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    let page = reqwest::get(&rig.admin).await.expect("an answer").text().await.expect("text");
    assert!(page.contains("Enrichment__c.Industry__c is not written"), "{page}");

    // A describe is read at a start, too; else within five minutes while something is in quarantine.
    industry(&org, FieldRight::Read, true);
    rig.kill().await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_answer(&domain(0), Some(json!({ "key": "K0", "industry": "Energy" })));
    publish(&rig, &ids);
    rig.ledger("acme", json!({ "written": 5, "unchanged": 1 })).await;
    assert_eq!(held(&rig, "K0"), (json!(2.0), json!("Energy")));
    quarantined(&rig, &[]).await;
}

#[actix_rt::test]
async fn a_field_that_is_locked_is_found_by_the_refused_write_by_rest_and_by_bulk() {
    for records in [3, 12] {
        let rig = Rig::acme(false).await;
        let org = rig.org("acme");
        knows(&rig, 1);
        let create = |n| org.create("Account", account(n)).expect("an account");
        let ids: Vec<String> = (0..records).map(create).collect();
        publish(&rig, &ids[..1]);
        rig.ledger("acme", json!({ "written": 1 })).await;
        industry(org, FieldRight::Edit, false);
        for (n, id) in ids.iter().enumerate() {
            let known = json!({ "key": format!("K{n}"), "employees": 2, "industry": "Energy" });
            rig.simulator.vendor().set_answer(id, Some(known));
        }
        publish(&rig, &ids);
        // Within the minute that a refused write would wait.
        rig.ledger("acme", json!({ "written": records + 1, "dead_letters": 0, "open": 0 })).await;
        let all = quarantined(&rig, &["Industry__c"]).await;
        assert!(all[0]["why"].as_str().is_some_and(|why| why.contains("may not write")), "{all}");
        assert_eq!(held(&rig, "K0"), (json!(2.0), json!("Software")));
        assert_eq!(held(&rig, "K2"), (json!(2.0), Value::Null));
    }
}
