//! What goes back over HTTP.
//!
//! Here: the answer and the usual error bodies. Not here: deciding on them.

use std::iter;

use serde_json::{Value, json};

use crate::data::Refusal;
use crate::soql::SoqlError;

/// Stands in a record's text for half an emoji, as a text has that was cut in its middle: answers say `\ud83d` for it.
pub const HALF_EMOJI: char = '\u{e83d}';

pub(crate) const JSON: &str = "application/json;charset=UTF-8";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) follow: Option<FollowUp>,
}

/// What begins with the answer and goes on after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FollowUp {
    /// The job of this id runs.
    Job(String),
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let text = body.to_string();
        // JSON can name half of a surrogate pair, our texts cannot hold one.
        let text = if text.contains(HALF_EMOJI) { text.replace(HALF_EMOJI, "\\ud83d") } else { text };
        Self::text(status, JSON, text.into_bytes())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::text(status, JSON, Vec::new())
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, headers: Vec::new(), body, follow: None }
    }

    /// `[{"message":…,"errorCode":…}]`
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!([{"message": message, "errorCode": code}]))
    }

    pub(crate) fn not_found() -> Self {
        Self::error(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// The refusal of the only record of a call.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let status = match refusal.code.as_ref() {
            "NOT_FOUND" | "ENTITY_IS_DELETED" => 404,
            // A missing record itself is not found; a missing record pointed to is a bad request.
            "INVALID_CROSS_REFERENCE_KEY" if refusal.fields.is_empty() => 404,
            "INSUFFICIENT_ACCESS_OR_READONLY" | "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY" => 403,
            _ => 400,
        };
        let error = |one: &Refusal| {
            let mut error = json!({"message": one.message, "errorCode": one.code});
            if !matches!(one.code.as_ref(), "JSON_PARSER_ERROR" | "INVALID_FIELD" | "NOT_FOUND") {
                error["fields"] = json!(one.fields);
            }
            error
        };
        let errors: Vec<Value> = iter::once(refusal).chain(&refusal.further).map(error).collect();
        Self::json(status, &json!(errors))
    }

    pub(crate) fn soql(error: &SoqlError) -> Self {
        Self::error(400, error.code, &error.message)
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub(crate) fn followed_by(mut self, follow: FollowUp) -> Self {
        self.follow = Some(follow);
        self
    }
}
