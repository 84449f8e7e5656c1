//! Every path of the admin API, of the connecting of orgs and of the callback, with what nobody should send.
//!
//! Here: what must hold of every answer. Not here: what is sent (`inputs`), how (`raw`).
//!
//! The paths come from `config/admin-openapi.json`, which a unit test holds against what is served.

mod inputs;
mod raw;
mod schemathesis;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, stream};
use inputs::{INJECTED, METHODS, PARTS, QUERIES, SPOILS, bodies};
use orgpipe_simulator::OrgOptions;
use raw::{Answer, Request, send};
use serde_json::{Value, json};
use support::{
    Rig, account, domain, free_port, request,
    routes::{self, Route},
};

/// Texts that no answer and no log may have.
const APP_SECRET: &str = "planted-app-secret-7";
const RECORD_VALUE: &str = "planted-record-value-7";
const JSON: &str = "application/json";
/// The caller who may do everything.
const ADMIN: &str = "administrator";
/// Requests that are under way at a time.
const AT_A_TIME: usize = 16;
/// Longer than any of them takes that is answered at once.
const SLOW: Duration = Duration::from_secs(15);

/// Somebody who asks.
struct Caller {
    name: &'static str,
    token: String,
    /// The roles that are theirs.
    roles: &'static [&'static str],
}

impl Caller {
    fn may(&self, route: &Route) -> bool {
        route.role.as_deref().is_none_or(|role| self.roles.contains(&role))
    }
}

/// One org with a dead letter that has values of a record in it, the service with all that a settings file can have.
async fn rig() -> Rig {
    let port = free_port();
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| {
        let text = text.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"127.0.0.1:{port}\""));
        let connect = format!(
            "\n[connect]\nbase_url = \"http://127.0.0.1:{port}\"\nvendor = \"Example Inc.\"\n\
             client_id = \"app\"\nclient_secret_file = \"secret\"\n"
        );
        [text.replace("\"$Id\"", "\"/account\""), connect].concat()
    })
    .await;
    rig.write_secret("secret", APP_SECRET);
    rig.start_logged("trace").await;
    rig.subscribed("acme").await;
    let vendor = rig.simulator.vendor();
    // There is no such account, so that the write is refused and its values stay in the dead letter.
    let lost = json!({ "key": "K1", "industry": RECORD_VALUE, "account": "001000000000000AAA" });
    vendor.set_answer(&domain(1), Some(lost));
    let id = rig.org("acme").create("Account", account(1)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(&[id]));
    rig.ledger("acme", json!({ "records_in": 1, "dead_letters": 1, "open": 0 })).await;
    rig
}

async fn callers(rig: &Rig) -> [Caller; 4] {
    let (read, operate) = (rig.token("reader", "read").await, rig.token("operator", "operate").await);
    let admin = rig.token(ADMIN, "admin").await;
    [
        Caller { name: "nobody", token: String::new(), roles: &[] },
        Caller { name: "reader", token: read, roles: &["read"] },
        Caller { name: "operator", token: operate, roles: &["read", "operate"] },
        Caller { name: ADMIN, token: admin, roles: &["read", "operate", "admin"] },
    ]
}

