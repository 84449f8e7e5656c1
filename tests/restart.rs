//! The process killed with -9, at random moments and between every two durability points, or asked to stop: every
//! event's record ends right, by the persisted replay ID.

mod support;

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use orgpipe_simulator::OrgOptions;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use support::{
    Rig, account, answer, domain, eventually,
    load::{BULK, Load, bulk_jobs},
    request,
};

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

const ORGS: [&str; 3] = ["acme", "globex", "initech"];
/// Rounds of the random test; more with `ORGPIPE_RESTART_ROUNDS`.
const ROUNDS: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "a test's own switches")]
fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn three_orgs() -> (Rig, Load) {
    let orgs = ORGS.map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::scaled(orgs.to_vec(), 40.0, |text| text).await;
    let load = Load::new(&rig);
    rig.start().await;
    for name in ORGS {
        rig.subscribed(name).await;
    }
    (rig, load)
}

fn calls(rig: &Rig) -> usize {
    ORGS.iter().map(|org| rig.org(org).calls().len()).sum()
}

/// Waits for so many more calls of the service, so that a slow machine is stopped at the same places as a fast one; at
/// most for so long, so that a service with nothing to do is stopped, too.
async fn more_calls(rig: &Rig, more: usize, at_most: Duration) {
    let seen = calls(rig);
    let enough = async {
        while calls(rig) < seen + more {
            actix_rt::time::sleep(Duration::from_millis(2)).await;
        }
    };
    // Either will do.
    let _ = actix_rt::time::timeout(at_most, enough).await;
}

/// Killed under load on three orgs, written by REST and by Bulk API. `RESTART_SEED` replays the choices.
#[expect(clippy::print_stdout, reason = "a failure is replayed by its seed")]
#[actix_rt::test]
async fn killed_two_hundred_times_at_random_moments_nothing_is_lost_or_written_back() {
    let rounds = number_from("ORGPIPE_RESTART_ROUNDS", ROUNDS);
    let seed = number_from("RESTART_SEED", rand::random());
    println!("{rounds} rounds, RESTART_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut rig, mut load) = three_orgs().await;
    rig.kill().await;
    for _ in 0..rounds {
        for org in 0..ORGS.len() {
            let count = if dice.random_bool(0.25) { BULK } else { dice.random_range(1..=3) };
            load.change(&rig, org, dice.random_range(0..24), count);
        }
        rig.launch("", "error");
        more_calls(&rig, dice.random_range(0..60), Duration::from_millis(dice.random_range(40..400))).await;
        rig.kill().await;
    }
    rig.start().await;
    load.all_is_well(&rig).await;
    for org in ORGS {
        for (id, job) in bulk_jobs(&rig, org) {
            assert!(job.sent <= 1, "{org}: the data of job {id} was sent again: {job:?}");
            assert!(
                job.sent == 0 || job.ended > 0,
                "{org}: job {id} was neither closed nor aborted: {job:?}"
            );
        }
    }
}

/// What is asked for in a round, and what it comes to when the process dies there and starts again.
enum Asked {
    /// Three records by REST, and how often they are written.
    Rest { times: usize },
    /// Twelve by Bulk API; how many jobs are opened, and how often data is sent.
    Bulk { jobs: usize, sent: usize },
    /// All records of the org.
    Refresh,
}

#[actix_rt::test]
async fn killed_between_every_two_durability_points_the_next_start_goes_on_from_there() {
    let rounds = [
        ("before-a", Asked::Rest { times: 1 }),
        ("after-a", Asked::Rest { times: 1 }),
        ("before-b", Asked::Rest { times: 1 }),
        ("after-b", Asked::Rest { times: 1 }),
        ("before-c", Asked::Rest { times: 2 }),
        ("after-c", Asked::Rest { times: 1 }),
        ("before-put-job", Asked::Bulk { jobs: 2, sent: 1 }),
        ("after-put-job", Asked::Bulk { jobs: 2, sent: 1 }),
        ("after-upload", Asked::Bulk { jobs: 2, sent: 2 }),
        ("after-close", Asked::Bulk { jobs: 1, sent: 1 }),
        ("before-c", Asked::Bulk { jobs: 1, sent: 1 }),
        ("after-c", Asked::Bulk { jobs: 1, sent: 1 }),
        ("before-page", Asked::Refresh),
        ("after-page", Asked::Refresh),
    ];
    let (mut rig, mut load) = three_orgs().await;
    for (point, asked) in rounds {
        rig.org("acme").clear_calls();
        let written = rig.org("acme").writes().len();
        rig.kill().await;
        match &asked {
            Asked::Rest { .. } => load.change(&rig, 0, 0, 3),
            Asked::Bulk { .. } => load.change(&rig, 0, 3, BULK),
            Asked::Refresh => {
                load.learn(&rig, 0, 0, 24);
            }
        }
        rig.launch(&format!("{point}/acme=abort"), "error");
        if let Asked::Refresh = asked {
            rig.kill().await;
            rig.start_failing(&format!("{point}/acme=abort")).await;
            rig.order("acme", "refresh").await;
        }
        let status = rig.ended().await;
        assert_eq!(status.signal(), Some(6), "{point}: it dies there: {status:?}");
        rig.start().await;
        if let Asked::Refresh = asked {
            load.the_truth_is_held(&rig).await;
            continue;
        }
        load.all_is_well(&rig).await;
        let writes = rig.org("acme").writes().len() - written;
        let jobs = bulk_jobs(&rig, "acme");
        let sent: usize = jobs.values().map(|job| job.sent).sum();
        match asked {
            Asked::Rest { times } => assert_eq!((writes, jobs.len()), (3 * times, 0), "{point}"),
            Asked::Bulk { jobs: opened, sent: times } => {
                assert_eq!((writes, jobs.len(), sent), (BULK, opened, times), "{point}: {jobs:?}");
                assert!(jobs.values().any(|job| job.read > 0), "{point}: {jobs:?}");
            }
            Asked::Refresh => unreachable!("it was looked at above"),
        }
    }
}

#[actix_rt::test]
async fn asked_to_stop_under_load_it_ends_in_order_and_loses_nothing() {
    let (mut rig, mut load) = three_orgs().await;
    for round in 0..6 {
        for org in 0..ORGS.len() {
            for n in 0..4 {
                load.change(&rig, org, 5 * n + round, if n == 0 { BULK } else { 3 });
            }
        }
        more_calls(&rig, 8 * round, Duration::from_secs(5)).await;
        let status = rig.terminate().await;
        assert_eq!(status.code(), Some(0), "round {round}: {status:?}");
        for org in ORGS {
            assert_eq!(rig.org(org).cometd_clients(), 0, "{org}: the CometD session was closed");
        }
        rig.start().await;
    }
    load.all_is_well(&rig).await;
}
