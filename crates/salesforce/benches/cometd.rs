//! What the subscription adds to reading JSON: `cargo bench -p orgpipe-salesforce --bench cometd`.
//!
//! Here: one answer to a poll, read and stepped through to the store, beside the bare parse of the same bytes. An item
//! is an event. Compare the fastest runs: they are what the machine's other work disturbs least.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use orgpipe_salesforce::cometd::{
    Action, Answer, Input, StartFrom, Wanted,
    options::Options,
    session::{Session, step},
};
use serde_json::{Value, json};

const CHANNEL: &str = "/event/Sync_Request__e";
/// Events in the answer; more than 5,000 were seen in one.
const EVENTS: [usize; 3] = [1, 100, 5_000];

fn main() {
    divan::main();
}

#[divan::bench(args = EVENTS)]
fn bare_json(bencher: Bencher<'_, '_>, events: usize) {
    let body = body(events);
    bencher
        .counter(ItemsCount::new(events))
        .bench(|| serde_json::from_slice::<Value>(black_box(&body)).expect("JSON"));
}

#[divan::bench(args = EVENTS)]
fn parse_and_step(bencher: Bencher<'_, '_>, events: usize) {
    let (session, request) = polling();
    let answer = Answer { status: 200, set_cookies: Vec::new(), body: body(events) };
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| (session.clone(), Input::Answer { request, http: Ok(answer.clone()) }))
        .bench_values(|(session, input)| {
            let (session, actions) = step(session, input, Duration::from_mins(1), 0.5);
            assert!(
                matches!(&actions[0], Action::Store { batches, .. } if batches[0].events.len() == events)
            );
            (session, actions)
        });
}

/// A subscription whose poll is held, and the poll's number.
fn polling() -> (Session, u64) {
    let wanted =
        Wanted { channel: CHANNEL.to_owned(), position: None, before: None, start: StartFrom::Earliest };
    let (session, _) =
        step(Session::new(vec![wanted], Options::default()), Input::Start, Duration::ZERO, 0.5);
    let (mut session, mut actions) = step(session, Input::TokenReady, Duration::ZERO, 0.5);
    loop {
        let asked = actions.iter().find_map(|action| match action {
            Action::Send { request, suffix, message, .. } => {
                Some((*request, *suffix, message.contains("advice")))
            }
            _ => None,
        });
        let (request, suffix, first) = asked.expect("a request");
        if suffix == "/connect" && !first {
            return (session, request);
        }
        let reply = json!([{ "channel": format!("/meta{suffix}"), "successful": true, "clientId": "c" }]);
        let body = Bytes::from(reply.to_string());
        let http = Ok(Answer { status: 200, set_cookies: Vec::new(), body });
        (session, actions) = step(session, Input::Answer { request, http }, Duration::ZERO, 0.5);
    }
}

/// Events as Salesforce sends them ("Subscribe to Platform Event Notifications with CometD"), then the poll's reply.
fn body(events: usize) -> Bytes {
    let mut messages: Vec<Value> = (0..events)
        .map(|n| {
            json!({
                "channel": CHANNEL,
                "data": {
                    "schema": "dffQ2QLzDNHqwB8_sHMxdA",
                    "payload": {
                        "CreatedDate": "2026-11-25T09:30:00.517Z",
                        "CreatedById": "005D0000001cSZsIAM",
                        "Object_Type__c": "Account",
                        "Record_Ids__c": format!("001{n:012}AAA,001{n:012}AAB"),
                        "Reason__c": "Changed",
                        "Correlation_Id__c": format!("0000000{n:05}-1395-457f-9275"),
                        "Schema_Version__c": 1.0,
                    },
                    "event": {
                        "EventUuid": format!("2ec0e371-1395-457f-9275-{n:012}"),
                        "replayId": 2_000 + 3 * n,
                        "EventApiName": "Sync_Request__e",
                    },
                },
            })
        })
        .collect();
    messages.push(json!({ "channel": "/meta/connect", "id": "7", "clientId": "c", "successful": true }));
    Bytes::from(Value::from(messages).to_string())
}
