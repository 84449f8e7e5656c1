//! The ingest: from messages or, where none came, from disk; nothing is decided twice.

use std::time::Duration;

use actix::Actor as _;
use orgpipe_store::{Append, Appended, Lane, NewRequest, Seq};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    org::Asked,
    scene::{Neighbour, Scene, eventually},
};
use crate::{
    decide::ingest::IngestActor,
    failpoint::Failpoints,
    org::{
        memory::MemoryBudget,
        messages::{Arrived, Delivery},
    },
    queue_entry::{Origin, RequestEntry, pack},
};

/// Seeds of the property in every run.
const SEEDS: u64 = 40;

/// Stores a request for each of these records, as the subscription does.
pub(super) async fn append(scene: &Scene, lane: Lane, ids: &[String]) -> Appended {
    let request = |id: &String| NewRequest {
        lane,
        records: 1,
        body: pack(&RequestEntry {
            v: 1,
            sync: "accounts".into(),
            origin: if lane == Lane::Live { Origin::Live } else { Origin::Refresh },
            ids: vec![id.clone()],
            rows: None,
            pushed: Vec::new(),
            event_id: "event".into(),
            correlation_id: None,
            received_ms: scene.context.clock.now_ms(),
        }),
    };
    let requests = ids.iter().map(request).collect();
    scene.context.store.append(Append { requests, ..Append::default() }).await.expect("there is room")
}

