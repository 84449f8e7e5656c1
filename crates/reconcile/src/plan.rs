//! The record we want in the org: the mapping applied to one customer's record and one answer.
//!
//! Here: picking values. Not here: how Salesforce keeps them (`stored`), what differs (`diff`), what is done to the record
//! (`operation`).

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::{
    expression::Given,
    id,
    mapping::{Mapping, TargetKey},
    row::{self, Row},
    value::{FieldSource, Meta, Overlong, Source, Unmapped},
};

/// What `$meta.status` says of a record that is written: it is what the vendor answered.
pub(crate) const STATUS: &str = "Current";

/// What is known of a decision beside record and answer.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The org's name in the settings.
    pub org: &'a str,
    /// When it is made.
    pub now: DateTime<Utc>,
    /// What joins the logs: the event's correlation ID, or the ID of the event, push or refresh.
    pub correlation_id: &'a str,
}

/// What the target record should hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// By what the record of the target is told from all others: its external ID, trimmed and never empty, or its record ID.
    pub key: String,
    /// Mapped fields without that one. A field the answer does not name is absent and stays untouched;
    /// one it names as null is cleared.
    pub fields: Row,
    /// What is written along whenever one of the fields is; none of it makes the record differ.
    pub receipts: BTreeMap<String, Receipt>,
    /// What is done with a text that is longer than its field, where the operator said so.
    pub overlong: BTreeMap<String, Overlong>,
    /// ID of the customer's record, 18 characters.
    pub source_id: String,
}

/// What a record is told about how it came to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// This.
    Value(Value),
    /// A hash of the fields as they are written.
    ContentHash,
}

impl Desired {
    /// The same without the fields of the target that are not written.
    pub fn retain(&mut self, is_written: impl Fn(&str) -> bool) {
        self.fields.retain(|field, _| is_written(field));
        self.receipts.retain(|field, _| is_written(field));
    }
}

/// Why one record cannot be written; no other record is touched by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct RecordProblem {
    /// The field concerned.
    pub field: String,
    /// What is wrong. Names types and bounds, never a record's values.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// What else is wrong with the same record, field by field.
    pub also: Vec<RecordProblem>,
}

impl RecordProblem {
    /// A problem with a field.
    pub fn new(field: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), hint: hint.into(), also: Vec::new() }
    }

    /// Several problems of one record as one; none if there is none.
    pub fn together(problems: Vec<Self>) -> Option<Self> {
        let mut problems = problems.into_iter();
        let first = problems.next()?;
        Some(Self { also: problems.collect(), ..first })
    }

    /// It, and what else is wrong.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.also)
    }

    /// What to do about all of it.
    pub fn hints(&self) -> String {
        let mut hints: Vec<&str> = Vec::new();
        for problem in self.all().filter(|problem| !problem.hint.is_empty()) {
            if !hints.contains(&problem.hint.as_str()) {
                hints.push(&problem.hint);
            }
        }
        hints.join(" ")
    }

    fn sentence(&self) -> String {
        let one = |problem: &Self| format!("`{}`: {}", problem.field, problem.message);
        self.all().map(one).collect::<Vec<_>>().join("; ")
    }
}

impl Mapping {
    /// Applies the mapping to a customer's record and one object of the vendor's answer.
    pub fn desired(
        &self,
        record: &Row,
        data: &Value,
        decision: Decision<'_>,
    ) -> Result<Desired, RecordProblem> {
        let source_id = row::get(record, "Id")
            .and_then(Value::as_str)
            .and_then(id::canonical)
            .ok_or_else(|| RecordProblem::new("Id", "the record has no ID", "Select `Id` of the record."))?;
        let given = Given { record, answer: data, org: decision.org, now: decision.now };
        let key = match self.key() {
            TargetKey::ExternalId { field, from } => external_id(field, from, given)?,
            TargetKey::RecordId => source_id.clone(),
        };
        let (mut fields, mut receipts, mut overlong) = (Row::new(), BTreeMap::new(), BTreeMap::new());
        let mut problems = Vec::new();
        for (field, source) in self.fields() {
            overlong.extend(source.overlong().map(|overlong| (field.clone(), overlong)));
            if let Some(meta) = source.meta() {
                receipts.insert(field.clone(), receipt(meta, decision));
                continue;
            }
            match pick(field, source, given) {
                Ok(value) => fields.extend(value.map(|value| (field.clone(), value))),
                Err(problem) => problems.push(problem),
            }
        }
        if let Some(problem) = RecordProblem::together(problems) {
            return Err(problem);
        }
        Ok(Desired { key, fields, receipts, overlong, source_id })
    }
}

fn external_id(field: &str, from: &FieldSource, given: Given<'_>) -> Result<String, RecordProblem> {
    let text = match pick(field, from, given)? {
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

fn receipt(meta: Meta, decision: Decision<'_>) -> Receipt {
    match meta {
        Meta::CorrelationId => Receipt::Value(decision.correlation_id.into()),
        Meta::SyncedAt => Receipt::Value(decision.now.to_rfc3339_opts(SecondsFormat::Millis, true).into()),
        Meta::Status => Receipt::Value(STATUS.into()),
        Meta::ContentHash => Receipt::ContentHash,
    }
}

fn pick(field: &str, from: &FieldSource, given: Given<'_>) -> Result<Option<Value>, RecordProblem> {
    let value = match from.source() {
        Source::Answer(pointer) => given.answer.pointer(pointer).cloned(),
        Source::Record(path) => Some(row::at(given.record, path).cloned().ok_or_else(|| {
            let hint = format!("Check that `{path}` exists and that the integration user may read it.");
            RecordProblem::new(field, format!("the record was read without `{path}`"), hint)
        })?),
        Source::Constant(value) => Some(value.clone()),
        Source::Expression(expression) => {
            let value = expression.value(given);
            Some(value.map_err(|failure| RecordProblem::new(field, failure.message, failure.hint))?)
        }
        // No value of its own: it is written along with others.
        Source::Meta(_) => None,
    };
    if let Some(Value::Object(_)) = value {
        let hint = "Point deeper, at one of the object's values.";
        return Err(RecordProblem::new(field, "an object cannot be kept in a field", hint));
    }
    from.finish(value).map_err(|Unmapped| {
        let hint =
            "Add the value to the field's `map`, or write `otherwise` for those that it does not have.";
        RecordProblem::new(field, "the field's `map` has no entry for the value", hint)
    })
}

#[cfg(test)]
mod tests;
