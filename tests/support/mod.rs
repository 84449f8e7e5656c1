//! The real binary against the simulator: start, kill, ask, wait.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod cli;
pub(crate) mod load;
pub(crate) mod routes;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use orgpipe_simulator::{Options, OrgHandle, OrgOptions, Row, Simulator};
use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(1);
/// How much faster than real the simulator's own timers run.
const TIME_SCALE: f64 = 10.0;

/// A simulator, and the service with settings that fit it.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) folder: TempDir,
    /// Of the admin API, while the service runs.
    pub(crate) admin: String,
    /// Asks the admin API with the first token, once the service has been started.
    pub(crate) http: Client,
    /// Variables that commands get beside those of the test.
    pub(crate) variables: Vec<(&'static str, String)>,
    child: Option<Child>,
}

impl Rig {
    /// Starts a simulator with these orgs and writes the settings; `edit` may change them.
    pub(crate) async fn with(orgs: Vec<OrgOptions>, edit: impl FnOnce(String) -> String) -> Self {
        Self::tuned(orgs, Options { time_scale: TIME_SCALE, ..Options::default() }, edit).await
    }

    /// The same with other timers of the simulator.
    pub(crate) async fn scaled(
        orgs: Vec<OrgOptions>,
        time_scale: f64,
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        Self::tuned(orgs, Options { time_scale, ..Options::default() }, edit).await
    }

    /// The same, with a look-up API that takes its time.
    pub(crate) async fn slow(
        orgs: Vec<OrgOptions>,
        lookup_after: Duration,
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        Self::tuned(orgs, Options { time_scale: TIME_SCALE, lookup_after, ..Options::default() }, edit).await
    }

    async fn tuned(orgs: Vec<OrgOptions>, options: Options, edit: impl FnOnce(String) -> String) -> Self {
        let options = Options { orgs, ..options };
        let simulator = Simulator::start(options).await.expect("a simulator");
        let folder = tempfile::tempdir().expect("a folder");
        let rig = Self {
            simulator,
            folder,
            admin: String::new(),
            http: Client::new(),
            variables: Vec::new(),
            child: None,
        };
        rig.write_secret("jwt.key", rig.simulator.orgs()[0].private_key_pem());
        rig.write("orgpipe.toml", &edit(rig.settings()));
        rig
    }

    /// One org named `acme`, the service running.
    pub(crate) async fn acme(flow: bool) -> Self {
        let mut rig = Self::with(vec![OrgOptions { flow, ..OrgOptions::named("acme") }], |text| text).await;
        rig.start().await;
        rig.subscribed("acme").await;
        rig
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("written");
    }

