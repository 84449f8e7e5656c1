//! An event or a refresh, from the org to the written record, and what it costs the customer in API calls.

mod support;

use orgpipe_simulator::{LoggedCall, OrgOptions};
use serde_json::json;
use support::{Rig, account, answer, domain, eventually, request, with_leads};

/// Counted calls by what they do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    describes: usize,
    queries: usize,
    upserts: usize,
    collections: usize,
    jobs: usize,
    uploads: usize,
    closes: usize,
    looks: usize,
    results: usize,
    other: Vec<String>,
}

fn cost(calls: &[LoggedCall]) -> Cost {
    let mut cost = Cost::default();
    for call in calls.iter().filter(|call| call.counted) {
        let path = call.path.trim_start_matches("/services/data/v66.0");
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["sobjects", _, "describe"]) => cost.describes += 1,
            ("GET", ["query", ..]) => cost.queries += 1,
            ("PATCH", ["sobjects", _, _, _]) => cost.upserts += 1,
            ("PATCH", ["composite", "sobjects", ..]) => cost.collections += 1,
            ("POST", ["jobs", "ingest"]) => cost.jobs += 1,
            ("PUT", ["jobs", "ingest", _, "batches"]) => cost.uploads += 1,
            ("PATCH", ["jobs", "ingest", _]) => cost.closes += 1,
            ("GET", ["jobs", "ingest", _]) => cost.looks += 1,
            ("GET", ["jobs", "ingest", _, _]) => cost.results += 1,
            _ => cost.other.push(format!("{} {}", call.method, call.path)),
        }
    }
    cost
}

/// Makes accounts 0..count in the org, with answers for each, and gives their record IDs.
fn accounts(rig: &Rig, org: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
            rig.org(org).create("Account", account(n)).expect("an account")
        })
        .collect()
}

#[actix_rt::test]
async fn an_event_becomes_a_record_written_by_rest() {
    let rig = Rig::acme(true).await;
    let org = rig.org("acme");
    org.clear_calls();
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 42)));
    let id = org.create("Account", account(1)).expect("an account");

    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let enrichment = rig.enrichment("acme", "K1").expect("the record");
    assert_eq!(enrichment["Employee_Count__c"], json!(42.0));
    assert_eq!(enrichment["Account__c"], json!(id));
    let asked = rig.simulator.vendor().requests();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].org.as_str(), asked[0].ids.as_slice()), ("acme", [id].as_slice()));
    let expected = Cost { describes: 1, queries: 2, upserts: 1, ..Cost::default() };
    assert_eq!(cost(&org.calls()), expected, "read, describe, match, write");
}

#[actix_rt::test]
async fn twenty_five_records_in_one_event_become_one_bulk_job() {
    let rig = Rig::acme(false).await;
    let org = rig.org("acme");
    let ids = accounts(&rig, "acme", 25);
    org.clear_calls();
    org.publish("Sync_Request__e", request(&ids));

    rig.ledger("acme", json!({ "records_in": 25, "written": 25 })).await;
    assert_eq!(org.rows("Enrichment__c").len(), 25);
    let mut cost = cost(&org.calls());
    assert!((1..=3).contains(&cost.looks), "looked sparingly: {cost:?}");
    cost.looks = 0;
    let expected =
        Cost { describes: 1, queries: 2, jobs: 1, uploads: 1, closes: 1, results: 3, ..Cost::default() };
    assert_eq!(cost, expected);
    assert_eq!(rig.simulator.vendor().requests().len(), 1, "one look-up for all");
}

#[actix_rt::test]
async fn a_second_identical_event_is_unchanged_and_writes_nothing() {
    let rig = Rig::acme(false).await;
    let org = rig.org("acme");
    let ids = accounts(&rig, "acme", 3);
    org.publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 3, "written": 3 })).await;
    org.clear_calls();

    org.publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 6, "written": 3, "unchanged": 3 })).await;
    assert_eq!(cost(&org.calls()), Cost { queries: 2, ..Cost::default() }, "read and match, no write");
}

#[actix_rt::test]
async fn fewer_than_ten_records_are_one_collections_call_and_a_cleared_value_is_cleared() {
    let rig = Rig::acme(false).await;
    let org = rig.org("acme");
    let ids = accounts(&rig, "acme", 9);
    org.clear_calls();
    org.publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "written": 9 })).await;
    let expected = Cost { describes: 1, queries: 2, collections: 1, ..Cost::default() };
    assert_eq!(cost(&org.calls()), expected);

    rig.simulator.vendor().set_answer(&domain(4), Some(json!({ "key": "K4", "employees": null })));
    rig.simulator.vendor().set_answer(&domain(5), None);
    org.publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 18, "written": 10, "unchanged": 7, "no_data": 1 })).await;
    let cleared = rig.enrichment("acme", "K4").expect("the record");
    assert_eq!((&cleared["Employee_Count__c"], &cleared["Industry__c"]), (&json!(null), &json!("Software")));
}

