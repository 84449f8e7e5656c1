//! Traces of the real program, as a collector takes them.

#[path = "../support/mod.rs"]
mod support;

mod collector;

use std::time::Duration;

use collector::{Collector, TakenSpan};
use orgpipe_simulator::OrgOptions;
use serde_json::json;
use support::{Rig, account, answer, domain, eventually, free_port, request};

/// A rig whose traces are all sent to this address.
async fn rig(endpoint: &str) -> Rig {
    let traces = format!(
        "[service.traces]\nendpoint = \"{endpoint}\"\nsample_ratio = 1.0\ntimeout_secs = 1\n\n[source]\n"
    );
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    Rig::with(vec![org], |text| text.replace("[source]\n", &traces)).await
}

/// Makes an account about which something is known.
fn create(rig: &Rig, n: usize) -> String {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
    rig.org("acme").create("Account", account(n)).expect("an account")
}

/// Publishes an event for accounts.
fn publish(rig: &Rig, ids: &[String], correlation_id: &str) {
    let mut event = request(ids);
    event.insert("Correlation_Id__c".to_owned(), json!(correlation_id));
    rig.org("acme").publish("Sync_Request__e", event);
}

/// Trace ID, parent ID and flags that the vendor's API was told with its newest look-up.
fn told(rig: &Rig) -> [String; 3] {
    let asked = rig.simulator.vendor().requests();
    let parts = asked.last().expect("a look-up").traceparent.splitn(4, '-').skip(1).map(str::to_owned);
    parts.collect::<Vec<_>>().try_into().expect("a traceparent")
}

/// Waits for a span of that name in a trace.
async fn span(collector: &Collector, trace: &str, name: &str) -> TakenSpan {
    let found = eventually(name, async || {
        collector.spans().into_iter().find(|span| span.trace == trace && span.name == name)
    });
    found.await
}

#[actix_rt::test]
async fn an_event_has_one_trace_from_its_arrival_to_its_write() {
    let collector = Collector::start();
    let mut rig = rig(&collector.url()).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let id = create(&rig, 1);
    publish(&rig, &[id], "join-me");
    rig.ledger("acme", json!({ "records_in": 1, "written": 1, "open": 0 })).await;

    let [trace, parent, flags] = told(&rig);
    assert_eq!(flags, "01");
    let write = span(&collector, &trace, "write Enrichment__c").await;
    let root = span(&collector, &trace, "receive /event/Sync_Request__e").await;
    assert_eq!(root.parent, "", "it begins the trace");
    for (attribute, value) in [
        ("orgpipe.org", "acme"),
        ("messaging.system", "salesforce"),
        ("messaging.destination.name", "/event/Sync_Request__e"),
        ("messaging.message.conversation_id", "join-me"),
    ] {
        assert_eq!(root.attribute(attribute), value, "{attribute}");
    }
    let look_up = span(&collector, &trace, "look up accounts").await;
    let decide = span(&collector, &trace, "decide accounts").await;
    for step in [&look_up, &decide, &write] {
        assert_eq!(step.parent, root.id, "{}", step.name);
        assert_eq!(step.attribute("orgpipe.records"), "1", "{}", step.name);
        assert_eq!(step.error, "", "{}", step.name);
    }
    assert_eq!(look_up.attribute("orgpipe.sync"), "accounts");
    let post = span(&collector, &trace, "POST look-up").await;
    assert_eq!((post.id.as_str(), &post.parent), (parent.as_str(), &look_up.id), "as the vendor was told");
    assert_eq!(post.attribute("http.response.status_code"), "200");
    let calls: Vec<TakenSpan> =
        collector.spans().into_iter().filter(|span| span.name.starts_with("salesforce ")).collect();
    let within = |step: &TakenSpan| calls.iter().filter(|call| call.parent == step.id).count();
    assert!(within(&look_up) > 0 && within(&decide) > 0 && within(&write) > 0, "{calls:?}");
    assert!(calls.iter().all(|call| call.trace == trace), "no call of anything else: {calls:?}");

    // Neither the record nor what was answered about it.
    for value in [domain(1).as_str(), "Company 1", "Software"] {
        assert!(!collector.has_text(value), "{value}");
    }
    let metrics = rig.http.get(format!("{}/metrics", rig.admin)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("orgpipe_trace_spans_total{result=\"lost\"} 0"), "{metrics}");
}