async fn get(rig: &Rig, path: &str) -> Value {
    let answer = rig.http.get(format!("{}/api/v1/{path}", rig.admin)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

/// The number of the dead letter.
async fn letter(rig: &Rig) -> String {
    get(rig, "orgs/acme/dead-letters").await["dead_letters"][0]["number"].to_string()
}

/// All that a command can change and that nothing changes by itself.
async fn state(rig: &Rig) -> Value {
    let org = rig.view("acme").await;
    let of_org = ["state", "wish", "started_ms", "restarts", "doctor", "refreshes", "records"]
        .map(|key| org[key].clone());
    let all = get(rig, "orgs").await;
    json!({
        "org": of_org, "stored": all["stored"], "left": all["left"], "count": all["orgs"].as_array().map(Vec::len),
        "letters": get(rig, "orgs/acme/dead-letters").await,
        "audit": get(rig, "orgs/acme/dead-letters/audit").await,
        "tokens": get(rig, "tokens").await,
    })
}

/// Sends requests and holds each answer against what must be true of all.
struct Judge {
    /// Without the scheme.
    address: String,
    secrets: Vec<String>,
    /// How often each status came.
    statuses: BTreeMap<u16, usize>,
    /// What was not as it must be.
    wrong: Vec<String>,
}

impl Judge {
    fn new(rig: &Rig, callers: &[Caller]) -> Self {
        let mut secrets: Vec<String> = callers.iter().map(|caller| caller.token.clone()).collect();
        secrets.retain(|token| !token.is_empty());
        let key = rig.org("acme").private_key_pem().lines().nth(1).expect("a key").to_owned();
        secrets.extend([rig.first_token(), APP_SECRET.to_owned(), key]);
        let address = rig.admin.trim_start_matches("http://").to_owned();
        Self { address, secrets, statuses: BTreeMap::new(), wrong: Vec::new() }
    }

    /// Sends all of them, some at a time, as some are waited for in vain.
    async fn hold<'r>(&mut self, caller: &Caller, attempts: impl Iterator<Item = Attempt<'r>>) {
        let address = self.address.clone();
        let mut answers =
            stream::iter(attempts).map(|attempt| attempt.tried(&address)).buffer_unordered(AT_A_TIME);
        while let Some((attempt, answer, took)) = answers.next().await {
            self.judge(caller, &attempt, &answer, took);
        }
    }

    fn judge(&mut self, caller: &Caller, attempt: &Attempt<'_>, answer: &Answer, took: Duration) {
        let Attempt { what, target, request } = attempt;
        for status in &answer.statuses {
            *self.statuses.entry(*status).or_default() += 1;
        }
        let mut found = Vec::new();
        if took > SLOW {
            found.push(format!("took {took:?}"));
        }
        if answer.statuses.iter().any(|status| *status >= 500) {
            found.push("is an error of ours".to_owned());
        }
        if answer.statuses.get(1).is_some_and(|status| *status < 400) {
            found.push("is taken for two".to_owned());
        }
        let succeeds = answer.statuses.first().is_some_and(|status| *status < 400);
        if succeeds && target.is_some_and(|target| !caller.may(target)) {
            found.push("succeeds".to_owned());
        }
        let values = (!caller.roles.contains(&"operate")).then(|| RECORD_VALUE.to_owned());
        let told = self.secrets.iter().chain(&values).find(|secret| answer.text.contains(secret.as_str()));
        found.extend(told.map(|secret| format!("tells {secret}")));
        if answer.head().lines().any(|line| line.starts_with(INJECTED)) {
            found.push("has a header of the caller's".to_owned());
        }
        let headers = ["x-content-type-options", "content-security-policy", "cache-control"];
        if !answer.body().is_empty() && !headers.iter().all(|header| answer.has_header(header)) {
            found.push("lacks a header".to_owned());
        }
        if !found.is_empty() {
            let first = String::from_utf8_lossy(&request.method).into_owned();
            let target = String::from_utf8_lossy(&request.target).into_owned();
            let (found, caller) = (found.join(", "), caller.name);
            self.wrong
                .push(format!("{what:.60} as {caller} {found}: {first} {target:.100}\n{:.700}", answer.text));
        }
    }
}

/// A request that is tried.
struct Attempt<'r> {
    what: String,
    /// Whose role counts if it succeeds; none if nobody knows to which path it leads.
    target: Option<&'r Route>,
    request: Request,
}

impl Attempt<'_> {
    /// Itself, with what came back and how long it took.
    async fn tried(self, address: &str) -> (Self, Answer, Duration) {
        let begun = tokio::time::Instant::now();
        let answer = send(address, &self.request.bytes()).await;
        (self, answer, begun.elapsed())
    }
}

