//! The customer's API calls: what is ours of them, over restarts, refusals and the use by others.

mod support;

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

async fn rig(daily_calls: u64, limits: &str) -> Rig {
    let acme = OrgOptions { flow: false, daily_calls, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![acme], |text| {
        text.replace("daily_share = 1.0\nreserve = 0.0\nrequests_per_second = 100\n", limits)
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// Makes an account with an answer, and gives its ID.
fn known(rig: &Rig, n: usize) -> String {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    rig.org("acme").create("Account", account(n)).expect("an account")
}

fn publish(rig: &Rig, n: usize) {
    let id = known(rig, n);
    rig.org("acme").publish("Sync_Request__e", request(&[id]));
}

async fn post(rig: &Rig, path: &str) -> Value {
    let url = format!("{}/api/v1/orgs/acme/{path}", rig.admin);
    rig.http.post(url).send().await.expect("an answer").json().await.expect("JSON")
}

async fn budget(rig: &Rig) -> Value {
    rig.view("acme").await["budget"].clone()
}

/// Case 44: what the app itself has used stands in the same header; the guard is not turned off by it.
#[actix_rt::test]
async fn the_apps_own_usage_in_the_header_is_not_taken_for_the_orgs() {
    let acme = OrgOptions { flow: false, per_app_usage: true, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![acme], |text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").set_calls_used(7_000);
    publish(&rig, 1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    let budget = budget(&rig).await;
    assert_eq!(budget["allowed"], json!(15_000));
    assert!(budget["used"].as_u64().is_some_and(|used| (7_000..7_100).contains(&used)), "{budget}");
}

#[actix_rt::test]
async fn our_calls_of_the_day_outlive_a_kill() {
    let mut rig = rig(15_000, "daily_share = 0.5\nreserve = 0.0\n").await;
    publish(&rig, 1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    let before = budget(&rig).await["ours"].as_u64().expect("a number");
    assert_eq!(before, 4, "describe, read, match, write");
    rig.kill().await;
    rig.start().await;
    publish(&rig, 2);
    rig.ledger("acme", json!({ "written": 2 })).await;
    let after = budget(&rig).await;
    let ours = after["ours"].as_u64().expect("a number");
    assert!((before + 4..=before + 40).contains(&ours), "rather too many than too few: {after}");
    assert_eq!((&after["share"], &after["allowed"]), (&json!(7_500), &json!(15_000)));
}

#[actix_rt::test]
async fn below_the_reserve_a_refresh_waits_and_says_so_while_live_changes_are_written() {
    let rig = rig(1_000, "daily_share = 1.0\nreserve = 0.4\n").await;
    known(&rig, 1);
    rig.org("acme").set_calls_used(700);
    publish(&rig, 2);
    rig.ledger("acme", json!({ "written": 1 })).await;
    post(&rig, "refresh").await;
    let waits = eventually("a refresh that waits", async || {
        let view = rig.view("acme").await;
        let waits = view["budget"]["waits"].as_array()?.clone();
        (view["parts"]["refresh"]["state"] == "waiting" && !waits.is_empty()).then_some(waits)
    })
    .await;
    let work: Vec<&Value> = waits.iter().map(|wait| &wait["work"]).collect();
    assert_eq!(work, ["heal", "refresh"], "{waits:?}");
    assert!(waits[1]["why"].as_str().is_some_and(|why| why.contains("kept for the customer")), "{waits:?}");
    publish(&rig, 3);
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;
}

#[actix_rt::test]
async fn when_too_many_calls_run_at_once_the_org_is_called_less_and_nothing_is_lost() {
    let rig = rig(15_000, "daily_share = 1.0\nreserve = 0.0\nrequests_per_second = 100\n").await;
    rig.org("acme").fail_next("/query", 403, 1);
    publish(&rig, 1);
    rig.ledger("acme", json!({ "written": 1, "dead_letters": 0 })).await;
    let budget = budget(&rig).await;
    let speed = (&budget["requests_per_second"], &budget["concurrent_max"]);
    assert_eq!(speed, (&json!(50), &json!(2)), "{budget}");
    assert_eq!(budget["waits"], json!([]), "that is no matter of the day: {budget}");
}

#[actix_rt::test]
async fn what_a_refresh_takes_is_told_before_it_begins() {
    let rig = rig(15_000, "daily_share = 1.0\nreserve = 0.0\nrequests_per_second = 100\n").await;
    for n in 0..250 {
        known(&rig, n);
    }
    let told = post(&rig, "limits").await;
    let forecast = &told["forecasts"][0];
    assert_eq!((&forecast["records"], &forecast["calls"]), (&json!(250), &json!(4)), "{told}");
    assert!(
        forecast["sentence"].as_str().is_some_and(|text| text.contains("about 4 calls, 0.0 % of the day")),
        "{told}"
    );
    let before = rig.org("acme").calls().iter().filter(|call| call.counted).count();
    post(&rig, "refresh").await;
    rig.ledger("acme", json!({ "records_in": 250, "written": 250 })).await;
    let calls = rig.org("acme").calls().iter().filter(|call| call.counted).count() - before;
    assert!((4..=4 + 8 + 1).contains(&calls), "{calls} calls were made");
}
