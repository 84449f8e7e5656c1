//! Any bytes as an answer of the event endpoint, to a subscription in any phase.
//!
//! Here: a second reading of the same bytes as plain JSON, and the comparison with what the subscription makes of them:
//! just the events that are new, in their order, up to the last replay ID; nothing made up; and something is open
//! afterwards, so it goes on. The first byte says which question is answered, the rest is the body.
//!
//! `cargo +nightly fuzz run --fuzz-dir crates/salesforce/fuzz answers -- -max_total_time=300`

#![no_main]

use std::{collections::HashSet, sync::LazyLock, time::Duration};

use bytes::Bytes;
use libfuzzer_sys::{Corpus, fuzz_target};
use orgpipe_salesforce::cometd::{
    Action, Answer, Batch, Event, Input, Report, StartFrom, Wanted,
    options::Options,
    session::{Session, step},
};
use serde_json::{Value, json};

const CHANNEL: &str = "/event/A__e";
/// The stored position.
const POSITION: i64 = 7;
/// The longest request Salesforce takes ("Streaming API Error Codes", 413).
const REQUEST_BYTES_MAX: usize = 32_768;

/// A subscription and the request that is about to be answered.
#[derive(Clone)]
struct Asked {
    session: Session,
    request: u64,
    now: Duration,
}

static PHASES: LazyLock<[Asked; 4]> = LazyLock::new(|| {
    let wanted = Wanted {
        channel: CHANNEL.to_owned(),
        position: Some(POSITION.to_string().into_bytes()),
        before: None,
        start: StartFrom::Latest,
    };
    let session = Session::new(vec![wanted], Options::default());
    let (session, _) = step(session, Input::Start, Duration::ZERO, 0.5);
    let (session, actions) = step(session, Input::TokenReady, Duration::ZERO, 0.5);
    let shaking = Asked { session, request: sent(&actions).expect("a handshake"), now: Duration::ZERO };
    let next = |asked: &Asked, suffix: &str| {
        let reply = json!([{ "channel": format!("/meta{suffix}"), "successful": true, "clientId": "c" }]);
        let (session, actions) = answer(asked, reply.to_string().into_bytes());
        Asked { session, request: sent(&actions).expect("a request"), now: asked.now }
    };
    let subscribing = next(&shaking, "/handshake");
    let connecting = next(&subscribing, "/subscribe");
    let polling = next(&connecting, "/connect");
    [shaking, subscribing, connecting, polling]
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((first, body)) = data.split_first() else { return Corpus::Reject };
    let phase = usize::from(*first) % PHASES.len();
    let asked = &PHASES[phase];
    let (session, actions) = answer(asked, body.to_vec());
    check(&session, &actions);
    let stored = actions.iter().find_map(|action| match action {
        Action::Store { request, batches } => Some((*request, batches)),
        _ => None,
    });
    let batches = stored.map(|(_, batches)| batches.as_slice()).unwrap_or_default();
    let count: usize = batches.iter().map(|batch| batch.events.len()).sum();
    assert!(count <= body.iter().filter(|byte| **byte == b'{').count(), "more events than objects");
    // Before the channel is asked for, its events are not taken.
    if let Ok(json) = serde_json::from_slice(body) {
        let expected = if phase == 0 { None } else { expected(&json) };
        assert_eq!(batches.first(), expected.as_ref());
        assert!(batches.len() <= 1);
    }
    if let Some((request, _)) = stored {
        let waits = |action: &Action| !matches!(action, Action::Send { .. } | Action::RenewToken { .. });
        assert!(actions.iter().all(waits), "asked before it is stored: {actions:?}");
        let (session, actions) = step(session, Input::Stored { request }, asked.now, 0.5);
        check(&session, &actions);
    }
    Corpus::Keep
});

/// The request's number in these actions.
fn sent(actions: &[Action]) -> Option<u64> {
    actions.iter().find_map(|action| match action {
        Action::Send { request, .. } => Some(*request),
        _ => None,
    })
}

fn answer(asked: &Asked, body: Vec<u8>) -> (Session, Vec<Action>) {
    let http = Ok(Answer { status: 200, set_cookies: Vec::new(), body: Bytes::from(body) });
    step(asked.session.clone(), Input::Answer { request: asked.request, http }, asked.now, 0.5)
}

/// What holds after any answer.
fn check(session: &Session, actions: &[Action]) {
    assert!(!session.is_idle(), "it has given up");
    let mut open = 0;
    for action in actions {
        match action {
            Action::Send { message, .. } => {
                assert!(message.len() <= REQUEST_BYTES_MAX, "{} bytes", message.len());
                let message: Value = serde_json::from_str(message).expect("JSON");
                assert_eq!(message.as_array().map(Vec::len), Some(1));
                open += 1;
            }
            Action::Store { .. } | Action::RenewToken { .. } | Action::Wake { .. } => open += 1,
            Action::Report(Report::Refused { reason, .. } | Report::Lost { reason, .. }) => {
                assert!(reason.chars().count() <= 300, "{reason}");
            }
            Action::Report(Report::Unasked { input }) => panic!("{input} was asked"),
            Action::Report(_) => {}
            Action::Done => panic!("nobody wanted it to stop"),
        }
    }
    assert!(open > 0, "nothing is open in {}", session.phase());
}

/// What shall be stored of a body, read in the plainest way.
fn expected(body: &Value) -> Option<Batch> {
    let one = std::slice::from_ref(body);
    let (mut events, mut position, mut names) = (Vec::new(), None, HashSet::new());
    for message in body.as_array().map_or(one, Vec::as_slice) {
        let Some(channel) = message.get("channel").and_then(Value::as_str) else { continue };
        let plain = channel.split('?').next().unwrap_or_default().trim_end_matches('/');
        let Some(data) = message.get("data").filter(|_| plain == CHANNEL) else { continue };
        let id = &data["event"]["replayId"];
        let replay_id = id.as_i64().or_else(|| id.as_str()?.parse().ok());
        position = replay_id.filter(|id| *id >= 0).or(position);
        let uuid = data["event"]["EventUuid"].as_str().filter(|uuid| !uuid.is_empty()).map(str::to_owned);
        let is_new = match (&uuid, replay_id) {
            (Some(uuid), _) => uuid.len() > 64 || names.insert(uuid.clone()),
            (None, Some(id)) => id != POSITION && names.insert(format!("replay ID {id}")),
            (None, None) => true,
        };
        if is_new {
            events.push(Event { replay_id, uuid, data: data.clone() });
        }
    }
    let moved = position.is_some_and(|position| position != POSITION);
    let position = position.map(|position: i64| position.to_string().into_bytes());
    (!events.is_empty() || moved).then(|| Batch { channel: CHANNEL.to_owned(), events, position })
}
