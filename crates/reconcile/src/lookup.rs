//! The look-up in the vendor's API: what is asked and what an answer means.
//!
//! Here: both bodies. Not here: HTTP, `Retry-After`, the circuit breaker, halving (`decide/lookup.rs`).
//!
//! Invariant: what is odd about the data of one record is a problem of that record alone, as long as the answer can be
//! told apart into records at all.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    id, long_numbers,
    mapping::Mapping,
    row::{self, Row},
};

/// Records in one look-up.
pub const RECORDS_MAX: usize = 100;
/// Characters of the vendor's text repeated in a problem.
const SHOWN_CHARS_MAX: usize = 60;

/// Bytes of a JSON Pointer that are told.
const POINTER_BYTES_MAX: usize = 200;

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
    /// It is no JSON from the first character on, such as a web page.
    #[error("the look-up's answer is not JSON: {0}")]
    NotJson(String),
    /// It begins as JSON and cannot be read to its end.
    #[error("the look-up's answer is not JSON at `{pointer}`: {what}")]
    Damaged {
        /// Where, as a JSON Pointer.
        pointer: String,
        /// What is wrong there.
        what: String,
    },
    /// It is JSON of another shape.
    #[error("the look-up's answer has the wrong shape: {0}")]
    Shape(String),
    /// One of its records does not say whose it is.
    #[error("the look-up's answer has a record that cannot be told: {0}")]
    Nobodys(String),
}

/// Why what is answered about one record cannot be used. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what your API answered about the record cannot be read at `{pointer}`: {what}")]
pub struct DataProblem {
    /// Where in the answer, as a JSON Pointer.
    pub pointer: String,
    /// What is wrong there.
    pub what: String,
}

impl DataProblem {
    /// What to do about it.
    pub fn hint(&self) -> String {
        "Let the API answer an object, a list of objects or null as `data`, of plain JSON; then retry the letter."
            .to_owned()
    }
}

/// What is answered about the records, by their ID of 18 characters.
pub type Found = BTreeMap<String, Result<Vec<Value>, DataProblem>>;

