//! Life and death of sessions and polls, request by request, on a clock that is only a number.

use serde_json::{Value, json};

use super::support::{Client, ORDERS, at, publish};
use crate::cometd::CometdReply;
use crate::cometd::cookies::{BROWSER, STICKY, STICKY_MS};
use crate::cometd::session::RECONNECT_MS;
use crate::cometd::settings::HOLD_MS;
use crate::cometd::state::{CometdState, RequestOutcome};
use crate::cometd::wire::BODY_BYTES_MAX;

fn answered(outcome: RequestOutcome) -> CometdReply {
    match outcome {
        RequestOutcome::Answered(reply) => reply,
        RequestOutcome::Parked { .. } => panic!("parked"),
    }
}

#[test]
fn a_handshake_gives_no_advice_but_replay_and_the_cookies() {
    let mut state = CometdState::new(1);
    let mut client = Client::new();
    let reply = answered(state.receive(&client.request(&Client::handshake()), at(0)));
    let names: Vec<&str> = reply.set_cookies.iter().filter_map(|set| set.split('=').next()).collect();
    assert_eq!(names, ["BrowserId", "t", BROWSER, STICKY]);
    let sticky = &reply.set_cookies[3];
    assert!(
        sticky.contains("=!") && sticky.ends_with("expires=Wed, 15 Nov 2023 01:13:20 GMT; path=/"),
        "{sticky}"
    );
    assert!(reply.set_cookies[2].ends_with(";Path=/cometd/"));

    let answer = client.read(&reply);
    let mut expected = json!({
        "channel": "/meta/handshake", "id": "1", "version": "1.0", "minimumVersion": "1.0", "successful": true,
        "supportedConnectionTypes": ["long-polling"], "ext": { "replay": true, "payload.format": true },
    });
    expected["clientId"] = client.id.as_str().into();
    assert_eq!(answer.only(), &expected);
    assert!((24..=29).contains(&client.id.len()));
    assert!(client.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
}

#[test]
fn a_second_handshake_keeps_the_browser_cookie_and_renews_the_sticky_one() {
    let mut state = CometdState::new(1);
    let client = Client::connected(&mut state, 0);
    let reply = answered(state.receive(&client.request(&Client::handshake()), at(0)));
    let names: Vec<&str> = reply.set_cookies.iter().filter_map(|set| set.split('=').next()).collect();
    assert_eq!(names, [STICKY]);
}

#[test]
fn only_the_first_connect_is_answered_at_once_and_brings_advice() {
    let mut state = CometdState::new(1);
    let mut client = Client::new();
    client.send(&mut state, &Client::handshake(), 0);
    let first = client.send(&mut state, &client.connect(), 0);
    assert_eq!(first.only()["advice"], json!({ "reconnect": "retry", "interval": 0, "timeout": 110_000 }));

    let (ticket, until_ms) = client.park(&mut state, 1_000);
    assert_eq!(until_ms, 1_000 + HOLD_MS);
    assert_eq!(state.resume(ticket, until_ms - 1), None);
    let reply = state.resume(ticket, until_ms).expect("the time is up");
    let expected =
        json!({ "channel": "/meta/connect", "clientId": client.id, "id": "2", "successful": true });
    assert_eq!(client.read(&reply).only(), &expected);

    let mut hurried = client.connect();
    hurried[0]["advice"] = json!({ "timeout": 0 });
    assert_eq!(client.send(&mut state, &hurried, until_ms).only()["advice"]["timeout"], 110_000);
}

#[test]
fn ids_are_echoed_as_they_came() {
    for id in [json!("7"), json!(7), json!("1a-b")] {
        let mut state = CometdState::new(1);
        let mut client = Client::connected(&mut state, 0);
        let mut message = client.plain("/meta/disconnect");
        message[0]["id"] = id.clone();
        assert_eq!(client.send(&mut state, &message, 0).only()["id"], id);
    }
}

#[test]
fn a_session_dies_40_s_after_the_last_reply_but_not_during_a_poll() {
    for (pause_ms, lives) in [(RECONNECT_MS, true), (RECONNECT_MS + 1, false)] {
        let mut state = CometdState::new(1);
        let mut client = Client::connected(&mut state, 0);
        let (ticket, until_ms) = client.park(&mut state, 0);
        assert_eq!(state.usage(until_ms - 1).clients, 1, "a parked session is not swept");
        assert!(state.resume(ticket, until_ms).is_some());
        let answer = client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), until_ms + pause_ms);
        assert_eq!(answer.only()["successful"], lives, "{pause_ms}");
        assert_eq!(answer.error(), if lives { "" } else { "403::Unknown client" });
    }
}

