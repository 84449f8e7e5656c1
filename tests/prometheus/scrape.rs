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