impl LookupProblem {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } => "Answer only the fields that the mapping uses, or lower `batch`.",
            Self::NotJson(_) => "Let the API answer 200 only with JSON; use another status for errors.",
            Self::Damaged { .. } => {
                "Let the API answer plain JSON: no NaN or Infinity, no half characters, nothing cut off; then retry the letter."
            }
            Self::Shape(_) | Self::Nobodys(_) => r#"Answer `{"records":[{"id":"001…","data":{…}}]}`; `data` may be an object, a list of objects or null."#,
        }
        .to_owned()
    }

    /// Whether the answer about fewer records may be readable; else the API as a whole answers something else.
    pub fn may_be_one_records(&self) -> bool {
        match self {
            Self::TooLong { .. } | Self::Damaged { .. } | Self::Nobodys(_) => true,
            Self::NotJson(_) | Self::Shape(_) => false,
        }
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

/// The answer by record ID (18 characters). A record with null, absent or empty data has an empty list; one whose data
/// cannot be read has the reason.
///
/// `bytes_max` bounds the body. A record named twice gets the data of both.
pub fn parse(body: &[u8], bytes_max: usize) -> Result<Found, LookupProblem> {
    if body.len() > bytes_max {
        return Err(LookupProblem::TooLong { bytes: body.len(), bytes_max });
    }
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let answer: &RawValue = serde_json::from_slice(text).map_err(|cause| unreadable(text, &cause))?;
    let mut found = Found::new();
    for (place, record) in records(answer)?.into_iter().enumerate() {
        let (id, data) = one(place, record)?;
        match (found.remove(&id), data) {
            (Some(Ok(mut known)), Ok(more)) => {
                known.extend(more);
                found.insert(id, Ok(known));
            }
            (Some(Err(problem)), _) | (_, Err(problem)) => _ = found.insert(id, Err(problem)),
            (None, data) => _ = found.insert(id, data),
        }
    }
    Ok(found)
}

/// What is said about one record without having been asked, by the same rules as what is answered; `pointer` is where it
/// stands. None: nothing is said.
///
/// # Errors
/// It cannot be read.
pub fn unasked(pointer: &str, data: &RawValue) -> Result<Option<Vec<Value>>, DataProblem> {
    if kind(data) == "null" { Ok(None) } else { objects(pointer, data).map(Some) }
}

/// What the answer is, if it is no JSON.
fn unreadable(text: &[u8], cause: &serde_json::Error) -> LookupProblem {
    if !text.trim_ascii_start().starts_with(b"{") && !text.trim_ascii_start().starts_with(b"[") {
        return LookupProblem::NotJson(cause.to_string());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let pointer = match serde_path_to_error::deserialize::<_, Value>(&mut deserializer) {
        Ok(_) => String::new(),
        Err(error) => pointer("", error.path()),
    };
    LookupProblem::Damaged { pointer, what: cause.to_string() }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    records: Option<&'a RawValue>,
}

fn records(answer: &RawValue) -> Result<Vec<&RawValue>, LookupProblem> {
    let list = match kind(answer) {
        "a list" => answer,
        "an object" => {
            let named: Result<Answer<'_>, _> = serde_json::from_str(answer.get());
            let named = named.map_err(|cause| LookupProblem::Shape(cause.to_string()))?;
            named.records.ok_or_else(|| LookupProblem::Shape("`records` is missing".to_owned()))?
        }
        other => return Err(LookupProblem::Shape(format!("it is {other}, not an object"))),
    };
    let wrong = |_| LookupProblem::Shape(format!("`records` is {}, not a list", kind(list)));
    serde_json::from_str(list.get()).map_err(wrong)
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

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// One record: whose it is, and what is said about it.
fn one(place: usize, record: &RawValue) -> Result<(String, Result<Vec<Value>, DataProblem>), LookupProblem> {
    let nobodys = |what: String| LookupProblem::Nobodys(format!("`records[{place}]{what}"));
    if kind(record) != "an object" {
        return Err(nobodys(format!("` is {}, not an object", kind(record))));
    }
    let entry: Entry<'_> =
        serde_json::from_str(record.get()).map_err(|cause| nobodys(format!("`: {cause}")))?;
    let raw = entry.id.ok_or_else(|| nobodys(".id` is missing".to_owned()))?;
    let text: String = serde_json::from_str(raw.get())
        .map_err(|_| nobodys(format!(".id` is {}, not readable text", kind(raw))))?;
    let id =
        id::canonical(&text).ok_or_else(|| nobodys(format!(".id` is no record ID: `{}`", shown(&text))))?;
    let pointer = format!("/records/{place}/data");
    Ok((id, entry.data.map_or(Ok(Vec::new()), |data| objects(&pointer, data))))
}

/// The objects of a record's data.
fn objects(pointer: &str, data: &RawValue) -> Result<Vec<Value>, DataProblem> {
    let problem = |pointer: &str, what: String| DataProblem { pointer: pointer.to_owned(), what };
    let items: Vec<&RawValue> = match kind(data) {
        "an object" => return Ok(vec![value(pointer, data)?]),
        "a list" => serde_json::from_str(data.get())
            .map_err(|_| problem(pointer, "the list cannot be read".to_owned()))?,
        other => {
            return Err(problem(pointer, format!("it is {other}, not an object, a list or null")));
        }
    };
    let mut objects = Vec::with_capacity(items.len());
    for (place, item) in items.into_iter().enumerate() {
        let pointer = format!("{pointer}/{place}");
        match kind(item) {
            "null" => {}
            "an object" => objects.push(value(&pointer, item)?),
            other => return Err(problem(&pointer, format!("it is {other} where an object is expected"))),
        }
    }
    Ok(objects)
}

/// One object, numbers that no double holds as text.
fn value(at: &str, raw: &RawValue) -> Result<Value, DataProblem> {
    let text = long_numbers::quoted(raw.get());
    serde_json::from_str(&text).map_err(|cause| {
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let pointer = match serde_path_to_error::deserialize::<_, Value>(&mut deserializer) {
            Ok(_) => at.to_owned(),
            Err(error) => pointer(at, error.path()),
        };
        // The line is counted within the object.
        let what = cause.to_string();
        let what = what.split(" at line ").next().unwrap_or(&what).to_owned();
        DataProblem { pointer, what }
    })
}

/// A path as a JSON Pointer, as far as it is worth reading.
fn pointer(at: &str, path: &serde_path_to_error::Path) -> String {
    let mut pointer = at.to_owned();
    for segment in path {
        let name = segment.to_string();
        let name = name.trim_start_matches('[').trim_end_matches(']').replace('~', "~0").replace('/', "~1");
        if pointer.len() + name.len() >= POINTER_BYTES_MAX {
            return pointer + "/…";
        }
        pointer = format!("{pointer}/{name}");
    }
    pointer
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// What a piece of JSON is, by its first character.
fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "true or false",
        Some(b'"') => "text",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests;
