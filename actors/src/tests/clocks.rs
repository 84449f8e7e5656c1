//! Two clocks that differ: windows of time are told by the org's, whatever this machine's is set to.

use std::time::Duration;

use actix::Actor as _;
use orgpipe_store::UnixMs;

use super::{
    org::{Asked, CHANNEL},
    scene::{NOON_MS, Neighbour, Scene, eventually},
};
use crate::{
    capture::{
        cometd::CometdActor,
        gap_recovery,
        refresh::{self, RefreshTimer},
    },
    clock::moment,
    org::store::Position,
    receipt::GapReason,
};

/// What is read once more, so that a transaction that ended late is not missed.
const OVERLAP: Duration = Duration::from_mins(15);

/// Since when the org was asked for changes, in the order of the questions.
fn asked_since(scene: &Scene) -> Vec<UnixMs> {
    let since = |asked: &Asked| {
        let Asked::Query { soql } = asked else { return None };
        let (_, since) = soql.split_once("SystemModstamp >= ")?;
        let since = since.split([')', ' ']).next()?;
        moment(&chrono::DateTime::parse_from_rfc3339(since).expect("a time"))
    };
    scene.org.asked().iter().filter_map(since).collect()
}

/// An org whose clock shows `org_ms` when ours shows noon: a gap an hour later is read from when the channel was heard
/// of last, and a refresh of what has changed from when the run before began.
async fn windows_hold(org_ms: UnixMs) {
    let scene = Scene::new();
    scene.org.shows(org_ms);
    scene.accounts(3);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let _cometd = CometdActor::new(scene.context.clone(), link.clone()).start();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let heard = scene.context.store.moment(Position::Heard(CHANNEL)).await.expect("a store");
    let heard_ms = heard.expect("it was heard of");
    let now_ms = org_ms.saturating_add(Duration::from_hours(1));
    assert!(heard_ms <= now_ms, "no time to come");
    assert!(now_ms.since(heard_ms) < Duration::from_mins(5), "heard of {:?} ago", now_ms.since(heard_ms));

    let channels = vec![CHANNEL.to_owned()];
    gap_recovery::note_gap(&scene.context, channels, GapReason::ReplayRefused, Vec::new())
        .await
        .expect("a store");
    let _timer = RefreshTimer::new(scene.context.clone(), link).start();
    eventually("the gap is read", async || (scene.counts().await.records_in == 3).then_some(())).await;
    assert_eq!(asked_since(&scene), [heard_ms.saturating_sub(OVERLAP)]);

    let begun_ms = org_ms.saturating_add(scene.passed());
    refresh::begin(&scene.context, "accounts", false).await.expect("a store");
    let until =
        async || scene.context.store.moment(Position::RefreshedUntil("accounts")).await.expect("a store");
    let until_ms = eventually("the run's end", until).await;
    assert!(
        (begun_ms..begun_ms.saturating_add(Duration::from_mins(1))).contains(&until_ms),
        "{until_ms} for {begun_ms}"
    );
    refresh::begin(&scene.context, "accounts", true).await.expect("a store");
    eventually("changes are read", async || (asked_since(&scene).len() > 1).then_some(())).await;
    assert!(asked_since(&scene)[1..].iter().all(|since| *since == until_ms.saturating_sub(OVERLAP)));

    let told = scene.context.api.time().skew().map(|skew| skew.reason);
    assert_eq!(told.is_some(), org_ms.apart(NOON_MS) > Duration::from_secs(61), "{told:?}");
}

#[actix::test]
async fn our_clock_is_two_hours_ahead_of_salesforces() {
    windows_hold(NOON_MS.saturating_sub(Duration::from_hours(2))).await;
}

#[actix::test]
async fn our_clock_is_two_hours_behind_salesforces() {
    windows_hold(NOON_MS.saturating_add(Duration::from_hours(2))).await;
}

#[actix::test]
async fn our_clock_is_years_ahead_of_salesforces() {
    windows_hold(NOON_MS.saturating_sub(Duration::from_hours(3 * 365 * 24))).await;
}

#[actix::test]
async fn both_clocks_agree() {
    windows_hold(NOON_MS).await;
}

#[actix::test]
async fn a_time_that_was_stored_while_a_clock_was_wrong_begins_no_window() {
    let scene = Scene::new();
    scene.org.shows(NOON_MS);
    scene.accounts(3);
    let late = NOON_MS.saturating_add(Duration::from_hours(400 * 24));
    let stored =
        vec![Position::Heard(CHANNEL).moment(late), Position::RefreshedUntil("accounts").moment(late)];
    scene.context.store.put(stored).await.expect("a store");
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let channels = vec![CHANNEL.to_owned()];
    gap_recovery::note_gap(&scene.context, channels, GapReason::ReplayRefused, Vec::new())
        .await
        .expect("a store");
    refresh::begin(&scene.context, "accounts", true).await.expect("a store");
    let _timer = RefreshTimer::new(scene.context.clone(), link).start();
    eventually("all are read, twice", async || (scene.counts().await.records_in == 6).then_some(())).await;
    assert_eq!(asked_since(&scene), [] as [UnixMs; 0], "all records, as nobody knows since when");
}
