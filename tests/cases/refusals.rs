//! Healthy records are not buried with refused ones; what only somebody else can mend waits.

use std::time::{Duration, Instant};

use orgpipe_simulator::{ChunkFault, ObjectRight, OrgHandle, OrgOptions, Right, RowFault};
use serde_json::{Value, json};

use super::support::{Rig, account, answer, domain, eventually, request};

#[expect(clippy::disallowed_methods, reason = "how soon work goes on is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

fn named(name: &str) -> OrgOptions {
    OrgOptions { flow: false, ..OrgOptions::named(name) }
}

/// These orgs, with lines more in the limits or the sync.
async fn rig(orgs: &[&str], limits: &str, sync: &str) -> Rig {
    let orgs_of = orgs.iter().map(|name| named(name)).collect();
    let mut rig = Rig::with(orgs_of, |text| {
        text.replace("requests_per_second = 100\n", &format!("requests_per_second = 100\n{limits}\n"))
            .replace("\n[sync.fields]", &format!("\n{sync}\n[sync.fields]"))
    })
    .await;
    rig.start().await;
    for name in orgs {
        rig.subscribed(name).await;
    }
    rig
}

/// Accounts with answers for each, and one event about all of them; gives their record IDs.
fn publish(rig: &Rig, org: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    let one = |n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        rig.org(org).create("Account", account(n)).expect("an account")
    };
    let ids: Vec<String> = numbers.map(one).collect();
    rig.org(org).publish("Sync_Request__e", request(&ids));
    ids
}

fn refuse(org: &OrgHandle, key: &str, code: &str, message: &str, fields: &[&str], count: u32) {
    let fields = fields.iter().map(|&field| field.to_owned()).collect();
    let (key, code, message) = (key.to_owned(), code.to_owned(), message.to_owned());
    org.refuse_row(RowFault { key, code, message, fields, count, further: Vec::new() });
}

