//! Requests and answers that are larger than one may be.

use orgpipe_simulator::{FieldRight, OrgOptions, Right};
use serde_json::{Value, json};

use super::support::{Rig, account, answer, domain, request};

/// So many characters of three bytes each: a row of them takes 93 KB, and a hundred rows more than Salesforce takes at once.
const CHARS: usize = 31_000;
/// More children than the first page of a list holds.
const CHILDREN: usize = 620;

/// One org with settings of its own, running.
async fn rig(edit: impl FnOnce(String) -> String) -> Rig {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], edit).await;
    rig.org("acme").give_right(Right::Field("Account".into(), "Description".into(), FieldRight::Read));
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn create(rig: &Rig, n: usize, more: &Value) -> String {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    let mut row = account(n);
    row.extend(more.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    rig.org("acme").create("Account", row).expect("an account")
}

#[actix_rt::test]
async fn a_refresh_of_very_long_texts_is_written_in_requests_that_are_small_enough() {
    let fields = "[sync.fields]\nDescription__c = \"$Description\"";
    let rig = rig(|text| text.replace("[sync.fields]", fields)).await;
    let text = "\u{6f22}".repeat(CHARS);
    for n in 0..100 {
        create(&rig, n, &json!({ "Description": text }));
    }
    rig.order("acme", "refresh").await;
    rig.ledger("acme", json!({ "records_in": 100, "written": 100, "open": 0 })).await;
    let rows = rig.org("acme").rows("Enrichment__c");
    let lengths: Vec<usize> =
        rows.iter().map(|row| row["Description__c"].as_str().unwrap_or_default().chars().count()).collect();
    assert_eq!(lengths, vec![CHARS; 100], "each is there as a whole");
}

#[actix_rt::test]
async fn a_record_with_more_targets_than_a_page_of_them_holds_is_matched_by_external_id() {
    let rig = rig(|text| text.replace("[sync.fields]", "match = \"relationship\"\n\n[sync.fields]")).await;
    let ids: Vec<String> = (0..3).map(|n| create(&rig, n, &json!({}))).collect();
    for child in 0..CHILDREN {
        let row = json!({ "External_Id__c": format!("other {child}"), "Account__c": ids[1] });
        let row = row.as_object().expect("a row").clone();
        rig.org("acme").create("Enrichment__c", row).expect("a child");
    }
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 3, "written": 3, "open": 0 })).await;
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 6, "written": 3, "unchanged": 3, "open": 0 })).await;
}
