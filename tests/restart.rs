//! The process killed with -9: every event's record ends right, by the persisted replay ID.

mod support;

use orgpipe_simulator::OrgOptions;
use serde_json::json;
use support::{Rig, account, answer, domain, eventually, request};

#[actix_rt::test]
async fn after_a_kill_the_stream_goes_on_behind_the_last_stored_event() {
    let mut rig = Rig::acme(false).await;
    let first = rig.org("acme").subscribes();
    assert_eq!(first.last().map(|subscribe| subscribe.replay), Some(-1), "a new org begins with new events");
    let stored = change(&rig, 1, 10);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;

    rig.kill().await;
    for n in 2..=4 {
        change(&rig, n, 10);
    }
    rig.start().await;
    rig.ledger("acme", json!({ "records_in": 4, "written": 4 })).await;
    let asked = rig.org("acme").subscribes();
    assert_eq!(asked.last().map(|subscribe| subscribe.replay), Some(stored), "asked for: {asked:?}");
    for n in 1..=4 {
        holds(&rig, n, 10).await;
    }
}

#[actix_rt::test]
async fn an_event_missed_before_the_first_one_ever_is_fetched_from_what_is_retained() {
    let mut rig = Rig::acme(false).await;
    rig.kill().await;
    change(&rig, 1, 10);
    rig.start().await;
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let asked = rig.org("acme").subscribes();
    assert_eq!(
        asked.last().map(|subscribe| subscribe.replay),
        Some(-2),
        "there is no position yet: {asked:?}"
    );
}

#[actix_rt::test]
async fn killed_again_and_again_in_the_middle_of_work_nothing_is_lost() {
    let options = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![options], |text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    for round in 0..6_u32 {
        for n in 0..10 {
            change(&rig, n, 100 + round);
        }
        // Killed at a different place each time: before the events are stored, or somewhere between A, B and C.
        let seen = rig.org("acme").calls().len();
        let calls = usize::try_from(round).expect("small");
        eventually("a few more calls", async || {
            (rig.org("acme").calls().len() >= seen + calls).then_some(())
        })
        .await;
        rig.kill().await;
        rig.start().await;
    }
    for n in 0..10 {
        holds(&rig, n, 105).await;
    }
    rig.ledger("acme", json!({ "open": 0, "dead_letters": 0 })).await;
    assert_eq!(rig.org("acme").rows("Enrichment__c").len(), 10, "no record was made twice");
}

/// Changes what the vendor knows about company `n` and publishes a sync request for its account. Gives the event's
/// replay ID.
fn change(rig: &Rig, n: usize, employees: u32) -> i64 {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), employees)));
    let org = rig.org("acme");
    let known = org.rows("Account").into_iter().find(|row| row["Name"] == json!(format!("Company {n}")));
    let known = known.and_then(|row| row["Id"].as_str().map(str::to_owned));
    let id = known.unwrap_or_else(|| org.create("Account", account(n)).expect("an account"));
    org.publish("Sync_Request__e", request(&[id]))
}

async fn holds(rig: &Rig, n: usize, employees: u32) {
    let key = format!("K{n}");
    eventually(&format!("{employees} employees in {key}"), async || {
        let row = rig.enrichment("acme", &key)?;
        (row["Employee_Count__c"].as_f64() == Some(f64::from(employees))).then_some(())
    })
    .await;
}
