//! The refresh: on time, page by page, and on behind the last stored page.

use std::time::Duration;

use actix::Actor as _;

use super::{
    org::Asked,
    scene::{NOON_MS, Neighbour, Scene, eventually},
};
use crate::{
    capture::{
        refresh::{self, RefreshTimer},
        refresh_commands::{self, RefreshWish},
    },
    failpoint::Failpoints,
    runtime::worker::Stop,
    settings::OrgSettings,
};

/// Every Saturday at two in the morning.
fn on_saturdays(settings: &mut OrgSettings) {
    for sync in &mut settings.syncs {
        let mut changed = (**sync).clone();
        if let Some(refresh) = &mut changed.refresh {
            refresh.schedule = Some("0 2 * * SAT".to_owned());
        }
        *sync = changed.into();
    }
}

#[actix::test]
async fn a_weekly_refresh_runs_once_a_week_in_requests_of_a_hundred() {
    let scene = Scene::with(on_saturdays, Failpoints::default());
    scene.accounts(250);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let _timer = RefreshTimer::new(scene.context.clone(), link).start();
    tokio::time::sleep(Duration::from_hours(24 * 5)).await;
    assert_eq!(scene.counts().await.records_in, 0, "it is Friday");
    eventually("it has read all", async || (scene.counts().await.records_in == 250).then_some(())).await;
    let hours = scene.context.clock.now_ms().since(NOON_MS).as_secs() / 3_600;
    // From Sunday noon to Saturday at two it is 134 hours; orgs are spread over the time that follows.
    assert!((134..=160).contains(&hours), "{hours}");
    assert_eq!(neighbour.came().requests.len(), 3);
}

#[actix::test]
async fn a_run_that_is_stopped_goes_on_behind_its_last_stored_page() {
    let scene = Scene::new();
    scene.accounts(4_500);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    refresh::begin(&scene.context, "accounts", false).await.expect("a store");
    let first = RefreshTimer::new(scene.context.clone(), link.clone()).start();
    eventually("a page is stored", async || (scene.counts().await.records_in >= 2_000).then_some(())).await;
    first.send(Stop).await.expect("it lives");
    eventually("it has ended", async || (!first.connected()).then_some(())).await;
    let _second = RefreshTimer::new(scene.context.clone(), link).start();
    eventually("all are read", async || (scene.counts().await.records_in == 4_500).then_some(())).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(scene.counts().await.records_in, 4_500, "no page is read twice");
    let pages = |asked: &Asked| matches!(asked, Asked::Query { soql } if !soql.contains("COUNT()"));
    assert_eq!(scene.org.count(pages), 3);
    assert_eq!(neighbour.came().requests.len(), 45);
}

#[actix::test]
async fn a_paused_run_reads_nothing_until_it_is_resumed_also_by_a_fresh_timer() {
    let scene = Scene::new();
    scene.accounts(4_500);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let org = &scene.context;
    refresh::begin(org, "accounts", false).await.expect("a store");
    refresh_commands::wish(org, "accounts", RefreshWish::Pause).await.expect("a store");
    // What is only noted in memory is gone after a restart.
    org.board.paused_refreshes(std::collections::BTreeMap::new());
    let timer = RefreshTimer::new(org.clone(), link).start();
    tokio::time::sleep(Duration::from_hours(24 * 3)).await;
    assert_eq!(scene.counts().await.records_in, 0, "it is paused");
    let plan = refresh_commands::plans(org).await.expect("a store").remove(0);
    assert!(plan.paused_ms.is_some(), "{plan:?}");
    let reading = plan.reading.expect("a run is under way");
    assert_eq!((reading.records, reading.waits.as_str()), (0, "an operator to resume it"));
    refresh_commands::wish(org, "accounts", RefreshWish::Resume).await.expect("a store");
    timer.send(crate::runtime::worker::Wake).await.expect("it lives");
    eventually("it has read all", async || (scene.counts().await.records_in == 4_500).then_some(())).await;
    let plan = refresh_commands::plans(org).await.expect("a store").remove(0);
    assert_eq!(plan.paused_ms, None);
}

#[actix::test]
async fn a_cancelled_run_ends_where_it_is_and_the_next_one_reads_all() {
    let scene = Scene::new();
    scene.accounts(4_500);
    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    let org = &scene.context;
    refresh::begin(org, "accounts", false).await.expect("a store");
    let timer = RefreshTimer::new(org.clone(), link).start();
    eventually("a page is stored", async || (scene.counts().await.records_in >= 2_000).then_some(())).await;
    refresh_commands::wish(org, "accounts", RefreshWish::Cancel).await.expect("a store");
    timer.send(crate::runtime::worker::Wake).await.expect("it lives");
    tokio::time::sleep(Duration::from_hours(1)).await;
    let read = scene.counts().await.records_in;
    assert!(read < 4_500, "{read}");
    assert!(org.board.status().refreshes.is_empty(), "none is under way");
    let plan = refresh_commands::plans(org).await.expect("a store").remove(0);
    assert_eq!(plan.finished_ms, None, "it did not come to its end");
    refresh::begin(org, "accounts", false).await.expect("a store");
    timer.send(crate::runtime::worker::Wake).await.expect("it lives");
    eventually("all are read again", async || {
        (scene.counts().await.records_in == read + 4_500).then_some(())
    })
    .await;
}
