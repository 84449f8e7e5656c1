//! Pages of others against a service whose operator is logged in, in the same browser.

use std::collections::BTreeSet;

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};

use crate::{
    chromium::{Browser, FOREIGN_HOST},
    foreign::{ForeignSite, PAGE},
    support::{
        Rig, account, domain, eventually, request,
        routes::{self, Route},
    },
};

/// One org with two dead letters, and the service.
async fn rig() -> Rig {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| text).await;
    rig.start_logged("info").await;
    rig.subscribed("acme").await;
    let ids: Vec<String> = (0..2)
        .map(|n| {
            rig.simulator.vendor().refuse(&domain(n), 422);
            rig.org("acme").create("Account", account(n)).expect("an account")
        })
        .collect();
    rig.org("acme").publish("Sync_Request__e", request(&ids));
    rig.ledger("acme", json!({ "records_in": 2, "dead_letters": 2, "open": 0 })).await;
    rig
}

async fn get(rig: &Rig, path: &str) -> Value {
    let answer = rig.http.get(format!("{}/api/v1/{path}", rig.admin)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

/// All that a command could change: what is wanted of the org and what it is at, its dead letters and what was done about
/// them, the tokens, and what the org was asked.
async fn state(rig: &Rig) -> Value {
    let org = rig.view("acme").await;
    let started: Vec<&Value> =
        ["started_ms", "wish", "until_ms", "doctor", "refreshes", "records", "restarts"]
            .map(|key| &org[key])
            .to_vec();
    // Events are waited for all the time.
    let calls: Vec<String> = rig.org("acme").calls().into_iter().map(|call| call.path).collect();
    let calls = calls.iter().filter(|path| !path.starts_with("/cometd")).count();
    json!({
        "state": org["state"], "org": started, "calls": calls,
        "letters": get(rig, "orgs/acme/dead-letters").await,
        "audit": get(rig, "orgs/acme/dead-letters/audit").await,
        "tokens": get(rig, "tokens").await,
        "logins": rig.org("acme").token_calls(),
    })
}

async fn reaches(rig: &Rig, state: &str) {
    eventually(state, async || (rig.view("acme").await["state"] == state).then_some(())).await;
}

/// Logs the browser in by the link that the first start tells.
async fn log_in(rig: &Rig, browser: &Browser, admin: &str) {
    browser.open(&format!("{admin}/login?token={}", rig.first_token())).await;
    browser.element("form[action='/logout']").await;
}

/// Where the paths of all commands lead, with what the service has.
fn paths(rig_letter: &str, keep: impl Fn(&Route) -> bool) -> Vec<String> {
    let values =
        [("org", "acme"), ("number", rig_letter), ("name", "first"), ("record", "001000000000001AAA")];
    let routes = routes::all().into_iter().filter(keep);
    let mut paths: Vec<String> = routes.map(|route| route.filled(&values)).collect();
    // With what they need to be taken for a command.
    for path in &mut paths {
        match path.rsplit('/').next() {
            Some("discard") if !path.contains(rig_letter) => path.push_str("?all=true"),
            Some("replay") => path.push_str("?from=earliest"),
            _ => {}
        }
    }
    paths
}

/// A page, and under which name it asks for the admin API.
struct Attack {
    /// Where the page is.
    page: String,
    /// What it attacks; empty: its own address, which has come to be that of the service.
    admin: String,
    /// What the service's log says of each command, or of none if the browser sends nothing.
    refused: &'static str,
}

#[actix_rt::test]
async fn no_page_of_another_site_gives_a_command_or_reads_an_answer() {
    let rig = rig().await;
    let letter = get(&rig, "orgs/acme/dead-letters").await["dead_letters"][0]["number"].to_string();
    let is_command = |route: &Route| route.method == "POST" && route.role.is_some();
    let commands = paths(&letter, is_command);
    let reads = paths(&letter, |route| route.is_read() && route.role.is_some());
    assert!(commands.len() >= 15 && reads.len() >= 8, "{commands:?} {reads:?}");

    let browser = Browser::start().await;
    log_in(&rig, &browser, &rig.admin).await;
    let port = rig.admin.rsplit(':').next().expect("a port").to_owned();
    let site = ForeignSite::start(&rig.admin);
    let at = |host: &str| format!("http://{host}:{}", site.port);
    // As if the operator had been logged in under the foreign name: only `Host` tells.
    let mut cookies = browser.driver.cookies().await.expect("cookies");
    let (name, value) = cookies.remove(0);
    browser.open(&format!("{}{PAGE}", at(FOREIGN_HOST))).await;
    browser.driver.add_cookie(&name, &value).await.expect("a cookie");

    let attack = |page: String, admin: &str, refused| Attack { page, admin: admin.to_owned(), refused };
    let (other_site, host) = ("sent by a web page of another site", "is for the host `evil.example");
    let attacks = [
        // The same host, so that the browser holds it for the same site and sends the cookie.
        attack(at("127.0.0.1"), &rig.admin, other_site),
        attack(at("localhost"), &rig.admin, other_site),
        attack(at(FOREIGN_HOST), &rig.admin, other_site),
        // An origin that says nothing.
        attack(format!("{}{PAGE}?sandbox#", at("127.0.0.1")), &rig.admin, other_site),
        // The admin API under the foreign name.
        attack(at(FOREIGN_HOST), &format!("http://{FOREIGN_HOST}:{port}"), host),
        // The page's own name and port have come to lead to the admin API.
        attack(at(FOREIGN_HOST), "", host),
    ];
    let before = state(&rig).await;
    for Attack { page, admin, refused } in attacks {
        let what = format!("{page} against {admin:?}");
        let seen = rig.logged().len();
        site.sent_on();
        browser.open(&if page.contains(PAGE) { page.clone() } else { format!("{page}{PAGE}") }).await;
        let script = "arguments[3](await attack(arguments[0], arguments[1], arguments[2]))";
        let script = format!("(async () => {{ {script} }})()").replace("arguments[", "given[");
        let script = format!("const given = arguments; {script}");
        let read =
            browser.driver.execute_async(&script, vec![json!(admin), json!(commands), json!(reads)]).await;
        let read = read.expect("a script");
        let answers = read.as_array().expect("a list");
        if admin.is_empty() {
            // A page may read the answers of its own address; all they say is that it is the wrong name.
            let is_refusal = |answer: &Value| {
                let text = answer.as_str().unwrap_or_default();
                text.contains(": 421 {\"error\":\"the request is for the host `evil.example")
            };
            assert!(answers.len() > commands.len() && answers.iter().all(is_refusal), "{what}: {answers:#?}");
            let sent = site.sent_on();
            assert!(
                sent.iter().all(|(_, path, status)| *status == 421 || path == "/favicon.ico"),
                "{sent:#?}"
            );
        } else {
            assert_eq!(answers.len(), 0, "{what}: {answers:#?}");
        }
        // Each command has come as far as the service, which refused it.
        let log = rig.logged().split_off(seen);
        let told: BTreeSet<&str> = log.lines().filter(|line| line.contains(refused)).collect();
        for command in &commands {
            let path = command.split('?').next().expect("a path");
            let is_told = told.iter().any(|line| {
                line.contains(&format!("path=\"{path}\"")) || line.ends_with(&format!("path={path}"))
            });
            assert!(is_told, "{what}: {path} did not come:\n{log}");
        }
        assert!(!log.contains("a command was accepted"), "{what}:\n{log}");
        let after = state(&rig).await;
        assert_eq!(after, before, "{what}");
    }
    // Whoever is logged in still is.
    browser.open(&rig.admin).await;
    assert!(browser.has("form[action='/logout']").await);
    site.stop().await;
    browser.quit().await;
}

#[actix_rt::test]
async fn the_own_page_gives_the_same_commands() {
    let mut rig = rig().await;
    let letter = get(&rig, "orgs/acme/dead-letters").await["dead_letters"][0]["number"].to_string();
    let browser = Browser::start().await;

    // By the form, after a token that is none.
    browser.open(&rig.admin).await;
    browser.look("login").await;
    browser.write("#token", "op_wrong").await;
    browser.click("form[action='/login'] button").await;
    browser.says("is not known").await;
    browser.look("login-wrong-token").await;
    browser.write("#token", &rig.first_token()).await;
    browser.click("form[action='/login'] button").await;
    browser.element("form[action='/logout']").await;
    browser.look("dashboard").await;

    let calls = rig.org("acme").token_calls();
    browser.submit("/orgs/acme/doctor").await;
    browser.element("#examined").await;
    assert!(rig.org("acme").token_calls() > calls, "the doctor has logged in");
    browser.look("dashboard-examined").await;

    let back = async || browser.open(&rig.admin).await;
    browser.submit("/api/v1/orgs/acme/pause").await;
    reaches(&rig, "paused").await;
    back().await;
    browser.says("paused").await;
    browser.look("dashboard-paused").await;
    browser.submit("/api/v1/orgs/acme/resume").await;
    reaches(&rig, "running").await;
    back().await;
    browser.submit(&format!("/api/v1/orgs/acme/dead-letters/{letter}/discard")).await;
    eventually("the discard", async || {
        let audit = get(&rig, "orgs/acme/dead-letters/audit").await;
        (audit["commands"][0]["by"] == "first").then_some(())
    })
    .await;
    back().await;
    browser.submit("/api/v1/reload").await;
    browser.says("unchanged").await;

    back().await;
    browser.click("form[action='/logout'] button").await;
    browser.element("form[action='/login']").await;
    browser.open(&format!("{}/api/v1/orgs", rig.admin)).await;
    browser.says("needs a token").await;
    browser.quit().await;
    rig.terminate().await;
}

#[actix_rt::test]
async fn no_page_shows_the_dashboard_in_a_frame() {
    let rig = rig().await;
    let browser = Browser::start().await;
    log_in(&rig, &browser, &rig.admin).await;
    let site = ForeignSite::start(&rig.admin);
    // A page of the same host, to whose frames the browser sends the cookie.
    let page = format!("http://127.0.0.1:{}{PAGE}", site.port);
    for path in ["/", "/login", "/api/v1/orgs", "/healthz"] {
        browser.open(&page).await;
        let frame = format!(
            "const frame = document.createElement('iframe'); frame.src = '{}{path}'; document.body.append(frame); \
             await new Promise((resolve) => frame.onload = resolve)",
            rig.admin
        );
        let script = format!("const done = arguments[0]; (async () => {{ {frame}; done() }})()");
        browser.driver.execute_async(&script, Vec::new()).await.expect("a script");
        browser.driver.enter_frame(Some(0)).await.expect("a frame");
        let shown = browser.driver.source().await.expect("a page");
        assert!(
            !shown.contains("orgpipe") && !shown.contains("acme") && !shown.contains("alive"),
            "{path}: {shown}"
        );
        // Chromium's own page in its place.
        assert!(
            shown.contains("ERR_BLOCKED_BY_RESPONSE") || shown.contains("refused to connect"),
            "{path}: {shown}"
        );
        browser.driver.enter_frame(None).await.expect("the page");
    }
    site.stop().await;
    browser.quit().await;
}
