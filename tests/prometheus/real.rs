//! A real Prometheus scrapes a real service: its rules and each question of the Grafana dashboard are asked, and what must have an
//! answer has one.
//!
//! Here: starting it and asking. Not here: what the rules are about (`rules`), the numbers themselves (`scrape`).

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    documented, has, path, scene,
    support::{Rig, eventually, free_port},
    text,
};

/// Panels that may be empty, as they show trouble that there is none of here.
const MAY_BE_EMPTY: [&str; 1] = ["Requests that did not end well"];

/// A Prometheus of its own, ended when dropped.
struct Prometheus {
    url: String,
    http: Client,
    child: Child,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// One that scrapes this service once a second, with the rules that are shipped.
    async fn of(rig: &Rig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, target) = (free_port(), rig.admin.strip_prefix("http://").expect("an address"));
        std::fs::write(folder.path().join("orgpipe.token"), rig.token("prometheus", "read").await)
            .expect("a file");
        std::fs::copy(path("config/prometheus/alerts.yml"), folder.path().join("alerts.yml"))
            .expect("a copy");
        // The example that is shipped, but faster, and at the port of this service.
        let example = text("config/prometheus/prometheus.yml");
        assert!(example.contains("127.0.0.1:8787") && example.contains("15s"));
        let settings = example.replace("127.0.0.1:8787", target).replace("15s", "1s");
        std::fs::write(folder.path().join("prometheus.yml"), settings).expect("a file");
        let log = std::fs::File::create(folder.path().join("log.txt")).expect("a file");
        let child = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let url = format!("http://127.0.0.1:{port}");
        let prometheus = Self { url, http: Client::new(), child, _folder: folder };
        eventually("Prometheus", async || {
            let ready = prometheus.http.get(format!("{}/-/ready", prometheus.url)).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let answer = self.http.get(format!("{}/api/v1/{path}", self.url)).query(query).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    }

    /// The samples that answer a question.
    async fn ask(&self, question: &str) -> Vec<Value> {
        let answer = self.get("query", &[("query", question)]).await;
        assert_eq!(answer["status"], "success", "{question}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }
}

/// The questions of the dashboard: panel, question as Prometheus takes it.
fn questions() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text("config/grafana/orgpipe.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let mut questions = Vec::new();
    for panel in &panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().expect("a question");
            let asked =
                expr.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$org", ".*");
            questions.push((panel["title"].as_str().expect("a title").to_owned(), asked));
        }
    }
    assert!(questions.len() > 30, "{}", questions.len());
    questions
}

#[actix_rt::test]
async fn a_real_prometheus_has_an_answer_to_each_rule_and_each_panel() {
    if !has("prometheus") {
        return;
    }
    let rig = scene::busy().await;
    let prometheus = Prometheus::of(&rig).await;
    // A rate takes two scrapes with work between them.
    eventually("two scrapes", async || scraped(&prometheus, 2).await).await;
    scene::work(&rig, 1).await;
    eventually("two more scrapes", async || scraped(&prometheus, 5).await).await;

    let targets = prometheus.get("targets", &[]).await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");

    let names = prometheus.get("label/__name__/values", &[]).await;
    let names: BTreeSet<&str> =
        names["data"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    for metric in documented() {
        let bucket = format!("{metric}_bucket");
        assert!(
            names.contains(metric.as_str()) || names.contains(bucket.as_str()),
            "{metric} is documented and was never scraped"
        );
    }

    let rules = eventually("the rules to be evaluated", async || {
        let rules = prometheus.get("rules", &[]).await;
        let groups = rules["data"]["groups"].as_array()?.clone();
        let rules: Vec<Value> =
            groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect();
        (!rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")).then_some(rules)
    })
    .await;
    assert!(rules.len() > 20);
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        prometheus.ask(rule["query"].as_str().expect("a question")).await;
        // What a rule compares is there: without its bounds it has an answer.
        for metric in metrics_in(rule["query"].as_str().expect("a question")) {
            let what = format!("{metric} of {rule}");
            eventually(&what, async || (!prometheus.ask(&metric).await.is_empty()).then_some(())).await;
        }
    }

    for (panel, question) in questions() {
        let found = prometheus.ask(&question).await;
        assert!(
            !found.is_empty() || MAY_BE_EMPTY.contains(&panel.as_str()),
            "{panel}: nothing answers {question}"
        );
    }
    let values = prometheus.ask("sum(rate(orgpipe_events_total[1m]))").await;
    let rate: f64 = values[0]["value"][1].as_str().and_then(|rate| rate.parse().ok()).expect("a number");
    assert!(rate > 0.0, "events were counted while it looked on");
}

/// Whether the service was scraped so often.
async fn scraped(prometheus: &Prometheus, times: u32) -> Option<()> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let count = prometheus.ask(r#"count_over_time(up{job="orgpipe"}[5m])"#).await;
    let count: f64 = count.first()?["value"][1].as_str()?.parse().ok()?;
    (count >= f64::from(times)).then_some(())
}

/// The metrics that a question names.
fn metrics_in(question: &str) -> BTreeSet<String> {
    let words = question.split(|char: char| !(char.is_ascii_alphanumeric() || "_:".contains(char)));
    let known =
        |word: &&str| ["orgpipe_", "process_", "orgpipe:"].iter().any(|start| word.starts_with(start));
    words.filter(known).map(str::to_owned).collect()
}
