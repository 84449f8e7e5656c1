//! What the customer pays in API calls, counted by the simulator, with an org that answers after 80 ms and a look-up
//! API that answers after 20 ms.
//!
//! `ORGPIPE_LONG_TESTS=1` makes the refresh as large as it is promised for: 100,000 records.

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use orgpipe_simulator::OrgOptions;
use serde_json::json;
use support::{Rig, account, answer, domain, eventually};

/// The customer's calls of a day, as in an Enterprise Edition without add-ons.
const DAILY_CALLS: u64 = 100_000;

/// An org and a look-up API as slow as real ones, and settings as they come, but for `limits`.
async fn rig(flow: bool, limits: &str) -> Rig {
    let acme = OrgOptions {
        flow,
        daily_calls: DAILY_CALLS,
        answer_after: Duration::from_millis(80),
        ..OrgOptions::named("acme")
    };
    let limits = limits.to_owned();
    let mut rig = Rig::slow(vec![acme], Duration::from_millis(20), |text| {
        let (before, rest) = text.split_once("[org_defaults.limits]").expect("limits");
        let (_, after) = rest.split_once("[[org]]").expect("an org");
        format!("{before}[org_defaults.limits]\n{limits}\n[[org]]{after}")
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

fn counted(rig: &Rig) -> usize {
    rig.org("acme").calls().iter().filter(|call| call.counted).count()
}

/// When each enrichment was first seen in the org.
#[derive(Default)]
struct Seen(BTreeMap<String, Instant>);

impl Seen {
    fn look(&mut self, rig: &Rig, now: Instant) {
        for row in rig.org("acme").rows("Enrichment__c") {
            let key = row["External_Id__c"].as_str().expect("a key");
            if !self.0.contains_key(key) {
                self.0.insert(key.to_owned(), now);
            }
        }
    }
}

/// 1,000 accounts made within ten seconds; the calls they cost, and the 95th percentile of the time from an account to
/// its enrichment.
#[expect(clippy::disallowed_methods, reason = "the changes come at a rate in real time")]
async fn thousand_single_changes(rig: &Rig) -> (usize, Duration) {
    const CHANGES: usize = 1_000;
    let org = rig.org("acme");
    for n in 0..CHANGES {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    }
    org.clear_calls();
    let (mut made, mut seen) = (Vec::with_capacity(CHANGES), Seen::default());
    let start = Instant::now();
    for n in 0..CHANGES {
        let due = Duration::from_millis(10) * u32::try_from(n).expect("small");
        actix_rt::time::sleep(due.saturating_sub(start.elapsed())).await;
        made.push(Instant::now());
        org.create("Account", account(n)).expect("an account");
        if n % 10 == 0 {
            seen.look(rig, Instant::now());
        }
    }
    eventually("all enrichments", async || {
        seen.look(rig, Instant::now());
        (seen.0.len() == CHANGES).then_some(())
    })
    .await;
    // Counts nothing as written before the results of the last job are read.
    rig.ledger("acme", json!({ "records_in": CHANGES, "written": CHANGES, "open": 0 })).await;
    let mut waits: Vec<Duration> =
        made.iter().enumerate().map(|(n, made)| seen.0[&format!("K{n}")].duration_since(*made)).collect();
    waits.sort_unstable();
    (counted(rig), waits[CHANGES * 95 / 100])
}

#[actix_rt::test]
async fn a_thousand_single_changes_cost_150_calls_at_most_by_count_and_are_written_within_three_seconds() {
    let (calls, p95) = thousand_single_changes(&rig(true, "").await).await;
    assert!(calls <= 150 && p95 <= Duration::from_secs(3), "{calls} calls, p95 {p95:?}");
}

#[actix_rt::test]
async fn a_thousand_single_changes_cost_120_calls_at_most_by_cost_and_are_written_within_three_seconds() {
    let (calls, p95) = thousand_single_changes(&rig(true, "strategy = \"cost\"").await).await;
    assert!(calls <= 120 && p95 <= Duration::from_secs(3), "{calls} calls, p95 {p95:?}");
}

#[actix_rt::test]
async fn one_change_alone_costs_three_calls() {
    let rig = rig(true, "").await;
    for n in 0..2 {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        rig.org("acme").clear_calls();
        rig.org("acme").create("Account", account(n)).expect("an account");
        rig.ledger("acme", json!({ "written": n + 1 })).await;
        let describe = usize::from(n == 0);
        assert_eq!(counted(&rig), 3 + describe, "read, match, write; the describe is read once");
    }
}

#[actix_rt::test]
async fn one_change_alone_costs_two_calls_where_the_target_is_read_with_the_record() {
    let mut rig = rig(true, "").await;
    rig.terminate().await;
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let related = settings.replace("object = \"Account\"", "object = \"Account\"\nmatch = \"relationship\"");
    rig.write("orgpipe.toml", &related);
    rig.start().await;
    rig.subscribed("acme").await;
    let org = rig.org("acme");
    let mut ids = Vec::new();
    // New ones are not there to be read: those are asked for by external ID. The describes of both objects are read once.
    for (n, calls) in [(0, 5), (1, 3)] {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        org.clear_calls();
        ids.push(org.create("Account", account(n)).expect("an account"));
        rig.ledger("acme", json!({ "written": n + 1 })).await;
        assert_eq!(counted(&rig), calls, "{:?}", org.calls());
    }
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 20)));
    org.clear_calls();
    let renamed = [("Name".to_owned(), json!("renamed"))].into_iter().collect();
    org.update("Account", &ids[1], renamed).expect("updated");
    rig.ledger("acme", json!({ "written": 3 })).await;
    assert_eq!(counted(&rig), 2, "read both, write: {:?}", org.calls());
    assert_eq!(rig.enrichment("acme", "K1").expect("written")["Employee_Count__c"], json!(20.0));

    // One that hangs on a record that claims it no more is found all the same, and moves.
    let renamed = |name: &str| [("Name".to_owned(), json!(name))].into_iter().collect();
    rig.simulator.vendor().set_answer(&domain(1), None);
    org.update("Account", &ids[1], renamed("without an answer")).expect("updated");
    rig.ledger("acme", json!({ "no_data": 1, "written": 3 })).await;
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("K1", 20)));
    org.clear_calls();
    org.update("Account", &ids[0], renamed("renamed")).expect("updated");
    rig.ledger("acme", json!({ "written": 4 })).await;
    assert_eq!(counted(&rig), 3, "{:?}", org.calls());
    assert_eq!(rig.enrichment("acme", "K1").expect("written")["Account__c"], json!(ids[0]));
    assert_eq!(org.rows("Enrichment__c").len(), 2);
}

