//! Commands of an operator while the service runs: pause, resume, restart, drain, replay.

mod support;

use serde_json::{Value, json};
use support::{
    Rig, account, answer,
    cli::{order, ordered, reachable},
    domain, eventually, request,
};

/// One org, `acme`, running.
async fn rig() -> Rig {
    let mut rig = reachable(|text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

async fn state(rig: &Rig, wanted: &str) -> Value {
    eventually(&format!("the state {wanted}"), async || {
        let view = rig.view("acme").await;
        (view["state"] == wanted).then_some(view)
    })
    .await
}

/// Publishes a sync request for new accounts `from..to`; gives its replay ID.
fn publish(rig: &Rig, from: usize, to: usize) -> i64 {
    let ids: Vec<String> = (from..to)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
            rig.org("acme").create("Account", account(n)).expect("an account")
        })
        .collect();
    rig.org("acme").publish("Sync_Request__e", request(&ids))
}

#[actix_rt::test]
async fn a_paused_org_stays_paused_over_a_restart_and_goes_on_where_it_was() {
    let mut rig = rig().await;
    publish(&rig, 0, 1);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let said = ordered(&rig, &["org", "pause", "acme"]).await;
    assert!(said.contains("keeps them for 72 hours"), "{said}");
    let view = eventually("all parts paused", async || {
        let view = state(&rig, "paused").await;
        let down = ["events", "refresh", "ingest", "writer"];
        down.into_iter().all(|part| view["parts"][part]["state"] == "paused").then_some(view)
    })
    .await;
    assert_eq!(view["parts"]["events"]["hint"], "Start it again with: orgpipe org resume acme");

    rig.kill().await;
    rig.org("acme").clear_calls();
    publish(&rig, 1, 2);
    rig.start().await;
    state(&rig, "paused").await;
    ordered(&rig, &["org", "restart", "acme"]).await;
    ordered(&rig, &["refresh", "acme"]).await;
    let view = state(&rig, "paused").await;
    assert_eq!(view["records"]["records_in"], 1);
    assert_eq!(rig.org("acme").calls(), [], "a paused org is not called, whatever else is ordered");

    ordered(&rig, &["org", "resume", "acme"]).await;
    // One by the event, two by the refresh; which of them writes the new record is open.
    rig.ledger("acme", json!({ "records_in": 4, "open": 0, "dead_letters": 0 })).await;
    assert!(rig.enrichment("acme", "K1").is_some());
    state(&rig, "running").await;
}

#[actix_rt::test]
async fn a_replay_sets_the_position_and_says_what_it_was() {
    let rig = rig().await;
    let first = publish(&rig, 0, 1);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    let second = publish(&rig, 1, 2);
    rig.ledger("acme", json!({ "records_in": 2, "written": 2 })).await;

    let said = ordered(&rig, &["org", "replay", "acme", "--from", "earliest"]).await;
    assert!(said.contains("come again"), "{said}");
    assert!(
        said.contains(&format!("The position was {second}; back to it: orgpipe org replay acme")),
        "{said}"
    );
    rig.ledger("acme", json!({ "records_in": 4, "written": 2, "unchanged": 2 })).await;
    ordered(&rig, &["org", "replay", "acme", "--from", &first.to_string()]).await;
    rig.ledger("acme", json!({ "records_in": 5, "written": 2, "unchanged": 3 })).await;
    ordered(&rig, &["org", "pause", "acme"]).await;
    publish(&rig, 2, 3);
    ordered(&rig, &["org", "replay", "acme", "--from", "latest"]).await;
    ordered(&rig, &["org", "resume", "acme"]).await;
    rig.subscribed("acme").await;
    publish(&rig, 3, 4);
    rig.ledger("acme", json!({ "records_in": 6, "written": 3 })).await;
    assert!(rig.enrichment("acme", "K2").is_none(), "what was published before is passed over");

    let (done, said) =
        order(&rig, &["org", "replay", "acme", "--from", "earliest", "--channel", "/event/X__e"]).await;
    assert!(!done && said.contains("org `acme` listens to /event/Sync_Request__e"), "{said}");
    let (done, said) = order(&rig, &["org", "pause", "acne"]).await;
    assert!(!done && said.contains("there is no org `acne`"), "{said}");
}

#[actix_rt::test]
async fn a_drained_org_finishes_what_is_open_and_then_pauses() {
    let rig = rig().await;
    let org = rig.org("acme");
    org.hold_jobs(true);
    publish(&rig, 0, 12);
    let jobs = async || {
        let calls = org.calls();
        calls.iter().any(|call| call.method == "PUT" && call.path.contains("/jobs/ingest/")).then_some(())
    };
    eventually("the job's upload", jobs).await;
    ordered(&rig, &["org", "drain", "acme"]).await;
    state(&rig, "draining").await;
    org.hold_jobs(false);
    let view = state(&rig, "paused").await;
    assert_eq!(view["records"]["open"], 0, "{view}");
    assert_eq!(org.rows("Enrichment__c").len(), 12);

    ordered(&rig, &["org", "resume", "acme"]).await;
    org.hold_jobs(true);
    publish(&rig, 20, 32);
    rig.ledger("acme", json!({ "records_in": 24, "open": 12 })).await;
    ordered(&rig, &["org", "drain", "acme", "--deadline-secs", "1"]).await;
    let view = state(&rig, "paused").await;
    assert_eq!(view["records"]["open"], 12, "the deadline came first: {view}");
    org.hold_jobs(false);
    ordered(&rig, &["org", "restart", "acme"]).await;
    ordered(&rig, &["org", "resume", "acme"]).await;
    rig.ledger("acme", json!({ "records_in": 24, "written": 24, "open": 0 })).await;
}
