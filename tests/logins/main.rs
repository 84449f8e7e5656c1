//! Logging in to an org, with the real binary and the simulator: each flow, each refusal with what it says, what is tried once
//! more, and where a token goes. The consent page is walked through as a browser would.

mod consent;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, time::Duration};

use orgpipe_simulator::{LoginPolicy, OrgHandle, OrgOptions};
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

/// How an org logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Jwt,
    ClientCredentials,
    RefreshToken,
}

/// Orgs that log in so, by name; the service is not running.
async fn rig(flows: &[(&str, Flow)]) -> Rig {
    let rig = Rig::with(flows.iter().map(|(name, _)| OrgOptions::named(name)).collect(), |text| text).await;
    rig.write_secret("client-secret", rig.simulator.orgs()[0].client_secret());
    let mut settings = settings(&rig);
    for (name, flow) in flows {
        let org = rig.org(name);
        let jwt = auth_of(org);
        let id = org.client_id();
        let auth = match flow {
            Flow::Jwt => continue,
            Flow::ClientCredentials => format!(
                r#"auth = {{ flow = "client_credentials", client_id = "{id}", client_secret_file = "client-secret" }}"#
            ),
            Flow::RefreshToken => {
                let token = org.grant_refresh_token(org.username()).expect("a grant");
                rig.write_secret(&format!("{name}.token"), &token);
                format!(
                    r#"auth = {{ flow = "refresh_token", client_id = "{id}", client_secret_file = "client-secret", refresh_token_file = "{name}.token" }}"#
                )
            }
        };
        assert!(settings.contains(&jwt), "{settings}");
        settings = settings.replace(&jwt, &auth);
    }
    rig.write("orgpipe.toml", &settings);
    rig
}

fn settings(rig: &Rig) -> String {
    std::fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings")
}

/// The line of the settings by which an org logs in from the beginning.
fn auth_of(org: &OrgHandle) -> String {
    format!(
        r#"auth = {{ flow = "jwt", client_id = "{}", username = "{}", key_file = "jwt.key" }}"#,
        org.client_id(),
        org.username()
    )
}

/// What the admin API says of an org's login, once it is in one of these states.
async fn login_in(rig: &Rig, org: &str, states: &[&str]) -> Value {
    eventually(&format!("the login of {org} as {states:?}"), async || {
        let login = rig.view(org).await["parts"]["login"].clone();
        states.iter().any(|state| login["state"] == *state).then_some(login)
    })
    .await
}

/// A record of the org goes all the way.
async fn works(rig: &Rig, org: &str, n: usize) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 10)));
    let id = rig.org(org).create("Account", account(n)).expect("an account");
    rig.subscribed(org).await;
    rig.org(org).publish("Sync_Request__e", request(&[id]));
    eventually("the enrichment", async || rig.enrichment(org, &format!("K{n}"))).await;
}

#[actix_rt::test]
async fn each_flow_carries_a_record_through() {
    let flows = [("jwt", Flow::Jwt), ("client", Flow::ClientCredentials), ("refresh", Flow::RefreshToken)];
    let mut rig = rig(&flows).await;
    rig.start().await;
    for (n, (org, _)) in flows.iter().enumerate() {
        works(&rig, org, n).await;
        // A token that ended is renewed.
        rig.org(org).revoke_tokens();
        works(&rig, org, 10 + n).await;
    }
}

/// `orgpipe check` beside the running service, and before its next start, leaves the refresh token alone, which the settings
/// still hold although it has long been exchanged for another.
#[actix_rt::test]
async fn a_refresh_token_that_rotates_outlives_checks_and_restarts() {
    let mut rig = rig(&[("acme", Flow::RefreshToken)]).await;
    rig.org("acme").set_rotation(true);
    let first = rig.org("acme").grants()[0].refresh_token.clone();
    rig.start().await;
    for n in 0..3 {
        works(&rig, "acme", n).await;
        let grant = rig.org("acme").grants();
        assert!(grant.len() == 1 && grant[0].refresh_token != first, "it has rotated");
        let check = rig.command(&["check"]).output().await.expect("the command runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        rig.terminate().await;
        let check = rig.command(&["check"]).output().await.expect("the command runs");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        rig.org("acme").revoke_tokens();
        rig.start().await;
    }
    works(&rig, "acme", 9).await;
    let history = rig.org("acme").login_history();
    assert!(history.iter().all(|login| login.status == "Success"), "{history:?}");
}

/// A copy of a token that has been exchanged meanwhile is used by somebody else: Salesforce ends the whole grant.
#[actix_rt::test]
async fn a_token_that_somebody_else_has_used_again_is_told_and_not_tried_in_a_loop() {
    let mut rig = rig(&[("acme", Flow::RefreshToken)]).await;
    rig.org("acme").set_rotation(true);
    let first = rig.org("acme").grants()[0].refresh_token.clone();
    rig.start().await;
    works(&rig, "acme", 0).await;
    let acme = rig.org("acme");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &first),
        ("client_id", acme.client_id()),
        ("client_secret", acme.client_secret()),
    ];
    let url = format!("{}/services/oauth2/token", acme.base_url());
    let reused = reqwest::Client::new().post(url).form(&form).send().await.expect("an answer");
    assert_eq!(reused.status(), 400);
    let login = login_in(&rig, "acme", &["parked"]).await;
    assert!(
        login["note"].as_str().is_some_and(|note| note.contains("a copy of it was used elsewhere")),
        "{login}"
    );
    let asked = acme.token_calls();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(acme.token_calls(), asked, "it asks nobody for what only the customer can give");
    // Another token in the settings is what helps.
    let token = acme.grant_refresh_token(acme.username()).expect("a grant");
    rig.write_secret("acme.token", &token);
    let reload = rig.http.post(format!("{}/api/v1/reload", rig.admin)).send().await;
    assert!(reload.expect("an answer").status().is_success());
    works(&rig, "acme", 1).await;
}

