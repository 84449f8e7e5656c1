//! The subscription: on disk before the next poll, told once, and never given up.

use std::time::Duration;

use actix::Actor as _;

use super::{
    org::Asked,
    scene::{Neighbour, Scene, eventually},
};
use crate::{capture::cometd::CometdActor, org::store::Position};

#[actix::test]
async fn events_are_on_disk_with_their_replay_id_and_told_once() {
    let scene = Scene::new();
    let ids = scene.accounts(3);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let _cometd = CometdActor::new(scene.context.clone(), link).start();
    eventually("it polls", async || (scene.org.count(|asked| *asked == Asked::Connect) > 0).then_some(()))
        .await;
    for id in &ids {
        scene.org.publish(std::slice::from_ref(id));
    }
    eventually("all are told", async || (neighbour.came().requests.len() == 3).then_some(())).await;
    let counts = scene.counts().await;
    assert_eq!((counts.records_in, counts.open_ingress), (3, 3));
    let position = scene.context.store.bytes(Position::ReplayId(super::org::CHANNEL)).await.expect("a store");
    assert_eq!(position.as_deref(), Some(&b"3"[..]));
    assert!(neighbour.came().requests.is_sorted());
}

#[actix::test]
async fn what_was_published_while_nobody_listened_comes_behind_the_stored_replay_id() {
    let scene = Scene::new();
    let ids = scene.accounts(4);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let first = CometdActor::new(scene.context.clone(), link.clone()).start();
    eventually("it polls", async || (scene.org.count(|asked| *asked == Asked::Connect) > 0).then_some(()))
        .await;
    scene.org.publish(&ids[..1]);
    eventually("it is told", async || (neighbour.came().requests.len() == 1).then_some(())).await;
    first.send(crate::runtime::worker::Stop).await.expect("it lives");
    eventually("it has ended", async || (!first.connected()).then_some(())).await;
    scene.org.publish(&ids[1..3]);
    scene.org.publish(&ids[3..]);
    let _second = CometdActor::new(scene.context.clone(), link).start();
    eventually("all have come", async || (scene.counts().await.records_in == 4).then_some(())).await;
    let subscribed: Vec<Asked> =
        scene.org.asked().into_iter().filter(|asked| matches!(asked, Asked::Subscribe { .. })).collect();
    assert_eq!(subscribed, [Asked::Subscribe { after: -1 }, Asked::Subscribe { after: 1 }]);
}

#[actix::test]
async fn after_an_hour_out_of_reach_it_goes_on_without_a_gap() {
    let scene = Scene::new();
    let ids = scene.accounts(60);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let _cometd = CometdActor::new(scene.context.clone(), link).start();
    eventually("it polls", async || (scene.org.count(|asked| *asked == Asked::Connect) > 0).then_some(()))
        .await;
    scene.org.publish(&ids[..1]);
    eventually("it is told", async || (neighbour.came().requests.len() == 1).then_some(())).await;
    scene.org.unreachable(true);
    for id in &ids[1..] {
        tokio::time::sleep(Duration::from_mins(1)).await;
        scene.org.publish(std::slice::from_ref(id));
    }
    scene.org.unreachable(false);
    eventually("all have come", async || (scene.counts().await.records_in == 60).then_some(())).await;
    assert_eq!(neighbour.came().requests.len(), 60);
    assert_eq!(scene.context.board.status().open_gaps, 0);
}

#[actix::test]
async fn a_quiet_day_costs_a_poll_every_two_minutes_and_is_heard_of() {
    let scene = Scene::new();
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let _cometd = CometdActor::new(scene.context.clone(), link).start();
    tokio::time::sleep(Duration::from_hours(24)).await;
    let polls = scene.org.count(|asked| *asked == Asked::Connect);
    assert!((700..=900).contains(&polls), "{polls}");
    let heard = scene.context.store.moment(Position::Heard(super::org::CHANNEL)).await.expect("a store");
    let age = scene.context.clock.now_ms().since(heard.expect("it was heard of"));
    assert!(age < Duration::from_mins(5), "{age:?}");
}
