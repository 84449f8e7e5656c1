//! The threads that actors run on, and the root of the tree: orgs are spread over them and start one after another; one
//! that stands still is named, one that ends is replaced, and when the supervisor fails the process ends.

mod support;

use orgpipe_simulator::OrgOptions;
use serde_json::Value;
use support::{Rig, eventually, load::Load};

const ORGS: [&str; 2] = ["acme", "calm"];

async fn rig(failpoints: &str) -> (Rig, Load) {
    let orgs = ORGS.map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| text).await;
    let load = Load::new(&rig);
    rig.start_failing(failpoints).await;
    for org in ORGS {
        rig.subscribed(org).await;
    }
    (rig, load)
}

/// All threads but the main one.
async fn threads(rig: &Rig) -> Vec<Value> {
    let tree = rig.http.get(format!("{}/api/v1/tree", rig.admin)).send().await.expect("an answer");
    let tree: Value = tree.json().await.expect("JSON");
    let mut threads = tree["threads"].as_array().expect("threads").clone();
    let main = threads.remove(0);
    assert_eq!((&main["name"], main["orgs"].as_array().map(Vec::len)), (&"main".into(), Some(0)));
    threads
}

/// The thread that acme is on.
async fn thread(rig: &Rig) -> Value {
    let threads = threads(rig).await;
    let has_acme = |thread: &Value| {
        thread["orgs"].as_array().is_some_and(|orgs| orgs.iter().any(|org| org["id"] == "acme"))
    };
    threads.into_iter().find(has_acme).expect("acme is in the tree")
}

async fn metric(rig: &Rig, name: &str, thread: &Value) -> String {
    let text = rig.http.get(format!("{}/metrics", rig.admin)).send().await.expect("an answer").text().await;
    let start = format!("{name}{{thread={}}} ", thread["name"]);
    let text = text.expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {start} in {text}")).to_owned()
}

#[actix_rt::test]
async fn a_thread_that_stands_still_is_named_and_goes_on() {
    let (rig, mut load) = rig("ingest/acme=block@2").await;
    for org in 0..ORGS.len() {
        load.change(&rig, org, 0, 3);
    }
    let stalled = eventually("the stall", async || {
        let thread = thread(&rig).await;
        thread["note"]
            .as_str()
            .is_some_and(|note| note.starts_with("it has stood still for"))
            .then_some(thread)
    })
    .await;
    assert_eq!(metric(&rig, "orgpipe_thread_up", &stalled).await, "0.0");
    let page = rig.http.get(format!("{}/process", rig.admin)).send().await.expect("an answer");
    let page = page.text().await.expect("text");
    assert!(page.contains("It has stood still for"), "{page}");
    load.all_is_well(&rig).await;
    let after = thread(&rig).await;
    assert_eq!((&after["note"], &after["restarts"]), (&"".into(), &0.into()), "{after}");
    assert!(
        after["stalls"].as_u64() >= Some(1) && after["longest_stall_ms"].as_u64() >= Some(1_000),
        "{after}"
    );
    assert_eq!(metric(&rig, "orgpipe_thread_up", &after).await, "1.0");
}

#[actix_rt::test]
async fn a_thread_that_ends_is_replaced_and_its_orgs_go_on_from_disk() {
    let (rig, mut load) = rig("writer/acme=end@3;ingest/acme=end@6").await;
    for round in 0..4 {
        for org in 0..ORGS.len() {
            load.change(&rig, org, 3 * round, 3);
        }
        load.all_is_well(&rig).await;
    }
    let thread = thread(&rig).await;
    assert_eq!(thread["restarts"], 2, "{thread}");
    assert_eq!(metric(&rig, "orgpipe_thread_restarts_total", &thread).await, "2");
    for org in thread["orgs"].as_array().expect("orgs") {
        assert_eq!(
            (&org["restarts"], &org["last_exit"]),
            (&2.into(), &"ended with its thread".into()),
            "{org}"
        );
        assert_eq!(org["parts"]["writer"]["state"], "running", "{org}");
    }
}

#[actix_rt::test]
async fn when_the_supervisor_fails_the_process_ends_and_the_next_start_goes_on_from_disk() {
    let (mut rig, mut load) = rig("supervisor/acme=panic").await;
    for org in 0..ORGS.len() {
        load.change(&rig, org, 0, 12);
    }
    let order = format!("{}/api/v1/orgs/acme/restart", rig.admin);
    // It may be gone before it answers.
    let _ = rig.http.post(order).send().await;
    assert_eq!(rig.ended().await.code(), Some(70));
    rig.start().await;
    load.all_is_well(&rig).await;
}

#[actix_rt::test]
async fn orgs_are_spread_over_the_threads_and_start_one_after_another_also_when_all_are_changed() {
    const ORGS: usize = 20;
    let orgs = (0..ORGS).map(|n| OrgOptions { flow: false, ..OrgOptions::named(&format!("org{n}")) });
    let mut rig = Rig::with(orgs.collect(), |text| text).await;
    rig.start().await;
    for limit in [100, 90] {
        rig.write(
            "orgpipe.toml",
            &rig.settings()
                .replace("requests_per_second = 100\n", &format!("requests_per_second = {limit}\n")),
        );
        rig.http.post(format!("{}/api/v1/reload", rig.admin)).send().await.expect("an answer");
        for n in 0..ORGS {
            let org = format!("org{n}");
            eventually(&org, async || {
                (rig.view(&org).await["budget"]["requests_per_second"] == limit).then_some(())
            })
            .await;
            rig.subscribed(&org).await;
        }
        let threads = threads(&rig).await;
        let orgs = |thread: &Value| thread["orgs"].as_array().expect("orgs").clone();
        let counts: Vec<usize> = threads.iter().map(|thread| orgs(thread).len()).collect();
        let (least, most) = (counts.iter().min(), counts.iter().max());
        assert!(
            counts.iter().sum::<usize>() == ORGS && most <= least.map(|least| least + 1).as_ref(),
            "{counts:?}"
        );
        let started = threads.iter().flat_map(orgs).map(|org| org["started_ms"].as_u64().expect("a time"));
        let started: Vec<u64> = started.collect();
        let span_ms = started.iter().max().expect("orgs") - started.iter().min().expect("orgs");
        // 20 ms apart, of which a late timer may take a little.
        assert!(span_ms >= 19 * 20 - 40, "all within {span_ms} ms");
    }
}
