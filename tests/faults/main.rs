//! Every failure of Salesforce's event endpoint that clients have met, S01 to S32: how the service reacts, by what the
//! simulator logged, and that the records end right. `sessions` has S01 to S13, `answers` the others; here is what they
//! share.
//!
//! Faults are asked for over the simulator's control API. The simulator's clock runs ten times as fast as real; the
//! service's own waits after trouble are real, so where they are minutes an operator's restart ends them.

mod answers;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use std::ops::Range;

use orgpipe_simulator::{CustomField, FieldKind, OrgHandle, OrgOptions, Row};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

const CHANNEL: &str = "/event/Sync_Request__e";
/// Accounts of one org have numbers of their own.
const ACCOUNTS: usize = 10_000;
/// How much faster than the service the simulator's clock runs.
const SCALE: i64 = 10;

/// The service and simulated orgs, each with one event stored and nothing logged yet.
struct Scene {
    rig: Rig,
    orgs: Vec<String>,
    /// Events published by org.
    published: Vec<usize>,
    /// Replay ID of the last event before the faults, by org.
    position: Vec<i64>,
}

impl Scene {
    /// One org for each name.
    async fn of(orgs: &[&str]) -> Self {
        let options = orgs.iter().map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
        Self::with(options.collect(), |text| text).await
    }

    async fn with(options: Vec<OrgOptions>, edit: impl FnOnce(String) -> String) -> Self {
        let orgs: Vec<String> = options.iter().map(|options| options.name.clone()).collect();
        let mut rig = Rig::with(options, edit).await;
        rig.start().await;
        let count = orgs.len();
        let mut scene = Self { rig, orgs, published: vec![0; count], position: vec![0; count] };
        for at in 0..count {
            let name = scene.orgs[at].clone();
            eventually("the subscription", async || {
                let view = scene.rig.view(&name).await;
                (view["subscription"]["channels"][CHANNEL]["state"] == "running").then_some(())
            })
            .await;
            scene.position[at] = scene.publish(at);
        }
        for at in 0..count {
            scene.right(at).await;
            scene.org(at).clear_calls();
            scene.org(at).clear_subscribes();
        }
        scene
    }

    fn org(&self, at: usize) -> &OrgHandle {
        self.rig.org(&self.orgs[at])
    }

    /// Does something over the control API.
    async fn control(&self, at: usize, method: Method, path: &str, body: Value) {
        let url = format!("{}/orgs/{}/{path}", self.rig.simulator.control_url(), self.orgs[at]);
        let reply = reqwest::Client::new().request(method, url).json(&body).send().await.expect("an answer");
        let status = reply.status();
        assert!(status.is_success(), "{path}: {status} {}", reply.text().await.unwrap_or_default());
    }

    async fn named(&self, at: usize, name: &str) {
        self.control(at, Method::POST, &format!("cometd-faults/{name}"), Value::Null).await;
    }

    async fn fault(&self, at: usize, fault: Value) {
        self.control(at, Method::POST, "cometd-faults", fault).await;
    }

    async fn streaming(&self, at: usize, key: &str, value: Value) {
        let mut terms = json!(self.org(at).streaming());
        terms[key] = value;
        self.control(at, Method::PUT, "streaming", terms).await;
    }

    /// A poll that is held is answered, so that the next one meets what has changed.
    async fn poke(&self, at: usize) {
        self.fault(at, json!({"at": "connect", "harm": {"merge": {}}})).await;
    }

    /// A new account, known to the look-up API.
    fn account(&self, at: usize, n: usize) -> String {
        let n = at * ACCOUNTS + n;
        self.rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
        self.org(at).create("Account", account(n)).expect("an account")
    }

    /// Publishes an event for a new account; gives its replay ID.
    fn publish(&mut self, at: usize) -> i64 {
        let id = self.account(at, self.published[at]);
        self.published[at] += 1;
        self.org(at).publish("Sync_Request__e", request(&[id]))
    }

    /// Waits until each event published has become one record, none twice, and the ledger says so.
    async fn right(&self, at: usize) {
        let count = self.published[at];
        let ledger = json!({ "records_in": count, "written": count, "open": 0, "dead_letters": 0 });
        self.rig.ledger(&self.orgs[at], ledger).await;
        self.holds(at, 0..count).await;
    }

    /// Waits for the records of these accounts.
    async fn holds(&self, at: usize, accounts: Range<usize>) {
        let expected: Vec<Value> = accounts.map(|n| json!(format!("K{}", at * ACCOUNTS + n))).collect();
        eventually("the records", async || {
            let rows = self.org(at).rows("Enrichment__c");
            let held = |key: &Value| {
                let row = rows.iter().find(|row| row.get("External_Id__c") == Some(key));
                row.is_some_and(|row| row["Employee_Count__c"] == json!(7.0))
            };
            expected.iter().all(held).then_some(())
        })
        .await;
    }

    fn times(&self, at: usize, channel: &str) -> Vec<i64> {
        let messages = self.org(at).cometd_messages().into_iter();
        messages.filter(|message| message.channel == channel).map(|message| message.at_ms).collect()
    }

