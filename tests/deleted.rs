//! What becomes of the target's records after the record they were made for has been deleted: `on_deleted`.

mod support;

use orgpipe_simulator::{OrgOptions, Row};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually};

const TARGET: &str = "Enrichment__c";

async fn rig(on_deleted: &str) -> Rig {
    let edit = |text: String| text.replace("refresh = { ", &format!("refresh = {{ {on_deleted} "));
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], edit).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn accounts(rig: &Rig, count: usize) -> Vec<String> {
    let create = |n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    (0..count).map(create).collect()
}

/// A whole refresh, to its end.
async fn refresh(rig: &Rig) {
    let url = format!("{}/api/v1/orgs/acme/refresh", rig.admin);
    assert_eq!(rig.http.post(url).send().await.expect("an answer").status(), 202);
    eventually("the refresh's end", async || {
        let view = rig.view("acme").await;
        let none = view["refreshes"].as_object().is_some_and(serde_json::Map::is_empty);
        (none && view["records"]["open"] == 0).then_some(())
    })
    .await;
}

/// The keys in the org, with what is known of employees.
fn held(rig: &Rig) -> Vec<(String, Value)> {
    let rows = rig.org("acme").rows(TARGET);
    let key = |row: &Row| row["External_Id__c"].as_str().expect("a key").to_owned();
    rows.iter().map(|row| (key(row), row["Employee_Count__c"].clone())).collect()
}

fn all(count: usize, employees: impl Fn(usize) -> Option<Value>) -> Vec<(String, Value)> {
    (0..count).filter_map(|n| Some((format!("K{n}"), employees(n)?))).collect()
}

#[actix_rt::test]
async fn records_whose_own_is_gone_are_deleted_and_no_others() {
    let rig = rig(r#"on_deleted = "delete","#).await;
    let org = rig.org("acme");
    let ids = accounts(&rig, 30);
    refresh(&rig).await;
    let doomed = rig.enrichment("acme", "K7").expect("written")["Id"].as_str().expect("an ID").to_owned();
    // Deleted; deleted, but another account has its key; moved to another account by hand.
    for n in [3, 4, 7] {
        org.delete("Account", &ids[n]).expect("deleted");
    }
    org.create("Account", account(4)).expect("an account with the same key");
    let moved = rig.enrichment("acme", "K3").expect("written")["Id"].as_str().expect("an ID").to_owned();
    let link = Row::from_iter([("Account__c".to_owned(), json!(ids[0]))]);
    org.update(TARGET, &moved, link).expect("linked");
    refresh(&rig).await;
    assert_eq!(held(&rig), all(30, |n| (n != 7).then_some(json!(7.0))));
    // 30; one that is linked again, which may have been found without a link before; and one that is deleted.
    rig.ledger("acme", json!({ "written": 32, "dead_letters": 0, "open": 0 })).await;
    let url = format!("{}/api/v1/orgs/acme/records/{doomed}", rig.admin);
    let told: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    let story = told["ended"][0]["story"].to_string();
    for part in ["the record it was made for is gone", "To be deleted", "Written at"] {
        assert!(story.contains(part), "{part} is not in {story}");
    }
    refresh(&rig).await;
    rig.ledger("acme", json!({ "written": 32, "dead_letters": 0, "open": 0 })).await;
}

#[actix_rt::test]
async fn records_whose_own_is_gone_are_emptied_once_or_kept() {
    for (on_deleted, employees) in [(r#"on_deleted = "clear","#, Value::Null), ("", json!(7.0))] {
        let rig = rig(on_deleted).await;
        let ids = accounts(&rig, 15);
        refresh(&rig).await;
        for id in &ids[..11] {
            rig.org("acme").delete("Account", id).expect("deleted");
        }
        let written = if employees.is_null() { 26 } else { 15 };
        for _ in 0..2 {
            refresh(&rig).await;
            assert_eq!(held(&rig), all(15, |n| Some(if n < 11 { employees.clone() } else { json!(7.0) })));
            rig.ledger("acme", json!({ "written": written, "dead_letters": 0, "open": 0 })).await;
        }
    }
}

#[actix_rt::test]
async fn too_many_to_be_true_are_left_alone() {
    let rig = rig(r#"on_deleted = "delete","#).await;
    let ids = accounts(&rig, 300);
    refresh(&rig).await;
    for id in &ids[..101] {
        rig.org("acme").delete("Account", id).expect("deleted");
    }
    refresh(&rig).await;
    assert_eq!(held(&rig).len(), 300, "101 of 300 is more than one in ten");
}
