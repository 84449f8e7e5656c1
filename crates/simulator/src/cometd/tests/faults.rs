//! Faults and settings: what each makes of an answer.

use serde_json::{Value, json};

use super::support::{Client, ORDERS, at, publish};
use crate::cometd::faults::CometdFault;
use crate::cometd::settings::{HangUp, Streaming, Wording};
use crate::cometd::state::{CometdState, RequestOutcome};
use crate::cometd::{CometdReply, Delivery};

fn fault(state: &mut CometdState, value: Value) {
    let fault: CometdFault = serde_json::from_value(value).expect("a fault");
    state.add_fault(fault);
}

fn answered(outcome: RequestOutcome) -> CometdReply {
    match outcome {
        RequestOutcome::Answered(reply) => reply,
        RequestOutcome::Parked { .. } => panic!("parked"),
    }
}

/// A client that is subscribed to the orders, with this many of them waiting.
fn waiting(state: &mut CometdState, count: u64) -> Client {
    let mut client = Client::connected(state, 0);
    client.send(state, &client.subscribe(ORDERS, &json!(-1)), 0);
    publish(state, 1..=count, 1);
    client
}

#[test]
fn a_refusal_has_the_keys_it_was_given_and_takes_no_events() {
    let mut state = CometdState::new(1);
    let mut client = waiting(&mut state, 2);
    fault(&mut state, json!({"at": "connect", "harm": {"refuse": {"error": "403::Unknown client"}}}));
    fault(
        &mut state,
        json!({"at": "connect", "harm": {"refuse": {"bare": true, "failure_reason": "503::x"}}}),
    );
    let refused = client.send(&mut state, &client.connect(), 2);
    let expected =
        json!({"channel": "/meta/connect", "id": "2", "successful": false, "error": "403::Unknown client"});
    assert_eq!(refused.only(), &expected);
    let bare = client.send(&mut state, &client.connect(), 2);
    assert_eq!(bare.only(), &json!({"successful": false, "ext": {"sfdc": {"failureReason": "503::x"}}}));
    assert_eq!(client.send(&mut state, &client.connect(), 2).numbers(), [1, 2]);
}

#[test]
fn a_cut_answer_takes_the_events_along_unless_they_are_redelivered() {
    for redelivers in [false, true] {
        let mut state = CometdState::new(1);
        state.set_settings(Streaming { redelivers, ..Streaming::default() });
        let mut client = waiting(&mut state, 2);
        fault(
            &mut state,
            json!({"at": "connect", "with_events": true, "harm": {"cut": {"written": "half"}}}),
        );
        let cut = answered(state.receive(&client.request(&client.connect()), at(2)));
        assert!(matches!(cut.delivery, Delivery::Cut { .. }) && cut.body.contains("Number__c"), "{cut:?}");
        publish(&mut state, 3..=3, 3);
        let expected: &[u64] = if redelivers { &[1, 2, 3] } else { &[3] };
        assert_eq!(client.send(&mut state, &client.connect(), 4).numbers(), expected);
    }
}

#[test]
fn a_held_poll_is_hit_when_its_fault_comes_or_its_events_do() {
    let mut state = CometdState::new(1);
    let mut client = waiting(&mut state, 0);
    let (ticket, _) = client.park(&mut state, 1);
    fault(&mut state, json!({"at": "connect", "with_events": true, "harm": {"end": {}}}));
    assert_eq!(state.resume(ticket, 2), None, "no events yet");
    publish(&mut state, 1..=2, 3);
    let reply = state.resume(ticket, 3).expect("ended");
    let ended: Vec<Value> = serde_json::from_str(&reply.body).expect("an array");
    let channels: Vec<&str> = ended.iter().filter_map(|message| message["channel"].as_str()).collect();
    assert_eq!(channels, [ORDERS, ORDERS, "/meta/disconnect", "/meta/connect"]);
    assert_eq!(client.send(&mut state, &client.connect(), 4).error(), "403::Unknown client");

    let mut client = waiting(&mut state, 0);
    let (ticket, _) = client.park(&mut state, 5);
    fault(&mut state, json!({"at": "connect", "harm": {"merge": {"advice": {"interval": 7}}}}));
    let reply = state.resume(ticket, 6).expect("released");
    assert_eq!(client.read(&reply).only()["advice"]["interval"], 7);
}