#[test]
fn a_subscribe_restarts_the_40_s() {
    let mut state = CometdState::new(1);
    let mut client = Client::connected(&mut state, 0);
    client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), RECONNECT_MS);
    client.park(&mut state, 2 * RECONNECT_MS);
}

#[test]
fn what_is_missing_decides_the_refusal() {
    type Spoil = fn(&mut Client);
    const UNKNOWN: &str = "403::Unknown client";
    let cases: [(&str, Spoil, &str, &str, bool); 8] = [
        ("client ID", |client| client.id = "0".repeat(28), UNKNOWN, "handshake", false),
        (
            "no sticky cookie",
            |client| client.cookies.retain(|(name, _)| name != STICKY),
            UNKNOWN,
            "handshake",
            true,
        ),
        ("other sticky cookie", |client| set(client, STICKY, "!x"), UNKNOWN, "handshake", true),
        ("other browser cookie", |client| set(client, BROWSER, "x"), UNKNOWN, "handshake", false),
        (
            "no browser cookie",
            |client| client.cookies.retain(|(name, _)| name != BROWSER),
            "400::Client {id} has established a session, but no BAYEUX_BROWSER cookie present",
            "none",
            false,
        ),
        ("no cookies", |client| client.cookies.clear(), UNKNOWN, "handshake", true),
        (
            "other user",
            |client| client.user = "005B",
            "400::Authenticated user id does not match the session's user id",
            "none",
            false,
        ),
        ("token", |client| client.token_ok = false, "401::Authentication invalid", "none", false),
    ];
    for (name, spoil, error, advice, renews_sticky) in cases {
        let mut state = CometdState::new(1);
        let healthy = Client::connected(&mut state, 0);
        let mut client = healthy.clone();
        spoil(&mut client);
        let reply = answered(state.receive(&client.request(&client.connect()), at(1)));
        assert_eq!(reply.set_cookies.iter().any(|set| set.starts_with(STICKY)), renews_sticky, "{name}");
        let answer = client.read(&reply);
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.error(), error.replace("{id}", &client.id), "{name}");
        assert_eq!(answer.only()["advice"], json!({ "reconnect": advice, "interval": 0 }), "{name}");
        assert_eq!(answer.only().get("clientId").is_none(), error == UNKNOWN, "{name}");
        healthy.park(&mut state, 2);
    }
}

fn set(client: &mut Client, name: &str, value: &str) {
    for (_, known) in client.cookies.iter_mut().filter(|(known, _)| known == name) {
        value.clone_into(known);
    }
}

#[test]
fn the_sticky_cookie_leads_astray_after_three_hours() {
    let mut state = CometdState::new(1);
    let mut client = Client::connected(&mut state, 0);
    let mut now_ms = 0;
    while now_ms + HOLD_MS < STICKY_MS {
        let (ticket, until_ms) = client.park(&mut state, now_ms);
        state.resume(ticket, until_ms).expect("the time is up");
        now_ms = until_ms;
    }
    let (ticket, until_ms) = client.park(&mut state, STICKY_MS - 1);
    let last = state.resume(ticket, until_ms).expect("the poll that began in time ends well");
    assert_eq!(client.read(&last).only()["successful"], true);
    assert_eq!(client.send(&mut state, &client.connect(), until_ms).error(), "403::Unknown client");
}