    /// A file that only its owner may read, as secrets should be.
    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.folder.path().join(name), own).expect("it is ours");
    }

    pub(crate) fn org(&self, name: &str) -> &OrgHandle {
        self.simulator.org(name).expect("an org of that name")
    }

    /// Settings that fit the simulator.
    pub(crate) fn settings(&self) -> String {
        let mut text = format!(
            r#"
[service]
data_dir = "data"
listen = "127.0.0.1:0"

[source]
url = "{}"
requests_per_second = 1000

[[sync]]
name = "accounts"
channel = "/event/Sync_Request__e"
object = "Account"
keys = {{ domain = "Website" }}
target = "Enrichment__c"
external_id = {{ field = "External_Id__c", from = "/key" }}
refresh = {{ where = "Website != null" }}

[sync.fields]
Account__c = "$Id"
Employee_Count__c = "/employees"
Industry__c = "/industry"

[org_defaults.limits]
daily_share = 1.0
reserve = 0.0
requests_per_second = 100
"#,
            self.simulator.vendor().url()
        );
        for org in self.simulator.orgs() {
            let table = format!(
                r#"
[[org]]
id = "{}"
login_url = "{}"
auth = {{ flow = "jwt", client_id = "{}", username = "{}", key_file = "jwt.key" }}
"#,
                org.name(),
                org.base_url(),
                org.client_id(),
                org.username()
            );
            text.push_str(&table);
        }
        text
    }

    /// A command of the real binary: with the settings of this rig, or to its service with the first token.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orgpipe"));
        command.args(arguments).kill_on_drop(true);
        // Tests read the log line by line.
        command.env("ORGPIPE_LOG_REPEATS", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if matches!(arguments.first(), Some(&("run" | "check" | "store" | "vault"))) {
            command.arg("--config").arg(self.folder.path().join("orgpipe.toml"));
            return command;
        }
        command.env("ORGPIPE_TOKEN_FILE", self.token_file());
        if !self.admin.is_empty() {
            command.env("ORGPIPE_URL", &self.admin);
        }
        command
    }

    /// Where the service writes its first token: beside the data directory of the settings as they are now.
    pub(crate) fn token_file(&self) -> PathBuf {
        let settings = std::fs::read_to_string(self.folder.path().join("orgpipe.toml")).unwrap_or_default();
        let named = settings.lines().find_map(|line| line.strip_prefix("data_dir = \"")?.strip_suffix('"'));
        self.folder.path().join(format!("{}.token", named.unwrap_or("data")))
    }

    /// The first token.
    pub(crate) fn first_token(&self) -> String {
        std::fs::read_to_string(self.token_file()).expect("a token").trim().to_owned()
    }

    /// Makes a token of that name and role.
    pub(crate) async fn token(&self, name: &str, role: &str) -> String {
        let body = json!({ "name": name, "role": role });
        let reply = self.http.post(format!("{}/api/v1/tokens", self.admin)).json(&body).send().await;
        let reply = reply.expect("an answer");
        assert_eq!(reply.status(), 201, "{name}");
        let made: Value = reply.json().await.expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    }

    /// Takes the line by which the service says that it is running.
    fn is_running(&mut self, line: &str) {
        let (_, address) = line.rsplit_once("status on ").expect("an address");
        address.clone_into(&mut self.admin);
        self.http = client(&self.first_token());
    }

    /// Starts the service and waits until it says where its admin API is.
    pub(crate) async fn start(&mut self) {
        self.start_failing("").await;
    }

    /// The same with these failpoints.
    pub(crate) async fn start_failing(&mut self, failpoints: &str) {
        self.launch(failpoints, "warn");
        let stdout = self.child.as_mut().and_then(|child| child.stdout.take()).expect("piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await.expect("readable").expect("it says that it is running");
        self.is_running(&line);
    }

    /// Starts the service and waits for nothing.
    pub(crate) fn launch(&mut self, failpoints: &str, log: &str) {
        let child = self
            .command(&["run", "--log", log])
            .env("ORGPIPE_TEST_FAILPOINTS", failpoints)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// Starts the service with this log, which goes to `log.txt` in the rig's folder.
    pub(crate) async fn start_logged(&mut self, log: &str) {
        let file = std::fs::File::create(self.folder.path().join("log.txt")).expect("a file");
        let mut command = self.command(&["run", "--log", log]);
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("piped");
        self.child = Some(child);
        let line = BufReader::new(stdout).lines().next_line().await.expect("readable");
        let line = line.expect("it says that it is running");
        self.is_running(&line);
    }

    /// What the log says so far.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).expect("a log")
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("running");
        tokio::time::timeout(PATIENCE, child.wait()).await.expect("an end in time").expect("an end")
    }

    /// Kill -9.
    pub(crate) async fn kill(&mut self) {
        self.child.take().expect("running").kill().await.expect("killed");
    }

    /// SIGTERM, and the exit status.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM").await;
        self.child.take().expect("running").wait().await.expect("an end")
    }

    /// Any signal, by its option of `kill`.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.as_ref().and_then(Child::id).expect("running").to_string();
        let told = Command::new("kill").args([signal, &id]).status().await.expect("kill exists");
        assert!(told.success());
    }

    /// Of the service, while it runs.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("running")
    }

    /// The most memory that the service has had so far.
    pub(crate) fn peak_memory_mb(&self) -> u64 {
        let id = self.child.as_ref().and_then(Child::id).expect("running");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") / 1_024
    }

    /// What the admin API says of an org.
    pub(crate) async fn view(&self, org: &str) -> Value {
        let url = format!("{}/api/v1/orgs/{org}", self.admin);
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Waits until the events of an org are subscribed to.
    pub(crate) async fn subscribed(&self, org: &str) {
        eventually("the subscription", async || {
            (self.view(org).await["parts"]["events"]["state"] == "running").then_some(())
        })
        .await;
    }

    /// Waits until the ledger of an org shows these numbers, and checks that it balances.
    pub(crate) async fn ledger(&self, org: &str, expected: Value) {
        let mut last = Value::Null;
        let fits = eventually_or(async || {
            last = self.view(org).await["records"].clone();
            let fits =
                expected.as_object().expect("an object").iter().all(|(key, value)| last[key] == *value);
            fits.then_some(())
        })
        .await;
        assert!(fits.is_some(), "the ledger of {org} is {last}, expected {expected}");
        let number = |key: &str| last[key].as_u64().expect("a number");
        let ends = ["written", "unchanged", "no_data", "superseded", "dead_letters", "open"];
        assert_eq!(number("records_in"), ends.into_iter().map(number).sum::<u64>(), "{last}");
    }

    /// Asks for a path of the admin API.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}/api/v1/{path}", self.admin);
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Posts to a path of the admin API: the status, and the answer.
    pub(crate) async fn post(&self, path: &str) -> (u16, Value) {
        let url = format!("{}/api/v1/{path}", self.admin);
        let reply = self.http.post(url).send().await.expect("an answer");
        (reply.status().as_u16(), reply.json().await.unwrap_or_default())
    }

    /// Gives an order to an org by the admin API.
    pub(crate) async fn order(&self, org: &str, order: &str) {
        let url = format!("{}/api/v1/orgs/{org}/{order}", self.admin);
        let reply = self.http.post(url).send().await.expect("an answer");
        assert_eq!(reply.status(), 202, "{order}: {}", reply.text().await.unwrap_or_default());
    }

    /// Waits until no refresh of an org is under way and nothing is open.
    pub(crate) async fn through(&self, org: &str) {
        eventually("the refresh's end", async || {
            let view = self.view(org).await;
            let none = view["refreshes"].as_object().is_some_and(serde_json::Map::is_empty);
            (none && view["records"]["open"] == 0).then_some(())
        })
        .await;
    }

    /// Makes a lead of the company, and publishes an event that asks for it.
    pub(crate) fn lead(&self, org: &str, n: usize) -> String {
        let lead = json!({ "LastName": "Doe", "Company": format!("Company {n}"), "Website": domain(n) });
        let lead = lead.as_object().cloned().expect("an object");
        let id = self.org(org).create("Lead", lead).expect("a lead");
        let mut event = request(std::slice::from_ref(&id));
        event.insert("Object_Type__c".to_owned(), json!("Lead"));
        self.org(org).publish("Sync_Request__e", event);
        id
    }

    /// The enrichment that belongs to an external ID.
    pub(crate) fn enrichment(&self, org: &str, key: &str) -> Option<Row> {
        let rows = self.org(org).rows("Enrichment__c");
        rows.into_iter().find(|row| row.get("External_Id__c").and_then(Value::as_str) == Some(key))
    }
}

