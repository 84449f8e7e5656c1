//! One odd record or answer never stops its neighbours.

use std::time::{Duration, Instant};

use orgpipe_simulator::OrgOptions;
use orgpipe_store::{Append, Durability, Options, Store};
use serde_json::json;

use super::support::{Rig, account, answer, domain, eventually, request};

#[expect(clippy::disallowed_methods, reason = "how soon work goes on is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

fn publish(rig: &Rig, org: &str, n: usize) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("{org}-{n}"), 10)));
    let id = rig.org(org).create("Account", account(n)).expect("an account");
    rig.org(org).publish("Sync_Request__e", request(&[id]));
}

async fn acme() -> Rig {
    Rig::acme(false).await
}

/// Trouble of the event endpoint that passes with the next request, twice in a row each.
#[actix_rt::test]
async fn a_busy_event_endpoint_is_asked_again_within_seconds() {
    let respond = |status: u16, body: &str| json!({ "respond": { "status": status, "body": body } });
    let busy = json!({ "refuse": { "error": "403:denied_by_security_policy:subscribe_denied",
        "failure_reason": "503::Server is too busy.  Please try your request again later." } });
    let unavailable = json!({ "refuse": { "error": "500::Service unavailable" } });
    for (what, at, effect) in [
        ("busy", "subscribe", busy),
        ("a code of 500", "subscribe", unavailable),
        ("an empty 406", "connect", respond(406, "")),
        ("a 420 with a page", "connect", respond(420, "<html>We are setting things up</html>")),
        ("a 425", "handshake", respond(425, "")),
    ] {
        let rig = acme().await;
        let fault = json!({ "at": at, "count": 2, "harm": effect });
        rig.org("acme").cometd_fault(serde_json::from_value(fault).expect("a fault"));
        if at != "connect" {
            rig.org("acme").drop_sessions();
        }
        let begun = now();
        eventually("the trouble", async || {
            let view = rig.view("acme").await;
            view["subscription"]["faults"].as_object().is_some_and(|faults| !faults.is_empty()).then_some(())
        })
        .await;
        publish(&rig, "acme", 1);
        rig.ledger("acme", json!({ "written": 1 })).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
    }
}

#[actix_rt::test]
async fn logins_that_meet_are_tried_again_every_second_or_two() {
    let options = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![options], |text| text).await;
    rig.org("acme").refuse_logins(Some(("invalid_grant", "token request is already being processed")));
    let begun = now();
    rig.start().await;
    eventually("six refusals", async || {
        let calls = rig.org("acme").calls();
        (calls.iter().filter(|call| call.path.ends_with("/token")).count() >= 6).then_some(())
    })
    .await;
    rig.org("acme").refuse_logins(None);
    rig.subscribed("acme").await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[actix_rt::test]
async fn an_outage_of_the_look_up_is_waited_for_once_and_not_by_each_org() {
    let names: Vec<String> = (0..10).map(|n| format!("org{n}")).collect();
    let orgs = names.iter().map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) }).collect();
    let mut rig = Rig::with(orgs, |text| text).await;
    rig.start().await;
    for name in &names {
        rig.subscribed(name).await;
    }
    for (round, down_for) in [(1, 1), (2, 4)] {
        rig.simulator.vendor().set_down(true);
        for name in &names {
            publish(&rig, name, round);
        }
        actix_rt::time::sleep(Duration::from_secs(down_for)).await;
        rig.simulator.vendor().clear_requests();
        rig.simulator.vendor().set_down(false);
        let back = now();
        eventually("a good call", async || (!rig.simulator.vendor().requests().is_empty()).then_some(()))
            .await;
        assert!(back.elapsed() < Duration::from_millis(2_500), "{:?}", back.elapsed());
        for name in &names {
            rig.ledger(name, json!({ "written": round })).await;
        }
        assert!(back.elapsed() < Duration::from_secs(15), "all orgs: {:?}", back.elapsed());
    }
}

/// Puts positions into the store of a service that does not run.
async fn put(rig: &Rig, positions: &[(&str, String)]) {
    let options = Options {
        durability: Durability::Power,
        cache_bytes: 1 << 25,
        depth_max: u64::MAX,
        ledger_days: 30,
        free_bytes_min: 0,
    };
    let store = Store::open(&rig.folder.path().join("data"), options).expect("the store");
    let positions = positions.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes()));
    let append = Append { positions: positions.collect(), ..Append::default() };
    store.append("acme", append).await.expect("stored");
    store.close().await.expect("closed");
}

/// As a clock leaves it that ran 400 days ahead and was set back.
#[actix_rt::test]
async fn times_that_are_to_come_count_as_now() {
    let settings = |text: String| {
        text.replace(
            "refresh = { where = \"Website != null\" }",
            "refresh = { where = \"Website != null\", schedule = \"0 3 * * *\" }",
        )
    };
    let options = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![options], settings).await;
    rig.start().await;
    rig.subscribed("acme").await;
    publish(&rig, "acme", 1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    rig.terminate().await;
    let to_come = "4000000000000".to_owned();
    put(
        &rig,
        &[
            ("refresh-started accounts", to_come.clone()),
            ("refreshed-until accounts", to_come.clone()),
            ("heard /event/Sync_Request__e", to_come),
        ],
    )
    .await;
    rig.start_logged("warn").await;
    rig.subscribed("acme").await;
    let log = eventually("a word about it", async || {
        let log = rig.logged();
        log.contains("counts as now").then_some(log)
    })
    .await;
    assert_eq!(log.matches("counts as now").count(), 1, "said once: {log}");
    // What has changed since a time that is to come nobody knows: all is read.
    rig.order("acme", "refresh?changed=true").await;
    rig.ledger("acme", json!({ "records_in": 2, "unchanged": 1 })).await;
    publish(&rig, "acme", 2);
    rig.ledger("acme", json!({ "records_in": 3, "written": 2 })).await;
}

/// Events of which nothing can be read, larger than what a dead letter may hold: one long text, very many fields, one long
/// list. What is kept of them is cut, and their channel goes on.
#[actix_rt::test]
async fn an_event_that_is_too_large_to_be_kept_is_a_letter_and_its_channel_goes_on() {
    let rig = acme().await;
    let wide = (0..3_000).map(|n| (format!("F{n}__c"), json!("x".repeat(3_000))));
    let list: Vec<String> = (0..200_000).map(|n| format!("{n:050}")).collect();
    for more in [
        vec![("Text__c".to_owned(), json!("é".repeat(5_500_000)))],
        wide.collect(),
        vec![("List__c".to_owned(), json!(list))],
    ] {
        let mut event = request(&[]);
        event.extend(more);
        rig.org("acme").publish("Sync_Request__e", event);
    }
    publish(&rig, "acme", 1);
    rig.ledger("acme", json!({ "written": 1, "dead_letters": 3, "open": 0 })).await;
    let url = format!("{}/api/v1/orgs/acme/dead-letters?limit=10", rig.admin);
    let letters: serde_json::Value =
        rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
    for letter in letters["dead_letters"].as_array().expect("a list") {
        assert!(letter["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{letter}");
    }
}
