//! What passes between the HTTP routes and the CometD endpoint, and what of it is logged.
//!
//! Here: a request, its reply, and how the reply is written. Not here: Bayeux messages (`wire`), deciding (`state`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One POST to `/cometd/{version}[/{suffix}]`, with what the rest of the org knows about the caller.
#[derive(Clone, Debug)]
pub(crate) struct CometdRequest {
    /// The version of the URL, as written there: `66.0`.
    pub(crate) version: String,
    /// What follows the version, if anything. Clients may append the message type; nothing depends on it.
    pub(crate) path_suffix: String,
    /// Whether there was a token at all.
    pub(crate) has_token: bool,
    /// Whether the access token is known and not revoked.
    pub(crate) token_ok: bool,
    /// Every channel there is, in full: `/event/Sync_Request__e`.
    pub(crate) channels_known: Vec<String>,
    /// Those of them that this user may not subscribe to.
    pub(crate) channels_denied: Vec<String>,
    /// Whose token it is. Compared with the user who made the session.
    pub(crate) user_id: String,
    /// The request's cookies, in their order.
    pub(crate) cookies: Vec<(String, String)>,
    /// The body: one Bayeux message, or an array of them.
    pub(crate) body: Bytes,
}

/// The answer to one [`CometdRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CometdReply {
    /// HTTP status. Bayeux failures travel in a 200.
    pub(crate) status: u16,
    /// Values of `Set-Cookie` headers, one each.
    pub(crate) set_cookies: Vec<String>,
    /// A JSON array, HTML, plain text or nothing.
    pub(crate) body: String,
    /// The `Location` header, if any.
    pub(crate) location: Option<String>,
    /// How it is to be written.
    pub(crate) delivery: Delivery,
}

/// How an answer gets to the client, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// At once and as a whole.
    #[default]
    Whole,
    /// The connection closes in the middle.
    Cut { written: WrittenPart, chunked: bool },
    /// After so many simulated milliseconds.
    Late { ms: u64 },
    /// In so many pieces, so many simulated milliseconds apart.
    Drip { pieces: usize, every_ms: u64 },
    /// The client waits for ever.
    Never,
}

/// A Bayeux message that reached the server, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedMessage {
    /// When it came, simulated Unix milliseconds.
    pub at_ms: i64,
    /// Its channel, e.g. `/meta/connect`.
    pub channel: String,
    /// The session it named.
    pub client_id: Option<String>,
    /// Whether a session's cookie came along.
    pub has_cookie: bool,
}

/// A subscribe request that reached a live session, whether it was granted or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedSubscribe {
    /// The channel asked for, e.g. `/event/Sync_Request__e`.
    pub channel: String,
    /// The replay option asked for: -1 (the default), -2, or a replay ID.
    pub replay: i64,
}

/// How much of a body is written before the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrittenPart {
    /// The headers only.
    Nothing,
    /// The first half.
    Half,
    /// All but the mark of its end.
    All,
}
