//! Nothing is lost or wrong without a word: identity, names, clocks, what is cut.

use std::fs;

use orgpipe_simulator::OrgOptions;
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
            let receipts: Value = rig.http.get(url).send().await.ok()?.json().await.ok()?;
            receipts["receipts"].as_array()?.first().cloned()
        })
        .await;
        assert_eq!(receipt["reason"], "replay_broken", "{receipt}");
    }
}

/// What the receipts of an org say, once there is one.
async fn receipt(rig: &Rig) -> Value {
    eventually("a receipt", async || {
        let url = format!("{}/api/v1/orgs/acme/receipts", rig.admin);
        let receipts: Value = rig.http.get(url).send().await.ok()?.json().await.ok()?;
        receipts["receipts"].as_array()?.first().cloned()
    })
    .await
}

/// The same when all times are later: the last stored event, asked for once more, does not come. `new`: how many events are
/// published under the new replay IDs, which begin at `from` and pass the stored one.
#[actix_rt::test]
async fn replay_ids_that_began_anew_and_passed_the_stored_one_are_a_gap_with_a_receipt() {
    for (from, new) in [(1, 40), (2, 60)] {
        let mut rig = Rig::acme(false).await;
        publish(&rig, 0, &[]);
        rig.ledger("acme", json!({ "written": 1 })).await;
        rig.org("acme").restart_replay_ids(from);
        for n in 1..3 {
            publish(&rig, n, &[]);
            rig.ledger("acme", json!({ "written": n + 1, "open": 0 })).await;
        }
        rig.kill().await;
        // They are not contiguous, so which events are passed over is chance; that some are is not.
        rig.org("acme").restart_replay_ids(from);
        for n in 3..3 + new {
            publish(&rig, n, &[]);
        }
        rig.start().await;
        for n in 3..3 + new {
            eventually(&format!("{from} {new}: K{n}"), async || rig.enrichment("acme", &format!("K{n}")))
                .await;
        }
        let receipt = receipt(&rig).await;
        assert_eq!(receipt["reason"], "replay_broken", "{from} {new}: {receipt}");
    }
}

/// Kills, stops and hours without an event are none: each event counts once, and nothing is read for a gap.
#[actix_rt::test]
async fn replay_ids_that_go_on_are_no_gap_and_no_event_counts_twice() {
    let mut rig = Rig::acme(false).await;
    let mut records_in = 0;
    for (round, events) in [1, 2, 0, 3, 1, 0, 5].into_iter().enumerate() {
        for n in 0..events {
            publish(&rig, 10 * round + n, &[]);
        }
        records_in += events;
        if round % 2 == 0 {
            rig.ledger("acme", json!({ "records_in": records_in, "open": 0 })).await;
            rig.kill().await;
            // While it is down, too.
            publish(&rig, 10 * round + 9, &[]);
            records_in += 1;
            rig.start().await;
            rig.subscribed("acme").await;
        } else {
            rig.terminate().await;
            rig.start().await;
        }
    }
    rig.ledger("acme", json!({ "records_in": records_in, "written": records_in, "open": 0 })).await;
    let url = format!("{}/api/v1/orgs/acme/receipts", rig.admin);
    let receipts: Value = rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(receipts["receipts"], json!([]));
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

/// How an org that keeps another time is set up: by seconds that its clock is ahead of ours.
async fn apart(ahead_secs: i64) -> Rig {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], |text| text).await;
    rig.org("acme").set_clock_ahead(ahead_secs);
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// What is known of an account changes, and so does the account.
fn learn(rig: &Rig, n: usize, id: &str, employees: u32) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), employees)));
    let name = json!(format!("Company {n}, {employees}"));
    rig.org("acme")
        .update("Account", id, [("Name".to_owned(), name)].into_iter().collect())
        .expect("changed");
}

async fn holds(rig: &Rig, count: usize, employees: u32) {
    let held = |n: usize| {
        let row = rig.enrichment("acme", &format!("K{n}"))?;
        (row["Employee_Count__c"].as_f64() == Some(f64::from(employees))).then_some(())
    };
    eventually(&format!("{employees} everywhere"), async || {
        (0..count).all(|n| held(n).is_some()).then_some(())
    })
    .await;
}

