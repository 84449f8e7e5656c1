//! The vendor's look-up API: what orgpipe's user would run.
//!
//! Here: the look-up, its made-up answers, and its faults. Not here: orgs.
//!
//! An answer depends on the record's keys only, so the same company has the same data in every org and every run,
//! until a test bumps it.

mod companies;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults;
use crate::row::Row;

/// The most records that one look-up may ask about.
const RECORDS_MAX: usize = 100;
/// Look-ups kept in the log.
const REQUESTS_MAX: usize = 100_000;

/// One look-up the vendor was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedLookup {
    /// The org whose records are looked up.
    pub org: String,
    /// The name of the sync.
    pub sync: String,
    /// The customer's object.
    pub object: String,
    /// The records' ids, in the order asked.
    pub ids: Vec<String>,
    /// Names of the keys that the first of them was asked with.
    pub keys: Vec<String>,
    /// The header `traceparent`; empty if there was none.
    pub traceparent: String,
    /// The header `X-Correlation-ID`; empty if there was none.
    pub correlation_id: String,
}

#[derive(Debug, Deserialize)]
struct Lookup {
    org: String,
    sync: String,
    object: String,
    records: Vec<AskedRecord>,
}

#[derive(Debug, Deserialize)]
struct AskedRecord {
    id: String,
    #[serde(default)]
    keys: Row,
}

#[derive(Debug, Default)]
struct VendorState {
    answers: HashMap<String, Option<Value>>,
    bumps: HashMap<String, u64>,
    raw: HashMap<String, String>,
    refused: HashMap<String, u16>,
    breaking: HashSet<String>,
    requests: VecDeque<LoggedLookup>,
    fail: Option<(u16, u32)>,
    down: bool,
    garbage: bool,
    zeros: Option<usize>,
    /// Look-ups under way, and the most there were.
    at_once: (usize, usize),
}

#[derive(Debug)]
pub(crate) struct Vendor {
    url: String,
    answer_after: Duration,
    state: Mutex<VendorState>,
}

