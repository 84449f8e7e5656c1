//! The CometD endpoint over HTTP: what lies outside the Bayeux messages, and its faults over the control API.

mod support;

use orgpipe_simulator::{HangUp, Options, Streaming};
use reqwest::header::{AUTHORIZATION, LOCATION, SET_COOKIE};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{World, row, world};

/// One session as a client holds it.
struct Client<'a> {
    world: &'a World,
    cookies: String,
    id: String,
}

impl<'a> Client<'a> {
    async fn open(world: &'a World) -> Self {
        let mut client = Self { world, cookies: String::new(), id: String::new() };
        let reply = client.post(&handshake()).await;
        let cookies = reply.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs: Vec<&str> = cookies.filter_map(|cookie| cookie.split(';').next()).collect();
        client.cookies = pairs.join("; ");
        let reply: Value = reply.json().await.expect("JSON");
        client.id = reply[0]["clientId"].as_str().expect("an ID").to_owned();
        client.post(&client.connect()).await;
        client
    }

    fn connect(&self) -> Value {
        json!([{"channel": "/meta/connect", "id": "1", "clientId": self.id, "connectionType": "long-polling"}])
    }

    fn subscribe(&self) -> Value {
        json!([{"channel": "/meta/subscribe", "id": "2", "clientId": self.id,
            "subscription": "/event/Sync_Request__e"}])
    }

    async fn try_post(&self, message: &Value) -> reqwest::Result<Response> {
        let request = self.world.http.post(cometd(self.world)).bearer_auth(&self.world.token);
        request.header("Cookie", &self.cookies).json(message).send().await
    }

    async fn post(&self, message: &Value) -> Response {
        self.try_post(message).await.expect("an answer")
    }
}

fn handshake() -> Value {
    json!([{"channel": "/meta/handshake", "id": "1", "version": "1.0",
        "supportedConnectionTypes": ["long-polling"]}])
}

fn cometd(world: &World) -> String {
    format!("{}/cometd/66.0", world.org().base_url())
}

async fn control(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/orgs/acme{path}", world.simulator.control_url());
    let reply = world.http.request(method, url).json(&body).send().await.expect("an answer");
    let status = reply.status().as_u16();
    (status, reply.json().await.unwrap_or_default())
}

#[test]
fn the_endpoint_takes_posts_and_tokens_with_or_without_a_scheme() {
    world(Options::default(), async |world: &World| {
        let reply = world.http.get(cometd(world)).bearer_auth(&world.token).send().await.expect("an answer");
        assert_eq!(reply.status(), 405);
        assert!(reply.headers()["content-type"].to_str().is_ok_and(|text| text.starts_with("text/plain")));
        assert_eq!(reply.text().await.expect("a text"), "Only POST allowed");

        let token = &world.token;
        let no_authentication = "401::Request requires authentication";
        for (authorization, error) in [
            (Some(format!("Bearer {token}")), None),
            (Some(format!("OAuth {token}")), None),
            (Some(token.clone()), None),
            (Some("Bearer dead".to_owned()), Some("403::Handshake denied")),
            (Some("dead".to_owned()), Some("403::Handshake denied")),
            (None, Some(no_authentication)),
        ] {
            let request = world.http.post(cometd(world)).json(&handshake());
            let request = match &authorization {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            };
            let reply: Value = request.send().await.expect("an answer").json().await.expect("JSON");
            assert_eq!(reply[0]["error"].as_str(), error, "{authorization:?}: {reply}");
        }
    });
}

#[test]
fn an_org_that_is_down_answers_json_to_rest_and_html_to_cometd() {
    world(Options::default(), async |world: &World| {
        world.org().set_available(false);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 503);
        let reply = world
            .http
            .post(cometd(world))
            .bearer_auth(&world.token)
            .json(&handshake())
            .send()
            .await
            .expect("one");
        assert_eq!(reply.status(), 503);
        assert!(reply.text().await.expect("a text").starts_with("<html>"));
    });
}

#[test]
fn a_published_event_carries_the_uuid_its_publisher_was_told() {
    world(Options::default(), async |world: &World| {
        let client = Client::open(world).await;
        client.post(&client.subscribe()).await;
        let event = json!({"Object_Type__c": "Account", "Reason__c": "Manual"});
        let (status, told) = world.ask(Method::POST, "/sobjects/Sync_Request__e", Some(event)).await;
        assert_eq!(status, 201, "{told}");
        let heard: Value = client.post(&client.connect()).await.json().await.expect("JSON");
        assert_eq!(heard[0]["data"]["event"]["EventUuid"], told["errors"][0]["message"], "{heard}");
    });
}

#[test]
fn a_poll_whose_client_hangs_up_is_noticed_and_delivers_to_nobody() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        org.set_streaming(Streaming { hang_up: HangUp::AtOnce, ..org.streaming() });
        let client = Client::open(world).await;
        client.post(&client.subscribe()).await;
        assert_eq!(org.cometd_clients(), 1);
        let hold = std::time::Duration::from_millis(300);
        assert!(tokio::time::timeout(hold, client.try_post(&client.connect())).await.is_err(), "it is held");
        while org.cometd_clients() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        org.publish("Sync_Request__e", row(json!({"Reason__c": "Manual"})));
        assert_eq!(org.deliveries(), 0);
    });
}

