//! Writes, over HTTP: what Salesforce may answer for a record (`rows`), a request (`requests`) or a Bulk job (`bulk`), what
//! is done about it, and that the records end right. Here: what these share, updates and deletions.
//!
//! Numbers such as `2.11` and `case 14` beside a test stand for a class of errors and for a failure that users of other
//! clients have reported.

mod bulk;
mod requests;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use orgpipe_simulator::{LoggedJob, OrgOptions, Row};
use orgpipe_store::{Append, Durability, Lane, NewChange, NewRequest, Options, Settle, Store, Subject};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, request};

/// An org whose records are written as `limits` says.
async fn rig(limits: &str) -> Rig {
    let limits = format!("requests_per_second = 100\n{limits}");
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| {
        text.replace("requests_per_second = 100\n", &limits)
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// Accounts `from..to` in the org, with answers for each; gives their record IDs.
fn known(rig: &Rig, from: usize, to: usize) -> Vec<String> {
    known_in(rig, "acme", from, to)
}

fn known_in(rig: &Rig, org: &str, from: usize, to: usize) -> Vec<String> {
    (from..to)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
            rig.org(org).create("Account", account(n)).expect("an account")
        })
        .collect()
}

/// So many orgs, `o0` and on, each for one row of a table, as the rows wait for seconds.
async fn orgs(count: usize) -> Rig {
    let one = |n: usize| OrgOptions { flow: false, ..OrgOptions::named(&format!("o{n}")) };
    let mut rig = Rig::with((0..count).map(one).collect(), |text| text).await;
    rig.start().await;
    for n in 0..count {
        rig.subscribed(&format!("o{n}")).await;
    }
    rig
}

/// An enrichment that the customer has made.
fn made_by_hand(rig: &Rig, key: &str) -> String {
    let row = Row::from_iter([("External_Id__c".to_owned(), json!(key))]);
    rig.org("acme").create("Enrichment__c", row).expect("an enrichment")
}

fn operations(jobs: &[LoggedJob]) -> Vec<&str> {
    jobs.iter().map(|job| job.operation.as_str()).collect()
}

#[actix_rt::test]
async fn with_write_update_records_are_changed_and_none_is_made() {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| {
        text.replace("\n[sync.fields]", "write = \"update\"\n\n[sync.fields]")
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    let ids = known(&rig, 0, 40);
    // One alone, then few, then many: by Collections and by a Bulk job, always by record ID.
    let mut written = 0;
    for (asked, there) in [(0..2, 0..1), (2..10, 2..8), (10..40, 10..25)] {
        there.clone().for_each(|n| drop(made_by_hand(&rig, &format!("K{n}"))));
        written += there.len();
        rig.org("acme").publish("Sync_Request__e", request(&ids[asked.clone()]));
        let unchanged = asked.end - written;
        rig.ledger("acme", json!({ "records_in": asked.end, "written": written, "unchanged": unchanged }))
            .await;
    }
    let rows = rig.org("acme").rows("Enrichment__c");
    assert_eq!(rows.len(), written, "none was made");
    assert!(rows.iter().all(|row| row["Employee_Count__c"] == json!(10.0)), "{rows:?}");
    assert_eq!(operations(&rig.org("acme").jobs()), ["update"]);
}

/// Puts deletions on the queue of a service that does not run.
async fn queue_deletions(folder: &Path, targets: &[(String, String)]) {
    let options = Options {
        durability: Durability::Process,
        cache_bytes: 8 * 1024 * 1024,
        depth_max: 100_000,
        ledger_days: 30,
        free_bytes_min: 0,
    };
    let store = Store::open(&folder.join("data"), options).expect("a store");
    let records = u32::try_from(targets.len()).expect("few");
    let requests = vec![NewRequest { lane: Lane::Refresh, records, body: b"{}".to_vec() }];
    store.append("acme", Append { requests, ..Append::default() }).await.expect("appended");
    let requests = store.ingress_head("acme", 1).await.expect("readable").iter().map(|one| one.seq).collect();
    let change = |(key, id): &(String, String)| {
        let parcel = json!({
            "v": 1, "sync": "accounts", "target": "Enrichment__c", "external_id_field": "External_Id__c",
            "external_id": key, "operation": "delete", "target_id": id, "fields": {},
            "source_id": "001000000000001AAA", "origin": "refresh", "received_ms": 1,
        });
        let subject = Subject { record: key.clone(), units: 1, ..Subject::default() };
        NewChange {
            lane: Lane::Refresh,
            target: "Enrichment__c".to_owned(),
            key: key.to_lowercase(),
            subjects: vec![subject],
            body: parcel.to_string().into_bytes(),
        }
    };
    let changes = targets.iter().map(change).collect();
    store.settle("acme", Settle { requests, changes, ..Settle::default() }).await.expect("settled");
    store.close().await.expect("closed");
}

#[actix_rt::test]
async fn deletions_go_by_record_id_and_a_record_that_is_gone_is_deleted() {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, |text| text).await;
    let keep = made_by_hand(&rig, "keep");
    let mut done = 0;
    for (count, by) in [(3, vec![]), (30, vec!["delete"])] {
        let targets: Vec<(String, String)> =
            (done..done + count).map(|n| (format!("K{n}"), made_by_hand(&rig, &format!("K{n}")))).collect();
        // One of them is deleted by somebody else meanwhile, and its answer may have been lost as well.
        rig.org("acme").delete("Enrichment__c", &targets[0].1).expect("deleted");
        queue_deletions(rig.folder.path(), &targets).await;
        rig.start().await;
        done += count;
        rig.ledger("acme", json!({ "records_in": done, "written": done, "dead_letters": 0 })).await;
        let left: Vec<Value> =
            rig.org("acme").rows("Enrichment__c").iter().map(|row| row["Id"].clone()).collect();
        assert_eq!(left, [json!(keep)]);
        assert_eq!(operations(&rig.org("acme").jobs()), by);
        rig.terminate().await;
    }
}