#[actix::test]
async fn what_comes_by_message_is_decided_without_a_read_of_the_queue() {
    let scene = Scene::new();
    let ids = scene.accounts(300);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = scene.context.store.reads();
    for part in ids.chunks(10) {
        let appended = append(&scene, Lane::Live, part).await;
        assert_eq!(ingest.send(Arrived(appended)).await.expect("it lives"), Delivery::Taken);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    eventually("all are decided", async || (neighbour.came().changes.len() == 300).then_some(())).await;
    assert_eq!(scene.context.store.reads().since(&before).entries(), 0, "nothing was read back");
    assert_eq!(scene.vendor.asked().iter().sum::<usize>(), 300, "none was asked for twice");
}

#[actix::test]
async fn a_lost_message_is_noticed_by_the_next_and_the_last_one_within_half_a_minute() {
    let scene = Scene::new();
    let ids = scene.accounts(3);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(append(&scene, Lane::Live, &ids[..1]).await);
    let second = append(&scene, Lane::Live, &ids[1..2]).await;
    assert_eq!(ingest.send(Arrived(second)).await.expect("it lives"), Delivery::Behind);
    eventually("both are decided", async || (neighbour.came().changes.len() == 2).then_some(())).await;
    assert!(scene.passed() < Duration::from_secs(5), "{:?}", scene.passed());
    drop(append(&scene, Lane::Live, &ids[2..]).await);
    eventually("the third is decided", async || (neighbour.came().changes.len() == 3).then_some(())).await;
    assert!(scene.passed() < Duration::from_secs(40), "{:?}", scene.passed());
}

#[actix::test]
async fn messages_in_any_order_with_some_of_them_lost_leave_each_record_decided_once() {
    let scene = Scene::new();
    let ids = scene.accounts(40);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    let mut late = None;
    for (n, part) in ids.chunks(2).enumerate() {
        let lane = if n % 3 == 0 { Lane::Refresh } else { Lane::Live };
        let appended = append(&scene, lane, part).await;
        match n % 4 {
            0 => late = Some(appended),
            1 => {
                ingest.send(Arrived(appended)).await.expect("it lives");
                let late = late.take().expect("the one before");
                ingest.send(Arrived(late)).await.expect("it lives");
            }
            2 => {}
            _ => drop(ingest.send(Arrived(appended)).await.expect("it lives")),
        }
        tokio::time::sleep(Duration::from_millis(70 * (n as u64 % 5))).await;
    }
    eventually("all are decided", async || (scene.counts().await.open_ingress == 0).then_some(())).await;
    assert_eq!(neighbour.came().changes.len(), 40);
    assert_eq!(scene.counts().await.superseded, 0);
}

#[actix::test]
async fn what_the_window_has_no_room_for_is_read_from_disk_and_decided_once() {
    let scene = Scene::within(MemoryBudget::of(20_000), |_| {}, Failpoints::default());
    let ids = scene.accounts(220);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refresh = append(&scene, Lane::Refresh, &ids[..200]).await;
    assert_eq!(ingest.send(Arrived(refresh)).await.expect("it lives"), Delivery::Behind, "it has a bound");
    let live = append(&scene, Lane::Live, &ids[200..]).await;
    assert_eq!(ingest.send(Arrived(live)).await.expect("it lives"), Delivery::Behind, "it is full");
    eventually("all are decided", async || (scene.counts().await.open_ingress == 0).then_some(())).await;
    assert_eq!(neighbour.came().changes.len(), 220);
    let later = append(&scene, Lane::Live, &ids[..1]).await;
    assert_eq!(ingest.send(Arrived(later)).await.expect("it lives"), Delivery::Taken, "there is room again");
}

#[actix::test]
async fn an_hour_without_the_vendors_api_loses_nothing_and_costs_few_calls() {
    let scene = Scene::new();
    let ids = scene.accounts(50);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    scene.vendor.down(true);
    ingest.send(Arrived(append(&scene, Lane::Live, &ids).await)).await.expect("it lives");
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(scene.counts().await.open_ingress, 50);
    scene.vendor.down(false);
    eventually("all are decided", async || (neighbour.came().changes.len() == 50).then_some(())).await;
    let queries = scene.org.count(|asked| matches!(asked, Asked::Query { .. }));
    assert!(queries < 400, "{queries}");
}

#[actix::test]
async fn a_record_on_which_the_vendors_api_fails_is_one_letter_and_its_neighbours_are_decided_at_once() {
    for status in [500, 400] {
        let scene = Scene::new();
        let ids = scene.accounts(100);
        scene.vendor.fails_on(37, status);
        let neighbour = Neighbour::default();
        let (_address, link) = neighbour.started(&scene);
        let ingest = IngestActor::new(scene.context.clone(), link).start();
        ingest.send(Arrived(append(&scene, Lane::Live, &ids).await)).await.expect("it lives");
        eventually("all are decided", async || (scene.counts().await.open_ingress == 0).then_some(())).await;
        assert!(scene.passed() < Duration::from_secs(10), "{status}: {:?}", scene.passed());
        assert_eq!((neighbour.came().changes.len(), scene.counts().await.dead), (99, 1), "{status}");
        let letters = scene.context.store.dead_letters(None, Seq::MAX, 9).await.expect("a store");
        assert!(letters[0].reason.contains(&status.to_string()), "{}", letters[0].reason);
        assert!(scene.vendor.asked().len() <= 20, "{status}: {:?}", scene.vendor.asked());
        tokio::time::resume();
    }
}

#[actix::test]
async fn an_api_that_fails_on_everything_for_an_hour_costs_nobody_a_letter() {
    let scene = Scene::new();
    let ids = scene.accounts(60);
    (0..60).for_each(|n| scene.vendor.fails_on(n, 500));
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    ingest.send(Arrived(append(&scene, Lane::Live, &ids).await)).await.expect("it lives");
    tokio::time::sleep(Duration::from_hours(1)).await;
    let counts = scene.counts().await;
    assert_eq!((counts.open_ingress, counts.dead), (60, 0));
}

#[actix::test]
async fn an_api_that_has_answered_and_fails_for_an_hour_costs_nobody_a_letter() {
    let scene = Scene::new();
    let ids = scene.accounts(60);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    ingest.send(Arrived(append(&scene, Lane::Live, &ids[..40]).await)).await.expect("it lives");
    eventually("some are decided", async || (neighbour.came().changes.len() == 40).then_some(())).await;
    (0..60).for_each(|n| scene.vendor.fails_on(n, 500));
    let before = scene.vendor.asked().len();
    ingest.send(Arrived(append(&scene, Lane::Live, &ids[40..]).await)).await.expect("it lives");
    tokio::time::sleep(Duration::from_hours(1)).await;
    let counts = scene.counts().await;
    assert_eq!((counts.open_ingress, counts.dead), (20, 0));
    let calls = scene.vendor.asked().len() - before;
    assert!(calls < 400, "{calls}");
}

#[actix::test]
async fn a_record_that_the_org_refuses_to_be_asked_about_is_one_letter() {
    let scene = Scene::new();
    let ids = scene.accounts(150);
    scene.org.refuse_query(&ids[70]);
    // A target's key that the org refuses, too.
    scene.org.refuse_query("'K7'");
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    ingest.send(Arrived(append(&scene, Lane::Live, &ids).await)).await.expect("it lives");
    eventually("all are decided", async || (scene.counts().await.open_ingress == 0).then_some(())).await;
    assert_eq!((neighbour.came().changes.len(), scene.counts().await.dead), (148, 2));
    assert!(scene.passed() < Duration::from_mins(1), "{:?}", scene.passed());
}

/// What is refused whatever is asked is not asked value by value.
#[actix::test]
async fn a_statement_that_the_org_refuses_for_every_record_costs_few_calls() {
    let scene = Scene::new();
    let ids = scene.accounts(100);
    scene.org.refuse_query("FROM Account");
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let ingest = IngestActor::new(scene.context.clone(), link).start();
    ingest.send(Arrived(append(&scene, Lane::Live, &ids).await)).await.expect("it lives");
    tokio::time::sleep(Duration::from_hours(1)).await;
    let counts = scene.counts().await;
    assert_eq!((counts.open_ingress, counts.dead), (100, 0));
    let queries = scene.org.count(|asked| matches!(asked, Asked::Query { .. }));
    assert!(queries < 300, "{queries}");
}

/// Any of the records may be odd in any way: each sound one is decided in a bounded time, and each letter is of an odd one.
#[actix::test]
async fn whatever_its_neighbours_are_a_sound_record_is_decided_in_a_bounded_time() {
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let scene = Scene::new();
        let records = rng.random_range(2..=60);
        let ids = scene.accounts(records);
        let share = rng.random_range(0.0..1.0);
        let sound = rng.random_range(0..records);
        let odd: Vec<usize> = (0..records).filter(|n| *n != sound && rng.random_bool(share)).collect();
        for n in &odd {
            match rng.random_range(0..4) {
                0 => scene.vendor.fails_on(*n, 500),
                1 => scene.vendor.fails_on(*n, 422),
                2 => scene.org.garble_query(&ids[*n]),
                _ => scene.org.refuse_query(&ids[*n]),
            }
        }
        let neighbour = Neighbour::default();
        let (_address, link) = neighbour.started(&scene);
        let ingest = IngestActor::new(scene.context.clone(), link).start();
        ingest.send(Arrived(append(&scene, Lane::Live, &ids).await)).await.expect("it lives");
        // A sound record changes now and then, as in any org: only beside it can an answer of 500 be a record's fault.
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_mins(2)).await;
            if scene.counts().await.open_ingress == 0 {
                break;
            }
            let change = append(&scene, Lane::Live, &ids[sound..=sound]).await;
            ingest.send(Arrived(change)).await.expect("it lives");
        }
        let counts = scene.counts().await;
        assert_eq!(
            (counts.open_ingress, counts.dead),
            (0, odd.len() as u64),
            "seed {seed}: the odd are the letters"
        );
        assert!(neighbour.came().changes.len() >= records - odd.len(), "seed {seed}: all others are decided");
        tokio::time::resume();
    }
}
