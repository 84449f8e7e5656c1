//! Nothing is lost or wrong without a word: identity, names, clocks, what is cut.

use std::fs;

use serde_json::{Value, json};

use super::support::{Rig, account, answer, domain, eventually, request};

/// Publishes a request for a new account, with these fields on top.
fn publish(rig: &Rig, n: usize, more: &[(&str, Value)]) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    let mut event = request(&[id]);
    event.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    rig.org("acme").publish("Sync_Request__e", event);
}

/// While orgpipe is down replay IDs begin anew and pass the stored one; the next event's time tells, if it lies before the
/// last one's. The record whose event is missing is found by the gap's recovery.
#[actix_rt::test]
async fn events_whose_times_jump_back_are_a_gap_with_a_receipt() {
    for created in ["2020-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000+0000"] {
        let mut rig = Rig::acme(false).await;
        publish(&rig, 1, &[]);
        rig.ledger("acme", json!({ "written": 1 })).await;
        rig.kill().await;
        rig.simulator.vendor().set_answer(&domain(2), Some(answer("K2", 10)));
        rig.org("acme").create("Account", account(2)).expect("an account without an event");
        rig.start().await;
        rig.subscribed("acme").await;
        publish(&rig, 3, &[("CreatedDate", json!(created))]);
        eventually("the missed record", async || rig.enrichment("acme", "K2")).await;
        let receipt = eventually("a receipt", async || {
            let url = format!("{}/api/v1/orgs/acme/receipts", rig.admin);
            let receipts: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
            receipts["receipts"].as_array()?.first().cloned()
        })
        .await;
        assert_eq!(receipt["reason"], "replay_broken", "{receipt}");
    }
}

#[actix_rt::test]
async fn a_data_directory_that_is_deleted_while_it_runs_ends_the_service() {
    let harms: [fn(&Rig); 2] = [
        |rig| fs::remove_dir_all(rig.folder.path().join("data")).expect("deleted"),
        |rig| {
            let data = rig.folder.path().join("data");
            fs::rename(&data, data.with_extension("away")).expect("moved");
        },
    ];
    for harm in harms {
        let mut rig = Rig::acme(false).await;
        harm(&rig);
        let status = rig.ended().await;
        assert_eq!(status.code(), Some(74), "{status:?}");
    }
}
