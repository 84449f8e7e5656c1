//! The writer: what comes by message is sent, what is refused comes again in its time, and jobs end.

use std::time::Duration;

use actix::Actor as _;
use orgpipe_reconcile::Operation;
use orgpipe_store::{Append, Lane, NewChange, NewRequest, Settle, Settled, Subject};
use serde_json::json;

use super::{
    org::Asked,
    scene::{Scene, eventually},
};
use crate::{
    deliver::writer::WriterActor,
    org::messages::{Decided, Delivery},
    queue_entry::{ChangeEntry, Origin, pack},
};

/// Stores a change for each of these keys, as the ingest does.
async fn decide(scene: &Scene, keys: &[&str]) -> Settled {
    let store = &scene.context.store;
    let now_ms = scene.context.clock.now_ms();
    let records = u32::try_from(keys.len()).expect("few");
    let request = NewRequest { lane: Lane::Live, records, body: b"{}".to_vec() };
    let appended = store.append(Append { requests: vec![request], ..Append::default() }).await;
    let requests = appended.expect("there is room").requests.iter().map(|request| request.seq).collect();
    let change = |key: &&str| NewChange {
        lane: Lane::Live,
        target: "Enrichment__c".into(),
        key: (*key).into(),
        subjects: vec![Subject { record: (*key).into(), units: 1, asked_ms: now_ms, trail: Vec::new() }],
        body: pack(&ChangeEntry {
            v: 1,
            sync: "accounts".into(),
            target: "Enrichment__c".into(),
            operation: Operation::Upsert,
            external_id_field: "External_Id__c".into(),
            external_id: (*key).into(),
            target_id: None,
            fields: json!({ "Employee_Count__c": 7 }).as_object().expect("an object").clone(),
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
