//! Bayeux messages as JSON.
//!
//! Here: reading a request body, building replies, the names of the meta channels, the error texts. Not here: when
//! which reply is given (`state/receive`).
//!
//! Error texts are those of "Streaming API Error Codes" (Streaming API Developer Guide), in the wording that was seen
//! on the wire where the two differ; a `400::channel…`, `404::…` or `publish denied` text is that of CometD 3.1.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::exchange::CometdReply;
use super::settings::{Streaming, Wording};

pub(super) const HANDSHAKE: &str = "/meta/handshake";
pub(super) const CONNECT: &str = "/meta/connect";
pub(super) const SUBSCRIBE: &str = "/meta/subscribe";
pub(super) const UNSUBSCRIBE: &str = "/meta/unsubscribe";
pub(super) const DISCONNECT: &str = "/meta/disconnect";

/// Largest request body ("Streaming API Error Codes", 413).
pub(super) const BODY_BYTES_MAX: usize = 32_768;
/// Oldest API version served (older ones are retired).
pub(super) const VERSION_MIN: u32 = 37;
/// The latest version of the endpoint.
const VERSION_LATEST: u32 = 66;

pub(super) const UNKNOWN_CLIENT: &str = "403::Unknown client";
pub(super) const SESSION_UNKNOWN: &str = "402::session_unknown";
pub(super) const NO_AUTHENTICATION: &str = "401::Request requires authentication";
pub(super) const DELIVERIES_SPENT: &str = "403::Organization total events daily limit exceeded";
/// The user has no Read on the event.
pub(super) const NO_ACCESS: &str = "403::Subscriber does not have access to the entity in this topic";
pub(super) const HANDSHAKE_DENIED: &str = "403::Handshake denied";
pub(super) const AUTHENTICATION_INVALID: &str = "401::Authentication invalid";
pub(super) const CREATE_DENIED: &str = "403:denied_by_security_policy:create_denied";
pub(super) const PUBLISH_DENIED: &str = "403:denied_by_security_policy:publish denied";
pub(super) const TOO_MANY_CLIENTS: &str = "403::Organization concurrent user limit exceeded";
pub(super) const OTHER_USER: &str = "400::Authenticated user id does not match the session's user id";
pub(super) const CHANNEL_MISSING: &str = "400::channel missing";
pub(super) const CHANNEL_UNKNOWN: &str = "404::Unknown channel";
pub(super) const NOT_SUBSCRIBABLE: &str = "400::channel_missing";
pub(super) const NO_NAME: &str = "400::Channel name not specified";
pub(super) const NO_SLASH: &str = "400::Channel subscriptions must start with a leading '/'";
pub(super) const NO_VERSION: &str = "400::API version in the URI is mandatory. URI format: '/cometd/66.0'";
pub(super) const OLD_VERSION: &str = "400::Unsupported API version. Only API versions '37.0' and later are supported. \
                                      URI format: '/cometd/66.0'";

/// The page an unavailable server sends instead of JSON.
const UNAVAILABLE_PAGE: &str = "<html><head><title>Service Unavailable</title></head>\
                                <body><h1>503 Service Unavailable</h1></body></html>";

/// A message of a client. Unknown keys are ignored, as the real server does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Message {
    /// Which kind of message it is.
    pub(super) channel: Option<String>,
    /// Chosen by the client and echoed as it came: some send numbers, others strings.
    pub(super) id: Option<Value>,
    /// The session, in all but a handshake.
    pub(super) client_id: Option<String>,
    /// The channel to subscribe to, or an array of them.
    pub(super) subscription: Option<Value>,
    /// The transport of a connect.
    pub(super) connection_type: Option<String>,
    advice: Option<Value>,
    ext: Option<Value>,
}

impl Message {
    /// Whether it was sent to this meta channel.
    pub(super) fn is(&self, channel: &str) -> bool {
        self.channel.as_deref() == Some(channel)
    }

    /// Whether the client sent advice of its own, which asks for the server's in return.
    pub(super) fn has_advice(&self) -> bool {
        self.advice.is_some()
    }

    /// For how long the client lets a connect be held, in milliseconds.
    pub(super) fn advice_timeout_ms(&self) -> Option<i64> {
        self.advice.as_ref()?.get("timeout")?.as_i64()
    }

    /// The replay extension of a subscribe: replay options by channel.
    pub(super) fn replay(&self) -> Option<&Map<String, Value>> {
        self.ext.as_ref()?.get("replay")?.as_object()
    }
}

/// The messages of a body: an array or a single one. `None`: malformed.
pub(super) fn parse(body: &[u8]) -> Option<Vec<Message>> {
    match serde_json::from_slice(body).ok()? {
        Value::Array(messages) => messages.into_iter().map(message).collect(),
        single => message(single).map(|message| vec![message]),
    }
}

