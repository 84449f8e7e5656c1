//! What the org changes about the fields that are written and read: a field that vanishes or is locked is left out, loudly,
//! and the rest of each record goes on.

mod support;

use orgpipe_simulator::{FieldRight, OrgHandle, OrgOptions, Right, Row};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request, with_leads};

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

/// Waits until the metrics have this line: they may tell what was true a second ago.
async fn metric(rig: &Rig, line: &str) {
    eventually(line, async || {
        let metrics = rig.http.get(format!("{}/metrics", rig.admin)).send().await.expect("an answer");
        metrics.text().await.expect("text").lines().any(|found| found == line).then_some(())
    })
    .await;
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
    metric(
        &rig,
        r#"orgpipe_org_quarantined_field{org="acme",object="Enrichment__c",field="Industry__c"} 1.0"#,
    )
    .await;
    let page = rig.http.get(format!("{}/orgs/acme", rig.admin)).send().await.expect("an answer");
    let page = page.text().await.expect("text");
    assert!(page.contains("<strong>Enrichment__c.Industry__c</strong> is not written"), "{page}");

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

/// Lets the integration user see a field of Account, or hides it.
fn account_field(org: &OrgHandle, field: &str, visible: bool) {
    let right = Right::Field("Account".into(), field.into(), FieldRight::Read);
    if visible { org.give_right(right) } else { org.take_right(right) }
}

/// A service with other settings; the integration user may see all fields that these take.
async fn rig(edit: impl FnOnce(String) -> String) -> Rig {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, edit).await;
    for field in ["Website", "Phone", "AccountNumber", "Description"] {
        account_field(rig.org("acme"), field, true);
    }
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// An account that has all of them.
fn company(n: usize) -> Row {
    let more = [("Phone", format!("+49 {n}")), ("AccountNumber", format!("N{n}"))];
    account(n).into_iter().chain(more.map(|(field, value)| (field.to_owned(), json!(value)))).collect()
}

/// Keys of the last look-up.
fn asked_with(rig: &Rig) -> Vec<String> {
    rig.simulator.vendor().requests().pop().expect("a look-up").keys
}

/// A whole refresh of a sync, to its end.
async fn refresh(rig: &Rig, sync: &str) {
    rig.order("acme", &format!("refresh?sync={sync}")).await;
    eventually("the refresh's end", async || {
        let view = rig.view("acme").await;
        let over = view["refreshes"].get(sync).is_none_or(Value::is_null);
        (over && view["records"]["open"] == 0).then_some(())
    })
    .await;
}

/// Two keys, and a field of the account that is written as it is.
fn two_keys(text: &str) -> String {
    text.replace(r#"keys = { domain = "Website" }"#, r#"keys = { domain = "Website", phone = "Phone" }"#)
        .replace(r#"refresh = { where = "Website != null" }"#, "refresh = {}")
        .replace(r#"Industry__c = "/industry""#, "Industry__c = \"$AccountNumber\"")
}

#[actix_rt::test]
async fn a_field_that_cannot_be_read_any_more_is_left_out_of_the_question_and_of_the_write() {
    let mut rig = rig(|text| two_keys(&text)).await;
    let org = &rig.org("acme").clone();
    knows(&rig, 1);
    let ids: Vec<String> = (0..3).map(|n| org.create("Account", company(n)).expect("an account")).collect();
    publish(&rig, &ids[..2]);
    rig.ledger("acme", json!({ "written": 2, "dead_letters": 0 })).await;
    assert_eq!(held(&rig, "K0"), (json!(1.0), json!("N0")));

    account_field(org, "Phone", false);
    account_field(org, "AccountNumber", false);
    knows(&rig, 2);
    publish(&rig, &ids[..2]);
    rig.ledger("acme", json!({ "written": 4, "dead_letters": 0, "open": 0 })).await;
    assert_eq!(held(&rig, "K0"), (json!(2.0), json!("N0")), "what cannot be read is not emptied");
    let all = quarantined(&rig, &["AccountNumber", "Phone"]).await;
    assert_eq!((&all[0]["object"], &all[0]["access"]), (&json!("Account"), &json!("read")));
    let page = rig.http.get(format!("{}/orgs/acme", rig.admin)).send().await.expect("an answer");
    let page = page.text().await.expect("text");
    assert!(page.contains("<strong>Account.Phone</strong> is not read"), "{page}");
    metric(&rig, r#"orgpipe_org_quarantined_field{org="acme",object="Account",field="Phone"} 1.0"#).await;
    assert_eq!(asked_with(&rig), ["domain"]);

    // A refresh reads its pages without them, too.
    refresh(&rig, "accounts").await;
    rig.ledger("acme", json!({ "written": 5, "unchanged": 2, "dead_letters": 0 })).await;
    assert_eq!(held(&rig, "K2"), (json!(2.0), Value::Null));

    // Once they are there again they are read: at a start, else within five minutes.
    account_field(org, "Phone", true);
    account_field(org, "AccountNumber", true);
    rig.kill().await;
    rig.start().await;
    rig.subscribed("acme").await;
    refresh(&rig, "accounts").await;
    rig.ledger("acme", json!({ "written": 6, "unchanged": 4, "dead_letters": 0 })).await;
    assert_eq!((held(&rig, "K2").1, asked_with(&rig).len()), (json!("N2"), 2));
    quarantined(&rig, &[]).await;
}

/// Waits until a part waits for this, and gives back its note and hint.
async fn waits(rig: &Rig, part: &str, text: &str) -> String {
    eventually(text, async || {
        let part = rig.view("acme").await["parts"][part].clone();
        let note = format!("{}. {}", part["note"], part["hint"]);
        (part["state"] == "waiting" && note.contains(text)).then_some(note)
    })
    .await
}

#[actix_rt::test]
async fn a_sync_without_a_key_waits_with_the_reason_and_the_others_go_on() {
    let edit = |text: String| {
        let text = with_leads(&text);
        text.replace(r#"refresh = { where = "Website != null" }"#, "refresh = {}")
    };
    let mut rig = rig(edit).await;
    let org = &rig.org("acme").clone();
    knows(&rig, 1);
    let id = org.create("Account", company(0)).expect("an account");
    account_field(org, "Website", false);
    publish(&rig, std::slice::from_ref(&id));
    let note = waits(&rig, "ingest", "sync `accounts` waits: no key is left").await;
    assert!(note.contains("Account has no Website") && note.contains("It goes on by itself"), "{note}");
    rig.order("acme", "refresh?sync=accounts").await;
    waits(&rig, "refresh", "the refresh of `accounts` waits: sync `accounts` waits: no key is left").await;
    rig.lead("acme", 1);
    rig.ledger("acme", json!({ "records_in": 2, "written": 1, "open": 1 })).await;
    rig.order("acme", "refresh?sync=leads").await;
    rig.ledger("acme", json!({ "records_in": 3, "written": 1, "unchanged": 1, "open": 1 })).await;
    quarantined(&rig, &["Website"]).await;

    account_field(org, "Website", true);
    rig.kill().await;
    rig.start().await;
    // The event's request, and the refresh that waited: decided while that one's change is open it is written, too.
    rig.ledger("acme", json!({ "records_in": 4, "dead_letters": 0, "open": 0 })).await;
    assert_eq!(held(&rig, "K0").0, json!(1.0));
}

#[actix_rt::test]
async fn a_refresh_whose_condition_is_refused_does_not_hold_up_another() {
    let edit = |text: String| {
        let text = with_leads(&text);
        text.replace("Website != null", "AccountNumber != null")
    };
    let rig = rig(edit).await;
    let org = rig.org("acme");
    knows(&rig, 1);
    org.create("Account", company(0)).expect("an account");
    rig.lead("acme", 1);
    rig.ledger("acme", json!({ "written": 1, "open": 0 })).await;
    account_field(org, "AccountNumber", false);
    rig.order("acme", "refresh?sync=accounts").await;
    let note = waits(&rig, "refresh", "the refresh of `accounts` waits: ").await;
    assert!(note.contains("INVALID_FIELD"), "{note}");
    refresh(&rig, "leads").await;
    rig.ledger("acme", json!({ "records_in": 2, "written": 1, "unchanged": 1 })).await;
    waits(&rig, "refresh", "`accounts`").await;
    // The condition names no field that is read: nothing is in quarantine.
    quarantined(&rig, &[]).await;
    account_field(org, "AccountNumber", true);
    rig.ledger("acme", json!({ "records_in": 3, "written": 2, "open": 0 })).await;
    eventually("the note to go", async || {
        (rig.view("acme").await["parts"]["refresh"]["state"] == "running").then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_relationship_that_vanishes_is_not_asked_for_any_more() {
    let edit = |text: String| text.replace("target = ", "match = \"relationship\"\ntarget = ");
    let rig = rig(edit).await;
    let org = rig.org("acme");
    knows(&rig, 1);
    let id = org.create("Account", account(0)).expect("an account");
    publish(&rig, std::slice::from_ref(&id));
    rig.ledger("acme", json!({ "written": 1 })).await;
    for right in [FieldRight::Edit, FieldRight::Read] {
        org.take_right(Right::Field(TARGET.into(), "Account__c".into(), right));
    }
    knows(&rig, 2);
    publish(&rig, std::slice::from_ref(&id));
    rig.ledger("acme", json!({ "records_in": 2, "written": 2, "open": 0 })).await;
    assert_eq!(held(&rig, "K0").0, json!(2.0));
    quarantined(&rig, &["Account__c"]).await;
}
