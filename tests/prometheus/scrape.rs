//! What one scrape tells: valid for Prometheus, with nothing that is not documented, and with no org where none is wanted.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use orgpipe_simulator::OrgOptions;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use crate::{
    documented, has, scene,
    support::{Rig, client, eventually},
};

async fn scrape(rig: &Rig, accept: &str) -> (String, String) {
    let answer = rig.http.get(format!("{}/metrics", rig.admin)).header(ACCEPT, accept).send().await;
    let answer = answer.expect("an answer");
    let content_type = answer.headers()[CONTENT_TYPE].to_str().expect("text").to_owned();
    (content_type, answer.text().await.expect("text"))
}

/// The families of a scrape, by the lines that describe them.
fn families(text: &str) -> BTreeSet<String> {
    let described = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    described.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
}

#[actix_rt::test]
async fn a_scrape_is_valid_in_both_formats_and_tells_what_is_documented_and_nothing_else() {
    let rig = scene::busy().await;
    let (content_type, text) = scrape(&rig, "text/plain;version=0.0.4").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    let known: BTreeSet<String> = documented().into_iter().collect();
    assert_eq!(families(&text), known);
    // Every family has a sample, so that each is what it says.
    for name in &known {
        let has_sample = |line: &str| {
            line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(['{', ' ', '_']))
        };
        assert!(text.lines().any(has_sample), "{name} has no sample");
    }
    let (content_type, open) =
        scrape(&rig, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("# EOF\n"));
    let base: BTreeSet<String> =
        known.iter().map(|name| name.strip_suffix("_total").unwrap_or(name).to_owned()).collect();
    assert_eq!(families(&open), base);
    for secret in [rig.first_token().as_str(), "example.com/0"] {
        assert!(!text.contains(secret), "no secret and no record");
    }
    if has("promtool") {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool runs");
        promtool.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
        let output = promtool.wait_with_output().expect("it ends");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}