/// A client that sends a token with each request.
pub(crate) fn client(token: &str) -> Client {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    Client::builder().default_headers(headers).build().expect("a client")
}

/// A sync of leads beside that of accounts, written to the same object.
const LEADS: &str = r#"
[[sync]]
name = "leads"
channel = "/event/Sync_Request__e"
object = "Lead"
keys = { domain = "Website" }
target = "Enrichment__c"
external_id = { field = "External_Id__c", from = "/key" }
refresh = {}

[sync.fields]
Lead__c = "$Id"

[org_defaults.limits]"#;

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Settings that have that sync, too.
pub(crate) fn with_leads(settings: &str) -> String {
    settings.replace("[org_defaults.limits]", LEADS)
}

/// What the look-up API shall answer for a domain.
pub(crate) fn answer(key: &str, employees: u32) -> Value {
    json!({ "key": key, "employees": employees, "industry": "Software" })
}

/// An account of that domain.
pub(crate) fn account(n: usize) -> Row {
    Row::from_iter([
        ("Name".to_owned(), json!(format!("Company {n}"))),
        ("Website".to_owned(), json!(domain(n))),
    ])
}

pub(crate) fn domain(n: usize) -> String {
    format!("company{n}.example")
}

/// A sync request for these records.
pub(crate) fn request(ids: &[String]) -> Row {
    Row::from_iter([
        ("Object_Type__c".to_owned(), json!("Account")),
        ("Record_Ids__c".to_owned(), json!(ids.join(","))),
        ("Reason__c".to_owned(), json!("Changed")),
    ])
}

/// Waits for a condition; fails with `what` when it does not come true in time.
pub(crate) async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_or(condition).await.unwrap_or_else(|| panic!("{what} did not come within {PATIENCE:?}"))
}

#[expect(clippy::disallowed_methods, reason = "a test's own patience is measured in real time")]
async fn eventually_or<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(value) = condition().await {
            return Some(value);
        }
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    None
}