#[test]
fn altered_answers() {
    let mut state = CometdState::new(1);
    let mut client = waiting(&mut state, 1);
    fault(&mut state, json!({"at": "connect", "harm": {"repeat": {"other_id": true}}}));
    let twice = client.send(&mut state, &client.connect(), 2);
    assert_eq!(twice.numbers(), [1, 1]);
    let [first, second] = [0, 1].map(|at| &twice.events[at]["data"]["event"]);
    assert_eq!(first["EventUuid"], second["EventUuid"]);
    assert_ne!(first["replayId"], second["replayId"]);

    fault(&mut state, json!({"at": "connect", "harm": "odd"}));
    let reply = answered(state.receive(&client.request(&client.connect()), at(3)));
    let odd: Value = serde_json::from_str(&reply.body).expect("JSON");
    assert!(odd.is_object() && odd.get("unheardOf").is_some(), "{odd}");

    fault(&mut state, json!({"at": "connect", "harm": {"insert": [{"channel": "/event/X__e", "data": {}}]}}));
    assert_eq!(client.send(&mut state, &client.connect(), 4).events[0]["channel"], "/event/X__e");
}

#[test]
fn a_spent_allocation_cuts_subscriptions_and_refuses_new_ones() {
    let mut state = CometdState::new(1);
    state.set_settings(Streaming { deliveries_max: Some(2), ..Streaming::default() });
    let mut client = waiting(&mut state, 2);
    assert_eq!(client.send(&mut state, &client.connect(), 2).numbers(), [1, 2]);
    publish(&mut state, 3..=3, 3);
    let spent = "403::Organization total events daily limit exceeded";
    assert_eq!(client.send(&mut state, &client.connect(), 4).error(), spent);
    assert_eq!(client.send(&mut state, &client.subscribe(ORDERS, &json!(-2)), 5).error(), spent);
}

#[test]
fn a_request_without_a_token_is_refused_without_channel_and_id() {
    for (auth_status, wanted) in [(200, 200), (401, 401)] {
        let mut state = CometdState::new(1);
        state.set_settings(Streaming { auth_status, ..Streaming::default() });
        let mut request = Client::new().request(&Client::handshake());
        (request.has_token, request.token_ok) = (false, false);
        let reply = answered(state.receive(&request, at(0)));
        assert_eq!(reply.status, wanted);
        let refused: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(refused, json!([{"error": "401::Request requires authentication", "successful": false}]));
    }
}

#[test]
fn open_questions_are_switches() {
    let mut state = CometdState::new(1);
    let ids = publish(&mut state, 1..=3, 0);
    let foreign = (ids[0] + 1..ids[2]).find(|id| !ids.contains(id)).expect("IDs have gaps");
    state.set_settings(Streaming {
        foreign_ids: false,
        wording: Wording::Guide,
        batches: false,
        sticky_ms: 1_000,
        ..Streaming::default()
    });
    let mut client = Client::connected(&mut state, 0);
    let refused = client.send(&mut state, &client.subscribe(ORDERS, &json!(foreign)), 0);
    assert!(
        refused.error().ends_with(
            "invalid. Please provide a valid ID, -2 to replay all events, or -1 to replay only new events."
        ),
        "{refused:?}"
    );
    let missing = client.send(&mut state, &client.subscribe("/event/No__e", &json!(-1)), 0);
    assert!(missing.error().contains("doesn't exist"), "{missing:?}");
    let two = json!([client.connect()[0], client.connect()[0]]);
    let refused = client.send(&mut state, &two, 0);
    assert!(refused.replies.iter().all(|reply| reply["error"] == "403::Unknown client"), "{refused:?}");
    assert_eq!(
        client.send(&mut state, &client.connect(), 1_000).error(),
        "403::Unknown client",
        "the cookie"
    );

    state.set_settings(Streaming {
        wording: Wording::Stock,
        unknown_advice: "none".to_owned(),
        ..Streaming::default()
    });
    let mut stranger = Client { id: "nobody".to_owned(), ..Client::new() };
    let refused = stranger.send(&mut state, &stranger.connect(), 0);
    assert_eq!(
        (refused.error(), &refused.only()["advice"]["reconnect"]),
        ("402::session_unknown", &json!("none"))
    );
}

