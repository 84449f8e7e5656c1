//! What an object looks like to the running user.
//!
//! Here: the calls and the reading of their answers. Not here: what a field's type means (`reconcile::describe`).
//!
//! A field that is hidden from the running user is absent from the answer.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Row,
    call::{Call, CallKind, Reply, VERSION_MARK, segment},
    failure::CallError,
    limits::{DESCRIBE_REPLY_BYTES_MAX, SMALL_TIMEOUT},
};

/// A description as received; it has at least a list of fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The description as Salesforce answers it, which is a JSON object.
    pub row: Row,
    /// When it was changed last, to be given back with the next question.
    pub last_modified: Option<String>,
}

/// Of a list of thousands of objects with some fifty properties each, what is looked at.
#[derive(Deserialize)]
struct Objects {
    sobjects: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

/// Asks for all objects that the running user may see (RESTDOC `resources_describeGlobal`).
pub fn objects() -> Call {
    let call =
        Call::get(CallKind::Describe, format!("/services/data/{VERSION_MARK}/sobjects"), SMALL_TIMEOUT);
    Call { answer_bytes_max: DESCRIBE_REPLY_BYTES_MAX, ..call }
}

/// Reads the names of the objects in that answer.
pub fn names(reply: &Reply) -> Result<Vec<String>, CallError> {
    let answer: Objects = reply.json_as()?;
    let list = answer.sobjects.ok_or_else(|| reply.unreadable("a list of objects without `sobjects`"))?;
    Ok(list.into_iter().filter_map(|object| object.name).collect())
}

/// Asks for an object's fields (RESTDOC `resources_sobject_describe`); with the time that an earlier answer told, only if
/// they have changed since (RESTDOC `intro_rest_conditional_requests`).
pub fn describe(object: &str, last_modified: Option<&str>) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/sobjects/{}/describe", segment(object));
    let mut call = Call::get(CallKind::Describe, path, SMALL_TIMEOUT);
    call.answer_bytes_max = DESCRIBE_REPLY_BYTES_MAX;
    call.headers.extend(last_modified.map(|time| ("If-Modified-Since", time.to_owned())));
    call
}

/// Reads the description; none if it has not changed since the time that was given.
pub fn parse(reply: &Reply) -> Result<Option<Described>, CallError> {
    if reply.status == 304 {
        return Ok(None);
    }
    match reply.json()? {
        Value::Object(row) if row.get("fields").is_some_and(Value::is_array) => {
            Ok(Some(Described { row, last_modified: reply.header("last-modified").map(str::to_owned) }))
        }
        _ => Err(reply.unreadable("a description without a list of fields")),
    }
}

#[cfg(test)]
mod tests;
