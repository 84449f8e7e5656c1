//! Any actor panics at any message: its org goes on from disk or is parked, and no other org notices.

mod support;

use std::time::{Duration, Instant};

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};
use support::{Rig, eventually, load::Load};

/// Both orgs take changes; the failpoints are in the first one only.
const ORGS: [&str; 2] = ["acme", "calm"];
const PARTS: [&str; 5] = ["events", "refresh", "push", "ingest", "writer"];
/// Changes of which the latency is taken.
const MEASURED: usize = 25;

async fn rig() -> (Rig, Load) {
    let orgs = ORGS.map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let rig = Rig::with(orgs.to_vec(), |text| text).await;
    let load = Load::new(&rig);
    (rig, load)
}

/// From the event to the record in the calm org, the middle one of several; the other org has work meanwhile.
#[expect(clippy::disallowed_methods, reason = "a test measures in real time")]
async fn latency(rig: &Rig, load: &mut Load) -> Duration {
    let mut all = Vec::new();
    for n in 0..MEASURED {
        load.change(rig, 0, n, 2);
        load.change(rig, 1, 0, 1);
        let start = Instant::now();
        load.arrives(rig, 1, 0).await;
        all.push(start.elapsed());
    }
    all.sort_unstable();
    all[MEASURED / 2]
}

fn restarts(view: &Value) -> u64 {
    let parts = PARTS.iter().map(|part| view["parts"][part]["restarts"].as_u64().unwrap_or_default());
    parts.sum::<u64>() + view["restarts"].as_u64().expect("restarts of the org's actor")
}

#[expect(clippy::print_stdout, reason = "the ratio is what the test shows")]
#[actix_rt::test]
async fn whatever_panics_only_its_org_notices_and_goes_on_from_disk() {
    let (mut rig, mut load) = rig().await;
    rig.start().await;
    for org in ORGS {
        rig.subscribed(org).await;
    }
    let alone = latency(&rig, &mut load).await;
    load.all_is_well(&rig).await;
    let code = rig.terminate().await.code();
    assert_eq!(code, Some(0), "{}", rig.logged());

    // Each actor at its birth, at a message, and at a message soon after; each point between commits once.
    let failpoints = "events/acme=panic@1;refresh/acme=panic@1;push/acme=panic@1;ingest/acme=panic@1;writer/acme=panic@1;\
                      events/acme=panic@9;ingest/acme=panic@5;writer/acme=panic@7;org/acme=panic@6;org/acme=panic@20;\
                      before-a/acme=panic@2;after-a/acme=panic@4;before-b/acme=panic@3;after-b/acme=panic@6;\
                      before-c/acme=panic@2;after-c/acme=panic@4";
    rig.start_failing(failpoints).await;
    rig.subscribed("calm").await;
    let beside = latency(&rig, &mut load).await;
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!("latency in the other org: {alone:?} in peace, {beside:?} beside the panics, ratio {ratio:.2}");
    load.all_is_well(&rig).await;
    let acme = rig.view("acme").await;
    assert!(restarts(&acme) >= 8, "it has panicked: {acme}");
    let calm = rig.view("calm").await;
    assert_eq!((restarts(&calm), calm["state"].as_str()), (0, Some("running")), "{calm}");
    // A loaded machine makes both slower, not one of them many times.
    assert!(ratio < 5.0, "{alone:?} in peace, {beside:?} beside the panics");
    eventually("acme as it should be", async || (rig.view("acme").await["state"] == "running").then_some(()))
        .await;
    assert_eq!(rig.terminate().await.code(), Some(0));
}

#[actix_rt::test]
async fn what_panics_too_often_is_parked_with_the_reason_until_an_operator_resumes_it() {
    let (mut rig, mut load) = rig().await;
    rig.start_failing("ingest/acme=panic@1-6").await;
    for org in ORGS {
        rig.subscribed(org).await;
    }
    load.change(&rig, 0, 0, 3);
    load.change(&rig, 1, 0, 3);
    let ingest = eventually("the park", async || {
        let view = rig.view("acme").await;
        (view["state"] == "parked").then(|| view["parts"]["ingest"].clone())
    })
    .await;
    assert_eq!(ingest["restarts"], 5, "{ingest}");
    assert_eq!(ingest["note"], "it panicked: failpoint ingest, too often to go on");
    assert!(
        ingest["hint"].as_str().is_some_and(|hint| hint.ends_with("orgpipe org resume acme")),
        "{ingest}"
    );
    rig.ledger("acme", json!({ "records_in": 3, "open": 3 })).await;
    rig.ledger("calm", json!({ "written": 3 })).await;

    rig.order("acme", "resume").await;
    load.all_is_well(&rig).await;
    let code = rig.terminate().await.code();
    assert_eq!(code, Some(0), "{}", rig.logged());
}

#[actix_rt::test]
async fn an_orgs_own_actor_that_panics_too_often_is_parked_too_and_leaves_nothing_running() {
    let (mut rig, mut load) = rig().await;
    rig.start_failing("org/acme=panic@1-6").await;
    for org in ORGS {
        rig.subscribed(org).await;
    }
    // Every event rings a bell, and every bell is a panic; what the event asked for is on disk by then.
    let mut n = 0;
    eventually("the park", async || {
        load.change(&rig, 0, n, 1);
        n += 1;
        (rig.view("acme").await["state"] == "parked").then_some(())
    })
    .await;
    let messages = rig.org("acme").cometd_messages().len();
    let note = rig.view("acme").await["parts"]["writer"]["note"].clone();
    assert_eq!(note, "the org's actor panicked: failpoint org, too often to go on");
    load.change(&rig, 1, 0, 3);
    rig.ledger("calm", json!({ "written": 3 })).await;
    assert_eq!(rig.org("acme").cometd_messages().len(), messages, "no part lives on without its parent");

    rig.order("acme", "resume").await;
    load.all_is_well(&rig).await;
}
