//! Accounts that are merged and leads that are converted: the record that stays is enriched, the one that is gone is
//! counted and never written, and requests that still wait for it do no harm.

mod support;

use std::net::TcpListener;

use orgpipe_simulator::{OrgOptions, Row};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request, with_leads};

/// One org, `acme`, on a port that the command line can know from the settings.
async fn rig(options: OrgOptions, edit: impl FnOnce(String) -> String) -> Rig {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let on = |text: String| edit(text.replace("127.0.0.1:0", &free.to_string()));
    let mut rig = Rig::with(vec![options], on).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn acme() -> OrgOptions {
    OrgOptions { flow: true, ..OrgOptions::named("acme") }
}

fn row(value: &Value) -> Row {
    value.as_object().cloned().expect("an object")
}

/// What the look-up API knows about a domain.
fn knows(rig: &Rig, n: usize, key: &str, employees: u32) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(key, employees)));
}

/// Which record an enrichment hangs on, and what it holds.
fn held(rig: &Rig, key: &str) -> (Value, Value) {
    let row = rig.enrichment("acme", key).expect("the enrichment");
    (row["Account__c"].clone(), row["Employee_Count__c"].clone())
}

/// A whole refresh, to its end.
async fn refresh(rig: &Rig) {
    rig.order("acme", "refresh").await;
    eventually("the refresh's end", async || {
        let view = rig.view("acme").await;
        let none = view["refreshes"].as_object().is_some_and(serde_json::Map::is_empty);
        (none && view["records"]["open"] == 0).then_some(())
    })
    .await;
}

/// Waits until so many records wait for their look-up.
async fn waiting(rig: &Rig, records: u64) {
    eventually("the requests to wait", async || {
        let view = rig.view("acme").await;
        let waits = view["parts"]["ingest"]["state"] == "waiting";
        (waits && view["records"]["open"] == records).then_some(())
    })
    .await;
}

