//! A simulator and one logged-in HTTP client, for the tests over HTTP.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use orgpipe_simulator::{Options, OrgHandle, Row, Simulator};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) http: Client,
    pub(crate) token: String,
}

/// Runs a test against a fresh simulator, as its first org's integration user.
pub(crate) fn world<F: AsyncFnOnce(&World)>(options: Options, test: F) {
    actix_rt::System::new().block_on(async {
        let simulator = Simulator::start(options).await.expect("it starts");
        let http =
            Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(30));
        let http = http.build().expect("a client");
        let token = login(&http, &simulator.orgs()[0], simulator.orgs()[0].username()).await;
        let world = World { simulator, http, token };
        test(&world).await;
        world.simulator.stop().await;
    });
}

/// A signed assertion for a JWT bearer login.
pub(crate) fn assertion(org: &OrgHandle, username: &str) -> String {
    // The time of day of the org itself: a test has no clock.
    let now = "4000-01-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().expect("a time").timestamp();
    let claims = json!({"iss": org.client_id(), "sub": username, "aud": org.base_url(), "exp": now});
    let key = EncodingKey::from_rsa_pem(org.private_key_pem().as_bytes()).expect("the PEM is right");
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("it can be signed")
}

pub(crate) async fn login(http: &Client, org: &OrgHandle, username: &str) -> String {
    let assertion = assertion(org, username);
    let form =
        [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
    let reply = http
        .post(format!("{}/services/oauth2/token", org.base_url()))
        .form(&form)
        .send()
        .await
        .expect("an answer");
    let token: Value = reply.json().await.expect("JSON");
    token["access_token"].as_str().unwrap_or_else(|| panic!("no token: {token}")).to_owned()
}

impl World {
    pub(crate) fn org(&self) -> &OrgHandle {
        &self.simulator.orgs()[0]
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/services/data/v66.0{path}", self.org().base_url())
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.http.request(method, self.url(path)).bearer_auth(&self.token);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        request.send().await.expect("an answer")
    }

    /// Status and body; null for an empty one.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let reply = self.call(method, path, body).await;
        let status = reply.status().as_u16();
        let text = reply.text().await.expect("a body");
        (
            status,
            if text.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
            },
        )
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(crate) async fn query(&self, soql: &str) -> Value {
        let reply =
            self.http.get(self.url("/query")).query(&[("q", soql)]).bearer_auth(&self.token).send().await;
        let reply = reply.expect("an answer");
        assert_eq!(reply.status(), StatusCode::OK);
        reply.json().await.expect("JSON")
    }
}

pub(crate) fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        other => panic!("{other} is no object"),
    }
}

/// Handshakes, subscribes from the earliest event on, and takes what one poll brings.
pub(crate) async fn events(world: &World, channel: &str) -> Vec<Value> {
    let post = async |message: Value, cookie: &str| {
        let url = format!("{}/cometd/66.0", world.org().base_url());
        let request =
            world.http.post(url).bearer_auth(&world.token).header("Cookie", cookie).json(&json!([message]));
        let reply = request.send().await.expect("an answer");
        let cookies = reply.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let cookies: Vec<String> =
            cookies.map(|text| text.split(';').next().unwrap_or_default().to_owned()).collect();
        (reply.json::<Value>().await.expect("JSON"), cookies.join("; "))
    };
    let hello = json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"], "ext": {"replay": true}});
    let (hello, cookie) = post(hello, "").await;
    let client = &hello[0]["clientId"];
    let subscribe = json!({"channel": "/meta/subscribe", "clientId": client, "subscription": channel, "ext": {"replay": {channel: -2}}});
    // Retained events may come with the answer to the subscribe already.
    let (mut messages, _) = post(subscribe, &cookie).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let events =
            messages.as_array().into_iter().flatten().filter(|message| message["channel"] == channel);
        seen.extend(events.map(|message| message["data"]["payload"].clone()));
        if !seen.is_empty() {
            break;
        }
        let connect =
            json!({"channel": "/meta/connect", "clientId": client, "connectionType": "long-polling"});
        messages = post(connect, &cookie).await.0;
    }
    seen
}
