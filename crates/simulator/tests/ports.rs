//! The two other ports: the vendor's look-up and the control API. The org's side of it is in `http.rs`.

mod support;

use std::time::Duration;

use orgpipe_simulator::{Options, OrgOptions, Simulator};
use reqwest::Method;
use serde_json::{Value, json};
use support::{World, login, row, world};

#[test]
fn the_vendor_answers_the_same_until_told_otherwise() {
    world(Options::default(), async |world: &World| {
        let vendor = world.simulator.vendor();
        let look_up = async |domain: &str| {
            let records =
                json!([{"id": "001A", "keys": {"domain": domain}}, {"id": "001B", "keys": {"domain": null}}]);
            let body = json!({"org": "acme", "sync": "enrich", "object": "Account", "records": records});
            let reply = world.http.post(vendor.url()).json(&body).send().await.expect("an answer");
            let (status, again) = (reply.status().as_u16(), reply.headers().contains_key("retry-after"));
            (status, again, reply.json::<Value>().await.unwrap_or_default())
        };
        let (status, _, first) = look_up("https://www.Acme.com/").await;
        assert_eq!((status, &first["records"][0]["data"]["key"]), (200, &json!("acme.com")));
        assert_eq!(first["records"][1], json!({"id": "001B", "data": null}));
        assert_eq!(look_up("acme.com").await.2, first);
        vendor.bump("acme.com");
        assert_ne!(look_up("acme.com").await.2, first);
        vendor.set_answer("001a", Some(json!([{"key": "x"}])));
        assert_eq!(look_up("acme.com").await.2["records"][0]["data"], json!([{"key": "x"}]));
        vendor.fail_next(429, 1);
        let (status, again, _) = look_up("acme.com").await;
        assert_eq!((status, again), (429, true));
        vendor.answer_garbage(true);
        assert_eq!(look_up("acme.com").await.2, Value::Null);
        let asked = vendor.requests();
        assert_eq!(
            (asked.len(), asked[0].ids.as_slice()),
            (6, ["001A".to_owned(), "001B".to_owned()].as_slice())
        );
    });
}

#[test]
fn another_process_can_do_it_over_the_control_port() {
    world(Options::default(), async |world: &World| {
        let control = async |method: Method, path: &str, body: Value| {
            let request =
                world.http.request(method, format!("{}{path}", world.simulator.control_url())).json(&body);
            let reply = request.send().await.expect("an answer");
            let status = reply.status().as_u16();
            (status, reply.json::<Value>().await.unwrap_or_default())
        };
        let (_, orgs) = control(Method::GET, "/orgs", json!(null)).await;
        assert_eq!(orgs[0]["base_url"], world.org().base_url());
        let (status, created) =
            control(Method::POST, "/orgs/acme/records/Account", json!({"Name": "Acme"})).await;
        assert_eq!(status, 200, "{created}");
        let id = created["id"].as_str().expect("an id");
        let path = format!("/orgs/acme/records/Account/{id}");
        assert_eq!(control(Method::PATCH, &path, json!({"Website": "acme.com"})).await.0, 204);
        assert_eq!(control(Method::GET, &path, json!(null)).await.1["Website"], "acme.com");
        let (status, refused) = control(Method::POST, "/orgs/acme/records/Account", json!({})).await;
        assert_eq!(
            (status, &refused["error"]),
            (400, &json!("REQUIRED_FIELD_MISSING: Required fields are missing: [Name]"))
        );
        let event = json!({"Object_Type__c": "Account", "Reason__c": "Manual"});
        assert!(
            control(Method::POST, "/orgs/acme/events/Sync_Request__e", event).await.1["replayId"].is_i64()
        );
        let fault = json!({"path": "/limits", "harm": {"status": 500}, "count": 1});
        assert_eq!(control(Method::POST, "/orgs/acme/faults", fault).await.0, 204);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 500);
        assert_eq!(control(Method::PUT, "/orgs/acme/available", json!(false)).await.0, 204);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 503);
        let (_, calls) = control(Method::GET, "/orgs/acme/calls", json!(null)).await;
        assert_eq!(
            calls.as_array().and_then(|calls| calls.last()).map(|call| call["status"].clone()),
            Some(json!(503))
        );
        assert_eq!(control(Method::PUT, "/orgs/acme/available", json!(true)).await.0, 204);
        let refusal = json!(["invalid_grant", "user hasn't approved this consumer"]);
        assert_eq!(control(Method::PUT, "/orgs/acme/refused-logins", refusal).await.0, 204);
        let login = format!("{}/services/oauth2/token", world.org().base_url());
        let refused = world.http.post(login).form(&[("grant_type", "client_credentials")]).send().await;
        let refused = refused.expect("an answer");
        assert_eq!(refused.status(), 400);
        assert_eq!(refused.json::<Value>().await.expect("JSON")["error"], "invalid_grant");
        assert_eq!(control(Method::PUT, "/vendor/answers/acme.com", json!({"key": "k"})).await.0, 204);
        assert_eq!(control(Method::GET, "/orgs/nobody/calls", json!(null)).await.0, 404);
    });
}

