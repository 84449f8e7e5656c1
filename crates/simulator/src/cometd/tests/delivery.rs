//! Which events reach a client, where they start and how they look.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Client, ORDERS, VISITS, at, order, publish};
use crate::cometd::LoggedSubscribe;
use crate::cometd::log::RETENTION_MS;
use crate::cometd::session::RECONNECT_MS;
use crate::cometd::settings::HOLD_MS;
use crate::cometd::state::{CometdState, RequestOutcome};

#[test]
fn the_replay_option_decides_where_a_subscription_starts() {
    let invalid = |id: &str| {
        Err(format!(
            "400::The replayId {{{id}}} you provided was invalid.  Please provide a valid ID, -2 to replay all \
             events, or -1 to replay only new events."
        ))
    };
    let mut state = CometdState::new(1);
    let gone = publish(&mut state, 1..=2, 0);
    let kept = publish(&mut state, 3..=5, RETENTION_MS);
    let now_ms = RETENTION_MS + 1;
    let between = (kept[0]..kept[2]).find(|id| !kept.contains(id)).expect("IDs have gaps");
    let rest: Vec<u64> = if between > kept[1] { vec![5] } else { vec![4, 5] };
    let cases: [(Value, Result<Vec<u64>, String>); 12] = [
        (json!(-1), Ok(vec![])),
        (json!("-1"), Ok(vec![])),
        (json!(-2), Ok(vec![3, 4, 5])),
        (json!("-2"), Ok(vec![3, 4, 5])),
        (json!(kept[0]), Ok(vec![4, 5])),
        (json!(kept[2]), Ok(vec![])),
        (json!(between), Ok(rest)),
        (json!(gone[1]), invalid(&gone[1].to_string())),
        (json!(kept[2] + 1), invalid(&(kept[2] + 1).to_string())),
        (json!(-3), invalid("-3")),
        (json!(kept[0].to_string()), invalid(&kept[0].to_string())),
        (json!(1.5), invalid("1.5")),
    ];
    for (replay, expected) in cases {
        let mut client = Client::connected(&mut state, now_ms);
        let answer = client.send(&mut state, &client.subscribe(ORDERS, &replay), now_ms);
        match expected {
            Ok(numbers) => assert_eq!((answer.error(), answer.numbers()), ("", numbers), "{replay}"),
            Err(error) => assert_eq!((answer.error(), answer.events.len()), (error.as_str(), 0), "{replay}"),
        }
        client.send(&mut state, &client.plain("/meta/disconnect"), now_ms);
    }
}

#[test]
fn a_replay_map_must_name_the_channel() {
    let mut state = CometdState::new(1);
    let mut client = Client::connected(&mut state, 0);
    let mut message = client.subscribe(ORDERS, &json!(-1));
    message[0]["ext"]["replay"] = json!({ "/event/Other__e": -2 });
    assert_eq!(
        client.send(&mut state, &message, 0).error(),
        "400::The replayId for channel {/event/Order__e} wasn't found using the provided replay ID map \
         {{/event/Other__e=-2}}. Ensure that the channel name you provided in the replay map is valid and matches \
         the channel name used for subscribing."
    );
    message[0]["ext"] = json!({});
    assert_eq!(client.send(&mut state, &message, 0).only()["successful"], true, "without a map it is -1");
    assert_eq!(state.subscribes(), [LoggedSubscribe { channel: ORDERS.to_owned(), replay: -1 }]);
    state.clear_log();
    assert_eq!(state.subscribes(), []);
}

#[test]
fn an_event_carries_what_its_api_version_knows() {
    for (version, keys) in [
        ("51.0", vec!["replayId"]),
        ("52.0", vec!["EventUuid", "replayId"]),
        ("55.0", vec!["EventApiName", "EventUuid", "replayId"]),
    ] {
        let mut state = CometdState::new(1);
        let id = publish(&mut state, 1..=1, 0)[0];
        let mut client = Client::connected(&mut state, 0);
        client.version = version;
        let event = client.send(&mut state, &client.subscribe(ORDERS, &json!(-2)), 0).events.remove(0);
        assert_eq!(event["channel"], ORDERS);
        let data = &event["data"];
        let payload =
            json!({ "CreatedById": "005P", "CreatedDate": "2023-11-14T22:13:20.000Z", "Number__c": 1 });
        assert_eq!(data["payload"], payload);
        assert_eq!(data["event"]["replayId"], id);
        assert_eq!(data["schema"].as_str().map(str::len), Some(22));
        let mut known: Vec<&str> =
            data["event"].as_object().expect("an object").keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, keys, "{version}");
    }
}

