//! Salesforce's errors: how they are read from an answer.
//!
//! Here: the error itself and every form in which Salesforce reports one. Not here: which code means what (`class`), what
//! somebody can do about it (`hint`), how long to wait (the caller).
//!
//! Invariant: reading never fails. Whatever the body of an answer that is none of 2xx, it becomes at least one error.

mod class;
mod hint;

use serde_json::Value;

use crate::{call::Reply, mend, text::one_line};

/// Characters of a message we keep; validation texts are the customer's and unbounded.
const MESSAGE_CHARS_MAX: usize = 1_000;
/// Errors kept of one record beside the first.
const ALSO_MAX: usize = 50;

/// What to do about a failure (RESTDOC `errorcodes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The token is no longer good: renew once and repeat.
    Auth,
    /// The org's calls of the day are used up: stop, look again after minutes.
    DailyLimit,
    /// Too many calls at a time: fewer, after seconds.
    Concurrency,
    /// Nobody's fault: repeat with growing delays.
    Transient,
    /// Objects or fields are not what we take them for: read the metadata again, then decide.
    Schema,
    /// This record will not go in as it is.
    Record,
    /// The org does not let us work at all: somebody must act.
    Org,
    /// We asked something that can never work.
    Bug,
}

/// One error as Salesforce reports it, for a request or for one record of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Salesforce refused with `{code}` (status {status}): {message}")]
pub struct ApiError {
    /// HTTP status of the whole answer.
    pub status: u16,
    /// Salesforce's code, or `HTTP_<status>` if the answer had none.
    pub code: String,
    /// Salesforce's text, shortened; may quote the record.
    pub message: String,
    /// Fields Salesforce blames.
    pub fields: Vec<String>,
    /// What else is wrong with the same record, in the order in which Salesforce says so.
    pub also: Vec<ApiError>,
}

impl ApiError {
    /// The first of several errors about one record, with the others; none if there is none.
    pub(crate) fn first_of(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let first = errors.next()?;
        Some(Self { also: errors.take(ALSO_MAX).collect(), ..first })
    }

    /// It, and what else is wrong.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.also)
    }

    /// Reads one error object: request form (`errorCode`), record form (`statusCode`), OAuth form (`error`) or the
    /// form of the first Bulk API (`exceptionCode`). RESTDOC `errorcodes`.
    pub fn from_json(status: u16, value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let code = ["errorCode", "statusCode", "exceptionCode", "error"].into_iter().find_map(text);
        let message = ["message", "exceptionMessage", "error_description"].into_iter().find_map(text);
        if code.is_none() && message.is_none() {
            return None;
        }
        let names = object.get("fields").and_then(Value::as_array);
        let fields = names.into_iter().flatten().filter_map(Value::as_str).map(one_line).collect();
        let code = code.filter(|code| !code.trim().is_empty()).map_or_else(|| http_code(status), shorten);
        let message = shorten(without_statement(message.unwrap_or_default()));
        Some(Self { status, code, message, fields, also: Vec::new() })
    }

    /// Reads an error given as one text: `CODE:message:fields --` of a record in a Bulk result file, or
    /// `Code : message` of a Bulk job (BULKDOC, "Get Job Failed Record Results" and "Get Job Info").
    ///
    /// Codes and field names hold no colon, messages may.
    pub(crate) fn from_text(status: u16, text: &str) -> Self {
        let is_code =
            |code: &str| !code.is_empty() && code.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        let Some((code, rest)) = text.split_once(':').filter(|(code, _)| is_code(code.trim())) else {
            return Self::bare(status, text);
        };
        let (message, fields) = match rest.trim_end().strip_suffix("--") {
            Some(rest) => rest.rsplit_once(':').unwrap_or((rest, "")),
            None => (rest, ""),
        };
        let fields = fields.split([',', ' ']).filter(|field| !field.is_empty()).map(one_line).collect();
        let code = code.trim().to_owned();
        Self { status, code, message: shorten(message), fields, also: Vec::new() }
    }

    /// An error from an answer that has no code of its own.
    pub(crate) fn bare(status: u16, message: &str) -> Self {
        let (code, message) = (http_code(status), shorten(message));
        Self { status, code, message, fields: Vec::new(), also: Vec::new() }
    }

    /// True if the answer named no code, so that [`ApiError::code`] only repeats the status.
    pub(crate) fn is_without_code(&self) -> bool {
        is_http_code(self.status, &self.code)
    }
}

/// Every error of an answer that is none of 2xx: at least one. Empty for 2xx.
///
/// Accepts an array of errors, a bare object, OAuth errors, the record URLs of a 300, and bodies that are no JSON at
/// all: HTML, XML, plain text, nothing (RESTDOC `errorcodes`, `dome_upsert`).
pub fn errors_in(reply: &Reply) -> Vec<ApiError> {
    if reply.is_success() {
        return Vec::new();
    }
    let status = reply.status;
    let found = match mend::json(&reply.body) {
        Ok(Value::Array(items)) if status == 300 => {
            let urls: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            let text = format!("the external id matches {} records: {}", items.len(), urls.join(", "));
            vec![ApiError::bare(status, &text)]
        }
        Ok(Value::Array(items)) => {
            items.iter().filter_map(|item| ApiError::from_json(status, item)).collect::<Vec<_>>()
        }
        Ok(value) => ApiError::from_json(status, &value).into_iter().collect(),
        Err(_) => vec![error_in_text(status, &String::from_utf8_lossy(&reply.body))],
    };
    if found.is_empty() {
        let text = format!("an answer without an error code, {} bytes", reply.body.len());
        return vec![ApiError::bare(status, &text)];
    }
    found
}

/// An error from a body that is no JSON.
fn error_in_text(status: u16, body: &str) -> ApiError {
    let text = body.trim();
    if text.is_empty() {
        return ApiError::bare(status, "an empty answer");
    }
    // Identity services answer 403 with such a bare word.
    let word =
        text.len() <= 64 && text.contains('_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word {
        return ApiError { code: text.to_owned(), message: String::new(), ..ApiError::bare(status, "") };
    }
    if let Some(code) = xml_text(text, "exceptionCode") {
        let message = xml_text(text, "exceptionMessage").unwrap_or_default();
        let (code, message) = (shorten(code), shorten(message));
        return ApiError { code, message, ..ApiError::bare(status, "") };
    }
    if text.starts_with('<') {
        let title = xml_text(text, "title").or_else(|| xml_text(text, "faultstring")).unwrap_or("no title");
        return ApiError::bare(status, &format!("a page instead of an answer: {title}"));
    }
    ApiError::bare(status, text)
}

/// Text of the first element of that local name, with or without a prefix.
fn xml_text<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let end = xml.find(&format!("{name}>"))? + name.len() + 1;
    let rest = xml.get(end..)?;
    Some(rest.get(..rest.find("</")?)?.trim()).filter(|text| !text.is_empty())
}

/// True for the code that stands in where an answer named none.
pub(crate) fn is_http_code(status: u16, code: &str) -> bool {
    code == http_code(status)
}

fn http_code(status: u16) -> String {
    format!("HTTP_{status}")
}

/// The text without the part of a statement that stands in front of it, as that holds the values that were asked for
/// (SOQLDOC, "MALFORMED_QUERY": the place is told in a line `ERROR at Row:1:Column:11`).
fn without_statement(message: &str) -> &str {
    let behind = message.split_once("ERROR at Row:").and_then(|(_, place)| place.split_once('\n'));
    behind.map_or(message, |(_, what)| what)
}

fn shorten(text: &str) -> String {
    let text = one_line(text.trim());
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