    fn handshakes(&self, at: usize) -> usize {
        self.times(at, "/meta/handshake").len()
    }

    fn logins(&self, at: usize) -> usize {
        let calls = self.org(at).calls();
        calls.iter().filter(|call| call.path == "/services/oauth2/token").count()
    }

    /// Replay options asked for on the channel.
    fn replays(&self, at: usize) -> Vec<i64> {
        let asked = self.org(at).subscribes().into_iter().filter(|asked| asked.channel == CHANNEL);
        asked.map(|asked| asked.replay).collect()
    }

    /// What the admin API says of the subscription.
    async fn subscription(&self, at: usize) -> Value {
        self.rig.view(&self.orgs[at]).await["subscription"].clone()
    }

    /// Waits until the channel is deaf for this reason, and gives what is said of it.
    async fn deaf(&self, at: usize, reason: &str) -> Value {
        eventually(&format!("`{reason}` in what is said of {}", self.orgs[at]), async || {
            let channel = self.subscription(at).await["channels"][CHANNEL].clone();
            let said = channel["note"].as_str().unwrap_or_default().contains(reason);
            (said && channel["state"] == "waiting").then_some(channel)
        })
        .await
    }

    /// An operator's order, which ends any wait.
    async fn restart(&self, at: usize) {
        let url = format!("{}/api/v1/orgs/{}/restart", self.rig.admin, self.orgs[at]);
        let reply = self.rig.http.post(url).send().await.expect("an answer");
        assert!(reply.status().is_success(), "{}", reply.status());
    }

    fn reacted(&self, at: usize, handshakes: usize, logins: usize) {
        let found = (self.handshakes(at), self.logins(at));
        assert_eq!(found, (handshakes, logins), "handshakes and logins of {}", self.orgs[at]);
    }
}

/// A fault by name, and the handshakes and logins that it shall lead to.
type Case = (&'static str, usize, usize);

/// Strikes subscriptions that stand at a stored position, one org for each case. In each the event published next, and
/// one more, must become one record each; a new session must ask for what comes behind the stored position.
async fn recovers(cases: &[Case]) -> Scene {
    let names: Vec<String> = cases.iter().map(|(name, ..)| name.to_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    strikes(Scene::of(&names).await, cases).await
}

/// The same, in a scene that has an org for each case.
async fn strikes(mut scene: Scene, cases: &[Case]) -> Scene {
    for (at, (name, ..)) in cases.iter().enumerate() {
        scene.named(at, name).await;
        scene.publish(at);
    }
    for (at, (name, handshakes, logins)) in cases.iter().enumerate() {
        eventually("the reaction", async || (scene.handshakes(at) >= *handshakes).then_some(())).await;
        scene.right(at).await;
        scene.publish(at);
        scene.right(at).await;
        scene.reacted(at, *handshakes, *logins);
        let replays = scene.replays(at);
        assert!(replays.iter().all(|replay| *replay >= scene.position[at]), "{name}: {replays:?}");
        assert_eq!(replays.is_empty(), *handshakes == 0, "{name}: {replays:?}");
    }
    scene
}

/// Strikes subscriptions so that they must wait for minutes: they say why and leave the login alone. When an operator
/// restarts them after the trouble is over, nothing is missing.
async fn waits(cases: &[(&'static str, &str)]) {
    let names: Vec<String> = cases.iter().map(|(name, _)| name.to_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::of(&names).await;
    for (at, (name, _)) in cases.iter().enumerate() {
        scene.named(at, name).await;
    }
    for (at, (name, reason)) in cases.iter().enumerate() {
        scene.deaf(at, reason).await;
        assert!(scene.handshakes(at) <= 1, "{name} is not hammered");
        assert_eq!(scene.logins(at), 0, "{name} is not about the login");
        scene.control(at, Method::DELETE, "cometd-faults", Value::Null).await;
        scene.publish(at);
        scene.org(at).clear_subscribes();
        scene.restart(at).await;
        scene.right(at).await;
        assert_eq!(scene.replays(at), [scene.position[at]], "{name}: the position was kept");
    }
}

/// Strikes subscriptions so that they slow down: they say why and leave the login alone. When the trouble is over they
/// go on by themselves, and nothing is missing.
async fn slows_down(cases: &[(&'static str, &str)]) {
    let names: Vec<String> = cases.iter().map(|(name, _)| name.to_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::of(&names).await;
    for (at, (name, reason)) in cases.iter().enumerate() {
        scene.named(at, name).await;
        scene.deaf(at, reason).await;
        assert_eq!(scene.logins(at), 0, "{name} is not about the login");
        scene.publish(at);
        scene.org(at).clear_subscribes();
        scene.control(at, Method::DELETE, "cometd-faults", Value::Null).await;
        scene.right(at).await;
        let times = scene.times(at, "/meta/handshake");
        assert!(times.windows(2).skip(1).all(|pair| pair[1] - pair[0] >= 1_000), "{name}: {times:?}");
        assert_eq!(scene.replays(at), [scene.position[at]], "{name}: the position was kept");
    }
}
