//! Requests to Salesforce: how long each kind takes, and how it ends.
//!
//! Here: the ends, and which answer is which. Not here: what is done about a failure (`orgpipe_salesforce::error`).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use orgpipe_measure::{Histogram, HistogramView};
use orgpipe_salesforce::{
    call::{CallKind, Reply},
    cometd::{Answer, Failure},
    error::{ApiError, ErrorClass, errors_in},
    failure::CallError,
    oauth::{Token, error::LoginError},
};

/// Seconds. A poll for events is held for up to two minutes.
const SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// How a request to Salesforce ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallEnd {
    /// With a result, which may say of single records that they were refused.
    Ok,
    /// Salesforce refused what was asked.
    Refused,
    /// Salesforce did not let us in, or the token was no longer good.
    Auth,
    /// Too many calls, of the day or at a time.
    Limited,
    /// Salesforce failed.
    ServerError,
    /// Nothing reached Salesforce.
    Unreachable,
    /// No whole answer came, or none in time.
    Broken,
    /// The answer makes no sense.
    Unreadable,
}

impl CallEnd {
    /// Every end, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Refused,
        Self::Auth,
        Self::Limited,
        Self::ServerError,
        Self::Unreachable,
        Self::Broken,
        Self::Unreadable,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Auth => "auth",
            Self::Limited => "limited",
            Self::ServerError => "server_error",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::Unreadable => "unreadable",
        }
    }

    /// Of a call. That nothing has changed since (304) is a result.
    pub(crate) fn of(answer: &Result<Reply, CallError>) -> Self {
        match answer {
            Ok(reply) if reply.is_success() || reply.status == 304 => Self::Ok,
            Ok(reply) => errors_in(reply).first().map_or(Self::Refused, Self::of_error),
            Err(CallError::Transport { sent: false, .. }) => Self::Unreachable,
            Err(CallError::Transport { sent: true, .. }) => Self::Broken,
            Err(CallError::Login(_)) => Self::Auth,
            Err(CallError::Refused(error)) => Self::of_error(error),
            Err(CallError::Unreadable { .. }) => Self::Unreadable,
        }
    }

    fn of_error(error: &ApiError) -> Self {
        match error.class() {
            ErrorClass::Auth => Self::Auth,
            ErrorClass::DailyLimit | ErrorClass::Concurrency => Self::Limited,
            _ if error.status >= 500 => Self::ServerError,
            _ => Self::Refused,
        }
    }

    /// Of a message to the event endpoint, by its HTTP status only: what Bayeux says of it is counted as a fault of the
    /// subscription.
    pub(crate) fn of_cometd(answer: &Result<Answer, Failure>) -> Self {
        match answer {
            Ok(answer) => match answer.status {
                200..=299 => Self::Ok,
                401 => Self::Auth,
                429 => Self::Limited,
                500.. => Self::ServerError,
                _ => Self::Refused,
            },
            Err(Failure::Unreachable(_)) => Self::Unreachable,
            Err(Failure::TimedOut | Failure::Broken(_)) => Self::Broken,
            Err(Failure::TooLarge(_)) => Self::Unreadable,
        }
    }

    /// Of a request for a token; none if none was sent.
    pub(crate) fn of_login(answer: &Result<Token, LoginError>) -> Option<Self> {
        Some(match answer {
            Ok(_) => Self::Ok,
            Err(LoginError::Transport { sent: false, .. }) => Self::Unreachable,
            Err(LoginError::Transport { sent: true, .. }) => Self::Broken,
            Err(LoginError::Refused { status, .. }) if *status >= 500 => Self::ServerError,
            Err(LoginError::Refused { .. } | LoginError::Scope { .. }) => Self::Auth,
            Err(LoginError::Unreadable { .. } | LoginError::Instance { .. }) => Self::Unreadable,
            Err(LoginError::Key { .. } | LoginError::Host { .. } | LoginError::NotConnected) => return None,
        })
    }
}

/// The instruments of one kind.
#[derive(Debug)]
struct KindMeasures {
    duration: Histogram,
    ends: [AtomicU64; CallEnd::ALL.len()],
}

/// The instruments, by kind.
#[derive(Debug)]
pub(super) struct CallMeasures([KindMeasures; CallKind::ALL.len()]);

impl Default for CallMeasures {
    fn default() -> Self {
        let ends = || std::array::from_fn(|_| AtomicU64::new(0));
        Self(std::array::from_fn(|_| KindMeasures { duration: Histogram::new(SECONDS), ends: ends() }))
    }
}

impl CallMeasures {
    /// A request has ended.
    pub(super) fn called(&self, kind: CallKind, end: CallEnd, took: Duration) {
        let kind = &self.0[kind as usize];
        kind.duration.record(took);
        kind.ends[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn view(&self) -> Vec<CallsView> {
        let view = |(kind, counted): (CallKind, &KindMeasures)| CallsView {
            kind,
            duration: counted.duration.view(),
            ends: std::array::from_fn(|end| counted.ends[end].load(Ordering::Relaxed)),
        };
        CallKind::ALL.into_iter().zip(&self.0).map(view).collect()
    }
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CallsView {
    /// What they are for.
    pub kind: CallKind,
    /// How long they took, seconds; the wait for a turn before them is not part of it.
    pub duration: HistogramView,
    ends: [u64; CallEnd::ALL.len()],
}

impl CallsView {
    /// How many ended so.
    pub fn of(&self, end: CallEnd) -> u64 {
        self.ends[end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &'static str) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), usage: None }
    }

    #[test]
    fn each_answer_has_its_end() {
        for (answer, end) in [
            (Ok(reply(200, "{}")), CallEnd::Ok),
            (Ok(reply(204, "")), CallEnd::Ok),
            (Ok(reply(304, "")), CallEnd::Ok),
            (Ok(reply(400, r#"[{"errorCode":"MALFORMED_QUERY","message":""}]"#)), CallEnd::Refused),
            (Ok(reply(401, r#"[{"errorCode":"INVALID_SESSION_ID","message":""}]"#)), CallEnd::Auth),
            (
                Ok(reply(
                    403,
                    r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#,
                )),
                CallEnd::Limited,
            ),
            (Ok(reply(500, "oops")), CallEnd::ServerError),
            (Ok(reply(503, "oops")), CallEnd::ServerError),
            (Err(CallError::Transport { text: String::new(), sent: false }), CallEnd::Unreachable),
            (Err(CallError::Transport { text: String::new(), sent: true }), CallEnd::Broken),
            (Err(CallError::Unreadable { status: 200, what: String::new() }), CallEnd::Unreadable),
        ] {
            assert_eq!(CallEnd::of(&answer), end, "{answer:?}");
        }
        for (at, end) in CallEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, at, "{end:?}");
        }
    }

    #[test]
    fn each_answer_of_the_event_endpoint_has_its_end() {
        let status = |status| Ok(Answer { status, ..Answer::default() });
        for (answer, end) in [
            (status(200), CallEnd::Ok),
            (status(401), CallEnd::Auth),
            (status(403), CallEnd::Refused),
            (status(503), CallEnd::ServerError),
            (Err(Failure::Unreachable(String::new())), CallEnd::Unreachable),
            (Err(Failure::TimedOut), CallEnd::Broken),
            (Err(Failure::TooLarge(String::new())), CallEnd::Unreadable),
        ] {
            assert_eq!(CallEnd::of_cometd(&answer), end, "{answer:?}");
        }
    }
}
