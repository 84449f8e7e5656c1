//! The look-up in the vendor's API, seen from there: what is asked in which batches, and whose turn it is.

mod support;

use std::time::Duration;

use orgpipe_simulator::{LoggedLookup, OrgOptions};
use serde_json::json;
use support::{Rig, account, answer, domain, eventually, request};

fn org(name: &str) -> OrgOptions {
    OrgOptions { flow: false, ..OrgOptions::named(name) }
}

/// Accounts of an org about which something is known, or nothing.
fn accounts(rig: &Rig, org: &str, count: usize, known: bool) -> Vec<String> {
    let create = |n: usize| {
        rig.simulator.vendor().set_answer(&domain(n), known.then(|| answer(&format!("K{n}"), 7)));
        rig.org(org).create("Account", account(n)).expect("an account")
    };
    (0..count).map(create).collect()
}

#[actix_rt::test]
async fn one_record_that_the_api_cannot_take_is_found_and_the_others_go_on() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, "acme", 100, true);
    let vendor = rig.simulator.vendor();
    vendor.refuse(&domain(37), 422);
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 100, "written": 99, "dead_letters": 1, "open": 0 })).await;
    let sizes: Vec<usize> = vendor.requests().iter().map(|asked| asked.ids.len()).collect();
    assert_eq!(sizes.iter().max(), Some(&100));
    assert!(sizes.len() <= 15, "halved, not one by one: {sizes:?}");
    let alone: Vec<LoggedLookup> =
        vendor.requests().into_iter().filter(|asked| asked.ids == [ids[37].clone()]).collect();
    assert_eq!(alone.len(), 1, "{sizes:?}");
}

#[actix_rt::test]
async fn an_address_that_is_wrong_makes_requests_wait_not_die() {
    let rig = Rig::acme(false).await;
    let ids = accounts(&rig, "acme", 30, true);
    rig.simulator.vendor().fail_next(404, 2);
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    let note = eventually("the note", async || {
        let note = rig.view("acme").await["parts"]["ingest"]["note"].as_str().unwrap_or_default().to_owned();
        note.contains("look at `source.url`").then_some(note)
    })
    .await;
    assert!(note.contains("404"), "{note}");
    rig.ledger("acme", json!({ "records_in": 30, "written": 30, "dead_letters": 0 })).await;
}

#[actix_rt::test]
async fn orgs_take_turns_and_a_small_one_does_not_wait_for_the_end_of_a_large_one() {
    let slow = Duration::from_millis(60);
    let edit = |text: String| {
        text.replace("requests_per_second = 1000", "requests_per_second = 1000\nconcurrent_max = 1")
    };
    let mut rig = Rig::slow(vec![org("large"), org("small")], slow, edit).await;
    rig.start().await;
    accounts(&rig, "large", 3_000, false);
    accounts(&rig, "small", 500, false);
    for org in ["large", "small"] {
        rig.subscribed(org).await;
        let url = format!("{}/api/v1/orgs/{org}/refresh", rig.admin);
        assert_eq!(rig.http.post(url).send().await.expect("an answer").status(), 202);
    }
    rig.ledger("small", json!({ "records_in": 500, "no_data": 500 })).await;
    let asked = rig.simulator.vendor().requests();
    let small: Vec<usize> = (0..asked.len()).filter(|at| asked[*at].org == "small").collect();
    let (first, last) = (small[0], small[small.len() - 1]);
    // Five look-ups, in turn with those of the other; some of theirs more, as the small one may be late for its turn.
    assert_eq!(small.len(), 5);
    assert!(last - first <= 14, "{:?}", asked.iter().map(|asked| asked.org.as_str()).collect::<Vec<_>>());
    assert!(asked.iter().all(|asked| asked.ids.len() == 100));
    rig.kill().await;
}