async fn get(rig: &Rig, path: &str) -> Value {
    let url = format!("{}/api/v1/{path}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

/// What is told about the last time that a record was asked for.
async fn story(rig: &Rig, org: &str, id: &str) -> String {
    let story = get(rig, &format!("orgs/{org}/records/{id}")).await;
    let chapters = ["open", "ended"].map(|name| story[name].as_array().cloned().unwrap_or_default());
    let lines = chapters.concat().first().map(|chapter| chapter["story"].clone()).unwrap_or_default();
    lines.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// The warnings of an org, as one text.
async fn warnings(rig: &Rig, org: &str) -> String {
    rig.view(org).await["warnings"].to_string()
}

async fn warned(rig: &Rig, org: &str, parts: &[&str]) {
    eventually("the warning", async || {
        let told = warnings(rig, org).await;
        parts.iter().all(|part| told.contains(part)).then_some(())
    })
    .await;
}

const SOQL: &str = "Trigger: System.LimitException: Too many SOQL queries: 101";
/// Samples of what a transaction runs into.
const LIMITS: [(&str, &str); 5] = [
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", SOQL),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: System.LimitException: Too many DML rows: 10001"),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: System.LimitException: Apex CPU time limit exceeded"),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", "The flow failed: Too many SOQL queries: 101"),
    ("APEX_ERROR", "System.LimitException: Apex heap size too large: 6000001"),
];

/// By Collections and by Bulk jobs.
#[actix_rt::test]
async fn a_transaction_that_is_too_large_for_the_orgs_automation_is_cut_until_it_goes_through() {
    for limits in ["bulk_from = 1000", "bulk_from = 10"] {
        let names = ["o0", "o1", "o2", "o3", "o4"];
        let rig = rig(&names, limits, "").await;
        for (name, (code, message)) in names.into_iter().zip(LIMITS) {
            let (code, message) = (code.to_owned(), message.to_owned());
            rig.org(name).refuse_chunks(Some(ChunkFault { records_max: 4, key: None, code, message }));
            publish(&rig, name, 0..20);
        }
        for name in names {
            rig.ledger(name, json!({ "records_in": 20, "written": 20, "dead_letters": 0 })).await;
        }
        // Where even one record is too much, that one fails alone.
        let (code, message) = (LIMITS[0].0.to_owned(), SOQL.to_owned());
        rig.org("o0").refuse_chunks(Some(ChunkFault { records_max: 0, key: None, code, message }));
        publish(&rig, "o0", 20..23);
        rig.ledger("o0", json!({ "records_in": 23, "written": 20, "dead_letters": 3, "open": 0 })).await;
    }
}

/// An exception in a trigger refuses all records of the transaction, whichever of them it is due to.
#[actix_rt::test]
async fn the_one_record_on_which_a_trigger_fails_is_found_and_its_neighbours_are_written() {
    for limits in ["bulk_from = 1000", "bulk_from = 10"] {
        let rig = rig(&["acme"], limits, "").await;
        let org = rig.org("acme");
        let message = "T: execution of BeforeInsert caused by: System.NullPointerException".to_owned();
        let (code, key) = ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY".to_owned(), Some("K13".to_owned()));
        org.refuse_chunks(Some(ChunkFault { records_max: 0, key, code, message }));
        org.clear_calls();
        publish(&rig, "acme", 0..60);
        rig.ledger("acme", json!({ "records_in": 60, "written": 59, "dead_letters": 1, "open": 0 })).await;
        let letters = get(&rig, "orgs/acme/dead-letters").await;
        assert_eq!(letters["dead_letters"][0]["key"], json!("k13"), "{letters}");
        let counted = org.calls().iter().filter(|call| call.counted && call.method == "PATCH").count();
        assert!(counted <= 40, "{counted} calls to find one of 60");
    }
}

/// With an answer that comes at last.
#[actix_rt::test]
async fn while_a_call_is_not_answered_later_records_pass() {
    let rig = rig(&["acme"], "bulk_from = 1000", "").await;
    let org = rig.org("acme");
    org.answer_late("/composite/sobjects/", 25_000, 1);
    let begun = now();
    publish(&rig, "acme", 0..59);
    eventually("the commit", async || (org.rows("Enrichment__c").len() == 59).then_some(())).await;
    for n in 59..62 {
        publish(&rig, "acme", n..n + 1);
    }
    rig.ledger("acme", json!({ "records_in": 62, "written": 3, "open": 59 })).await;
    assert!(begun.elapsed() < Duration::from_secs(18), "{:?}", begun.elapsed());
    warned(&rig, "acme", &["a call that writes 59 records has not been answered since"]).await;
    rig.ledger("acme", json!({ "records_in": 62, "written": 62, "open": 0 })).await;
    assert_eq!(org.writes().len(), 62, "what was answered late is not written again");
}

/// Five is as many as an org is given.
#[actix_rt::test]
async fn live_records_go_by_rest_while_five_jobs_hang_and_status_names_them() {
    let rig = rig(&["acme"], "bulk_from = 10", "").await;
    let org = rig.org("acme");
    org.hold_jobs(true);
    for job in 0..5 {
        publish(&rig, "acme", job * 20..(job + 1) * 20);
        eventually("the job", async || (org.jobs().len() == job + 1).then_some(())).await;
    }
    let all_hang = async || org.jobs().iter().all(|job| job.state == "InProgress").then_some(());
    eventually("the jobs to hang", all_hang).await;
    let begun = now();
    publish(&rig, "acme", 100..101);
    rig.ledger("acme", json!({ "records_in": 101, "written": 1 })).await;
    publish(&rig, "acme", 101..131);
    rig.ledger("acme", json!({ "records_in": 131, "written": 31, "open": 100 })).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(org.jobs().len(), 5);
    let jobs = rig.view("acme").await["bulk_jobs"].clone();
    let known: Vec<&Value> = jobs.as_array().expect("a list").iter().map(|job| &job["id"]).collect();
    let ids: Vec<Value> = org.jobs().iter().map(|job| json!(job.id)).collect();
    assert_eq!(known, ids.iter().collect::<Vec<_>>(), "{jobs}");
    assert!(jobs[0]["since_ms"].as_u64().is_some_and(|since| since > 0), "{jobs}");
    let first = org.jobs()[0].id.clone();
    warned(&rig, "acme", &[&first, "stands in the org's queue since", "it is aborted"]).await;
    let tree = get(&rig, "tree").await.to_string();
    assert!(tree.contains(&format!("Bulk job {first}")), "{tree}");
    org.hold_jobs(false);
    rig.ledger("acme", json!({ "records_in": 131, "written": 131, "open": 0 })).await;
}

/// By one call, by Collections and by a Bulk job.
#[actix_rt::test]
async fn without_the_right_to_create_records_wait_and_changes_go_on() {
    let rig = rig(&["acme"], "bulk_from = 10", "").await;
    let org = rig.org("acme");
    publish(&rig, "acme", 0..1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    let create = || Right::Object("Enrichment__c".into(), ObjectRight::Create);
    org.take_right(create());
    let mut records_in = 1;
    for count in [1, 4, 20] {
        publish(&rig, "acme", records_in..records_in + count);
        records_in += count;
        let refused = json!({ "records_in": records_in, "open": records_in - 1, "dead_letters": 0 });
        rig.ledger("acme", refused).await;
    }
    warned(&rig, "acme", &["records for Enrichment__c wait since", "Create"]).await;
    // What is there already may be changed, and its neighbours wait.
    let accounts = org.rows("Account");
    let first = accounts.iter().find(|row| row["Website"] == json!(domain(0))).expect("an account");
    let first = first["Id"].as_str().expect("an ID").to_owned();
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K0", 99)));
    org.publish("Sync_Request__e", request(std::slice::from_ref(&first)));
    rig.ledger("acme", json!({ "written": 2, "open": 25, "dead_letters": 0 })).await;
    org.give_right(create());
    // They are sent again after a minute, or a minute and a half.
    actix_rt::time::sleep(Duration::from_mins(1)).await;
    rig.ledger("acme", json!({ "written": 27, "open": 0, "dead_letters": 0 })).await;
    assert_eq!(warnings(&rig, "acme").await, "[]");
}

/// By one call and by a Bulk job.
#[actix_rt::test]
async fn in_read_only_mode_records_wait_and_no_try_is_counted() {
    let rig = rig(&["acme"], "bulk_from = 10", "").await;
    let org = rig.org("acme");
    org.set_read_only(true);
    let mut ids = publish(&rig, "acme", 0..1);
    ids.extend(publish(&rig, "acme", 1..25));
    rig.ledger("acme", json!({ "records_in": 25, "open": 25 })).await;
    warned(&rig, "acme", &["INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "read-only"]).await;
    actix_rt::time::sleep(Duration::from_secs(10)).await;
    for id in &ids {
        let told = story(&rig, "acme", id).await;
        assert!(told.contains("It waits, and no try is counted"), "{told}");
    }
    org.set_read_only(false);
    rig.ledger("acme", json!({ "written": 25, "open": 0, "dead_letters": 0 })).await;
}

/// Nothing is found at any path then, which is no fault of what was asked for.
#[actix_rt::test]
async fn a_version_that_is_served_no_more_is_named_with_those_that_are_and_the_records_wait() {
    let rig = rig(&["acme"], "bulk_from = 10", "").await;
    let org = rig.org("acme");
    org.set_read_only(true);
    let waiting = publish(&rig, "acme", 0..3);
    warned(&rig, "acme", &["INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"]).await;
    org.serve_versions_from(67);
    org.set_read_only(false);
    publish(&rig, "acme", 3..5);
    for part in ["ingest", "writer"] {
        eventually(part, async || {
            let status = rig.view("acme").await["parts"][part].clone();
            let (note, hint) = (status["note"].to_string(), status["hint"].to_string());
            let named = note.contains("the org serves API version 66.0 no more, only 67.0, 68.0");
            (named && hint.contains("api_version")).then_some(())
        })
        .await;
    }
    actix_rt::time::sleep(Duration::from_secs(5)).await;
    rig.ledger("acme", json!({ "records_in": 5, "open": 5, "dead_letters": 0 })).await;
    let told = story(&rig, "acme", &waiting[0]).await;
    assert!(told.contains("no try is counted"), "{told}");
    org.serve_versions_from(0);
    rig.ledger("acme", json!({ "records_in": 5, "written": 5, "open": 0 })).await;
}

const PICKLIST: &str = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";

/// One alone, some by Collections, many by a Bulk job; of each the rest is written.
#[actix_rt::test]
async fn a_refused_field_is_left_out_where_the_sync_says_so_and_explain_tells_it() {
    let rig = rig(&["acme"], "bulk_from = 10", "on_refused_field = \"leave_out\"\n").await;
    let org = rig.org("acme");
    let cases = [(0..1, 0, 1, PICKLIST), (1..5, 2, 1, "FIELD_INTEGRITY_EXCEPTION"), (5..25, 7, 2, PICKLIST)];
    let mut written = 0;
    for (numbers, odd, count, code) in cases {
        refuse(org, &format!("K{odd}"), code, "bad value: secret", &["Industry__c"], count);
        written += numbers.len();
        let ids = publish(&rig, "acme", numbers.clone());
        rig.ledger("acme", json!({ "records_in": written, "written": written, "dead_letters": 0 })).await;
        for (n, id) in numbers.zip(&ids) {
            let row = rig.enrichment("acme", &format!("K{n}")).expect("written");
            assert_eq!(row["Employee_Count__c"], json!(10.0));
            assert_eq!(row["Industry__c"].is_null(), n == odd, "{row:?}");
            let told = story(&rig, "acme", id).await;
            assert_eq!(told.contains("without `Industry__c`") && told.contains(code), n == odd, "{told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
    // The link to its own record is never left out, and what a rule judges or asks for is the record's.
    for (n, (code, field)) in [
        ("FIELD_INTEGRITY_EXCEPTION", "Account__c"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Industry__c"),
        ("REQUIRED_FIELD_MISSING", "Industry__c"),
    ]
    .into_iter()
    .enumerate()
    {
        refuse(org, &format!("K{}", 30 + n), code, "no", &[field], u32::MAX);
        publish(&rig, "acme", 30 + n..31 + n);
        rig.ledger("acme", json!({ "written": 25, "dead_letters": n + 1, "open": 0 })).await;
    }
}

/// Without the setting the record is a letter, as before.
#[actix_rt::test]
async fn a_refused_field_makes_a_letter_by_default_and_a_locked_record_waits() {
    let rig = rig(&["acme"], "bulk_from = 1000", "").await;
    let org = rig.org("acme");
    refuse(org, "K1", PICKLIST, "bad value", &["Industry__c"], u32::MAX);
    refuse(org, "K2", "ENTITY_IS_LOCKED", "locked by an approval", &[], u32::MAX);
    let ids = publish(&rig, "acme", 0..10);
    rig.ledger("acme", json!({ "records_in": 10, "written": 8, "dead_letters": 1, "open": 1 })).await;
    let told = story(&rig, "acme", &ids[2]).await;
    assert!(told.contains("no try is counted") && told.contains("ENTITY_IS_LOCKED"), "{told}");
    warned(&rig, "acme", &["ENTITY_IS_LOCKED", "approval"]).await;
}
