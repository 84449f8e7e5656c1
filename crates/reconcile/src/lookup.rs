//! The look-up in the vendor's API: what is asked and what an answer means.
//!
//! Here: both bodies. Not here: HTTP, `Retry-After`, the circuit breaker (`decide/lookup.rs`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    id,
    mapping::Mapping,
    row::{self, Row},
};

/// Records in one look-up.
pub const RECORDS_MAX: usize = 100;
/// Characters of the vendor's text repeated in a problem.
const SHOWN_CHARS_MAX: usize = 60;

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupProblem {
    /// Longer than allowed; nothing was parsed.
    #[error("the look-up answered {bytes} bytes, more than the {bytes_max} allowed")]
    TooLong {
        /// Length of the body.
        bytes: usize,
        /// The number of bytes that an answer may have.
        bytes_max: usize,
    },
    /// It is no JSON.
    #[error("the look-up's answer is not JSON: {0}")]
    NotJson(String),
    /// It is JSON of another shape.
    #[error("the look-up's answer has the wrong shape: {0}")]
    Shape(String),
}

impl LookupProblem {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } => "Answer only the fields that the mapping uses, or lower `batch`.",
            Self::NotJson(_) => "Let the API answer 200 only with JSON; use another status for errors.",
            Self::Shape(_) => r#"Answer `{"records":[{"id":"001…","data":{…}}]}`; `data` may be an object, a list of objects or null."#,
        }
        .to_owned()
    }
}

/// True if the record has a value for at least one key; without any there is nothing to ask.
pub fn has_keys(mapping: &Mapping, record: &Row) -> bool {
    mapping.keys().iter().any(|(_, field)| row::at(record, field).is_some_and(|value| !row::is_empty(value)))
}

/// True for a lead that has been converted: its account or contact has taken its place.
pub fn is_converted(mapping: &Mapping, record: &Row) -> bool {
    mapping.converted_field().and_then(|field| row::get(record, field)) == Some(&Value::Bool(true))
}

/// The body to post for these records; a record without an `Id` is left out.
pub fn body<'a>(mapping: &Mapping, org: &str, rows: impl IntoIterator<Item = &'a Row>) -> Value {
    let records: Vec<Value> = rows.into_iter().filter_map(|record| ask(mapping, record)).collect();
    json!({ "org": org, "sync": mapping.sync(), "object": mapping.object(), "records": records })
}

/// The answer by record ID (18 characters). A record with null, absent or empty data has an empty list.
///
/// `bytes_max` bounds the body. A record named twice gets the data of both.
pub fn parse(body: &[u8], bytes_max: usize) -> Result<BTreeMap<String, Vec<Value>>, LookupProblem> {
    if body.len() > bytes_max {
        return Err(LookupProblem::TooLong { bytes: body.len(), bytes_max });
    }
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let answer: Value =
        serde_json::from_slice(text).map_err(|cause| LookupProblem::NotJson(cause.to_string()))?;
    let records = match answer {
        Value::Array(records) => records,
        Value::Object(mut answer) => match answer.remove("records") {
            Some(Value::Array(records)) => records,
            Some(other) => return Err(shape(format!("`records` is {}, not a list", kind(&other)))),
            None => return Err(shape("`records` is missing".to_owned())),
        },
        other => return Err(shape(format!("it is {}, not an object", kind(&other)))),
    };
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (place, record) in records.into_iter().enumerate() {
        let (id, data) = one(place, record)?;
        found.entry(id).or_default().extend(data);
    }
    Ok(found)
}

fn ask(mapping: &Mapping, record: &Row) -> Option<Value> {
    let id = row::get(record, "Id")?.as_str()?;
    let keys: Row = mapping
        .keys()
        .iter()
        .map(|(key, field)| (key.clone(), row::at(record, field).cloned().unwrap_or(Value::Null)))
        .collect();
    Some(json!({ "id": id, "keys": keys }))
}

fn one(place: usize, record: Value) -> Result<(String, Vec<Value>), LookupProblem> {
    let Value::Object(mut record) = record else {
        return Err(shape(format!("`records[{place}]` is {}, not an object", kind(&record))));
    };
    let id = match record.remove("id") {
        Some(Value::String(text)) => id::canonical(&text)
            .ok_or_else(|| shape(format!("`records[{place}].id` is no record ID: `{}`", shown(&text))))?,
        Some(other) => return Err(shape(format!("`records[{place}].id` is {}, not text", kind(&other)))),
        None => return Err(shape(format!("`records[{place}].id` is missing"))),
    };
    let data = match record.remove("data") {
        None | Some(Value::Null) => Vec::new(),
        Some(data @ Value::Object(_)) => vec![data],
        Some(Value::Array(items)) => items.into_iter().filter(|item| !item.is_null()).collect(),
        Some(other) => {
            let found = kind(&other);
            return Err(shape(format!("`records[{place}].data` is {found}, not an object, a list or null")));
        }
    };
    match data.iter().position(|item| !item.is_object()) {
        Some(at) => {
            let found = kind(&data[at]);
            Err(shape(format!("`records[{place}].data` holds {found} where an object is expected")))
        }
        None => Ok((id, data)),
    }
}

fn shape(what: String) -> LookupProblem {
    LookupProblem::Shape(what)
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
