//! The lists of calls an org has answered, of records it has written for them, and of logins, for tests to read.
//!
//! Here: one entry and the bounded list. Not here: what counts against the quota (`quota.rs`).

use std::collections::VecDeque;

use serde::Serialize;

use crate::row::Row;

/// Entries kept; the oldest go first.
const CALLS_MAX: usize = 100_000;
/// Written records kept; the oldest go first.
const WRITES_MAX: usize = 100_000;
/// Logins kept; the oldest go first.
const LOGINS_MAX: usize = 20_000;

/// One HTTP request that an org answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedCall {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as sent, without the query.
    pub path: String,
    /// The query as sent, decoded; empty if there was none.
    pub query: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// Whether it was counted against the org's daily API calls.
    pub counted: bool,
}

/// A record that a client has written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoggedWrite {
    /// API name of its object.
    pub object: String,
    /// Its 18-character id.
    pub id: String,
    /// What the client sent.
    pub row: Row,
}

/// A Bulk API 2.0 ingest job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedJob {
    /// Its ID.
    pub id: String,
    /// `upsert`, `update`, `delete`, …
    pub operation: String,
    /// `Open`, `InProgress`, `JobComplete`, …
    pub state: String,
}

/// A login, or a try, as in the org's Login History.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedLogin {
    /// When, real Unix milliseconds by the org's clock.
    pub at_ms: i64,
    /// Who; empty if that is not known, as for a refresh token that never was.
    pub username: String,
    /// `browser` for the login page; else the grant type of the token request, such as `refresh_token`.
    pub kind: String,
    /// The client's address.
    pub from: String,
    /// `Success`, or why not, such as `Failed: Token request is already being processed`.
    pub status: String,
}

/// An approval of the app that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedGrant {
    /// Who approved.
    pub username: String,
    /// Scopes, with a space between them.
    pub scope: String,
    /// The refresh token that is good now.
    pub refresh_token: String,
    /// Access tokens that came of it and have not ended.
    pub access_tokens: usize,
}

/// The newest logins.
#[derive(Debug, Default)]
pub(crate) struct LoginHistory {
    logins: VecDeque<LoggedLogin>,
}

impl LoginHistory {
    pub(crate) fn push(&mut self, login: LoggedLogin) {
        if self.logins.len() >= LOGINS_MAX {
            self.logins.pop_front();
        }
        self.logins.push_back(login);
    }

    pub(crate) fn all(&self) -> Vec<LoggedLogin> {
        self.logins.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.logins.clear();
    }
}

/// The newest writes of clients.
#[derive(Debug, Default)]
pub(crate) struct WriteLog {
    writes: VecDeque<LoggedWrite>,
}

impl WriteLog {
    pub(crate) fn push(&mut self, write: LoggedWrite) {
        if self.writes.len() >= WRITES_MAX {
            self.writes.pop_front();
        }
        self.writes.push_back(write);
    }

    pub(crate) fn all(&self) -> Vec<LoggedWrite> {
        self.writes.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.writes.clear();
    }
}

#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<LoggedCall>,
}

impl CallLog {
    pub(crate) fn push(&mut self, call: LoggedCall) {
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(crate) fn all(&self) -> Vec<LoggedCall> {
        self.calls.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}