/// What `orgpipe explain` prints about a record.
async fn told(rig: &Rig, id: &str) -> String {
    let done = rig.command(&["explain", "acme", id]).output().await.expect("the command runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// Whether a write since the log was cleared names a record.
fn written_to(rig: &Rig, id: &str) -> bool {
    let writes = rig.org("acme").writes();
    writes.iter().any(|write| write.id == id || write.row.values().any(|value| value == id))
}

#[actix_rt::test]
async fn the_master_is_enriched_and_the_losers_enrichment_is_kept_whatever_on_deleted_says() {
    for on_deleted in ["", r#"on_deleted = "clear","#, r#"on_deleted = "delete","#] {
        let edit = |text: String| text.replace("refresh = { ", &format!("refresh = {{ {on_deleted} "));
        let rig = rig(acme(), edit).await;
        let org = rig.org("acme");
        for n in [1, 2] {
            knows(&rig, n, &format!("K{n}"), 7);
        }
        let [master, loser] = [1, 2].map(|n| org.create("Account", account(n)).expect("an account"));
        rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;

        // An event that names the loser is published before the merge, and processed after it.
        rig.simulator.vendor().set_down(true);
        org.publish("Sync_Request__e", request(std::slice::from_ref(&loser)));
        waiting(&rig, 1).await;
        for n in [1, 2] {
            knows(&rig, n, &format!("K{n}"), 8);
        }
        org.clear_writes();
        org.merge("Account", &master, &[&loser], &Row::new()).expect("merged");
        assert_eq!(held(&rig, "K2"), (json!(master), json!(7.0)), "Salesforce has moved it");
        rig.simulator.vendor().set_down(false);
        rig.ledger("acme", json!({ "records_in": 3, "written": 2, "no_data": 1, "open": 0 })).await;
        let text = told(&rig, &loser).await;
        assert!(text.contains("\nno data\n") && text.contains("merged into another one"), "{text}");

        // No flow asks about a master of which no watched field changed.
        refresh(&rig).await;
        rig.ledger("acme", json!({ "records_in": 4, "written": 3, "dead_letters": 0, "open": 0 })).await;
        assert_eq!(held(&rig, "K1"), (json!(master), json!(8.0)));
        assert_eq!(held(&rig, "K2"), (json!(master), json!(7.0)), "{on_deleted}");
        knows(&rig, 1, "K1", 9);
        org.update("Account", &master, row(&json!({ "Name": "Both" }))).expect("a watched field");
        rig.ledger("acme", json!({ "records_in": 5, "written": 4, "dead_letters": 0, "open": 0 })).await;
        assert_eq!(held(&rig, "K1"), (json!(master), json!(9.0)));
        assert!(!written_to(&rig, &loser));
    }
}

#[actix_rt::test]
async fn a_merge_that_keeps_the_losers_key_is_live_by_event_and_by_change_data_capture() {
    for change_data in [false, true] {
        let channel = if change_data { "/data/AccountChangeEvent" } else { "/event/Sync_Request__e" };
        let options = OrgOptions { flow: !change_data, change_data, ..OrgOptions::named("acme") };
        let rig = rig(options, |text| text.replace("/event/Sync_Request__e", channel)).await;
        let org = rig.org("acme");
        for n in [1, 2] {
            knows(&rig, n, &format!("K{n}"), 7);
        }
        let [master, loser] = [1, 2].map(|n| org.create("Account", account(n)).expect("an account"));
        rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;
        knows(&rig, 2, "K2", 8);
        org.clear_writes();
        org.merge("Account", &master, &[&loser], &row(&json!({ "Website": domain(2) }))).expect("merged");
        // The deletion asks for nothing.
        rig.ledger("acme", json!({ "records_in": 3, "written": 3, "open": 0 })).await;
        assert_eq!(held(&rig, "K2"), (json!(master), json!(8.0)));
        assert_eq!(held(&rig, "K1"), (json!(master), json!(7.0)));
        assert!(!written_to(&rig, &loser));
    }
}

#[actix_rt::test]
async fn accounts_of_one_key_share_an_enrichment_which_moves_to_the_master() {
    let first = "target = \"Enrichment__c\"\non_shared_key = \"first\"";
    let rig = rig(acme(), |text| text.replace("target = \"Enrichment__c\"", first)).await;
    let org = rig.org("acme");
    knows(&rig, 1, "K1", 7);
    let loser = org.create("Account", account(1)).expect("an account");
    rig.ledger("acme", json!({ "written": 1, "open": 0 })).await;
    let master = org.create("Account", account(1)).expect("an account");
    rig.ledger("acme", json!({ "written": 1, "no_data": 1, "open": 0 })).await;
    assert_eq!(held(&rig, "K1"), (json!(loser), json!(7.0)), "it stays with the one that had it first");
    org.merge("Account", &master, &[&loser], &Row::new()).expect("merged");
    knows(&rig, 1, "K1", 8);
    refresh(&rig).await;
    rig.ledger("acme", json!({ "records_in": 3, "written": 2, "no_data": 1, "open": 0 })).await;
    assert_eq!(held(&rig, "K1"), (json!(master), json!(8.0)));

    // A change that refers to the loser waits for another try while the merge takes place.
    org.fail_next("/Enrichment__c/External_Id__c", 503, 3);
    knows(&rig, 2, "K2", 9);
    let loser = org.create("Account", account(2)).expect("an account");
    eventually("the refusal", async || org.calls().iter().any(|call| call.status == 503).then_some(())).await;
    org.merge("Account", &master, &[&loser], &Row::new()).expect("merged");
    rig.ledger("acme", json!({ "records_in": 4, "dead_letters": 1, "open": 0 })).await;
    assert!(told(&rig, &loser).await.contains("ENTITY_IS_DELETED"));
    assert_eq!(held(&rig, "K1"), (json!(master), json!(8.0)));
    // A retry reads the record afresh, and it is not there any more.
    let url = format!("{}/api/v1/orgs/acme/dead-letters/retry?all=true", rig.admin);
    assert!(rig.http.post(url).send().await.expect("an answer").status().is_success());
    rig.ledger("acme", json!({ "records_in": 5, "written": 2, "no_data": 2, "open": 0 })).await;
}

/// A sync of leads that fills a number, too.
fn leads(text: &str) -> String {
    with_leads(text).replace("Lead__c = \"$Id\"", "Lead__c = \"$Id\"\nEmployee_Count__c = \"/employees\"")
}

#[actix_rt::test]
async fn a_converted_leads_account_is_enriched_and_what_waits_for_the_lead_does_no_harm() {
    let rig = rig(acme(), |text| leads(&text)).await;
    let (org, vendor) = (rig.org("acme"), rig.simulator.vendor());
    let create = |n: usize| {
        let lead = json!({ "LastName": "Doe", "Company": format!("Company {n}"), "Website": domain(n) });
        org.create("Lead", row(&lead)).expect("a lead")
    };
    // One has an enrichment of its own; of another one the request still waits when it is converted; and one shares its
    // enrichment with its account.
    vendor.set_down(true);
    let known = create(1);
    vendor.set_answer(&known, Some(answer("L1", 7)));
    let shared = create(3);
    knows(&rig, 3, "A3", 7);
    vendor.set_down(false);
    rig.ledger("acme", json!({ "records_in": 2, "written": 2, "open": 0 })).await;

    vendor.set_down(true);
    let unknown = create(2);
    vendor.set_answer(&unknown, Some(answer("L2", 8)));
    vendor.set_answer(&known, Some(answer("L1", 8)));
    org.update("Lead", &known, row(&json!({ "Email": "doe@a.example" }))).expect("a watched field");
    waiting(&rig, 2).await;
    let accounts = [&known, &unknown, &shared].map(|lead| org.convert_lead(lead).expect("converted"));
    for n in 1..=3 {
        knows(&rig, n, &format!("A{n}"), 9);
    }
    vendor.set_down(false);
    // Two events for each of the leads that were asked for before, and one for the third.
    let expected = json!({ "records_in": 10, "written": 5, "no_data": 5, "dead_letters": 0, "open": 0 });
    rig.ledger("acme", expected).await;
    for (n, account) in accounts.iter().enumerate() {
        assert_eq!(held(&rig, &format!("A{}", n + 1)), (json!(account), json!(9.0)));
    }
    let left = |key: &str| rig.enrichment("acme", key).map(|row| row["Lead__c"].clone());
    assert_eq!((left("L1"), left("L2"), left("A3")), (Some(json!(known)), None, Some(json!(shared))));
    assert_eq!(held(&rig, "L1").1, json!(7.0));
    let text = told(&rig, &unknown).await;
    assert!(text.contains("\nno data") && text.contains("The lead has been converted"), "{text}");

    // Nor does a refresh write for a lead that is converted.
    refresh(&rig).await;
    let expected = json!({ "records_in": 16, "written": 5, "unchanged": 3, "no_data": 8, "open": 0 });
    rig.ledger("acme", expected).await;
}