/// All that is tried with one path.
fn attempts<'r>(
    address: &str,
    caller: &Caller,
    routes: &'r [Route],
    route: &'r Route,
    there: &There,
) -> Vec<Attempt<'r>> {
    let request = |path: &str| {
        let mut request = Request::new(&route.method, path, address, &caller.token);
        if let Some(kind) = &route.body {
            request.with_body(kind, if kind == JSON { "{}" } else { "token=op_x" });
        } else if !route.is_read() {
            request.line("Content-Length", "0");
        }
        request
    };
    let attempt = |what: &str, target, request| Attempt { what: what.to_owned(), target, request };
    let path = filled(route, there);
    let mut attempts = Vec::new();
    for spoil in SPOILS {
        let mut request = request(&path);
        (spoil.apply)(&mut request);
        attempts.push(attempt(spoil.name, Some(route), request));
    }
    for method in METHODS.iter().filter(|method| **method != route.method) {
        let other = routes.iter().find(|other| other.path == route.path && other.method == *method);
        let is_command = other.is_some_and(|other| is_command_of(other, caller));
        let mut request = if is_command { request(&filled(route, &nobody(there))) } else { request(&path) };
        request.method = method.as_bytes().to_vec();
        attempts.push(attempt(method, other.or(Some(route)), request));
    }
    for query in QUERIES {
        attempts.push(attempt(query, Some(route), request(&format!("{path}?{query}"))));
    }
    for (name, _) in there.iter().filter(|(name, _)| route.path.contains(&format!("{{{name}}}"))) {
        for value in PARTS {
            let mut there = there.clone();
            there
                .iter_mut()
                .filter(|(part, _)| part == name)
                .for_each(|pair| (*value).clone_into(&mut pair.1));
            attempts.push(attempt(value, None, request(&filled(route, &there))));
        }
    }
    for (what, kind, body) in bodies() {
        let mut request = request(&path);
        request.with_body(&kind, body);
        attempts.push(attempt(&what, Some(route), request));
    }
    attempts
}

/// Values for the parts of a path.
type There = Vec<(&'static str, String)>;

/// Values for the parts of a path that there are.
fn there_is(letter: &str) -> There {
    let text = str::to_owned;
    vec![
        ("org", text("acme")),
        ("number", text(letter)),
        ("name", text("reader")),
        ("record", text("001000000000001AAA")),
        ("link", text("eyJhbGciOiJIUzI1NiJ9.e30.x")),
    ]
}

fn filled(route: &Route, values: &There) -> String {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    route.filled(&values)
}

/// The same with an org that there is not.
fn nobody(there: &There) -> There {
    let org = |(name, value): &(&'static str, String)| {
        (*name, if *name == "org" { "nobody".to_owned() } else { value.clone() })
    };
    there.iter().map(org).collect()
}

/// Whether a command of this path would be right for whoever may give it, so that it changes what others look at.
fn is_command_of(route: &Route, caller: &Caller) -> bool {
    !route.is_read() && route.role.is_some() && caller.may(route)
}

#[actix_rt::test]
async fn nothing_that_anybody_sends_breaks_tells_or_changes_what_it_must_not() {
    let rig = rig().await;
    let letter = letter(&rig).await;
    let callers = callers(&rig).await;
    let told = get(&rig, &format!("orgs/acme/dead-letters/{letter}?values=true")).await;
    assert!(told.to_string().contains(RECORD_VALUE), "there is something to tell: {told}");
    let mut judge = Judge::new(&rig, &callers);
    let address = judge.address.clone();
    let there = there_is(&letter);
    let routes = routes::all();
    for caller in &callers {
        let before = state(&rig).await;
        // Whoever may do everything may spoil everything: only what is read as JSON is of interest.
        let of_interest = |route: &&Route| caller.name != ADMIN || route.body.as_deref() == Some(JSON);
        let all = routes.iter().filter(of_interest).flat_map(|route| {
            // Whoever may give a command gives it to an org that there is not: what is wrong is found all the same.
            let there = if is_command_of(route, caller) { nobody(&there) } else { there.clone() };
            attempts(&address, caller, &routes, route, &there)
        });
        judge.hold(caller, all).await;
        let wrong = &judge.wrong;
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n\n"));
        if caller.name != ADMIN {
            assert_eq!(state(&rig).await, before, "as {}", caller.name);
        }
    }
    // It was not all refused at the door.
    let Judge { statuses, secrets, .. } = judge;
    for status in [200, 400, 401, 403, 404, 415, 421] {
        assert!(statuses.contains_key(&status), "{statuses:?}");
    }
    let log = rig.logged();
    for secret in secrets.iter().chain(&[RECORD_VALUE.to_owned()]) {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "the log has {secret}");
    }
    for line in log.lines() {
        assert!(!line.starts_with(INJECTED) && !line.contains(char::is_control), "{line:?}");
    }
    assert!(rig.http.get(format!("{}/healthz", rig.admin)).send().await.is_ok(), "it lives");
}