/// The value of a sample; none if it is not told.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[actix_rt::test]
async fn what_the_service_does_is_counted() {
    let rig = scene::busy().await;
    let (_, text) = scrape(&rig, "*/*").await;
    let mut missing = Vec::new();
    // At least so many; each is taken away by taking out one line that records.
    for (sample, least) in [
        ("orgpipe_events_total", 2.0),
        ("orgpipe_org_events_total{org=\"acme\"}", 1.0),
        ("orgpipe_event_to_written_seconds_count", 2.0),
        ("orgpipe_records_ended_total{end=\"written\"}", 2.0),
        ("orgpipe_lookup_duration_seconds_count", 2.0),
        ("orgpipe_lookups_total{result=\"ok\"}", 2.0),
        ("orgpipe_salesforce_calls_total{kind=\"token\",result=\"ok\"}", 3.0),
        ("orgpipe_salesforce_calls_total{kind=\"cometd_handshake\",result=\"ok\"}", 3.0),
        ("orgpipe_salesforce_calls_total{kind=\"cometd_subscribe\",result=\"ok\"}", 3.0),
        ("orgpipe_salesforce_calls_total{kind=\"query\",result=\"ok\"}", 2.0),
        ("orgpipe_salesforce_calls_total{kind=\"describe\",result=\"ok\"}", 1.0),
        ("orgpipe_salesforce_call_duration_seconds_count{kind=\"query\"}", 2.0),
        ("orgpipe_org_salesforce_calls_total{org=\"acme\"}", 5.0),
        ("orgpipe_store_commit_duration_seconds_count", 5.0),
        ("orgpipe_store_commit_calls_count", 5.0),
        ("orgpipe_org_last_refresh_timestamp_seconds{org=\"acme\",sync=\"accounts\"}", 1.0e9),
        ("orgpipe_org_budget_paused{org=\"initech\",work=\"refresh\"}", 1.0),
        ("orgpipe_quarantined_fields", 1.0),
        ("process_start_time_seconds", 1.0e9),
        ("process_resident_memory_bytes", 1.0e6),
        ("orgpipe_build_info{version=\"0.1.0\",os=\"linux\",arch=\"x86_64\"}", 1.0),
    ] {
        if sample.contains("x86_64") && !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            continue;
        }
        let found = value(&text, sample);
        if found.is_none_or(|found| found < least) {
            missing.push(format!("{sample}: {found:?}, and it should be {least} at least"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(value(&text, "orgpipe_event_to_written_seconds_sum").is_some_and(|sum| sum < 3_600.0));
    assert_eq!(value(&text, "orgpipe_ledger_imbalance"), Some(0.0));
}

/// An API that fails opens the breaker; one that answers what nobody can use is told apart from it.
#[actix_rt::test]
async fn look_ups_are_counted_by_how_they_end_and_the_breaker_is_told() {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| text).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.subscribed("globex").await;
    let told = async |sample: &str, least: f64| {
        eventually(sample, async || {
            value(&scrape(&rig, "*/*").await.1, sample).filter(|found| *found >= least).map(drop)
        })
        .await;
    };
    told("orgpipe_lookup_breaker_state{state=\"closed\"}", 1.0).await;
    rig.simulator.vendor().fail_next(503, 1_000);
    scene::publish(&rig, "acme", 0);
    told("orgpipe_lookups_total{result=\"server_error\"}", 5.0).await;
    told("orgpipe_lookup_breaker_state{state=\"open\"}", 1.0).await;
    // The org that has asked waits by itself; one that comes while the API is left alone is held back.
    let mut number = 100;
    eventually("a look-up that is held back", async || {
        scene::publish(&rig, "globex", number);
        number += 1;
        let text = scrape(&rig, "*/*").await.1;
        value(&text, "orgpipe_lookups_total{result=\"breaker_open\"}").filter(|found| *found >= 1.0).map(drop)
    })
    .await;
    rig.simulator.vendor().fail_next(503, 0);
    rig.ledger("acme", serde_json::json!({ "written": 1, "open": 0 })).await;
    told("orgpipe_lookup_breaker_state{state=\"closed\"}", 1.0).await;
    rig.simulator.vendor().answer_garbage(true);
    scene::publish(&rig, "acme", 1);
    told("orgpipe_lookup_unusable_answers_total", 1.0).await;
    rig.simulator.vendor().answer_garbage(false);
    rig.ledger("acme", serde_json::json!({ "written": 2, "open": 0 })).await;
}

#[actix_rt::test]
async fn the_settings_say_for_which_orgs_there_are_metrics_and_a_reload_changes_it() {
    let orgs = ["acme", "globex"].map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let mut rig = Rig::with(orgs.to_vec(), |text| {
        text.replace("[source]", "metrics = { per_org = \"none\" }\n\n[source]")
    })
    .await;
    rig.start().await;
    rig.subscribed("acme").await;
    let count = async |rig: &Rig| {
        let (_, text) = scrape(rig, "*/*").await;
        let left_out = text.lines().find_map(|line| line.strip_prefix("orgpipe_metrics_orgs_left_out "));
        let orgs = text.lines().filter(|line| line.starts_with("orgpipe_org_state{")).count();
        (orgs, left_out.expect("a number").parse::<f64>().expect("a number"))
    };
    assert_eq!(count(&rig).await, (0, 2.0));
    assert!(scrape(&rig, "*/*").await.1.contains("orgpipe_records_open 0"), "the whole service is told of");
    for (wanted, expected) in [("per_org = \"all\", orgs_max = 1", (1, 1.0)), ("per_org = \"all\"", (2, 0.0))]
    {
        let settings = rig.settings().replace("[source]", &format!("metrics = {{ {wanted} }}\n\n[source]"));
        rig.write("orgpipe.toml", &settings);
        let (status, said) = rig.post("reload").await;
        assert_eq!((status, &said["exchanged"]), (200, &serde_json::json!(["service.metrics"])), "{said}");
        assert_eq!(count(&rig).await, expected);
    }
}

#[actix_rt::test]
async fn anybody_may_ask_whether_the_service_is_ready_and_is_told_of_no_org() {
    let mut rig = Rig::with(vec![OrgOptions::named("acme")], |text| text).await;
    rig.start().await;
    let stranger = client("nobody");
    let ready = async || {
        let answer = stranger.get(format!("{}/readyz", rig.admin)).header("host", "lb.example").send().await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    eventually("the service to be ready", async || {
        let (status, said) = ready().await;
        assert!(!said.to_string().contains("acme"), "{said}");
        assert_eq!(status == 200, said["ready"] == true, "{said}");
        assert!(status == 200 || said["reasons"][0]["reason"] == "starting", "{said}");
        (status == 200).then_some(())
    })
    .await;
}
