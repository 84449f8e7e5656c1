//! An org that is made up: records, an event endpoint, and trouble on request. It knows as much of Salesforce as these
//! tests need; the simulator is the one to ask whether a request is right.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use orgpipe_reconcile::id;
use orgpipe_salesforce::{
    call::{Body, Call, Method, Reply},
    cometd::{Answer, Failure},
    failure::CallError,
    limits::ApiUsage,
    oauth::{Login, Token, error::LoginError, refusal::Grant},
};
use orgpipe_store::UnixMs;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::jobs::{AboutJobs, FakeJobs};
use crate::{
    clock::time,
    org::api::transport::{Each, LoginAnswer, Post, Transport},
    queue_entry::Row,
};

pub(super) const CHANNEL: &str = "/event/Sync_Request__e";
/// How long a poll is held (Streaming API Developer Guide, "Client Connection").
const HELD: Duration = Duration::from_secs(110);
/// How long a call takes.
const CALL: Duration = Duration::from_millis(80);

/// One org.
#[derive(Debug, Default)]
pub(super) struct FakeOrg {
    state: Mutex<State>,
    published: Notify,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<String, Row>,
    targets: BTreeMap<String, Row>,
    events: Vec<Value>,
    client: Option<Client>,
    clients: u64,
    /// Its clock, if its answers say what time it is: at this moment it showed that.
    shows: Option<(tokio::time::Instant, UnixMs)>,
    /// While it is true no request arrives.
    unreachable: bool,
    /// By key: codes with which its next writes are refused.
    refusals: BTreeMap<String, VecDeque<&'static str>>,
    /// Writes of at least so many records are done, and answered when nobody waits for it any more.
    silent_from: Option<usize>,
    jobs: FakeJobs,
    /// What a gateway in between refuses, and how.
    gateway: Option<(u16, Vec<&'static str>)>,
    /// A query that names one of these is refused.
    unaskable: BTreeSet<String>,
    /// Values that make a query's answer unreadable.
    garbled: BTreeSet<String>,
    tokens: FakeTokens,
    /// What was asked, in order.
    asked: Vec<Asked>,
}

/// Its token endpoint.
#[derive(Debug, Default)]
pub(super) struct FakeTokens {
    /// How long a token request takes.
    pub(super) takes: Duration,
    /// The refresh token that it takes, if the org was connected.
    pub(super) takes_token: String,
    /// Each exchange gives another refresh token.
    pub(super) rotates: bool,
    /// Answers are lost on their way back.
    pub(super) loses_answers: bool,
    /// It refuses every request with this code, for a reason that only somebody can mend.
    pub(super) refuses: Option<&'static str>,
    /// So many requests more meet another one that is under way.
    pub(super) meets: usize,
    /// No call is let in with any token.
    pub(super) lets_nobody_in: bool,
    /// Calls that were not let in.
    pub(super) kept_out: usize,
    /// Requests it has had.
    pub(super) requests: usize,
}

impl FakeTokens {
    /// The refresh token to use next, if there is another one.
    fn exchange(&mut self, refresh_token: Option<&SecretString>) -> Result<Option<SecretString>, LoginError> {
        self.requests += 1;
        let refused = |code: &str, description: &str| LoginError::Refused {
            status: 400,
            grant: Grant::Refresh,
            code: code.to_owned(),
            description: description.to_owned(),
        };
        if let Some(code) = self.refuses {
            return Err(refused(code, "no"));
        }
        let Some(token) = refresh_token else { return Ok(None) };
        if self.meets > 0 {
            self.meets -= 1;
            return Err(refused("invalid_grant", "token request is already being processed"));
        }
        if token.expose_secret() != self.takes_token {
            return Err(refused("invalid_grant", "expired access/refresh token"));
        }
        if self.rotates {
            self.takes_token = format!("token {}", self.requests);
        }
        if self.loses_answers {
            let (host, text) = ("acme.my.salesforce.com".to_owned(), "connection reset".to_owned());
            return Err(LoginError::Transport { host, text, sent: true });
        }
        Ok(self.rotates.then(|| SecretString::from(self.takes_token.as_str())))
    }
}

#[derive(Debug)]
struct Client {
    id: String,
    /// Events up to here were delivered; none as long as nothing is subscribed to.
    next: Option<usize>,
}

/// One request, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Handshake,
    Subscribe { after: i64 },
    Connect,
    Query { soql: String },
    Write { keys: Vec<String> },
    Other { path: String },
}