#[test]
fn a_replaced_poll_leaves_its_events_to_the_new_one() {
    let mut state = CometdState::new(1);
    let mut client = Client::connected(&mut state, 0);
    client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), 0);
    let (old, _) = client.park(&mut state, 1);
    let (new, _) = client.park(&mut state, 2);
    assert_eq!(state.resume(old, 3).map(|reply| (reply.status, reply.body)), Some((500, String::new())));
    let late_ms = 3 + RECONNECT_MS + 1;
    assert_eq!(state.usage(late_ms).clients, 1, "the new poll keeps the session");
    publish(&mut state, 1..=1, late_ms);
    assert_eq!(client.read(&state.resume(new, late_ms).expect("an event")).numbers(), [1]);
}

#[test]
fn a_poll_whose_client_hung_up_takes_no_events() {
    let mut state = CometdState::new(1);
    let mut client = Client::connected(&mut state, 0);
    client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), 0);
    let (ticket, _) = client.park(&mut state, 1);
    state.hung_up(ticket, 1_000);
    publish(&mut state, 1..=1, 2_000);
    assert_eq!(client.send(&mut state, &client.connect(), 1_000 + RECONNECT_MS).numbers(), [1]);
}

#[test]
fn unsubscribing_ends_delivery_and_a_second_tip_subscribe_skips_nothing() {
    let mut state = CometdState::new(1);
    let mut client = Client::connected(&mut state, 0);
    client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), 0);
    publish(&mut state, 1..=1, 1);
    assert_eq!(client.send(&mut state, &client.subscribe(ORDERS, &json!(-1)), 1).numbers(), [1]);
    assert_eq!(client.send(&mut state, &client.plain("/meta/unsubscribe"), 2).only()["successful"], true);
    publish(&mut state, 2..=2, 3);
    client.park(&mut state, 4);
}

#[test]
fn one_answer_holds_so_many_events() {
    let count = 2_000_u64 * 2 + 1;
    let mut state = CometdState::new(1);
    publish(&mut state, 1..=count, 0);
    let mut client = Client::connected(&mut state, 0);
    let mut numbers = client.send(&mut state, &client.subscribe(ORDERS, &json!(-2)), 0).numbers();
    assert_eq!(numbers.len(), 2_000);
    numbers.extend(client.send(&mut state, &client.connect(), 0).numbers());
    numbers.extend(client.send(&mut state, &client.connect(), 0).numbers());
    assert_eq!(numbers, (1..=count).collect::<Vec<u64>>());
    let usage = state.usage(0);
    assert_eq!((usage.clients, usage.delivered_day, usage.published_hour), (1, count, count));
    client.park(&mut state, 0);
}

#[test]
fn one_answer_holds_so_many_bytes_but_at_least_one_event() {
    let mut state = CometdState::new(1);
    for number in 1..=3 {
        let mut payload = order(number);
        payload.insert("Text__c".into(), "x".repeat(5 * 1024 * 1024).into());
        state.publish("Order__e", payload, "005P", None, at(0));
    }
    let mut client = Client::connected(&mut state, 0);
    assert_eq!(client.send(&mut state, &client.subscribe(ORDERS, &json!(-2)), 0).numbers(), [1]);
    assert_eq!(client.send(&mut state, &client.connect(), 0).numbers(), [2]);
}

#[test]
fn several_messages_share_an_answer_and_a_session() {
    let mut state = CometdState::new(1);
    publish(&mut state, 1..=1, 0);
    let mut client = Client::connected(&mut state, 0);
    let messages = json!([
        client.subscribe(ORDERS, &json!(-2))[0],
        client.connect()[0],
        { "channel": "/meta/subscribe", "clientId": "another", "subscription": VISITS, "id": "5" },
    ]);
    let answer = client.send(&mut state, &messages, 1);
    assert_eq!(answer.numbers(), [1], "a connect in company is not held");
    let outcomes: Vec<Value> =
        answer.replies.iter().map(|reply| json!([reply["id"], reply["error"]])).collect();
    assert_eq!(json!(outcomes), json!([["3", null], ["2", null], ["5", "403::Unknown client"]]));

    let mut astray = messages.clone();
    astray[0]["clientId"] = "another".into();
    let answer = client.send(&mut state, &astray, 1);
    assert!(
        answer.replies.iter().all(|reply| reply["error"] == "403::Unknown client"),
        "the first message decides"
    );

    let both =
        json!({ "channel": "/meta/subscribe", "clientId": client.id, "subscription": [ORDERS, VISITS] });
    assert_eq!(client.send(&mut state, &both, 2).only()["subscription"], json!([ORDERS, VISITS]));
    state.publish("Visit__e", order(2), "005P", None, at(3));
    assert_eq!(client.send(&mut state, &client.connect(), 3).numbers(), [2]);
}