impl Vendor {
    pub(crate) fn new(url: String, answer_after: Duration) -> Self {
        Self { url, answer_after, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, VendorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A test's hold on the vendor API. Clones are the same.
#[derive(Clone, Debug)]
pub struct VendorHandle {
    pub(crate) vendor: Arc<Vendor>,
}

impl VendorHandle {
    /// Where look-ups are posted.
    pub fn url(&self) -> String {
        self.vendor.url.clone()
    }

    /// From now on what is known of a record: `key` is its id, or any of the keys it is looked up by (a domain,
    /// case aside). `None`: nothing is known.
    pub fn set_answer(&self, key: &str, answer: Option<Value>) {
        let (mut state, key) = (self.vendor.state(), companies::plain(key));
        state.refused.remove(&key);
        state.answers.insert(key, answer);
    }

    /// From now on what is answered as a record's `data`, byte for byte, valid JSON or not.
    pub fn set_raw(&self, key: &str, data: &str) {
        self.vendor.state().raw.insert(companies::plain(key), data.to_owned());
    }

    /// Takes back every `set_answer`.
    pub fn clear_answers(&self) {
        self.vendor.state().answers.clear();
    }

    /// Changes the made-up answer for a domain (or other key), as if the company had moved on.
    pub fn bump(&self, key: &str) {
        *self.vendor.state().bumps.entry(companies::plain(key)).or_default() += 1;
    }

    /// The look-ups answered or failed so far, oldest first.
    pub fn requests(&self) -> Vec<LoggedLookup> {
        self.vendor.state().requests.iter().cloned().collect()
    }

    /// The most look-ups that were under way at the same time so far.
    pub fn most_at_once(&self) -> usize {
        self.vendor.state().at_once.1
    }

    /// Forgets the look-ups so far.
    pub fn clear_requests(&self) {
        self.vendor.state().requests.clear();
    }

    /// The next `count` look-ups answer this status; 429 and 503 come with `Retry-After: 1`.
    pub fn fail_next(&self, status: u16, count: u32) {
        self.vendor.state().fail = Some((status, count));
    }

    /// A look-up that asks about this record, by its id or a key, answers this status from now on: a record that the API
    /// cannot take, which spoils every batch it is in.
    pub fn refuse(&self, key: &str, status: u16) {
        self.vendor.state().refused.insert(companies::plain(key), status);
    }

    /// The answer to a look-up that asks about this record, by its id or a key, breaks off from now on: a record that ends
    /// the process which answers.
    pub fn break_off(&self, key: &str) {
        self.vendor.state().breaking.insert(companies::plain(key));
    }

    /// While down every look-up answers 503.
    pub fn set_down(&self, down: bool) {
        self.vendor.state().down = down;
    }

    /// While set, every look-up answers 200 with a small packed body that unpacks to a list of so many zeros.
    pub fn answer_zeros(&self, zeros: Option<usize>) {
        self.vendor.state().zeros = zeros;
    }

    /// While set, every look-up answers 200 with something that is not JSON.
    pub fn answer_garbage(&self, garbage: bool) {
        self.vendor.state().garbage = garbage;
    }
}

/// Answers any request to the vendor's port.
pub(crate) async fn entry(
    request: HttpRequest,
    body: Bytes,
    vendor: web::Data<VendorHandle>,
) -> HttpResponse {
    if request.method() != "POST" || request.path() != "/lookup" {
        return HttpResponse::NotFound().json(json!({"error": "POST /lookup is all there is"}));
    }
    let vendor = &vendor.vendor;
    let lookup: Lookup = match serde_json::from_slice(&body) {
        Ok(lookup) => lookup,
        Err(error) => return HttpResponse::BadRequest().json(json!({"error": error.to_string()})),
    };
    let response = answer(&mut vendor.state(), &lookup, &request);
    if !vendor.answer_after.is_zero() {
        actix_rt::time::sleep(vendor.answer_after).await;
    }
    vendor.state().at_once.0 -= 1;
    response
}

fn answer(state: &mut VendorState, lookup: &Lookup, request: &HttpRequest) -> HttpResponse {
    state.at_once.0 += 1;
    state.at_once.1 = state.at_once.1.max(state.at_once.0);
    log(state, lookup, request);
    if let Some(status) = failing(state) {
        let mut response =
            HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
        if matches!(status, 429 | 503) {
            response.insert_header(("Retry-After", "1"));
        }
        return response.json(json!({"error": "asked for by the test"}));
    }
    if state.garbage {
        return HttpResponse::Ok().content_type("text/html").body("<html>maintenance</html>");
    }
    if let Some(zeros) = state.zeros {
        let mut response = HttpResponse::Ok();
        response.insert_header(("Content-Encoding", "gzip")).content_type("application/json");
        return response.body(faults::packed_zeros(zeros));
    }
    if lookup.records.is_empty() || lookup.records.len() > RECORDS_MAX {
        let text = format!("{} records: a look-up takes 1 to {RECORDS_MAX}", lookup.records.len());
        return HttpResponse::UnprocessableEntity().json(json!({"error": text}));
    }
    if let Some(status) = lookup.records.iter().find_map(|asked| refused(state, asked)) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        return HttpResponse::build(status).json(json!({"error": "one of the records cannot be answered"}));
    }
    let breaks = |asked: &AskedRecord| names(asked).any(|name| state.breaking.contains(&name));
    if lookup.records.iter().any(breaks) {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        let pieces = [Ok(Bytes::from_static(br#"{"records":["#)), Err(broken)];
        return HttpResponse::Ok().content_type("application/json").streaming(stream::iter(pieces));
    }
    let one = |asked: &AskedRecord| format!(r#"{{"id":{},"data":{}}}"#, json!(asked.id), text(state, asked));
    let records: Vec<String> = lookup.records.iter().map(one).collect();
    let body = format!(r#"{{"records":[{}]}}"#, records.join(","));
    HttpResponse::Ok().content_type("application/json").body(body)
}

fn log(state: &mut VendorState, lookup: &Lookup, request: &HttpRequest) {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    if state.requests.len() >= REQUESTS_MAX {
        state.requests.pop_front();
    }
    state.requests.push_back(LoggedLookup {
        org: lookup.org.clone(),
        sync: lookup.sync.clone(),
        object: lookup.object.clone(),
        ids: lookup.records.iter().map(|asked| asked.id.clone()).collect(),
        keys: lookup.records.iter().take(1).flat_map(|asked| asked.keys.keys().cloned()).collect(),
        traceparent: header("traceparent"),
        correlation_id: header("x-correlation-id"),
    });
}

fn failing(state: &mut VendorState) -> Option<u16> {
    if state.down {
        return Some(503);
    }
    let (status, count) = state.fail?;
    state.fail = (count > 1).then(|| (status, count - 1));
    (count > 0).then_some(status)
}

/// The keys under which a record is known: its id and what it is looked up by.
fn names(asked: &AskedRecord) -> impl Iterator<Item = String> + Clone {
    let keys = asked.keys.values().filter_map(Value::as_str).map(companies::plain);
    std::iter::once(companies::plain(&asked.id)).chain(keys.filter(|key| !key.is_empty()))
}

fn refused(state: &VendorState, asked: &AskedRecord) -> Option<u16> {
    names(asked).find_map(|name| state.refused.get(&name)).copied()
}

/// What is answered about a record.
fn text(state: &VendorState, asked: &AskedRecord) -> String {
    let raw = names(asked).find_map(|name| state.raw.get(&name));
    raw.cloned().unwrap_or_else(|| data(state, asked).to_string())
}

fn data(state: &VendorState, asked: &AskedRecord) -> Value {
    let mut names = names(asked);
    if let Some(set) = names.clone().find_map(|name| state.answers.get(&name)) {
        return set.clone().unwrap_or_default();
    }
    let bumps: u64 = names.clone().filter_map(|name| state.bumps.get(&name)).sum();
    names.nth(1).map_or(Value::Null, |key| companies::company(&key, bumps))
}
