//! A poll that is being held.
//!
//! Here: the types alone. Not here: when it is held and what ends it (`state/poll`).

use serde_json::Value;

/// Why a parked poll ends other than by events or time.
#[derive(Clone, Copy, Debug)]
pub(super) enum PollEnding {
    /// The same session polled again.
    Superseded,
    /// The client ended the session.
    Disconnected,
    /// The server forgot the session.
    Dropped,
}

/// A poll that is being held.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) client_id: String,
    pub(super) message_id: Option<Value>,
    pub(super) version: u32,
    pub(super) with_advice: bool,
    pub(super) until_ms: i64,
    pub(super) ending: Option<PollEnding>,
}