/// Our clock is hours or weeks ahead of Salesforce's, or behind: a gap, and a refresh of what has changed, find all that
/// changed there, and status says what is wrong.
#[actix_rt::test]
async fn what_has_changed_is_found_by_the_orgs_clock_however_far_ours_is_off() {
    for ahead_secs in [-7_200, 7_200, -30 * 86_400] {
        let mut rig = apart(ahead_secs).await;
        let create = |n: usize| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 1)));
            rig.org("acme").create("Account", account(n)).expect("an account")
        };
        let ids: Vec<String> = (0..15).map(create).collect();
        rig.org("acme").publish("Sync_Request__e", request(&ids));
        holds(&rig, 15, 1).await;
        rig.ledger("acme", json!({ "open": 0 })).await;
        let warning = rig.view("acme").await["warnings"][0].clone();
        let way = if ahead_secs < 0 { "ahead of" } else { "behind" };
        assert!(warning["note"].as_str().is_some_and(|note| note.contains(way)), "{warning}");
        assert!(warning["hint"].as_str().is_some_and(|hint| hint.contains("NTP")), "{warning}");

        rig.kill().await;
        for (n, id) in ids.iter().enumerate() {
            learn(&rig, n, id, 2);
        }
        rig.org("acme").expire_events(0);
        rig.start().await;
        holds(&rig, 15, 2).await;
        let receipts = async || -> Option<Value> {
            let url = format!("{}/api/v1/orgs/acme/receipts", rig.admin);
            let all: Value = rig.http.get(url).send().await.ok()?.json().await.ok()?;
            all["receipts"].as_array()?.first().cloned()
        };
        let receipt = eventually("a receipt", receipts).await;
        assert!(receipt["changed"].as_u64() >= Some(15), "{ahead_secs} s: {receipt}");

        // Once all were read, a refresh of what has changed begins then.
        rig.order("acme", "refresh").await;
        rig.through("acme").await;
        for (n, id) in ids.iter().enumerate() {
            learn(&rig, n, id, 3);
        }
        rig.order("acme", "refresh?changed=true").await;
        holds(&rig, 15, 3).await;
    }
}

/// The story of a record, as one text.
async fn story(rig: &Rig, record: &str) -> String {
    let url = format!("{}/api/v1/orgs/acme/records/{record}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").text().await.expect("text")
}

/// Three accounts are answered with two keys: the record of the target stays with the account that it hangs on, whatever
/// asks for them, both are told, and when the one has another key the other gets it.
#[actix_rt::test]
async fn a_key_that_two_records_share_is_told_and_its_record_stays_with_one_of_them() {
    let rig = Rig::acme(false).await;
    let create = |n: usize| {
        rig.simulator
            .vendor()
            .set_answer(&domain(n), Some(answer("SHARED", 5 + u32::try_from(n).expect("few"))));
        rig.org("acme").create("Account", account(n)).expect("an account")
    };
    let ids: Vec<String> = (0..2).map(create).collect();
    rig.simulator.vendor().set_answer(&domain(2), Some(answer("OWN", 5)));
    rig.org("acme").create("Account", account(2)).expect("an account");
    let hangs_on = || rig.enrichment("acme", "SHARED").map(|row| row["Account__c"].clone());

    // The second account comes first and has it.
    rig.org("acme").publish("Sync_Request__e", request(&ids[1..]));
    rig.ledger("acme", json!({ "written": 1 })).await;
    rig.org("acme").publish("Sync_Request__e", request(&ids[..1]));
    rig.ledger("acme", json!({ "records_in": 2, "open": 0 })).await;
    assert_eq!(hangs_on(), Some(json!(ids[1])), "an event for the other one does not take it away");
    for round in 0..2 {
        rig.order("acme", "refresh").await;
        rig.through("acme").await;
        assert_eq!(hangs_on(), Some(json!(ids[1])), "refresh {round}");
        if round == 0 {
            rig.org("acme").clear_writes();
        }
    }
    assert!(rig.org("acme").writes().is_empty(), "the second refresh writes nothing");
    let (other, holder) = (story(&rig, &ids[0]).await, story(&rig, &ids[1]).await);
    let newest = other.split("\"fate\"").nth(1).unwrap_or_default();
    assert!(
        newest.contains(&format!("belongs to record {}", ids[1])) && !newest.contains("held all of it"),
        "{other}"
    );
    assert!(holder.contains(&format!("Record {} was answered with the same key", ids[0])), "{holder}");
    let view = rig.view("acme").await;
    let note = view["warnings"][0]["note"].as_str().unwrap_or_default();
    assert!(note.contains("1 key was answered for more than one record"), "{view}");

    // The holder has a key of its own now: the other one is asked again, without a refresh.
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("ANOTHER", 9)));
    rig.org("acme").publish("Sync_Request__e", request(&ids[1..]));
    eventually("the other one has it", async || (hangs_on() == Some(json!(ids[0]))).then_some(())).await;
    rig.ledger("acme", json!({ "open": 0 })).await;
    assert_eq!(rig.view("acme").await["warnings"], json!([]));
}