fn message(value: Value) -> Option<Message> {
    // serde would also read a struct from an array.
    value.is_object().then(|| serde_json::from_value(value).ok())?
}

/// A reply to one message.
#[derive(Debug)]
pub(super) struct Reply(Map<String, Value>);

impl Reply {
    /// The reply to a message that was carried out.
    pub(super) fn success(channel: &str, id: Option<&Value>, client_id: &str) -> Self {
        Self::new(channel, id, true).with("clientId", client_id.into())
    }

    /// The reply to a message that was refused.
    pub(super) fn failure(channel: &str, id: Option<&Value>, error: &str) -> Self {
        Self::new(channel, id, false).with("error", error.into())
    }

    fn new(channel: &str, id: Option<&Value>, successful: bool) -> Self {
        let mut fields = Map::new();
        if !channel.is_empty() {
            fields.insert("channel".into(), channel.into());
        }
        fields.insert("successful".into(), successful.into());
        if let Some(id) = id {
            fields.insert("id".into(), id.clone());
        }
        Self(fields)
    }

    /// Adds or replaces a key.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.into(), value);
        self
    }

    /// Adds a key unless there is nothing to say.
    pub(super) fn with_some(self, key: &str, value: Option<&Value>) -> Self {
        match value {
            Some(value) => self.with(key, value.clone()),
            None => self,
        }
    }

    /// Advises what to do next; the interval is 0.
    pub(super) fn advise(self, reconnect: &str) -> Self {
        self.with("advice", json!({ "reconnect": reconnect, "interval": 0 }))
    }

    /// The message as JSON.
    pub(super) fn json(self) -> Value {
        Value::Object(self.0)
    }
}

/// A granted handshake. It carries no advice, unlike that of CometD's own server.
pub(super) fn handshake(id: Option<&Value>, client_id: &str, settings: &Streaming) -> Reply {
    Reply::success(HANDSHAKE, id, client_id)
        .with("version", "1.0".into())
        .with("minimumVersion", "1.0".into())
        .with("supportedConnectionTypes", json!(["long-polling"]))
        .with("ext", extensions(settings))
}

/// A refused handshake: the reason is in the extension, not in the error.
pub(super) fn handshake_denied(id: Option<&Value>, reason: &str, settings: &Streaming) -> Reply {
    let mut ext = extensions(settings);
    ext["sfdc"] = json!({ "failureReason": reason });
    Reply::failure(HANDSHAKE, id, HANDSHAKE_DENIED)
        .with("ext", ext)
        .with("advice", json!({ "reconnect": "none" }))
}

fn extensions(settings: &Streaming) -> Value {
    let mut ext = json!({ "replay": true });
    if settings.payload_format {
        ext["payload.format"] = true.into();
    }
    ext
}

/// A request without a token: neither channel nor ID, as captured.
pub(super) fn no_authentication() -> Value {
    json!({ "error": NO_AUTHENTICATION, "successful": false })
}

/// The error of a message whose session is not there.
pub(super) fn unknown_client(wording: Wording) -> &'static str {
    if wording == Wording::Stock { SESSION_UNKNOWN } else { UNKNOWN_CLIENT }
}

/// The error of a session whose browser cookie did not come along.
pub(super) fn no_browser_cookie(client_id: &str) -> String {
    format!("400::Client {client_id} has established a session, but no BAYEUX_BROWSER cookie present")
}

/// What the server tells a client about polling.
pub(super) fn polling_advice(settings: &Streaming) -> Value {
    json!({ "reconnect": "retry", "interval": 0, "timeout": settings.hold_ms })
}

/// An ordinary answer: HTTP 200 and an array.
pub(super) fn array(messages: Vec<Value>, set_cookies: Vec<String>) -> CometdReply {
    let body = Value::Array(messages).to_string();
    CometdReply { status: 200, set_cookies, body, ..CometdReply::default() }
}

/// An answer with a status and a text of its own.
pub(super) fn plain(status: u16, body: &str) -> CometdReply {
    CometdReply { status, body: body.to_owned(), ..CometdReply::default() }
}

/// The answer of a server that is down for maintenance.
pub(super) fn unavailable() -> CometdReply {
    plain(503, UNAVAILABLE_PAGE)
}

/// The major number of the version that serves the one in the URL, or the error that refuses it.
pub(super) fn version(text: &str, settings: &Streaming) -> Result<u32, &'static str> {
    let major = text.split_once('.').and_then(|(major, minor)| (minor == "0").then(|| major.parse().ok())?);
    match major {
        Some(major) if major >= VERSION_MIN => Ok(major),
        Some(_) if settings.retired_served => Ok(VERSION_LATEST),
        Some(_) => Err(OLD_VERSION),
        None => Err(NO_VERSION),
    }
}
