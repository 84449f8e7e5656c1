//! The four actors of an org together, with messages between them lost by chance: nothing is lost, only later.

use std::{fmt::Write as _, time::Duration};

use actix::Actor as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::scene::{Scene, eventually};
use crate::{failpoint::Failpoints, supervise::org_actor::OrgActor};

/// Seeds in every run.
const SEEDS: u64 = 10;
/// Records of the org.
const RECORDS: usize = 40;

/// Loses a third of all messages that carry work, chosen by the seed.
fn losses(rng: &mut StdRng) -> Failpoints {
    let mut text = String::new();
    for point in ["arrived", "decided"] {
        for pass in (1..=400).filter(|_| rng.random_bool(0.33)) {
            write!(text, "{point}=lose@{pass};").expect("a text takes it");
        }
    }
    text.parse().expect("failpoints")
}

async fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let scene = Scene::with(|_| {}, losses(&mut rng));
    let ids = scene.accounts(RECORDS);
    let _org = OrgActor::new(scene.context.clone()).start();
    eventually("it listens", async || {
        let channels = scene.context.board.status().subscription.channels;
        channels.values().any(|channel| channel.state == crate::State::Running).then_some(())
    })
    .await;
    let mut asked = 0;
    for round in 1..=30 {
        scene.vendor.employees(round);
        let records = rng.random_range(1..=5);
        let from = rng.random_range(0..RECORDS - records);
        scene.org.publish(&ids[from..from + records]);
        asked += records as u64;
        if rng.random_bool(0.1) {
            scene.org.unreachable(true);
            tokio::time::sleep(Duration::from_secs(rng.random_range(1..120))).await;
            scene.org.unreachable(false);
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..4_000))).await;
    }
    // Every record once more, so that the last answer is everywhere.
    scene.vendor.employees(99);
    scene.org.publish(&ids);
    let counts = scene.through(asked + RECORDS as u64).await;
    assert_eq!(counts.records_in, asked + RECORDS as u64, "seed {seed}: each event came once");
    assert_eq!(counts.dead, 0, "seed {seed}");
    for n in 0..RECORDS {
        let target = scene.org.target(&format!("K{n}")).expect("it is written");
        assert_eq!(target["Employee_Count__c"], 99, "seed {seed}: record {n} has the last answer");
    }
}

#[actix::test]
async fn messages_lost_at_random_cost_time_and_nothing_else() {
    for seed in 0..SEEDS {
        run(seed).await;
        // Each scene stops the clock anew.
        tokio::time::resume();
    }
}
