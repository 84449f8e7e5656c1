//! Batches that overlap: many look-ups at a time, the later answer counts, and no sync is held up by another's trouble.

mod support;

use std::time::Duration;

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request, with_leads};

/// Accounts 0..count with answers, and their record IDs.
fn accounts(rig: &Rig, count: usize) -> Vec<String> {
    let create = |n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    (0..count).map(create).collect()
}

#[actix_rt::test]
async fn look_ups_of_a_refresh_are_under_way_together_and_what_is_read_later_counts() {
    const RECORDS: usize = 1_000;
    let acme = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let where_ = r#"refresh = { where = "Website != null""#;
    let batch = |text: String| text.replace(where_, &format!("{where_}, batch = 40"));
    let mut rig = Rig::slow(vec![acme], Duration::from_millis(100), batch).await;
    let ids = accounts(&rig, RECORDS);
    rig.start().await;
    rig.subscribed("acme").await;
    rig.order("acme", "refresh").await;
    let vendor = rig.simulator.vendor();
    let scattered: Vec<String> = ids.iter().step_by(10).cloned().collect();
    let mut live = 0;
    for part in 1..4 {
        eventually("a part of the refresh", async || (vendor.requests().len() > 5 * part).then_some(()))
            .await;
        for n in (0..RECORDS).step_by(10) {
            vendor.set_answer(
                &domain(n),
                Some(answer(&format!("K{n}"), u32::try_from(20 + part).expect("small"))),
            );
        }
        rig.org("acme").publish("Sync_Request__e", request(&scattered));
        live += scattered.len();
    }
    rig.ledger("acme", json!({ "records_in": RECORDS + live, "open": 0, "dead_letters": 0 })).await;
    for n in 0..RECORDS {
        let held = rig.enrichment("acme", &format!("K{n}")).expect("the record");
        let expected = if n % 10 == 0 { 23 } else { 10 };
        assert_eq!(held["Employee_Count__c"].as_f64(), Some(f64::from(expected)), "{n}");
    }
    assert!((3..=8).contains(&vendor.most_at_once()), "{}", vendor.most_at_once());
    let asked: Vec<usize> = vendor.requests().iter().map(|asked| asked.ids.len()).collect();
    assert_eq!(asked.iter().max(), Some(&40), "`batch` bounds live look-ups, too");
    assert!(asked.iter().sum::<usize>() <= RECORDS + live, "no request is looked up twice");
}

#[actix_rt::test]
async fn refreshes_of_two_orgs_leave_a_quarter_of_the_slots_to_live_requests() {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) }).to_vec();
    let four = |text: String| text.replace("[source]", "[source]\nconcurrent_max = 4");
    let mut rig = Rig::slow(orgs, Duration::from_millis(50), four).await;
    for n in 0..1_000 {
        for org in ["acme", "globex"] {
            rig.org(org).create("Account", account(n)).expect("an account");
        }
    }
    rig.start().await;
    for org in ["acme", "globex"] {
        rig.order(org, "refresh").await;
    }
    for org in ["acme", "globex"] {
        rig.ledger(org, json!({ "records_in": 1_000, "written": 1_000 })).await;
    }
    assert_eq!(rig.simulator.vendor().most_at_once(), 3);
}

#[actix_rt::test]
async fn a_sync_that_cannot_be_decided_holds_up_no_other() {
    let acme = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let nowhere = |text: String| {
        let (accounts, leads) = text.split_once("object = \"Lead\"").expect("the sync of leads");
        format!("{accounts}object = \"Lead\"{}", leads.replace("Enrichment__c", "Nowhere__c"))
    };
    let mut rig = Rig::with(vec![acme], |text| nowhere(with_leads(&text))).await;
    let ids = accounts(&rig, 3);
    rig.start().await;
    rig.subscribed("acme").await;
    rig.lead("acme", 0);
    let ingest = async || rig.view("acme").await["parts"]["ingest"].clone();
    let waits = eventually("the trouble", async || {
        let ingest = ingest().await;
        (ingest["state"] == "waiting").then_some(ingest)
    })
    .await;
    assert!(waits["note"].as_str().is_some_and(|note| note.contains("the next batch waits")), "{waits}");
    for id in &ids {
        rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(id)));
    }
    rig.ledger("acme", json!({ "records_in": 4, "written": 3, "open": 1 })).await;
    assert_eq!(ingest().await["state"], "waiting", "it is still told");
    assert_ne!(ingest().await["note"], Value::Null);
}