#[derive(Clone, Debug)]
enum Step {
    Publish { visit: bool, count: u64 },
    Poll,
    HangUp,
    Resubscribe,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 0..4_u64).prop_map(|(visit, count)| Step::Publish { visit, count }),
        4 => Just(Step::Poll),
        1 => Just(Step::HangUp),
        1 => Just(Step::Resubscribe),
    ]
}

proptest! {
    /// Whatever happens in between, a client that goes on from the last replay ID it read sees every event once and
    /// each channel in order; within an answer the order holds across channels too.
    #[test]
    fn every_event_arrives_once_and_in_order(steps in prop::collection::vec(step(), 0..40), seed in any::<u64>()) {
        let (published, seen) = play(steps, seed);
        for channel in [ORDERS, VISITS] {
            let of_channel = seen.iter().filter(|event| event["channel"] == channel);
            let ids: Vec<i64> = of_channel.filter_map(|event| event["data"]["event"]["replayId"].as_i64()).collect();
            prop_assert!(ids.is_sorted_by(|one, next| one < next), "{:?}", ids);
        }
        let mut numbers: Vec<u64> = seen.iter().filter_map(number).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (1..=published).collect::<Vec<u64>>());
    }
}

fn number(event: &Value) -> Option<u64> {
    event["data"]["payload"]["Number__c"].as_u64()
}

/// Plays the steps and a last poll: how many events were published, and what the client read.
fn play(steps: Vec<Step>, dice: u64) -> (u64, Vec<Value>) {
    let mut state = CometdState::new(dice);
    let mut seen: Vec<Value> = Vec::new();
    let mut client = resubscribed(&mut state, &mut seen);
    let mut published = 0;
    for step in steps.into_iter().chain([Step::Poll]) {
        match step {
            Step::Publish { visit, count } => {
                for _ in 0..count {
                    published += 1;
                    state.publish(
                        if visit { "Visit__e" } else { "Order__e" },
                        order(published),
                        "005P",
                        None,
                        at(0),
                    );
                }
            }
            Step::Poll => match state.receive(&client.request(&client.connect()), at(0)) {
                RequestOutcome::Answered(reply) => {
                    let answer = client.read(&reply);
                    assert!(answer.numbers().is_sorted(), "{answer:?}");
                    seen.extend(answer.events);
                }
                RequestOutcome::Parked { ticket, until_ms } => {
                    assert_eq!(seen.len() as u64, published, "held with events waiting");
                    assert_eq!(until_ms, HOLD_MS);
                    assert!(state.resume(ticket, 0).is_none());
                    state.hung_up(ticket, 0);
                }
            },
            Step::HangUp => match state.receive(&client.request(&client.connect()), at(0)) {
                RequestOutcome::Parked { ticket, .. } => state.hung_up(ticket, 0),
                // The answer is lost, and with it these events for this session: go on in a new one.
                RequestOutcome::Answered(_) => client = resubscribed(&mut state, &mut seen),
            },
            Step::Resubscribe => client = resubscribed(&mut state, &mut seen),
        }
    }
    (published, seen)
}

/// A new session that goes on after the last event read of each channel.
fn resubscribed(state: &mut CometdState, seen: &mut Vec<Value>) -> Client {
    state.drop_sessions();
    let mut client = Client::connected(state, 0);
    for channel in [ORDERS, VISITS] {
        let last = seen.iter().rfind(|event| event["channel"] == channel);
        let replay = last.map_or(json!(-2), |event| event["data"]["event"]["replayId"].clone());
        let answer = client.send(state, &client.subscribe(channel, &replay), 0);
        assert_eq!(answer.error(), "");
        seen.extend(answer.events);
    }
    client
}
