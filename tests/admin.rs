//! Who may ask the admin API, and how: by its own names, from no web page of another site, with no word that it does not know.

mod support;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use support::{Rig, eventually};

/// Sends it, and gives its status and what it says.
async fn answered(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

#[actix_rt::test]
async fn no_web_page_of_another_site_commands_it_or_reads_it() {
    let rig = Rig::acme(true).await;
    let (client, admin) = (rig.http.clone(), rig.admin.as_str());
    // By a name of its own that leads here (DNS rebinding), a page would read all.
    for path in ["/", "/metrics", "/api/v1/orgs", "/api/v1/orgs/acme", "/api/v1/tree"] {
        let (status, said) =
            answered(client.get(format!("{admin}{path}")).header("Host", "evil.example")).await;
        assert_eq!(status, 421, "{path}: {said}");
        assert!(said.contains("evil.example") && said.contains("service.hosts"), "{said}");
    }
    let (status, _) = answered(client.get(format!("{admin}/healthz")).header("Host", "evil.example")).await;
    assert_eq!(status, 200, "whether it lives may be asked by any name");
    let heads: [&[(&str, &str)]; 4] = [
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Host", "evil.example")],
    ];
    for path in [
        "/api/v1/orgs/acme/pause",
        "/api/v1/orgs/acme/dead-letters/discard?all=true",
        "/api/v1/orgs/acme/refresh",
        "/api/v1/orgs/acme/doctor",
        "/api/v1/orgs/acme/purge",
        "/api/v1/reload",
        "/orgs/acme/doctor",
    ] {
        for head in heads {
            let request = client.post(format!("{admin}{path}"));
            let request = head.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let (status, said) = answered(request).await;
            assert!([403, 421].contains(&status), "{path} {head:?}: {status} {said}");
        }
    }
    assert_eq!(rig.view("acme").await["state"], "running", "none of it was done");
}

#[actix_rt::test]
async fn its_own_page_and_other_clients_command_it() {
    let rig = Rig::acme(true).await;
    let (client, admin) = (rig.http.clone(), rig.admin.as_str());
    let own: [&[(&str, &str)]; 3] =
        [&[], &[("Origin", admin)], &[("Sec-Fetch-Site", "same-origin"), ("Origin", admin)]];
    for (head, command, state) in
        [(own[0], "pause", "paused"), (own[1], "resume", "running"), (own[2], "pause", "paused")]
    {
        let request = client.post(format!("{admin}/api/v1/orgs/acme/{command}"));
        let request = head.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        assert_eq!(answered(request).await.0, 202, "{command}");
        eventually(state, async || (rig.view("acme").await["state"] == state).then_some(())).await;
    }
}

#[actix_rt::test]
async fn a_word_that_it_does_not_know_is_refused_with_those_it_knows() {
    let rig = Rig::acme(true).await;
    let (client, admin) = (rig.http.clone(), rig.admin.as_str());
    for (path, known) in [
        ("/api/v1/orgs/acme/refresh?record=001", "`sync`"),
        ("/api/v1/orgs/acme/drain?deadline=5", "deadline_secs"),
        ("/api/v1/orgs/acme/replay?from=new&chanel=x", "channel"),
        ("/api/v1/orgs/acme/dead-letters/discard?al=true", "reason"),
        ("/api/v1/orgs/acme/pause?for=5", "no fields"),
        ("/api/v1/orgs/acme/purge?really=no", "no fields"),
        ("/api/v1/reload?file=x", "no fields"),
    ] {
        let (status, said) = answered(client.post(format!("{admin}{path}"))).await;
        assert_eq!(status, 400, "{path}: {said}");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert!(said["error"].as_str().expect("a sentence").contains(known), "{path}: {said}");
        assert_ne!(said["hint"], "", "{path}");
    }
    for path in ["/?pages=2", "/metrics?org=acme", "/login?tokn=x", "/api/v1/tokens?name=x"] {
        let (status, said) = answered(client.get(format!("{admin}{path}"))).await;
        assert!(status == 400 && said.contains("the query cannot be taken"), "{path}: {status} {said}");
    }
    let body = client.post(format!("{admin}/api/v1/orgs/acme/refresh")).body(r#"{"sync":"other"}"#);
    let (status, said) = answered(body).await;
    assert!(status == 400 && said.contains("has a body"), "{status} {said}");
    assert_eq!(rig.view("acme").await["state"], "running", "none of it was done");
}

#[actix_rt::test]
async fn a_browser_is_told_what_a_page_of_it_may_do() {
    let rig = Rig::acme(true).await;
    let head = |answer: &Response, name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    for (path, with_token) in
        [("/", true), ("/", false), ("/login", false), ("/api/v1/orgs", true), ("/api/v1/orgs/nobody", false)]
    {
        let url = format!("{}{path}", rig.admin);
        let request = if with_token { rig.http.get(url) } else { Client::new().get(url) };
        let answer = request.send().await.expect("an answer");
        let policy = head(&answer, "content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert_eq!(head(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(head(&answer, "cache-control"), "no-store");
    }
}

#[actix_rt::test]
async fn a_body_is_taken_only_as_json_that_is_understood_to_the_last_word() {
    let rig = Rig::acme(true).await;
    let url = format!("{}/api/v1/tokens", rig.admin);
    let good = r#"{"name":"ci","role":"read"}"#;
    let long = format!(r#"{{"name":"{}","role":"read"}}"#, "x".repeat(20_000));
    let json = "application/json";
    for (kind, body, status, expected) in [
        (
            json,
            r#"{"name":"ci","role":"read","org":"acme"}"#,
            400,
            "unknown field `org`, expected `name` or `role`",
        ),
        (json, r#"{"name":"ci"}"#, 400, "missing field `role`"),
        (json, r#"{"name":"ci","role":"root"}"#, 400, "expected one of `read`, `operate`, `admin`"),
        (json, r#"{"name":"ci","name":"ci","role":"read"}"#, 400, "duplicate field"),
        (json, r#"["ci","read","more"]"#, 400, "cannot be taken"),
        (json, r#"{"name":7,"role":"read"}"#, 400, "cannot be taken"),
        (json, "", 400, "cannot be taken"),
        (json, "{", 400, "cannot be taken"),
        (json, &long, 413, "larger than the 16384 bytes"),
        (json, r#"{"name":"","role":"read"}"#, 400, "is no name for a token"),
        (json, r#"{"name":"a b","role":"read"}"#, 400, "is no name for a token"),
        (json, r#"{"name":"../first","role":"read"}"#, 400, "is no name for a token"),
        (json, r#"{"name":"first","role":"read"}"#, 409, "there is a token `first` already"),
        // What a form of another page could send.
        ("text/plain", good, 415, "application/json"),
        ("application/x-www-form-urlencoded", good, 415, "application/json"),
        ("multipart/form-data", good, 415, "application/json"),
    ] {
        let request = rig.http.post(&url).header("Content-Type", kind).body(body.to_owned());
        let (found, said) = answered(request).await;
        assert_eq!(found, status, "{body:.80}: {said}");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert!(said["error"].as_str().is_some_and(|error| error.contains(expected)), "{body:.80}: {said}");
        assert_ne!(said["hint"], "", "{body:.80}");
    }
    let (status, said) = answered(rig.http.get(&url)).await;
    assert!(status == 200 && !said.contains("ci"), "none was made: {said}");
    for path in ["%00", "..%2ffirst", "%ff", "first%0a"] {
        let (status, said) = answered(rig.http.post(format!("{url}/{path}/revoke"))).await;
        assert!([400, 404].contains(&status), "{path}: {status} {said}");
    }
}
