//! The writer: what comes by message is sent, what is refused comes again in its time, and jobs end.

use std::time::Duration;

use actix::Actor as _;
use orgpipe_reconcile::Operation;
use orgpipe_store::{Append, Lane, NewChange, NewRequest, Settle, Settled, Subject};
use serde_json::json;

use super::{
    jobs::FakeJobs,
    org::Asked,
    scene::{NOON_MS, Scene, eventually},
};
use crate::{
    deliver::writer::WriterActor,
    failpoint::Failpoints,
    org::messages::{Decided, Delivery},
    queue_entry::{ChangeEntry, Origin, pack},
};

/// Stores a change for each of these keys, as the ingest does.
async fn decide(scene: &Scene, keys: &[&str]) -> Settled {
    decide_in(scene, Lane::Live, keys).await
}

/// The same in a lane.
async fn decide_in(scene: &Scene, lane: Lane, keys: &[&str]) -> Settled {
    let store = &scene.context.store;
    let now_ms = scene.context.clock.now_ms();
    let records = u32::try_from(keys.len()).expect("few");
    let request = NewRequest { lane, records, body: b"{}".to_vec() };
    let appended = store.append(Append { requests: vec![request], ..Append::default() }).await;
    let requests = appended.expect("there is room").requests.iter().map(|request| request.seq).collect();
    let change = |key: &&str| NewChange {
        lane,
        target: "Enrichment__c".into(),
        key: (*key).into(),
        subjects: vec![Subject {
            record: (*key).into(),
            units: 1,
            asked_ms: now_ms,
            trail: Vec::new(),
            pushes: Vec::new(),
        }],
        body: pack(&ChangeEntry {
            v: 1,
            sync: "accounts".into(),
            target: "Enrichment__c".into(),
            operation: Operation::Upsert,
            external_id_field: "External_Id__c".into(),
            external_id: (*key).into(),
            target_id: None,
            fields: json!({ "Employee_Count__c": 7 }).as_object().expect("an object").clone(),
            receipts: Vec::new(),
            source_id: "001000000000001AAA".into(),
            origin: Origin::Live,
            received_ms: now_ms,
            gap: None,
            fingerprint: String::new(),
        }),
    };
    let changes = keys.iter().map(change).collect();
    let settle = Settle { requests, changes, at_ms: now_ms, ..Settle::default() };
    store.settle(settle).await.expect("it balances")
}