#[test]
fn change_events_are_delivered_as_they_were_published() {
    world(Options::default(), async |world: &World| {
        let client = Client::open(world).await;
        let channel = "/data/AccountChangeEvent";
        let changes = [
            json!({"entityName": "Account", "changeType": "GAP_UPDATE", "recordIds": ["001000000000001AAA"]}),
            json!({"entityName": "Account", "changeType": "GAP_OVERFLOW", "recordIds": ["000000000000000AAA"]}),
            json!({"entityName": "Account", "changeType": "UPDATE", "recordIds": ["001*"], "commitNumber": 92_847_272_780_u64}),
        ];
        let payloads = changes.map(|header| row(json!({"ChangeEventHeader": header})));
        for payload in &payloads {
            world.org().publish_on(channel, payload.clone());
        }
        let subscribe = json!([{"channel": "/meta/subscribe", "id": "2", "clientId": client.id,
            "subscription": channel, "ext": {"replay": {channel: -2}}}]);
        let heard: Value = client.post(&subscribe).await.json().await.expect("JSON");
        let heard: Vec<&Value> =
            heard.as_array().expect("a list").iter().map(|event| &event["data"]["payload"]).collect();
        assert_eq!(heard[..3], payloads.map(Value::Object).iter().collect::<Vec<_>>());
    });
}

#[test]
fn faults_and_switches_over_the_control_port() {
    world(Options { time_scale: 100.0, ..Options::default() }, async |world: &World| {
        let client = Client::open(world).await;
        assert_eq!(control(world, Method::POST, "/cometd-faults/S02", Value::Null).await.0, 204);
        assert_eq!(control(world, Method::POST, "/cometd-faults/S99", Value::Null).await.0, 404);
        let refused: Value = client.post(&client.connect()).await.json().await.expect("JSON");
        assert_eq!(refused[0]["advice"]["reconnect"], "none");
        let fault = json!({"at": "handshake", "harm": {"respond": {"status": 302, "body": "", "location": "http://x/"}}});
        assert_eq!(control(world, Method::POST, "/cometd-faults", fault).await.0, 204);
        let elsewhere = client.post(&handshake()).await;
        assert_eq!(
            (elsewhere.status().as_u16(), &elsewhere.headers()[LOCATION]),
            (302, &"http://x/".parse().expect("a value"))
        );
        for (written, chunked) in [("nothing", false), ("half", false), ("half", true), ("all", true)] {
            let fault = json!({"at": "handshake", "harm": {"cut": {"written": written, "chunked": chunked}}});
            assert_eq!(control(world, Method::POST, "/cometd-faults", fault).await.0, 204);
            let broken = match client.try_post(&handshake()).await {
                Ok(reply) => reply.bytes().await.err(),
                Err(error) => Some(error),
            };
            assert!(broken.is_some(), "{written} chunked={chunked}");
        }
        let fault = json!({"at": "handshake", "harm": {"drip": {"pieces": 5, "every_ms": 100}}});
        assert_eq!(control(world, Method::POST, "/cometd-faults", fault).await.0, 204);
        assert_eq!(
            client.post(&handshake()).await.json::<Value>().await.expect("JSON")[0]["successful"],
            true
        );

        let (_, mut terms) = control(world, Method::GET, "/streaming", Value::Null).await;
        terms["clients_max"] = json!(0);
        assert_eq!(control(world, Method::PUT, "/streaming", terms).await.0, 204);
        let full: Value = client.post(&handshake()).await.json().await.expect("JSON");
        assert_eq!(
            full[0]["ext"]["sfdc"]["failureReason"],
            "403::Organization concurrent user limit exceeded"
        );
        assert_eq!(control(world, Method::PUT, "/streaming", json!({"unheard_of": 1})).await.0, 400);
        let (_, messages) = control(world, Method::GET, "/cometd-messages", Value::Null).await;
        let handshakes = messages.as_array().expect("a list").iter();
        assert_eq!(handshakes.filter(|message| message["channel"] == "/meta/handshake").count(), 8);

        let change = json!({"channel": "/data/AccountChangeEvent", "payload": {"ChangeEventHeader": {}}});
        assert!(control(world, Method::POST, "/channels", change).await.1["replayId"].is_i64());
        assert_eq!(control(world, Method::PUT, "/next-replay-id", json!(7)).await.0, 204);
        assert_eq!(world.org().publish_on("/data/AccountChangeEvent", row(json!({}))), 7);

        let there = world.org().base_url().replace("127.0.0.1", "localhost");
        assert_eq!(control(world, Method::PUT, "/instance-url", json!(there)).await.0, 204);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 302);
        let token = support::login(&world.http, world.org(), world.org().username()).await;
        let limits = world.http.get(format!("{there}/services/data/v66.0/limits")).bearer_auth(token);
        assert_eq!(limits.send().await.expect("an answer").status(), 200);
    });
}