#[actix_rt::test]
async fn a_refresh_of_unchanged_records_costs_one_call_in_200_records_and_one_in_2000() {
    let records: usize = if option_env!("ORGPIPE_LONG_TESTS").is_some() { 100_000 } else { 5_000 };
    let rig = rig(false, "requests_per_second = 100").await;
    let org = rig.org("acme");
    for n in 0..records {
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
        let id = org.create("Account", account(n)).expect("an account");
        let held = json!({ "External_Id__c": format!("K{n}"), "Account__c": id, "Employee_Count__c": 10,
            "Industry__c": "Software" });
        org.create("Enrichment__c", held.as_object().cloned().expect("an object")).expect("its enrichment");
    }
    org.clear_calls();
    let url = format!("{}/api/v1/orgs/acme/refresh", rig.admin);
    let reply = rig.http.post(url).send().await.expect("an answer");
    assert_eq!(reply.status(), 202);
    let part = records / 20;
    for twentieth in 1..=20 {
        eventually("one more twentieth of the records", async || {
            let view = rig.view("acme").await;
            (view["records"]["unchanged"].as_u64()? >= (twentieth * part) as u64).then_some(())
        })
        .await;
    }
    rig.ledger("acme", json!({ "records_in": records, "unchanged": records, "open": 0 })).await;
    let calls = counted(&rig);
    assert!(calls * 100_000 <= 650 * records, "{calls} calls for {records} records");
}
