//! Words and hints name the cause.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use orgpipe_simulator::{OrgOptions, RowFault};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{
    Rig, account, answer,
    cli::{order, ordered, reachable},
    domain, eventually, request,
};

/// Exit code and standard error of a command.
async fn told(rig: &Rig, arguments: &[&str]) -> (Option<i32>, String) {
    let output = rig.command(arguments).output().await.expect("the command runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Publishes a sync request for a new account; gives its record ID.
fn publish(rig: &Rig, n: usize) -> String {
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    id
}

async fn view(rig: &Rig, path: &str) -> Value {
    let url = format!("{}/api/v1/{path}", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

#[expect(clippy::disallowed_methods, reason = "a stop is measured in real time")]
fn now() -> Instant {
    Instant::now()
}

#[actix_rt::test]
async fn a_login_refused_for_the_app_says_what_the_app_needs() {
    let rig = Rig::with(vec![OrgOptions::named("acme")], |text| text).await;
    for (error, text, hint) in [
        (
            "app_not_found",
            "External client app is not installed in this org",
            "Install the external client app in this org",
        ),
        (
            "invalid_client",
            "external client app is not installed in this org",
            "Install the external client app",
        ),
        ("OAUTH_APP_BLOCKED", "this app is blocked by admin", "unblock it there"),
    ] {
        rig.org("acme").refuse_logins(Some((error, text)));
        let (code, said) = told(&rig, &["check"]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(text) && said.contains(hint), "{error}: {said}");
        assert!(!said.contains("Check `client_id`"), "{error}: {said}");
    }
}

#[actix_rt::test]
async fn what_the_orgs_own_rule_says_is_in_the_letter_and_not_in_the_log() {
    let mut rig = reachable(|text| text).await;
    rig.start_logged("info").await;
    rig.subscribed("acme").await;
    let rules = [
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Employees must be under 5"),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", "Ask the back office\nbefore \u{1b}[2Jthis"),
        ("DUPLICATES_DETECTED", "Use one of these records?"),
    ];
    for (n, (code, words)) in rules.into_iter().enumerate() {
        let key = format!("K{n}");
        rig.simulator.vendor().set_answer(&domain(n), Some(answer(&key, 7)));
        let fault = RowFault {
            key,
            code: code.to_owned(),
            message: words.to_owned(),
            fields: vec!["Employee_Count__c".to_owned()],
            count: 99,
            further: Vec::new(),
        };
        rig.org("acme").refuse_row(fault);
        let record = publish(&rig, n);
        rig.ledger("acme", json!({ "records_in": n + 1, "dead_letters": n + 1 })).await;
        let plain = words.replace(['\n', '\u{1b}'], " ");
        for arguments in [&["explain", "acme", &record][..], &["dead-letters", "list", "acme"]] {
            let said = ordered(&rig, arguments).await;
            assert!(
                said.contains(&format!("The org says: \u{201c}{plain}\u{201d}")),
                "{arguments:?}: {said}"
            );
            assert!(!said.contains('\u{1b}'), "{said}");
        }
        assert!(!rig.logged().contains(&plain[..12]), "{}", rig.logged());
    }
}

#[actix_rt::test]
async fn an_object_that_is_not_there_is_named_with_its_namespace_and_what_is_meant() {
    let rig = Rig::with(vec![OrgOptions::named("acme")], |text| text).await;
    let settings = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let wrong = settings.replace("id = \"acme\"", "id = \"acme\"\nnamespace = \"vendor\"");
    let misspelt = settings.replace("target = \"Enrichment__c\"", "target = \"Campaing\"");
    for (text, parts) in [
        (wrong, ["vendor__Enrichment__c", "`vendor`", "The org has Enrichment__c"]),
        (misspelt, ["Campaing", "without a namespace", ""]),
    ] {
        rig.write("orgpipe.toml", &text);
        let (code, said) = told(&rig, &["check"]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
    }
}

#[actix_rt::test]
async fn a_port_in_use_is_a_sentence_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let beside = |text: String| text.replace("127.0.0.1:0", &address);
    let orgs = ["acme", "globex"].map(OrgOptions::named).to_vec();
    let rig = Rig::with(orgs, beside).await;
    for _ in 0..3 {
        let (code, said) = told(&rig, &["run", "--log", "warn"]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
        assert!(said.contains("`service.listen`") && !said.contains("panic"), "{said}");
    }
}

#[actix_rt::test]
async fn of_an_org_without_records_that_is_removed_one_thing_is_said() {
    let orgs = ["acme", "initech"].map(OrgOptions::named).to_vec();
    let mut rig = Rig::with(orgs, |text| text).await;
    rig.start().await;
    rig.subscribed("initech").await;
    let all = std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let at = all.find("[[org]]\nid = \"initech\"").expect("its table");
    rig.write("orgpipe.toml", &all[..at]);
    let url = format!("{}/api/v1/reload", rig.admin);
    let reply = rig.http.request(Method::POST, url).send().await.expect("an answer");
    let reloaded: Value = reply.json().await.expect("JSON");
    assert_eq!(reloaded["removed"], json!(["initech"]), "{reloaded}");
    let left = eventually("what is left", async || {
        let left = view(&rig, "orgs").await["left"].clone();
        (left[0]["id"] == "initech").then_some(left)
    })
    .await;
    assert_eq!(left[0]["records"]["records_in"], 0, "{left}");
}

#[actix_rt::test]
async fn after_a_restart_our_calls_of_the_day_are_known_before_the_first() {
    let mut rig = Rig::acme(false).await;
    rig.simulator.vendor().set_answer(&domain(1), Some(answer("K1", 10)));
    publish(&rig, 1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    let before = view(&rig, "orgs/acme").await["budget"]["ours"].as_u64().expect("a count");
    assert!(before > 0);
    rig.kill().await;
    rig.org("acme").clear_calls();
    rig.org("acme").set_available(false);
    rig.start().await;
    let ours = view(&rig, "orgs/acme").await["budget"]["ours"].as_u64().expect("a count");
    assert!(ours >= before, "{ours} after {before}");
}

#[actix_rt::test]
async fn a_stop_takes_less_than_eight_seconds_whatever_the_org_does() {
    type Trouble = fn(&Rig);
    let troubles: [(&str, Trouble); 3] = [
        ("its token has expired", |rig| rig.org("acme").revoke_tokens()),
        ("it is down", |rig| rig.org("acme").set_available(false)),
        ("two logins meet", |rig| {
            rig.org("acme").revoke_tokens();
            rig.org("acme")
                .refuse_logins(Some(("invalid_grant", "token request is already being processed")));
            publish(rig, 1);
        }),
    ];
    for (what, trouble) in troubles {
        // The org holds a poll for as long as a real one does.
        let options = OrgOptions { flow: false, ..OrgOptions::named("acme") };
        let mut rig = Rig::scaled(vec![options], 1.0, |text| text).await;
        rig.start().await;
        rig.subscribed("acme").await;
        trouble(&rig);
        let asked = now();
        let status = rig.terminate().await;
        assert_eq!(status.code(), Some(0), "{what}: {status:?}");
        assert!(asked.elapsed() < Duration::from_secs(8), "{what}: {:?}", asked.elapsed());
    }
}

#[actix_rt::test]
async fn a_text_with_line_ends_makes_no_second_line_in_the_log() {
    let mut rig = reachable(|text| text).await;
    rig.org("acme").refuse_logins(Some((
        "invalid_grant",
        "no\n2026-01-01T00:00:00Z ERROR forged: all is lost\r\u{1b}[31m",
    )));
    rig.start_logged("info").await;
    let log = eventually("the refusal", async || {
        let log = rig.logged();
        log.contains("forged").then_some(log)
    })
    .await;
    assert!(log.lines().all(|line| !line.starts_with("2026-01-01T00:00:00Z")), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    let (_, said) = order(&rig, &["check"]).await;
    assert!(said.lines().all(|line| !line.starts_with("2026-01-01T00:00:00Z")), "{said}");
}