#[test]
fn questions_about_versions_cookies_and_who_delivers_are_switches() {
    let shaken = |settings: Streaming, version: &'static str| {
        let mut state = CometdState::new(1);
        state.set_settings(settings);
        let mut client = Client { version, ..Client::new() };
        client.send(&mut state, &Client::handshake(), 0)
    };
    let refused = shaken(Streaming { version_status: 200, ..Streaming::default() }, "36.0");
    assert_eq!((refused.status, refused.error().contains("Unsupported API version")), (200, true));
    let served = shaken(Streaming { retired_served: true, ..Streaming::default() }, "36.0");
    assert_eq!(served.only()["successful"], true);
    let plain = shaken(Streaming { payload_format: false, ..Streaming::default() }, "66.0");
    assert_eq!(plain.only()["ext"], json!({ "replay": true }));

    for (sticky_renewed, error) in [(false, "403::Unknown client"), (true, "")] {
        let mut state = CometdState::new(1);
        state.set_settings(Streaming { sticky_renewed, sticky_ms: 1_000, ..Streaming::default() });
        let mut client = waiting(&mut state, 1);
        assert_eq!(client.send(&mut state, &client.connect(), 900).numbers(), [1]);
        publish(&mut state, 2..=2, 1_000);
        assert_eq!(client.send(&mut state, &client.connect(), 1_500).error(), error);
    }

    for (polls_deliver_only, beside) in [(false, &[1][..]), (true, &[])] {
        let mut state = CometdState::new(1);
        state.set_settings(Streaming { polls_deliver_only, ..Streaming::default() });
        publish(&mut state, 1..=1, 0);
        let mut client = Client::connected(&mut state, 0);
        let subscribed = client.send(&mut state, &client.subscribe(ORDERS, &json!(-2)), 0);
        assert_eq!(subscribed.numbers(), beside);
        publish(&mut state, 2..=2, 1);
        let rest: Vec<u64> = (1..=2).filter(|number| !beside.contains(number)).collect();
        assert_eq!(client.send(&mut state, &client.connect(), 1).numbers(), rest);
    }
}

#[test]
fn the_place_of_a_client_that_hung_up_is_free_when_the_switch_says() {
    for (hang_up, free_at) in [(HangUp::AtOnce, 10), (HangUp::Swept, 40_010), (HangUp::Unnoticed, 150_001)] {
        let mut state = CometdState::new(1);
        state.set_settings(Streaming { hang_up, ..Streaming::default() });
        let client = Client::connected(&mut state, 0);
        let (ticket, until_ms) = client.park(&mut state, 1);
        assert_eq!(until_ms, 110_001);
        state.hung_up(ticket, 10);
        assert_eq!(state.usage(free_at + 1).clients, 0, "{hang_up:?}");
        let mut state = CometdState::new(1);
        state.set_settings(Streaming { hang_up, ..Streaming::default() });
        let client = Client::connected(&mut state, 0);
        let (ticket, _) = client.park(&mut state, 1);
        state.hung_up(ticket, 10);
        assert_eq!(state.usage(free_at).clients, u64::from(hang_up != HangUp::AtOnce), "{hang_up:?}");
    }
}