#[actix_rt::test]
async fn events_that_are_decided_together_are_each_told_in_their_own_trace() {
    let collector = Collector::start();
    let mut rig = rig(&collector.url()).await;
    rig.start().await;
    rig.subscribed("acme").await;
    // The first goes at once, and the others wait for each other.
    for n in 1..=6 {
        let id = create(&rig, n);
        publish(&rig, &[id], "");
    }
    rig.ledger("acme", json!({ "records_in": 6, "written": 6, "open": 0 })).await;
    let roots = eventually("all roots", async || {
        let roots: Vec<TakenSpan> =
            collector.spans().into_iter().filter(|span| span.name.starts_with("receive ")).collect();
        (roots.len() == 6).then_some(roots)
    })
    .await;
    for root in &roots {
        for name in ["look up accounts", "decide accounts", "write Enrichment__c"] {
            assert_eq!(span(&collector, &root.trace, name).await.parent, root.id, "{name}");
        }
    }
    let linked: usize = collector.spans().iter().map(|span| span.links.len()).sum();
    assert!(linked > 0, "those of one batch know of each other");
}

#[actix_rt::test]
async fn a_refresh_that_writes_by_a_bulk_job_has_one_trace() {
    let collector = Collector::start();
    let mut rig = rig(&collector.url()).await;
    for n in 1..=30 {
        create(&rig, n);
    }
    rig.start().await;
    rig.subscribed("acme").await;
    rig.order("acme", "refresh").await;
    rig.ledger("acme", json!({ "records_in": 30, "written": 30, "open": 0 })).await;
    let [trace, ..] = told(&rig);
    let root = span(&collector, &trace, "refresh accounts").await;
    assert_eq!((root.parent.as_str(), root.attribute("orgpipe.records")), ("", "30"));
    for name in [
        "read accounts",
        "look up accounts",
        "decide accounts",
        "write Enrichment__c",
        "look at Bulk job of Enrichment__c",
    ] {
        assert_eq!(span(&collector, &trace, name).await.parent, root.id, "{name}");
    }
    let upload = span(&collector, &trace, "salesforce bulk_upload").await;
    let write = span(&collector, &trace, "write Enrichment__c").await;
    assert_eq!(upload.parent, write.id);
}

#[actix_rt::test]
async fn a_trace_goes_on_after_a_kill_between_arrival_and_write() {
    let collector = Collector::start();
    let mut rig = rig(&collector.url()).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.simulator.vendor().set_down(true);
    let id = create(&rig, 1);
    publish(&rig, &[id], "");
    eventually("a look-up", async || (!rig.simulator.vendor().requests().is_empty()).then_some(())).await;
    let [before, ..] = told(&rig);
    let root = span(&collector, &before, "receive /event/Sync_Request__e").await;
    let failed = span(&collector, &before, "look up accounts").await;
    assert_eq!((failed.parent.as_str(), failed.error.as_str()), (root.id.as_str(), "look-up"));
    rig.kill().await;
    rig.simulator.vendor().set_down(false);
    rig.start().await;
    rig.ledger("acme", json!({ "records_in": 1, "written": 1, "open": 0 })).await;
    let [after, ..] = told(&rig);
    assert_eq!(before, after);
    assert_eq!(span(&collector, &before, "write Enrichment__c").await.parent, root.id);
}

#[actix_rt::test]
async fn a_collector_that_is_down_or_hangs_costs_spans_alone() {
    // One that refuses, and one that takes what comes and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let places = [format!("127.0.0.1:{}", free_port()), silent.local_addr().expect("an address").to_string()];
    for place in places {
        let mut rig = rig(&format!("http://{place}")).await;
        rig.start_logged("warn").await;
        rig.subscribed("acme").await;
        let ids: Vec<String> = (1..=5).map(|n| create(&rig, n)).collect();
        publish(&rig, &ids, "");
        rig.ledger("acme", json!({ "records_in": 5, "written": 5, "open": 0 })).await;
        eventually("lost spans", async || {
            let metrics =
                rig.http.get(format!("{}/metrics", rig.admin)).send().await.ok()?.text().await.ok()?;
            let lost = metrics
                .lines()
                .find_map(|line| line.strip_prefix("orgpipe_trace_spans_total{result=\"lost\"} "))?;
            (lost.parse::<f64>().ok()? > 0.0).then_some(())
        })
        .await;
        eventually("a line about it", async || rig.logged().contains("does not take traces").then_some(()))
            .await;
        let ended = tokio::time::timeout(Duration::from_secs(9), rig.terminate()).await;
        assert!(ended.expect("within the time of a container").success());
    }
}

#[actix_rt::test]
async fn what_is_not_told_is_not_sent() {
    let collector = Collector::start();
    let mut rig = rig(&collector.url()).await;
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    rig.write("orgpipe.toml", &settings.replace("sample_ratio = 1.0", "sample_ratio = 0.000000001"));
    rig.start().await;
    rig.subscribed("acme").await;
    let id = create(&rig, 1);
    publish(&rig, &[id], "");
    rig.ledger("acme", json!({ "records_in": 1, "written": 1, "open": 0 })).await;
    assert!(told(&rig)[2] == "00");
    // What there is goes out at the end.
    assert!(rig.terminate().await.success());
    assert_eq!(collector.spans().len(), 0);
}
