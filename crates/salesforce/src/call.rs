//! A request and its answer as data.
//!
//! Here: what every protocol in this crate returns and reads. Not here: sending (`http/client.rs`).

mod kind;

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

pub use self::kind::CallKind;
use crate::limits::{ApiUsage, SMALL_REPLY_BYTES_MAX};

/// Where the version stands in a path; the client puts `v66.0` there.
pub const VERSION_MARK: &str = "{v}";
/// What we call ourselves in each call, so that an org's admin sees who calls, and change events who has written (RESTDOC
/// `headers_calloptions`).
pub const CLIENT: &str = "orgpipe";

/// Characters that need no encoding in a path segment (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The HTTP method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates something, or asks with a body.
    Post,
    /// Changes or upserts.
    Patch,
    /// Uploads.
    Put,
    /// Removes.
    Delete,
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// No body.
    None,
    /// `application/json`, already serialised.
    Json(Vec<u8>),
    /// `application/x-www-form-urlencoded`, not yet encoded.
    Form(Vec<(String, String)>),
    /// A file of `text/csv`.
    Csv(Bytes),
}

/// One request to an org's API, without the host and without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is for.
    pub kind: CallKind,
    /// The HTTP method.
    pub method: Method,
    /// Starts with `/`, relative to the instance URL, percent-encoded; [`VERSION_MARK`] stands for the version.
    pub path: String,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// Headers beyond those every request has.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent with it.
    pub body: Body,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// Bytes of its answer, unpacked, that are read at most. For one that is read piece by piece: of a refusal.
    pub answer_bytes_max: usize,
    /// API calls it counts as: 1, or 0 for the list of versions.
    pub cost: u32,
    /// True if sending it twice does no harm, so a lost answer may be asked for again.
    pub idempotent: bool,
}

impl Call {
    /// A read: no body, repeatable, one API call, a small answer.
    pub(crate) fn get(kind: CallKind, path: impl Into<String>, timeout: Duration) -> Self {
        Self::new(kind, Method::Get, path, Body::None, timeout, true)
    }

    /// Any other request that counts as one API call.
    pub(crate) fn new(
        kind: CallKind,
        method: Method,
        path: impl Into<String>,
        body: Body,
        timeout: Duration,
        idempotent: bool,
    ) -> Self {
        let path = path.into();
        Self {
            kind,
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body,
            timeout,
            answer_bytes_max: SMALL_REPLY_BYTES_MAX,
            cost: 1,
            idempotent,
        }
    }
}

/// The answer to a [`Call`], whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status of the answer.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, decompressed and complete.
    pub body: Bytes,
    /// The org's use of its daily API calls, if the answer told.
    pub usage: Option<ApiUsage>,
}

impl Reply {
    /// First header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// True for 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// One path segment, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Path and query of a link in an answer, which Salesforce gives with host, from the root, or without the first slash.
///
/// The host, if any, is dropped: the token goes to the instance only.
pub(crate) fn local_path(link: &str) -> String {
    match url::Url::parse(link) {
        Ok(url) if url.has_host() => url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
        _ => format!("/{}", link.trim_start_matches('/')),
    }
}

/// JSON bytes of a value that cannot fail to serialise.
pub(crate) fn json_body(value: &Value) -> Body {
    Body::Json(value.to_string().into_bytes())
}

#[cfg(test)]
pub(crate) mod tests;