#[test]
fn a_dead_token_shows_differently_on_each_channel() {
    let reason = "401::Authentication invalid";
    let cases = [
        ("/meta/handshake", "403::Handshake denied", json!(reason), json!({ "reconnect": "none" })),
        ("/meta/connect", reason, json!(null), json!({ "reconnect": "none", "interval": 0 })),
        ("/meta/subscribe", "403:denied_by_security_policy:create_denied", json!(reason), json!(null)),
        ("/meta/disconnect", reason, json!(null), json!(null)),
    ];
    for (channel, error, nested, advice) in cases {
        let mut state = CometdState::new(1);
        let mut client = Client::connected(&mut state, 0);
        client.token_ok = false;
        let answer = client.send(&mut state, &client.plain(channel), 1);
        assert_eq!(answer.error(), error, "{channel}");
        let sdfc = &answer.only()["ext"]["sfdc"]["failureReason"];
        assert_eq!((sdfc, &answer.only()["advice"]), (&nested, &advice), "{channel}");
    }
}

#[test]
fn what_is_no_bayeux_request_fails_in_http() {
    let handshakes = b"[{\"channel\":\"/meta/handshake\"},{\"channel\":\"/meta/connect\"}]";
    let long = vec![b' '; BODY_BYTES_MAX + 1];
    let old = "400::Unsupported API version. Only API versions '37.0' and later are supported. URI format: \
               '/cometd/66.0'";
    let none = "400::API version in the URI is mandatory. URI format: '/cometd/66.0'";
    let cases: [(&str, &[u8], u16, &str); 10] = [
        ("66.0", b"{", 400, ""),
        ("66.0", b"null", 400, ""),
        ("66.0", b"[[\"/meta/connect\"]]", 400, ""),
        ("66.0", b"[]", 200, "[]"),
        ("66.0", &long, 413, "Maximum Request Size Exceeded"),
        ("66.0", handshakes, 500, ""),
        ("36.0", b"[]", 400, old),
        ("66", b"[]", 400, none),
        ("66.5", b"[]", 400, none),
        ("", b"[]", 400, none),
    ];
    for (version, body, status, text) in cases {
        let client = Client { version, ..Client::new() };
        let reply = answered(CometdState::new(1).receive(&client.raw(body), at(0)));
        assert_eq!(reply.status, status, "{version} {}", reply.body);
        assert!(reply.body.contains(text) && (reply.body.is_empty() == text.is_empty()), "{}", reply.body);
    }
}

#[test]
fn odd_messages_are_refused_one_by_one() {
    let cases = [
        (
            json!({ "channel": "/meta/connect", "connectionType": "websocket" }),
            "400::Invalid connection type {websocket}",
        ),
        (json!({ "channel": "/meta/subscribe" }), "400::Channel name not specified"),
        (
            json!({ "channel": "/meta/subscribe", "subscription": "event/Order__e" }),
            "400::Channel subscriptions must start with a leading '/'",
        ),
        (
            json!({ "channel": "/meta/subscribe", "subscription": "/event/order__e" }),
            "400::The channel you requested to subscribe to does not exist {/event/order__e}",
        ),
        (json!({ "channel": "/meta/unsubscribe", "subscription": "/event/X__e" }), "400::channel_missing"),
        (json!({ "channel": "/meta/guess" }), "404::Unknown channel"),
        (json!({ "channel": ORDERS, "data": {} }), "403:denied_by_security_policy:publish denied"),
        (json!({}), "400::channel missing"),
    ];
    for (mut message, error) in cases {
        let mut state = CometdState::new(1);
        let mut client = Client::connected(&mut state, 0);
        message["clientId"] = client.id.as_str().into();
        assert_eq!(client.send(&mut state, &message, 1).error(), error, "{message}");
        client.park(&mut state, 2);
    }
}

