//! The short history over HTTP: what an org did is told minute by minute, and a killed service has not forgotten it.

mod support;

use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

#[actix_rt::test]
async fn what_was_done_is_told_and_outlives_a_kill() {
    let mut rig = Rig::acme(false).await;
    for n in 1..=3 {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        let id = rig.org("acme").create("Account", account(n)).expect("an account");
        rig.org("acme").publish("Sync_Request__e", request(&[id]));
    }
    rig.ledger("acme", json!({ "records_in": 3, "written": 3 })).await;
    // Counted some seconds after the start, and then with each minute.
    let told = counted(&rig, "orgs/acme/history?span=1h").await;
    assert_eq!((sum(&told, "events"), sum(&told, "written"), sum(&told, "failed")), (3, 3, 0));
    assert!(sum(&told, "calls") >= 3, "{told}");
    let points = told["points"].as_array().expect("points");
    assert_eq!((points.len(), &told["step_secs"], &told["org"]), (60, &json!(60), &json!("acme")));
    assert!(points[0]["events"].is_null(), "it did not run an hour ago");
    let lag = points.iter().find_map(|point| point["lag_p95_ms"].as_u64());
    assert!(lag.is_some_and(|lag| lag < 60_000), "{told}");
    let all = counted(&rig, "history?span=24h").await;
    assert_eq!((sum(&all, "written"), &all["org"]), (3, &Value::Null));

    rig.kill().await;
    rig.start().await;
    for path in ["orgs/acme/history?span=7d", "history?span=30d", "history"] {
        let kept = rig.get(path).await;
        assert_eq!((sum(&kept, "events"), sum(&kept, "written")), (3, 3), "{path}: {kept}");
    }
    // What the ledger says since the first record is no news.
    let again = counted(&rig, "history?span=1h").await;
    assert_eq!(sum(&again, "written"), 3, "{again}");
}

/// Waits until something has been counted.
async fn counted(rig: &Rig, path: &str) -> Value {
    eventually(path, async || {
        let told = rig.get(path).await;
        (sum(&told, "written") > 0).then_some(told)
    })
    .await
}

fn sum(told: &Value, name: &str) -> u64 {
    told["points"].as_array().into_iter().flatten().filter_map(|point| point[name].as_u64()).sum()
}
