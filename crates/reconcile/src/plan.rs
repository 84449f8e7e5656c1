//! The record we want in the org: the mapping applied to one customer's record and one answer.
//!
//! Here: picking values. Not here: how Salesforce keeps them (`stored`), what differs (`diff`), what is done to the record
//! (`operation`).

use serde_json::Value;

use crate::{
    id,
    mapping::{Mapping, TargetKey},
    row::{self, Row},
    value::{FieldSource, Source, Unmapped},
};

/// What the target record should hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// By what the record of the target is told from all others: its external ID, trimmed and never empty, or its record ID.
    pub key: String,
    /// Mapped fields without that one. A field the answer does not name is absent and stays untouched;
    /// one it names as null is cleared.
    pub fields: Row,
    /// ID of the customer's record, 18 characters.
    pub source_id: String,
}

/// Why one record cannot be written; no other record is touched by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct RecordProblem {
    /// The field concerned.
    pub field: String,
    /// What is wrong. Names types and bounds, never a record's values.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl RecordProblem {
    /// A problem with a field.
    pub fn new(field: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), hint: hint.into() }
    }
}

impl Mapping {
    /// Applies the mapping to a customer's record and one object of the vendor's answer.
    pub fn desired(&self, record: &Row, data: &Value) -> Result<Desired, RecordProblem> {
        let source_id = row::get(record, "Id")
            .and_then(Value::as_str)
            .and_then(id::canonical)
            .ok_or_else(|| RecordProblem::new("Id", "the record has no ID", "Select `Id` of the record."))?;
        let key = match self.key() {
            TargetKey::ExternalId { field, from } => external_id(field, from, record, data)?,
            TargetKey::RecordId => source_id.clone(),
        };
        let mut fields = Row::new();
        for (field, source) in self.fields() {
            if let Some(value) = pick(field, source, record, data)? {
                fields.insert(field.clone(), value);
            }
        }
        Ok(Desired { key, fields, source_id })
    }
}

fn external_id(field: &str, from: &FieldSource, record: &Row, data: &Value) -> Result<String, RecordProblem> {
    let text = match pick(field, from, record, data)? {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        None | Some(Value::Null) => String::new(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            let hint = "Map it to a text or a whole number that identifies the record.";
            return Err(RecordProblem::new(field, "the external ID is neither text nor a number", hint));
        }
    };
    if text.is_empty() {
        let hint = "Let `external_id.from` name a value that every answer has.";
        return Err(RecordProblem::new(field, "the external ID is empty", hint));
    }
    Ok(text)
}

fn pick(field: &str, from: &FieldSource, record: &Row, data: &Value) -> Result<Option<Value>, RecordProblem> {
    let value = match from.source() {
        Source::Answer(pointer) => data.pointer(pointer),
        Source::Record(path) => Some(row::at(record, path).ok_or_else(|| {
            let hint = format!("Check that `{path}` exists and that the integration user may read it.");
            RecordProblem::new(field, format!("the record was read without `{path}`"), hint)
        })?),
        Source::Constant(value) => Some(value),
    };
    if let Some(Value::Object(_)) = value {
        let hint = "Point deeper, at one of the object's values.";
        return Err(RecordProblem::new(field, "an object cannot be kept in a field", hint));
    }
    from.finish(value.cloned()).map_err(|Unmapped| {
        let hint =
            "Add the value to the field's `map`, or write `otherwise` for those that it does not have.";
        RecordProblem::new(field, "the field's `map` has no entry for the value", hint)
    })
}

#[cfg(test)]
mod tests;