#[actix::test]
async fn what_comes_by_message_is_written_without_a_read_of_the_queue() {
    let scene = Scene::new();
    let writer = WriterActor::new(scene.context.clone()).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = scene.context.store.reads();
    for n in 0..20 {
        let keys = [format!("K{n}a"), format!("K{n}b")];
        let settled = decide(&scene, &[&keys[0], &keys[1]]).await;
        assert_eq!(writer.send(Decided(settled)).await.expect("it lives"), Delivery::Taken);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    scene.through(40).await;
    assert_eq!(scene.org.targets(), 40);
    assert_eq!(scene.context.store.reads().since(&before).entries(), 0, "nothing was read back");
}

#[actix::test]
async fn a_lost_message_costs_a_moment() {
    let scene = Scene::new();
    let writer = WriterActor::new(scene.context.clone()).start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(decide(&scene, &["K1"]).await);
    let told = decide(&scene, &["K2"]).await;
    writer.send(Decided(told)).await.expect("it lives");
    scene.through(2).await;
    assert!(scene.passed() < Duration::from_secs(3), "{:?}", scene.passed());
    drop(decide(&scene, &["K3"]).await);
    scene.through(3).await;
    assert!(scene.passed() < Duration::from_secs(40), "{:?}", scene.passed());
}

#[actix::test]
async fn a_lost_lock_comes_again_soon_full_storage_seldom_and_neither_holds_up_a_neighbour() {
    let scene = Scene::new();
    scene.org.refuse("K1", &["UNABLE_TO_LOCK_ROW", "UNABLE_TO_LOCK_ROW"]);
    scene.org.refuse("K2", &["STORAGE_LIMIT_EXCEEDED", "STORAGE_LIMIT_EXCEEDED"]);
    let writer = WriterActor::new(scene.context.clone()).start();
    writer.send(Decided(decide(&scene, &["K1", "K2", "K3"]).await)).await.expect("it lives");
    eventually("the neighbour is written", async || scene.org.target("K3")).await;
    assert!(scene.passed() < Duration::from_secs(2), "{:?}", scene.passed());
    eventually("the lock is free", async || scene.org.target("K1")).await;
    assert!(scene.passed() < Duration::from_mins(1), "{:?}", scene.passed());
    eventually("there is storage again", async || scene.org.target("K2")).await;
    assert!(scene.passed() < Duration::from_hours(3), "{:?}", scene.passed());
    let counts = scene.through(3).await;
    assert_eq!((counts.written, counts.dead), (3, 0));
}

#[actix::test]
async fn a_change_that_is_refused_for_good_is_one_letter() {
    let scene = Scene::new();
    scene.org.refuse("K1", &["FIELD_CUSTOM_VALIDATION_EXCEPTION"]);
    let writer = WriterActor::new(scene.context.clone()).start();
    writer.send(Decided(decide(&scene, &["K0", "K1"]).await)).await.expect("it lives");
    let counts = scene.through(2).await;
    assert_eq!((counts.written, counts.dead), (1, 1));
    assert_eq!(scene.org.count(|asked| matches!(asked, Asked::Write { .. })), 1);
}

/// `n` keys with this beginning.
fn keys(beginning: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{beginning}{n}")).collect()
}

async fn decide_all(scene: &Scene, lane: Lane, keys: &[String]) -> Settled {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    decide_in(scene, lane, &keys).await
}

/// The org commits each call of some size, and answers when nobody waits any more.
#[actix::test]
async fn what_is_never_answered_in_time_is_sent_in_smaller_calls_and_others_pass_meanwhile() {
    let scene = Scene::new();
    scene.org.answers_late_from(20);
    let writer = WriterActor::new(scene.context.clone()).start();
    let settled = decide_all(&scene, Lane::Live, &keys("K", 59)).await;
    writer.send(Decided(settled)).await.expect("it lives");
    for n in 0..40 {
        tokio::time::sleep(Duration::from_secs(7)).await;
        let asked = scene.passed();
        writer.send(Decided(decide(&scene, &[&format!("later{n}")]).await)).await.expect("it lives");
        eventually("a later one", async || scene.org.target(&format!("later{n}"))).await;
        assert!(scene.passed() < asked + Duration::from_secs(8), "{n}: {:?}", scene.passed());
    }
    let counts = scene.through(99).await;
    assert_eq!((counts.written, counts.dead), (99, 0));
    assert!(scene.passed() < Duration::from_mins(6), "{:?}", scene.passed());
    let sizes: Vec<usize> = scene.org.asked().iter().filter_map(written).filter(|size| *size > 1).collect();
    let large = sizes.iter().filter(|size| **size >= 20).copied().collect::<Vec<_>>();
    assert_eq!(large, [59, 25, 25], "halved each time: {sizes:?}");
}

fn written(asked: &Asked) -> Option<usize> {
    match asked {
        Asked::Write { keys } => Some(keys.len()),
        _ => None,
    }
}

/// A record that is never answered for, even alone: a letter while others are answered, and nobody's fault otherwise.
#[actix::test]
async fn a_record_that_is_never_answered_for_is_a_letter_only_if_others_are() {
    let scene = Scene::new();
    scene.org.answers_late_from(1);
    let writer = WriterActor::new(scene.context.clone()).start();
    writer.send(Decided(decide(&scene, &["K1"]).await)).await.expect("it lives");
    tokio::time::sleep(Duration::from_hours(5)).await;
    let counts = scene.counts().await;
    assert_eq!((counts.written, counts.dead, counts.open()), (0, 0, 1), "all wait");
    scene.org.answers_late_from(2);
    let counts = scene.through(1).await;
    assert_eq!((counts.written, counts.dead), (1, 0));
}

/// The job is aborted after a time by its size, and what it has not done goes by REST.
#[actix::test]
async fn a_job_that_stands_in_the_orgs_queue_is_aborted_in_time_and_its_records_go_by_rest() {
    a_job_stands(false).await;
}

/// The same of one that has ended just before it is aborted.
#[actix::test]
async fn a_job_that_ended_before_it_was_aborted_is_read_and_not_sent_again() {
    a_job_stands(true).await;
}

async fn a_job_stands(ends_first: bool) {
    {
        let scene = Scene::with(|settings| settings.limits.bulk_from = 10, Failpoints::default());
        let writer = WriterActor::new(scene.context.clone()).start();
        let settled = decide_all(&scene, Lane::Live, &keys("K", 30)).await;
        writer.send(Decided(settled)).await.expect("it lives");
        eventually("the job", async || (scene.org.jobs(|jobs| jobs.count()) == 1).then_some(())).await;
        if ends_first {
            scene.org.jobs(FakeJobs::end_first);
        }
        tokio::time::sleep(Duration::from_mins(3)).await;
        let status = scene.context.board.status();
        let job = status.bulk_jobs.first().expect("it is told");
        assert!(job.hangs && job.records == 30 && job.since_ms >= NOON_MS, "{job:?}");
        // What is live does not go to another job beside it.
        let settled = decide_all(&scene, Lane::Live, &keys("L", 30)).await;
        writer.send(Decided(settled)).await.expect("it lives");
        eventually("the later ones", async || scene.org.target("L29")).await;
        assert!(scene.passed() < Duration::from_mins(4), "{:?}", scene.passed());
        let counts = scene.through(60).await;
        assert_eq!((counts.written, counts.dead), (60, 0));
        let passed = scene.passed();
        assert!(passed > Duration::from_mins(10) && passed < Duration::from_mins(14), "{passed:?}");
        let (jobs, aborts) = scene.org.jobs(|jobs| (jobs.count(), jobs.aborts()));
        assert_eq!((jobs, aborts), (1, 1));
        let by_rest = scene.org.asked().iter().filter_map(written).sum::<usize>();
        assert_eq!(by_rest, if ends_first { 30 } else { 60 }, "one that had ended is read, not sent again");
        assert_eq!(scene.context.board.status().bulk_jobs, []);
    }
}

/// A refresh waits for a place among the jobs, what is live does not.
#[actix::test]
async fn five_jobs_that_hang_hold_up_no_live_record() {
    let scene = Scene::with(|settings| settings.limits.bulk_from = 10, Failpoints::default());
    let writer = WriterActor::new(scene.context.clone()).start();
    for job in 0..6 {
        let settled = decide_all(&scene, Lane::Refresh, &keys(&format!("R{job}-"), 20)).await;
        writer.send(Decided(settled)).await.expect("it lives");
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    assert_eq!(scene.org.jobs(|jobs| jobs.count()), 5);
    for n in 0..30 {
        let asked = scene.passed();
        writer.send(Decided(decide(&scene, &[&format!("L{n}")]).await)).await.expect("it lives");
        eventually("a live one", async || scene.org.target(&format!("L{n}"))).await;
        assert!(scene.passed() < asked + Duration::from_secs(2), "{n}");
    }
    let counts = scene.through(150).await;
    assert_eq!((counts.written, counts.dead), (150, 0));
}

/// A call that is not answered may hold the only place among the org's calls: the writer never waits for what it holds.
#[actix::test]
async fn where_one_call_at_a_time_is_made_one_that_is_not_answered_stops_nothing() {
    let scene = Scene::with(|settings| settings.limits.concurrent_max = 1, Failpoints::default());
    scene.org.answers_late_from(1);
    let writer = WriterActor::new(scene.context.clone()).start();
    for key in ["K1", "K2", "K3"] {
        writer.send(Decided(decide(&scene, &[key]).await)).await.expect("it lives");
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    tokio::time::sleep(Duration::from_mins(5)).await;
    scene.org.answers_late_from(2);
    let counts = scene.through(3).await;
    assert_eq!((counts.written, counts.dead), (3, 0));
    assert!(scene.passed() < Duration::from_mins(20), "{:?}", scene.passed());
}

/// Something in between that dislikes one record says so without a word of Salesforce's.
#[actix::test]
async fn a_record_that_a_gateway_refuses_is_one_letter_and_holds_up_no_neighbour() {
    for status in [400, 403, 405, 413, 503] {
        let scene = Scene::new();
        scene.org.gateway(Some((status, &["K7"])));
        let writer = WriterActor::new(scene.context.clone()).start();
        let settled = decide_all(&scene, Lane::Live, &keys("K", 7)).await;
        writer.send(Decided(settled)).await.expect("it lives");
        writer.send(Decided(decide(&scene, &["K7", "K8"]).await)).await.expect("it lives");
        // Others are written now and then: only beside them can it be this record's fault.
        for n in 0..60 {
            writer.send(Decided(decide(&scene, &[&format!("L{n}")]).await)).await.expect("it lives");
            tokio::time::sleep(Duration::from_mins(2)).await;
            assert!(scene.org.target(&format!("L{n}")).is_some(), "{status}: {n} waits");
        }
        assert!((0..9).filter(|n| *n != 7).all(|n| scene.org.target(&format!("K{n}")).is_some()), "{status}");
        let counts = scene.counts().await;
        assert_eq!((counts.written, counts.dead, counts.open()), (68, 1, 0), "{status}");
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_gateway_that_refuses_everything_for_hours_costs_nobody_a_letter() {
    for status in [403, 405] {
        let scene = Scene::new();
        let writer = WriterActor::new(scene.context.clone()).start();
        writer.send(Decided(decide(&scene, &["K0"]).await)).await.expect("it lives");
        scene.through(1).await;
        scene.org.gateway(Some((status, &[])));
        let settled = decide_all(&scene, Lane::Live, &keys("L", 30)).await;
        writer.send(Decided(settled)).await.expect("it lives");
        tokio::time::sleep(Duration::from_hours(2)).await;
        assert_eq!(scene.counts().await.dead, 0, "{status}");
        scene.org.gateway(None);
        let counts = scene.through(31).await;
        assert_eq!((counts.written, counts.dead), (31, 0), "{status}");
        tokio::time::resume();
    }
}

/// The Bulk API fails and nothing else does: its records go by REST.
#[actix::test]
async fn where_only_the_bulk_api_fails_its_records_go_by_rest() {
    let scene = Scene::with(|settings| settings.limits.bulk_from = 10, Failpoints::default());
    scene.org.jobs(FakeJobs::fail);
    let writer = WriterActor::new(scene.context.clone()).start();
    for (lane, beginning) in [(Lane::Live, "L"), (Lane::Refresh, "R")] {
        let settled = decide_all(&scene, lane, &keys(beginning, 30)).await;
        writer.send(Decided(settled)).await.expect("it lives");
    }
    let counts = scene.through(60).await;
    assert_eq!((counts.written, counts.dead), (60, 0));
    assert!(scene.passed() < Duration::from_mins(1), "{:?}", scene.passed());
}

/// A job has ended, and nobody can read what became of its rows: they are sent again.
#[actix::test]
async fn rows_of_a_job_whose_results_cannot_be_read_go_by_rest() {
    let scene = Scene::with(|settings| settings.limits.bulk_from = 10, Failpoints::default());
    let writer = WriterActor::new(scene.context.clone()).start();
    writer.send(Decided(decide_all(&scene, Lane::Live, &keys("K", 30)).await)).await.expect("it lives");
    eventually("the job", async || (scene.org.jobs(|jobs| jobs.count()) == 1).then_some(())).await;
    scene.org.jobs(FakeJobs::end_first);
    scene.org.jobs(FakeJobs::garble);
    let counts = scene.through(30).await;
    assert_eq!((counts.written, counts.dead), (30, 0));
    assert_eq!(scene.org.asked().iter().filter_map(written).sum::<usize>(), 30, "by REST");
    assert!(scene.passed() < Duration::from_mins(30), "{:?}", scene.passed());
}