/// Orgs share nothing: not their tokens, not their records, not their ids.
#[test]
fn each_org_is_for_itself() {
    let orgs = ["one", "two"].map(OrgOptions::named).to_vec();
    world(Options { orgs, ..Options::default() }, async |world: &World| {
        let (one, two) = (world.org(), world.simulator.org("two").expect("there are two"));
        let id = one.create("Account", row(json!({"Name": "Acme"}))).expect("a valid account");
        assert_ne!(two.create("Account", row(json!({"Name": "Acme"}))).expect("a valid account"), id);
        let path = format!("{}/services/data/v66.0/sobjects/Account/{id}", two.base_url());
        let get = async |token: &str| {
            world.http.get(&path).bearer_auth(token).send().await.expect("an answer").status()
        };
        assert_eq!(get(&world.token).await, 401, "a token of another org");
        let token = login(&world.http, two, two.username()).await;
        assert_eq!(get(&token).await, 404, "a record of another org");
        let (status, limits) = world.ask(Method::GET, "/limits", None).await;
        assert_eq!((status, &limits["DailyApiRequests"]["Remaining"]), (200, &json!(14_999)));
        assert_eq!(world.get("/sobjects").await["maxBatchSize"], 200);
        assert_eq!(world.query("SELECT Name FROM Organization").await["records"][0]["Name"], "one");
    });
}

#[test]
fn stopping_cuts_off_held_polls() {
    actix_rt::System::new().block_on(async {
        let simulator = Simulator::start(Options::default()).await.expect("it starts");
        let org = simulator.orgs()[0].clone();
        let http = reqwest::Client::new();
        let token = login(&http, &org, org.username()).await;
        let url = format!("{}/cometd/66.0/", org.base_url());
        let post = move |message: Value, cookie: String| {
            http.post(url.clone()).bearer_auth(&token).header("Cookie", cookie).json(&json!([message])).send()
        };
        let hello = json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]});
        let hello = post(hello, String::new()).await.expect("an answer");
        let cookies = hello.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let cookie = cookies.filter_map(|text| text.split(';').next()).collect::<Vec<_>>().join("; ");
        let client = hello.json::<Value>().await.expect("JSON")[0]["clientId"].clone();
        let connect = json!({"channel": "/meta/connect", "clientId": client, "connectionType": "long-polling"});
        post(connect.clone(), cookie.clone()).await.expect("the first poll is answered at once");
        let held = actix_rt::spawn(post(connect, cookie));
        tokio::task::yield_now().await;
        let stopped = tokio::time::timeout(Duration::from_secs(10), simulator.stop()).await;
        assert!(stopped.is_ok(), "stopping does not wait for the poll");
        let cut = tokio::time::timeout(Duration::from_secs(10), held).await.expect("the poll ends").expect("no panic");
        let broken = match cut {
            Ok(reply) => reply.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(broken, "the poll is cut off");
    });
}