#[test]
fn a_parked_poll_ends_for_five_reasons() {
    type End = fn(&mut CometdState, &mut Client);
    let cases: [(&str, End, u16, Value); 5] = [
        (
            "an event",
            |state, _| drop(publish(state, 1..=1, 5)),
            200,
            json!([{ "channel": "/meta/connect", "clientId": "ID", "id": "2", "successful": true }]),
        ),
        ("a second poll", |state, client| assert!(client.park(state, 5).1 > 5), 500, json!([])),
        (
            "disconnect",
            |state, client| drop(client.send(state, &client.plain("/meta/disconnect"), 5)),
            200,
            json!([{
                "channel": "/meta/connect", "clientId": "ID", "id": "2", "successful": true,
                "advice": { "reconnect": "none", "interval": 0 },
            }]),
        ),
        (
            "sessions dropped",
            |state, _| state.drop_sessions(),
            200,
            json!([
                { "channel": "/meta/disconnect", "successful": true },
                {
                    "channel": "/meta/connect", "clientId": "ID", "id": "2", "successful": false,
                    "error": "403::Unknown client", "advice": { "reconnect": "none", "interval": 0 },
                },
            ]),
        ),
        ("maintenance", |state, _| state.set_available(false), 503, json!([])),
    ];
    for (name, end, status, replies) in cases {
        let mut state = CometdState::new(1);
        let mut client = Client::connected(&mut state, 0);
        client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), 0);
        let (ticket, _) = client.park(&mut state, 1);
        assert_eq!(state.resume(ticket, 2), None, "{name}");
        end(&mut state, &mut client);
        let reply = state.resume(ticket, 6).expect(name);
        let answer = client.read(&reply);
        let expected: Value =
            serde_json::from_str(&replies.to_string().replace("ID", &client.id)).expect("JSON");
        assert_eq!((answer.status, json!(answer.replies)), (status, expected), "{name}");
        assert_eq!(answer.numbers(), if name == "an event" { vec![1] } else { vec![] }, "{name}");
        assert_eq!(reply.body.starts_with('<'), name == "maintenance");
        assert_eq!(reply.body.is_empty(), name == "a second poll");
    }
}

#[test]
fn maintenance_refuses_everything_and_leaves_the_sessions_their_40_s() {
    for (back_ms, lives) in [(RECONNECT_MS, true), (RECONNECT_MS + 1, false)] {
        let mut state = CometdState::new(1);
        let mut client = Client::connected(&mut state, 0);
        state.set_available(false);
        assert_eq!(client.send(&mut state, &client.connect(), 1).status, 503);
        assert_eq!(client.send(&mut state, &Client::handshake(), 1).status, 503);
        state.set_available(true);
        let answer = client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), back_ms);
        assert_eq!(answer.only()["successful"], lives);
    }
}

#[test]
fn an_org_has_room_for_so_many_clients() {
    let mut state = CometdState::new(1);
    for _ in 0..20 {
        Client::connected(&mut state, 0);
    }
    let mut late = Client::new();
    let answer = late.send(&mut state, &Client::handshake(), RECONNECT_MS);
    assert_eq!(answer.error(), "403::Handshake denied");
    let reason = &answer.only()["ext"]["sfdc"]["failureReason"];
    assert_eq!(reason, "403::Organization concurrent user limit exceeded");
    let answer = late.send(&mut state, &Client::handshake(), RECONNECT_MS + 1);
    assert_eq!(answer.only()["successful"], true, "the others are gone after 40 s");
}

#[test]
fn two_sessions_of_one_browser_cannot_both_be_held() {
    let mut state = CometdState::new(1);
    let one = Client::connected(&mut state, 0);
    let mut other = one.clone();
    other.send(&mut state, &Client::handshake(), 0);
    other.send(&mut state, &other.connect(), 0);
    one.park(&mut state, 1);
    let advice = json!({ "multiple-clients": true, "reconnect": "retry", "interval": 2_000 });
    assert_eq!(other.send(&mut state, &other.connect(), 1).only()["advice"], advice);
}
