//! A Bayeux client for tests: keeps its cookies and its client ID, decides nothing.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::cometd::state::{CometdState, Now, RequestOutcome};
use crate::cometd::{CometdReply, CometdRequest};

pub(super) const ORDERS: &str = "/event/Order__e";
pub(super) const VISITS: &str = "/event/Visit__e";

pub(super) fn at(ms: i64) -> Now {
    Now { ms, wall_ms: 1_700_000_000_000 }
}

pub(super) fn order(number: u64) -> Map<String, Value> {
    Map::from_iter([("Number__c".to_owned(), number.into())])
}

/// Publishes orders and gives their replay IDs.
pub(super) fn publish(state: &mut CometdState, numbers: std::ops::RangeInclusive<u64>, ms: i64) -> Vec<i64> {
    numbers.map(|number| state.publish("Order__e", order(number), "005P", None, at(ms))).collect()
}

/// What arrives in a body, split the way a client does.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) events: Vec<Value>,
    pub(super) replies: Vec<Value>,
}

impl Answer {
    pub(super) fn only(&self) -> &Value {
        assert_eq!(self.replies.len(), 1, "{self:?}");
        &self.replies[0]
    }

    pub(super) fn error(&self) -> &str {
        self.only()["error"].as_str().unwrap_or_default()
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.events.iter().filter_map(|event| event["data"]["payload"]["Number__c"].as_u64()).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) cookies: Vec<(String, String)>,
    pub(super) id: String,
    pub(super) user: &'static str,
    pub(super) token_ok: bool,
    pub(super) version: &'static str,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { cookies: Vec::new(), id: String::new(), user: "005A", token_ok: true, version: "66.0" }
    }

    pub(super) fn raw(&self, body: &[u8]) -> CometdRequest {
        CometdRequest {
            version: self.version.to_owned(),
            path_suffix: String::new(),
            has_token: true,
            token_ok: self.token_ok,
            channels_known: vec![ORDERS.to_owned(), VISITS.to_owned()],
            channels_denied: Vec::new(),
            user_id: self.user.to_owned(),
            cookies: self.cookies.clone(),
            body: Bytes::copy_from_slice(body),
        }
    }

    pub(super) fn request(&self, messages: &Value) -> CometdRequest {
        self.raw(messages.to_string().as_bytes())
    }

    /// Takes over cookies and client ID, and checks the order of events and replies.
    pub(super) fn read(&mut self, reply: &CometdReply) -> Answer {
        for set in &reply.set_cookies {
            let (name, value) =
                set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let messages: Vec<Value> = serde_json::from_str(&reply.body).unwrap_or_default();
        let (replies, events): (Vec<Value>, Vec<Value>) =
            messages.iter().cloned().partition(|message| message.get("successful").is_some());
        assert!(messages.starts_with(&events), "events come before the replies: {}", reply.body);
        for made in replies.iter().filter(|reply| reply["channel"] == "/meta/handshake") {
            self.id = made["clientId"].as_str().unwrap_or_default().to_owned();
        }
        Answer { status: reply.status, events, replies }
    }

    pub(super) fn handshake() -> Value {
        json!([{
            "channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0", "id": "1",
            "supportedConnectionTypes": ["long-polling"], "ext": { "replay": true },
        }])
    }

    pub(super) fn connect(&self) -> Value {
        json!([{ "channel": "/meta/connect", "connectionType": "long-polling", "clientId": self.id, "id": "2" }])
    }

    pub(super) fn subscribe(&self, channel: &str, replay: &Value) -> Value {
        json!([{
            "channel": "/meta/subscribe", "clientId": self.id, "subscription": channel, "id": "3",
            "ext": { "replay": { channel: replay } },
        }])
    }

    pub(super) fn plain(&self, channel: &str) -> Value {
        json!([{ "channel": channel, "clientId": self.id, "id": "4", "subscription": ORDERS }])
    }

    /// Sends what is answered at once.
    pub(super) fn send(&mut self, state: &mut CometdState, messages: &Value, ms: i64) -> Answer {
        match state.receive(&self.request(messages), at(ms)) {
            RequestOutcome::Answered(reply) => self.read(&reply),
            RequestOutcome::Parked { .. } => panic!("parked: {messages}"),
        }
    }

    /// Sends a connect that must be held; gives its ticket and its end.
    pub(super) fn park(&self, state: &mut CometdState, ms: i64) -> (u64, i64) {
        match state.receive(&self.request(&self.connect()), at(ms)) {
            RequestOutcome::Parked { ticket, until_ms } => (ticket, until_ms),
            RequestOutcome::Answered(reply) => panic!("answered: {}", reply.body),
        }
    }

    /// A session that has polled once.
    pub(super) fn connected(state: &mut CometdState, ms: i64) -> Self {
        let mut client = Self::new();
        client.send(state, &Self::handshake(), ms);
        assert_eq!(client.send(state, &client.connect(), ms).only()["successful"], true);
        client
    }
}
