//! Faults a test asks an org for.
//!
//! Here: which request, record or Bulk job is hit and how. Not here: performing it (`server.rs`, `org/writes.rs`,
//! `api/bulk`).

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;

use crate::data::Refusal;
use crate::row::Row;

/// How a request goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HttpFaultEffect {
    /// Answered with this status, without being done.
    Status(u16),
    /// Answered with this status and body, without being done.
    Answer { status: u16, body: String },
    /// Not done; a small packed answer that unpacks to a list of so many zeros.
    Zeros(usize),
    /// Done, but half of the answer's body is missing, though nothing else tells.
    Half,
    /// Done, but the connection breaks in the middle of the answer.
    LoseAnswer,
    /// Done, but answered so many real milliseconds later.
    Late(u64),
}

/// The next `count` requests whose path contains `path` go wrong.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HttpFault {
    pub(crate) path: String,
    #[serde(rename = "harm")]
    pub(crate) effect: HttpFaultEffect,
    pub(crate) count: u32,
}

/// The next `count` times that a client writes the record with the value `key` in one of its fields, such as its external
/// ID, it is refused so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RowFault {
    /// A value of the record.
    pub key: String,
    /// Salesforce's code, such as `UNABLE_TO_LOCK_ROW`.
    pub code: String,
    /// Salesforce's message.
    #[serde(default)]
    pub message: String,
    /// The fields it blames.
    #[serde(default)]
    pub fields: Vec<String>,
    /// How many writes are refused.
    pub count: u32,
    /// What is wrong with the record besides: more elements of the row's `errors`. In the failed rows of Bulk API 2.0 the
    /// first alone stands, as nobody here knows how Salesforce writes several there.
    #[serde(default)]
    pub further: Vec<RowError>,
}

/// One of several things that are wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RowError {
    /// Salesforce's code.
    pub code: String,
    /// Salesforce's message.
    pub message: String,
    /// The fields it blames.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// Transactions of more than so many records that a client writes are refused whole, as when the customer's automation runs
/// into a governor limit: each of their records carries the error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ChunkFault {
    /// Records of the largest transaction that goes through.
    pub records_max: usize,
    /// Only transactions with a record that has this value in one of its fields are refused: the one that is the cause.
    #[serde(default)]
    pub key: Option<String>,
    /// Salesforce's code, such as `CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY`.
    pub code: String,
    /// Salesforce's message.
    pub message: String,
}

/// How the next Bulk job that is closed, or that queries, ends, if not as it should.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobFault {
    /// Rows that are still seen to; the rest is unprocessed. Of a query there are none.
    pub after_rows: usize,
    /// Whether it ends as `Aborted`; otherwise as `Failed`.
    pub aborted: bool,
    /// `errorMessage`, such as `InternalServerError : Retried more than 20 times`; may be empty.
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Default)]
pub(crate) struct RowFaults(Vec<RowFault>);

impl RowFaults {
    pub(crate) fn add(&mut self, fault: RowFault) {
        self.0.push(fault);
    }

    /// The refusal due to this record, counted down.
    pub(crate) fn trigger(&mut self, row: &Row) -> Option<Refusal> {
        let hit = |fault: &&mut RowFault| {
            fault.count > 0 && row.values().any(|value| value.as_str() == Some(&fault.key))
        };
        let fault = self.0.iter_mut().find(hit)?;
        fault.count -= 1;
        let refusal = Refusal::new(fault.code.clone(), fault.message.clone());
        let further = fault.further.iter().map(|one| Refusal {
            fields: one.fields.clone(),
            ..Refusal::new(one.code.clone(), one.message.clone())
        });
        Some(Refusal { fields: fault.fields.clone(), further: further.collect(), ..refusal })
    }
}

#[derive(Debug, Default)]
pub(crate) struct HttpFaults {
    waiting: Vec<HttpFault>,
}

impl HttpFaults {
    pub(crate) fn add(&mut self, fault: HttpFault) {
        self.waiting.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The effect due on a request to this path, counted down.
    pub(crate) fn trigger(&mut self, path: &str) -> Option<HttpFaultEffect> {
        let at = self.waiting.iter().position(|fault| fault.count > 0 && path.contains(&fault.path))?;
        let fault = &mut self.waiting[at];
        fault.count -= 1;
        let effect = fault.effect.clone();
        if fault.count == 0 {
            self.waiting.remove(at);
        }
        Some(effect)
    }
}

/// What Salesforce's edge or application server sends with such a status: (content type, body).
pub(crate) fn body(status: u16) -> (&'static str, String) {
    let json = |code: &str, message: &str| {
        ("application/json;charset=UTF-8", format!(r#"[{{"message":"{message}","errorCode":"{code}"}}]"#))
    };
    match status {
        401 => json("INVALID_SESSION_ID", "Session expired or invalid"),
        403 => json("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        406 => ("text/plain", String::new()),
        420 => ("text/html", "<html><body>We are setting things up. Please wait.</body></html>".to_owned()),
        429 => json("REQUEST_LIMIT_EXCEEDED", "Too many requests"),
        500 => {
            json("UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId: 1-1 (1)")
        }
        503 => json("SERVER_UNAVAILABLE", "Server Unavailable"),
        _ => ("text/html", format!("<html><body><h1>{status}</h1></body></html>")),
    }
}

/// A list of so many zeros, packed: a thousandth of its size.
pub(crate) fn packed_zeros(count: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let block = "0,".repeat(4_096);
    // Writing to memory does not fail.
    let _ = packed.write_all(b"[");
    for _ in 0..count / 4_096 {
        let _ = packed.write_all(block.as_bytes());
    }
    let _ = packed.write_all(b"0]");
    packed.finish().unwrap_or_default()
}

/// What such a body calls itself.
pub(crate) fn content_type(body: &str) -> &'static str {
    match body.trim_start().chars().next() {
        Some('[' | '{') => "application/json;charset=UTF-8",
        Some('<') => "text/html;charset=UTF-8",
        _ => "text/plain;charset=UTF-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_matching_paths_as_often_as_asked() {
        let mut faults = HttpFaults::default();
        faults.add(HttpFault {
            path: "/composite".to_owned(),
            effect: HttpFaultEffect::Status(503),
            count: 2,
        });
        let effects: [Option<HttpFaultEffect>; 4] =
            ["/a/query", "/a/composite/sobjects", "/a/composite", "/a/composite"]
                .map(|path| faults.trigger(path));
        assert_eq!(
            effects,
            [None, Some(HttpFaultEffect::Status(503)), Some(HttpFaultEffect::Status(503)), None]
        );
    }
}