/// Answers of the token endpoint that pass by themselves, each a few times.
#[actix_rt::test]
async fn what_passes_by_itself_is_tried_again_and_nobody_is_disconnected() {
    let invalid = |text: &str| json!({ "error": "invalid_grant", "error_description": text }).to_string();
    let meeting = invalid("token request is already being processed");
    let cases = [
        ("new", Flow::RefreshToken, meeting.clone(), 3),
        ("old", Flow::RefreshToken, invalid("expired authorization code"), 3),
        ("client", Flow::ClientCredentials, meeting, 3),
        ("clock", Flow::Jwt, invalid("invalid assertion"), 1),
        ("audience", Flow::Jwt, invalid("audience is invalid"), 1),
    ];
    let flows: Vec<(&str, Flow)> = cases.iter().map(|(name, flow, _, _)| (*name, *flow)).collect();
    let mut rig = rig(&flows).await;
    for (name, _, body, count) in &cases {
        rig.org(name).answer_next("/services/oauth2/token", 400, body, *count);
    }
    rig.start().await;
    for (n, (name, _, _, _)) in cases.iter().enumerate() {
        works(&rig, name, n).await;
        assert_eq!(rig.view(name).await["parts"]["login"]["state"], "running", "{name}");
    }
}

/// How often the token endpoint was asked in vain by an org whose login is refused for good.
#[actix_rt::test]
async fn an_assertion_is_signed_anew_once_and_each_audience_is_tried_once() {
    let mut rig = rig(&[("clock", Flow::Jwt), ("audience", Flow::Jwt)]).await;
    rig.org("clock").refuse_logins(Some(("invalid_grant", "invalid assertion")));
    rig.org("audience").refuse_logins(Some(("invalid_grant", "audience is invalid")));
    rig.start().await;
    for name in ["clock", "audience"] {
        login_in(&rig, name, &["waiting"]).await;
        assert_eq!(rig.org(name).token_calls(), 2, "{name}");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for name in ["clock", "audience"] {
        assert_eq!(rig.org(name).token_calls(), 2, "{name}");
    }
}

#[actix_rt::test]
async fn an_org_that_takes_only_one_audience_is_found_out_in_either_order() {
    let login = "https://login.salesforce.com";
    let mut rig = rig(&[("shared", Flow::Jwt), ("own", Flow::Jwt), ("named", Flow::Jwt)]).await;
    let takes = |name: &str, audience: &str| {
        let policy = LoginPolicy { audiences: vec![audience.to_owned()], ..rig.org(name).login_policy() };
        rig.org(name).set_login_policy(policy);
    };
    takes("shared", login);
    takes("own", &rig.org("own").base_url());
    takes("named", &rig.org("named").base_url());
    let named = auth_of(rig.org("named"));
    let audience = format!(r#", key_file = "jwt.key", audience = "{login}" }}"#);
    let text = settings(&rig).replace(&named, &named.replace(r#", key_file = "jwt.key" }"#, &audience));
    assert!(text.contains("audience = "), "{text}");
    rig.write("orgpipe.toml", &text);
    rig.start().await;
    for (name, calls) in [("shared", 2), ("own", 1), ("named", 2)] {
        login_in(&rig, name, &["running"]).await;
        assert_eq!(rig.org(name).token_calls(), calls, "{name}");
    }
}

/// The answer to a login may name any host: a token goes to Salesforce's, to the one logged in at, or to a listed one.
#[actix_rt::test]
async fn a_token_is_not_sent_to_a_host_that_nobody_vouches_for() {
    let mut rig = rig(&[("acme", Flow::Jwt), ("globex", Flow::RefreshToken)]).await;
    rig.org("globex").set_rotation(true);
    rig.org("acme").move_to(Some("https://elsewhere.example"));
    rig.org("globex").move_to(Some("http://acme.my.salesforce.com"));
    rig.start().await;
    for (name, host, hint) in [
        ("acme", "`elsewhere.example`", "`instance_hosts`"),
        ("globex", "`acme.my.salesforce.com`", "My Domain"),
    ] {
        let login = login_in(&rig, name, &["waiting"]).await;
        assert!(login["note"].as_str().is_some_and(|note| note.contains(host)), "{login}");
        assert!(login["hint"].as_str().is_some_and(|told| told.contains(hint)), "{login}");
    }
    for name in ["acme", "globex"] {
        rig.org(name).move_to(None);
        rig.order(name, "restart").await;
    }
    works(&rig, "acme", 0).await;
    // The refresh token of the answer that was refused has been kept.
    works(&rig, "globex", 1).await;
    let statuses: BTreeMap<String, usize> =
        rig.org("globex").login_history().iter().fold(BTreeMap::new(), |mut counts, login| {
            *counts.entry(login.status.clone()).or_default() += 1;
            counts
        });
    assert_eq!(statuses.keys().collect::<Vec<_>>(), ["Success"], "{statuses:?}");
}
