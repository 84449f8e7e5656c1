//! The event subscription of one org: CometD (Bayeux) over long polling, as Salesforce speaks it.
//!
//! Here: the words the subscription is told and answers with: `Input`, `Action`, `Report`.
//! Not here: when to ask what (`session`), JSON (`wire`), what a failure calls for (`reaction`), cookies
//! (`cookies`), sockets and clocks (the caller).
//!
//! Invariant: nothing in this module does I/O, reads a clock or draws a random number.

mod cookies;
pub mod options;
mod reaction;
pub mod session;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// A channel to be subscribed to, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Case-sensitive name with the namespace applied, such as `/event/Sync_Request__e`.
    pub channel: String,
    /// The last stored position: a replay id as decimal text.
    pub position: Option<Vec<u8>>,
    /// A position before that, asked for instead until events come: what lies between the two comes once more. Refused, it
    /// is given up for `position`, and nothing is missing.
    pub before: Option<Vec<u8>>,
    /// Where to start while there is no position.
    pub start: StartFrom,
}

/// Where a subscription without a position starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// With events published from now on (replay id -1).
    Latest,
    /// With everything Salesforce still retains, up to 72 hours (replay id -2).
    Earliest,
}

/// What the subscription is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Begin; before the first `Start`, or after `Action::Done`.
    Start,
    /// The outcome of an `Action::Send`.
    Answer {
        /// Number of the question that this answers.
        request: u64,
        /// What came back, or why nothing did.
        http: Result<Answer, Failure>,
    },
    /// An `Action::Store` is on disk.
    Stored {
        /// Number of the question that this answers.
        request: u64,
    },
    /// An `Action::Store` was not carried out; none of it counts as stored.
    StoreFailed {
        /// Number of the question that this answers.
        request: u64,
    },
    /// The outcome of an `Action::RenewToken`: there is a token.
    TokenReady,
    /// The outcome of an `Action::RenewToken`: there is none.
    TokenFailed {
        /// True when only the customer or the operator can mend it (revoked, wrong key).
        permanent: bool,
    },
    /// An `Action::Wake` is due.
    Woke {
        /// Number of the question that this answers.
        timer: u64,
    },
    /// End the session and free its place in the org; followed by `Action::Done`.
    Stop,
}

/// An HTTP answer with its whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code, redirects not followed.
    pub status: u16,
    /// Every `Set-Cookie` header, as it came.
    pub set_cookies: Vec<String>,
    /// The body, decompressed. The caller bounds it; Salesforce advises 10 MB or more ("Client Connection").
    pub body: Bytes,
}

/// Why there is no HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent: DNS, connect, TLS.
    #[error("the org cannot be reached: {0}")]
    Unreachable(String),
    /// No answer within the request's timeout, or its body stopped half-way.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended before the answer did.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The body is larger than the caller accepts.
    #[error("the answer cannot be taken: {0}")]
    TooLarge(String),
}

/// What the caller shall do. `Send`, `Store`, `RenewToken` and `Wake` are questions: each is answered by one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// POST to `/cometd/{version}` with the org's token; answered by `Input::Answer`.
    Send {
        /// Number of the question.
        request: u64,
        /// The JSON body, which holds one message.
        message: String,
        /// Appended to the URL, with its slash.
        suffix: &'static str,
        /// Until when the answer must begin.
        timeout: Duration,
        /// The `Cookie` header.
        cookies: Option<String>,
    },
    /// Make all of this durable at once; answered by `Input::Stored` or `Input::StoreFailed`.
    Store {
        /// Number of the question.
        request: u64,
        /// One batch for each channel that has news.
        batches: Vec<Batch>,
    },
    /// Get a token and the org's URL; answered by `Input::TokenReady` or `Input::TokenFailed`.
    RenewToken {
        /// True when Salesforce refused the current token or host: a cached one will not do.
        stale: bool,
    },
    /// Come back later; answered by `Input::Woke`.
    Wake {
        /// How long to wait.
        after: Duration,
        /// Number of the question.
        timer: u64,
    },
    /// Tell the operator.
    Report(Report),
    /// The subscription has ended. No store is open; any other answer still on its way may be dropped.
    Done,
}

/// The new events of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The channel as wanted.
    pub channel: String,
    /// In order of delivery; empty when only repeated events came and the position moves past them.
    pub events: Vec<Event>,
    /// The channel's position after these events; none when they carry no replay id, so it stays.
    pub position: Option<Vec<u8>>,
}

/// One event as delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Increasing within a channel, not contiguous, not unique across an org's migration.
    pub replay_id: Option<i64>,
    /// `EventUuid`, unique; absent on legacy channels and below API 52.0.
    pub uuid: Option<String>,
    /// The message's `data`: schema, payload (or sobject) and event.
    pub data: Value,
}

/// What an operator should know.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A session exists; subscriptions follow.
    Connected,
    /// A channel delivers.
    Subscribed {
        /// The channel that delivers.
        channel: String,
        /// The replay id asked for: -1 only new, -2 everything retained, else events after it.
        replay: i64,
    },
    /// Events of this channel may have been missed after `last`.
    Gap {
        /// The channel that may lack events.
        channel: String,
        /// The last stored position.
        last: Vec<u8>,
    },
    /// A channel, or the whole subscription, was refused. It is tried again.
    Refused {
        /// The channel that was refused; none if it was the session.
        channel: Option<String>,
        /// What went wrong, in Salesforce's words.
        reason: String,
        /// What to do about it.
        hint: &'static str,
        /// When it is tried again.
        retry_in: Duration,
        /// What kind of trouble it is.
        fault: Fault,
    },
    /// Salesforce refused something that orgpipe itself did wrong, or its settings say wrong. What follows from it is
    /// told by a report of its own.
    Bug {
        /// What went wrong, in Salesforce's words.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The session ended and is built anew.
    Lost {
        /// Why it ended.
        reason: String,
        /// How long it pauses before it is built anew.
        retry_in: Duration,
        /// What kind of trouble it is.
        fault: Fault,
    },
    /// No token was to be had.
    LoginFailed {
        /// True when only the customer or the operator can mend it.
        permanent: bool,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Salesforce sees several clients with our cookie.
    MultipleClients,
    /// An input that answers no open question; nothing changed.
    Unasked {
        /// The kind of the input.
        input: &'static str,
    },
}

impl Report {
    /// The trouble this report counts as; each trouble is reported once.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Refused { fault, .. } | Self::Lost { fault, .. } => Some(*fault),
            Self::Gap { .. } => Some(Fault::Replay),
            Self::LoginFailed { .. } => Some(Fault::Login),
            Self::MultipleClients => Some(Fault::Session),
            Self::Connected | Self::Subscribed { .. } | Self::Bug { .. } | Self::Unasked { .. } => None,
        }
    }
}

/// A kind of trouble, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// No usable answer: network, proxy, maintenance page.
    Transport,
    /// Salesforce does not know the session any more.
    Session,
    /// The token was refused, or none was to be had.
    Login,
    /// Overload, or an allowance of the org is used up.
    Limit,
    /// The channel or the permission for it is missing.
    Permission,
    /// The replay id is not valid any more: events may have been missed.
    Replay,
    /// Our own store was slow, or failed.
    Store,
    /// Salesforce did not accept a message.
    Protocol,
}

impl Fault {
    /// In one word, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Session => "session",
            Self::Login => "login",
            Self::Limit => "limit",
            Self::Permission => "permission",
            Self::Replay => "replay",
            Self::Store => "store",
            Self::Protocol => "protocol",
        }
    }
}