impl FakeOrg {
    /// A new account with the website `dN.com`; gives its ID.
    pub(super) fn account(&self, n: usize) -> String {
        let id = id::canonical(&format!("001{n:012}")).expect("a record ID");
        let row = json!({ "Id": id, "Website": format!("d{n}.com"), "SystemModstamp": "2026-01-01T00:00:00.000+0000" });
        self.lock().accounts.insert(id.clone(), row.as_object().expect("an object").clone());
        id
    }

    /// Publishes one event about these records.
    pub(super) fn publish(&self, ids: &[String]) {
        let mut state = self.lock();
        let replay_id = state.events.len() + 1;
        let payload = json!({ "Record_Ids__c": ids.join(","), "Object_Type__c": "Account" });
        let event = json!({ "replayId": replay_id, "EventUuid": format!("event-{replay_id}") });
        state.events.push(json!({ "channel": CHANNEL, "data": { "event": event, "payload": payload } }));
        drop(state);
        self.published.notify_waiters();
    }

    /// From now on its answers say that it is this time now.
    pub(super) fn shows(&self, shown_ms: UnixMs) {
        self.lock().shows = Some((tokio::time::Instant::now(), shown_ms));
    }

    /// The header `Date` of its answers.
    fn date(&self) -> Option<String> {
        let (since, shown_ms) = self.lock().shows?;
        let now_ms = shown_ms.saturating_add(since.elapsed());
        Some(time(now_ms).format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    /// From now on no request arrives, or each does again.
    pub(super) fn unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
        self.published.notify_waiters();
    }

    /// The next writes of this key are refused with these codes.
    pub(super) fn refuse(&self, key: &str, codes: &[&'static str]) {
        self.lock().refusals.insert(key.to_owned(), codes.iter().copied().collect());
    }

    /// From now on writes of at least so many records are done, and answered too late.
    pub(super) fn answers_late_from(&self, records: usize) {
        self.lock().silent_from = Some(records);
    }

    /// Its token endpoint.
    pub(super) fn tokens<T>(&self, what: impl FnOnce(&mut FakeTokens) -> T) -> T {
        what(&mut self.lock().tokens)
    }

    /// What is known of its Bulk jobs.
    pub(super) fn jobs<T>(&self, what: impl FnOnce(&mut FakeJobs) -> T) -> T {
        what(&mut self.lock().jobs)
    }

    /// From now on a gateway in between answers this status, without a word of Salesforce's, to each write that names one of
    /// these keys; with none of them to every call.
    pub(super) fn gateway(&self, refused: Option<(u16, &[&'static str])>) {
        self.lock().gateway = refused.map(|(status, keys)| (status, keys.to_vec()));
    }

    /// From now on each query that names this value is refused.
    pub(super) fn refuse_query(&self, value: &str) {
        self.lock().unaskable.insert(value.to_owned());
    }

    /// From now on the answer to each query that names this value is garbled.
    pub(super) fn garble_query(&self, value: &str) {
        self.lock().garbled.insert(value.to_owned());
    }

    /// The target's record of this key.
    pub(super) fn target(&self, key: &str) -> Option<Row> {
        self.lock().targets.get(key).cloned()
    }

    /// How many records the target has.
    pub(super) fn targets(&self) -> usize {
        self.lock().targets.len()
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// How many requests were of this kind.
    pub(super) fn count(&self, is: impl Fn(&Asked) -> bool) -> usize {
        self.lock().asked.iter().filter(|asked| is(asked)).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, call: &Call) -> Result<Reply, CallError> {
        tokio::time::sleep(CALL).await;
        let date = self.date();
        let (status, body, too_late) = self.lock().done(call)?;
        if too_late {
            tokio::time::sleep(call.timeout).await;
            return Err(CallError::Transport { text: "no answer in time".to_owned(), sent: true });
        }
        Ok(Reply {
            status,
            headers: date.map(|date| ("date".to_owned(), date)).into_iter().collect(),
            body,
            usage: Some(ApiUsage { used: 1, max: 1_000_000 }),
        })
    }

    async fn post(&self, Post { suffix, message, .. }: Post<'_>) -> Result<Answer, Failure> {
        let message: Value = serde_json::from_str(&message).expect("a message is JSON");
        let message = if message.is_array() { message[0].clone() } else { message };
        let until = tokio::time::Instant::now() + HELD;
        let mut first = true;
        loop {
            let published = self.published.notified();
            {
                let mut state = self.lock();
                if state.unreachable {
                    return Err(Failure::Unreachable("nobody answers".to_owned()));
                }
                if std::mem::take(&mut first) {
                    state.note(suffix, &message);
                }
                let late = tokio::time::Instant::now() >= until;
                if let Some(body) = state.serve(suffix, &message, late) {
                    return Ok(Answer {
                        status: 200,
                        set_cookies: vec!["BAYEUX_BROWSER=b1; Path=/".to_owned()],
                        body: Bytes::from(body.to_string()),
                    });
                }
            }
            tokio::select! {
                () = published => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }
}

impl State {
    /// Status and body of the answer to a call, and whether it comes too late.
    fn done(&mut self, call: &Call) -> Result<(u16, Bytes, bool), CallError> {
        if self.unreachable {
            return Err(CallError::Transport { text: "nobody answers".to_owned(), sent: false });
        }
        if let Some((status, keys)) = &self.gateway {
            let body =
                if let Body::Json(body) = &call.body { String::from_utf8_lossy(body) } else { "".into() };
            let names =
                |key: &&str| call.path.ends_with(&format!("/{key}")) || body.contains(&format!("\"{key}\""));
            if keys.is_empty() || keys.iter().any(names) {
                return Ok((*status, Bytes::from_static(b"<html><title>No</title></html>"), false));
            }
        }
        if self.tokens.lets_nobody_in {
            self.tokens.kept_out += 1;
            let refusal =
                json!([{ "message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID" }]);
            return Ok((401, Bytes::from(refusal.to_string()), false));
        }
        if let Some(AboutJobs { status, body, written }) = self.jobs.answer(call) {
            for key in written {
                self.write(&key, &json!({}));
            }
            return Ok((status, body, false));
        }
        let (status, answer) = self.answer(call);
        let records = match self.asked.last() {
            Some(Asked::Write { keys }) if call.method == Method::Patch => keys.len(),
            _ => 0,
        };
        let too_late = self.silent_from.is_some_and(|from| records >= from);
        Ok((status, Bytes::from(answer.to_string()), too_late))
    }

    fn note(&mut self, suffix: &str, message: &Value) {
        self.asked.push(match suffix {
            "/handshake" => Asked::Handshake,
            "/subscribe" => {
                Asked::Subscribe { after: message["ext"]["replay"][CHANNEL].as_i64().expect("a replay ID") }
            }
            "/connect" => Asked::Connect,
            other => Asked::Other { path: other.to_owned() },
        });
    }

    /// The answer to a message of the subscription; none while a poll is held.
    fn serve(&mut self, suffix: &str, message: &Value, late: bool) -> Option<Value> {
        let mut reply = json!({ "channel": message["channel"], "id": message["id"], "successful": true });
        if suffix == "/handshake" {
            self.clients += 1;
            let id = format!("c{}", self.clients);
            reply["clientId"] = id.as_str().into();
            reply["version"] = "1.0".into();
            reply["supportedConnectionTypes"] = json!(["long-polling"]);
            reply["ext"] = json!({ "replay": true, "payload.format": true });
            self.client = Some(Client { id, next: None });
            return Some(json!([reply]));
        }
        let end = self.events.len();
        let Some(client) = self.client.as_mut().filter(|client| message["clientId"] == client.id) else {
            reply["successful"] = false.into();
            reply["error"] = "403::Unknown client".into();
            reply["advice"] = json!({ "reconnect": "handshake", "interval": 0 });
            return Some(json!([reply]));
        };
        match suffix {
            "/subscribe" => {
                let after = message["ext"]["replay"][CHANNEL].as_i64().expect("a replay ID");
                client.next = Some(match after {
                    -1 => end,
                    after => usize::try_from(after.max(0)).expect("a replay ID"),
                });
                reply["subscription"] = CHANNEL.into();
                Some(json!([reply]))
            }
            "/connect" => {
                let next = client.next.unwrap_or(end);
                if next >= end && !late {
                    return None;
                }
                client.next = client.next.map(|_| end);
                let mut body: Vec<Value> = self.events[next..end].to_vec();
                body.push(reply);
                Some(Value::Array(body))
            }
            _ => {
                self.client = None;
                Some(json!([reply]))
            }
        }
    }

    fn answer(&mut self, call: &Call) -> (u16, Value) {
        let path = call.path.as_str();
        if path.ends_with("/query") {
            let soql = call.query.iter().find(|(name, _)| name == "q").map(|(_, soql)| soql.clone());
            let soql = soql.expect("a query has a text");
            let refused = self.unaskable.iter().any(|value| soql.contains(value));
            let garbled = self.garbled.iter().any(|value| soql.contains(value));
            let answer = self.query(&soql);
            self.asked.push(Asked::Query { soql });
            if refused {
                let error =
                    json!({ "errorCode": "INVALID_QUERY_FILTER_OPERATOR", "message": "invalid ID field" });
                return (400, json!([error]));
            }
            return (200, if garbled { json!("half an ans") } else { answer });
        }
        let body = match &call.body {
            Body::Json(body) => serde_json::from_slice(body).expect("JSON"),
            Body::None | Body::Form(_) | Body::Csv(_) => Value::Null,
        };
        match (&call.method, path.rsplit('/').next()) {
            (Method::Get, Some("describe")) => (200, describe(path)),
            (Method::Get, Some("")) => (200, json!([{ "version": "66.0" }])),
            (Method::Patch, Some("External_Id__c")) => {
                let records = body["records"].as_array().cloned().unwrap_or_default();
                let key = |record: &Value| record["External_Id__c"].as_str().unwrap_or_default().to_owned();
                self.asked.push(Asked::Write { keys: records.iter().map(key).collect() });
                let results = records.iter().map(|record| self.write(&key(record), record)).collect();
                (200, Value::Array(results))
            }
            (Method::Patch, Some(key)) => {
                self.asked.push(Asked::Write { keys: vec![key.to_owned()] });
                let result = self.write(key, &body);
                if result["success"] == true { (200, result) } else { (400, result["errors"].clone()) }
            }
            _ => {
                self.asked.push(Asked::Other { path: path.to_owned() });
                (200, json!({}))
            }
        }
    }

    fn write(&mut self, key: &str, fields: &Value) -> Value {
        if let Some(code) = self.refusals.get_mut(key).and_then(VecDeque::pop_front) {
            let error = json!({ "statusCode": code, "errorCode": code, "message": "no", "fields": [] });
            return json!({ "success": false, "errors": [error] });
        }
        let number = self.targets.len();
        let created = !self.targets.contains_key(key);
        let id = id::canonical(&format!("a01{number:012}")).expect("a record ID");
        let target = self.targets.entry(key.to_owned()).or_insert_with(|| {
            let row = json!({ "Id": id, "External_Id__c": key });
            row.as_object().expect("an object").clone()
        });
        for (name, value) in
            fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "attributes")
        {
            target.insert(name.clone(), value.clone());
        }
        json!({ "id": target["Id"], "success": true, "created": created, "errors": [] })
    }

    /// Enough of SOQL: an object, a list of values or an ID to go on behind.
    fn query(&self, soql: &str) -> Value {
        let of_accounts = soql.contains("FROM Account");
        let rows = if of_accounts { &self.accounts } else { &self.targets };
        if soql.contains("COUNT()") {
            return json!({ "totalSize": rows.len(), "done": true, "records": [] });
        }
        let values: Vec<&str> = soql.split('\'').skip(1).step_by(2).collect();
        let field = if of_accounts || soql.contains("Id IN") && !soql.contains("External_Id__c IN") {
            "Id"
        } else {
            "External_Id__c"
        };
        let wanted = |row: &&Row| {
            let value = row[field].as_str().unwrap_or_default();
            match values.as_slice() {
                [] => true,
                [after] if soql.contains("Id > ") => value > *after,
                values => values.iter().any(|one| one.eq_ignore_ascii_case(value)),
            }
        };
        let found: Vec<&Row> = rows.values().filter(wanted).take(2_000).collect();
        json!({ "totalSize": found.len(), "done": true, "records": found })
    }
}

fn describe(path: &str) -> Value {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind, "length": 255, "precision": 18, "scale": 0 });
    if path.contains("/Account/") {
        return json!({ "name": "Account", "fields": [field("Id", "id"), field("Website", "url")] });
    }
    let mut key = field("External_Id__c", "string");
    key["externalId"] = true.into();
    let fields =
        [key, field("Id", "id"), field("Account__c", "reference"), field("Employee_Count__c", "double")];
    json!({ "name": "Enrichment__c", "fields": fields })
}

impl Transport for FakeOrg {
    fn login<'a>(&'a self, login: &'a Login, _: i64) -> LocalBoxFuture<'a, LoginAnswer> {
        async move {
            // What was asked for is done there, whether the answer arrives or not.
            let exchanged = self.lock().tokens.exchange(login.refresh_token());
            let takes = self.lock().tokens.takes;
            tokio::time::sleep(takes).await;
            let date = self.date();
            match exchanged {
                Ok(refresh_token) => {
                    let token = Token {
                        access_token: "token".to_owned().into(),
                        instance_url: "https://acme.my.salesforce.com".parse().expect("a URL"),
                        org_id: "00D000000000001EAA".to_owned(),
                        user_id: "005000000000001AAA".to_owned(),
                        refresh_token: refresh_token.clone(),
                        scope: None,
                    };
                    LoginAnswer { token: Ok(token), refresh_token, date }
                }
                Err(error) => LoginAnswer { token: Err(error), refresh_token: None, date },
            }
        }
        .boxed_local()
    }

    fn send<'a>(
        &'a self,
        _: &'a Token,
        _: &'a str,
        call: &'a Call,
    ) -> LocalBoxFuture<'a, Result<Reply, CallError>> {
        self.call(call).boxed_local()
    }

    fn download<'a>(
        &'a self,
        _: &'a Token,
        _: &'a str,
        call: &'a Call,
        each: Each<'a>,
    ) -> LocalBoxFuture<'a, Result<Reply, CallError>> {
        async move {
            let reply = self.call(call).await?;
            each(&reply.body)?;
            Ok(Reply { body: Bytes::new(), ..reply })
        }
        .boxed_local()
    }

    fn post_cometd<'a>(
        &'a self,
        _: &'a Token,
        _: &'a str,
        post: Post<'a>,
    ) -> LocalBoxFuture<'a, Result<Answer, Failure>> {
        self.post(post).boxed_local()
    }
}