#[actix_rt::test]
async fn a_refresh_of_1050_accounts_is_eleven_lookups_and_all_are_written() {
    let rig = Rig::acme(false).await;
    let org = rig.org("acme");
    accounts(&rig, "acme", 1_050);
    org.create("Account", [("Name".to_owned(), json!("no website"))].into_iter().collect())
        .expect("an account");
    org.clear_calls();
    let begun = rig.command(&["refresh", "acme"]).output().await.expect("the command runs");
    let said = String::from_utf8_lossy(&begun.stdout).into_owned();
    assert!(begun.status.success() && said.contains("refresh of accounts begun"), "{said}");

    rig.ledger("acme", json!({ "records_in": 1050, "written": 1050 })).await;
    assert_eq!(org.rows("Enrichment__c").len(), 1_050);
    let mut sizes: Vec<usize> =
        rig.simulator.vendor().requests().iter().map(|asked| asked.ids.len()).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(sizes, [vec![100; 10], vec![50]].concat(), "eleven look-ups");
    let cost = cost(&org.calls());
    assert_eq!((cost.describes, cost.queries), (1, 1 + 1 + 6), "count, page, match: {cost:?}");
    assert_eq!((cost.upserts, cost.collections, cost.other.len()), (0, 0, 0), "{cost:?}");
    assert!(cost.jobs <= 2, "changes of a refresh wait a little for each other: {cost:?}");
    assert_eq!((cost.uploads, cost.closes, cost.results), (cost.jobs, cost.jobs, 3 * cost.jobs), "{cost:?}");
}

#[actix_rt::test]
async fn one_orgs_trouble_stays_in_that_org() {
    let orgs = ["acme", "gone", "refused"].map(OrgOptions::named).to_vec();
    let mut rig = Rig::with(orgs, |text| text).await;
    rig.org("gone").set_available(false);
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let refused = rig.org("refused").username().to_owned();
    rig.write(
        "orgpipe.toml",
        &settings.replace(&format!("username = \"{refused}\""), "username = \"nobody@x.example\""),
    );
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 1)));
    rig.org("acme").create("Account", account(1)).expect("an account");

    rig.ledger("acme", json!({ "written": 1 })).await;
    for org in ["gone", "refused"] {
        let login = eventually("the login's note", async || {
            let login = rig.view(org).await["parts"]["login"].clone();
            (login["state"] == "waiting").then_some(login)
        })
        .await;
        assert!(!login["note"].as_str().unwrap_or_default().is_empty(), "{org}: {login}");
        assert!(!login["hint"].as_str().unwrap_or_default().is_empty(), "{org}: {login}");
    }
    // The org that comes back is taken up without a restart.
    rig.org("gone").set_available(true);
    rig.subscribed("gone").await;
}

#[actix_rt::test]
async fn while_the_lookup_api_is_down_or_answers_rubbish_requests_wait_and_none_is_lost() {
    let rig = Rig::acme(true).await;
    let vendor = rig.simulator.vendor();
    vendor.set_answer(&domain(1), Some(answer("K1", 1)));
    vendor.set_down(true);
    rig.org("acme").create("Account", account(1)).expect("an account");
    let note = waiting(&rig).await;
    assert!(note.contains("not answering"), "{note}");
    vendor.set_down(false);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;

    vendor.answer_garbage(true);
    vendor.set_answer(&domain(2), Some(answer("K2", 1)));
    rig.org("acme").create("Account", account(2)).expect("an account");
    let note = waiting(&rig).await;
    assert!(note.contains("not JSON"), "{note}");
    vendor.answer_garbage(false);
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;
}

/// Why the look-ups of `acme` wait.
async fn waiting(rig: &Rig) -> String {
    eventually("the look-up to wait", async || {
        let ingest = rig.view("acme").await["parts"]["ingest"].clone();
        (ingest["state"] == "waiting").then(|| ingest["note"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

#[actix_rt::test]
async fn a_stop_drains_and_exits_with_zero() {
    let mut rig = Rig::acme(true).await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 1)));
    rig.org("acme").create("Account", account(1)).expect("an account");
    rig.ledger("acme", json!({ "written": 1 })).await;
    assert!(rig.terminate().await.success());
}

#[actix_rt::test]
async fn two_syncs_that_fill_one_record_do_not_take_each_others_fields() {
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, |text| with_leads(&text)).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let org = rig.org("acme").clone();
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 42)));
    // The account's change still waits for another try when the lead's comes.
    org.fail_next("/Enrichment__c/External_Id__c", 503, 3);
    let of_account = org.create("Account", account(1)).expect("an account");
    org.publish("Sync_Request__e", request(std::slice::from_ref(&of_account)));
    eventually("the refusal", async || org.calls().iter().any(|call| call.status == 503).then_some(())).await;
    let of_lead = rig.lead("acme", 1);
    rig.ledger("acme", json!({ "records_in": 2, "open": 0, "dead_letters": 0 })).await;
    let held = rig.enrichment("acme", "K1").expect("the record");
    assert_eq!((&held["Account__c"], &held["Lead__c"]), (&json!(of_account), &json!(of_lead)), "{held:?}");
    rig.kill().await;
}
