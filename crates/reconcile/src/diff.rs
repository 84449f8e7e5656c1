//! What must be written so that the org holds what we want: nothing, a new record, or the differing fields.
//!
//! Here: the comparison of a desired record with the one in the org. Not here: when two values count as equal (`stored`).
//!
//! Invariant: *write, read back, diff = `Unchanged`*, for every value a field can keep.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    describe::{Describe, Field, Kind},
    plan::{Desired, Receipt, RecordProblem},
    row::{self, Row},
    stored::{Prepared, cut_chars, key, prepare},
};

/// Characters of the longest external ID ("Custom Field Types": a text has up to 255), whatever describe says: it stands
/// in the URL of a query.
const EXTERNAL_ID_CHARS_MAX: usize = 255;

/// What must be written. The external ID is in none of the rows: the write adds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Diff {
    /// The org holds it already.
    Unchanged,
    /// No record yet: these fields, without the empty ones.
    Create(Row),
    /// Only the fields that differ; null clears a field.
    Update(Row),
}

/// Compares as Salesforce stores, by the org's describe. A field missing in `existing` counts as null.
pub fn diff(desired: &Desired, existing: Option<&Row>, describe: &Describe) -> Result<Diff, RecordProblem> {
    let changed = of_all(desired, describe, |field, prepared| match existing {
        None => created(field, prepared),
        Some(record) => updated(field, prepared, row::get(record, &field.name).unwrap_or(&Value::Null)),
    })?;
    Ok(match existing {
        None => Diff::Create(changed),
        Some(_) if changed.is_empty() => Diff::Unchanged,
        Some(_) => Diff::Update(changed),
    })
}

/// All mapped fields as they must be written when what the org holds is not known yet, because another write to the
/// same record is on its way. Null clears a field.
pub fn all_fields(desired: &Desired, describe: &Describe) -> Result<Row, RecordProblem> {
    of_all(desired, describe, |field, Prepared { value, .. }| {
        if value.is_null() && !field.nillable {
            return Err(required(field));
        }
        if !field.updateable {
            return Err(locked(field, "changed"));
        }
        Ok(Some(value))
    })
}

/// What is sent of each mapped field; or what is wrong with all that cannot be sent.
fn of_all(
    desired: &Desired,
    describe: &Describe,
    sent: impl Fn(&Field, Prepared) -> Result<Option<Value>, RecordProblem>,
) -> Result<Row, RecordProblem> {
    let (mut fields, mut problems) = (Row::new(), Vec::new());
    for (name, value) in &desired.fields {
        let field = describe.field(name).ok_or_else(|| unknown(name, describe));
        let prepared = field.and_then(|field| {
            let prepared = prepare(field, value, desired.overlong.get(name).copied())?;
            Ok((field, sent(field, prepared)?))
        });
        match prepared {
            Ok((field, value)) => fields.extend(value.map(|value| (field.name.clone(), value))),
            Err(problem) => problems.push(problem),
        }
    }
    RecordProblem::together(problems).map_or(Ok(fields), Err)
}

/// What is written along with at least one of the fields: how the record came to be written. By itself it is no reason to
/// write, so it stays what it was for as long as the fields do.
pub fn receipts(desired: &Desired, is_new: bool, describe: &Describe) -> Result<Row, RecordProblem> {
    let mut fields = Row::new();
    for (name, receipt) in &desired.receipts {
        let field = describe.field(name).ok_or_else(|| unknown(name, describe))?;
        let value = match receipt {
            Receipt::Value(value) => value.clone(),
            Receipt::ContentHash => Value::String(content_hash(desired, describe)?),
        };
        let value = prepare(field, &value, desired.overlong.get(name).copied())?.value;
        if !(if is_new { field.createable } else { field.updateable }) {
            return Err(locked(field, if is_new { "set on create" } else { "changed" }));
        }
        fields.insert(field.name.clone(), value);
    }
    Ok(fields)
}

/// SHA-256, as hex digits, of a JSON object without blanks: all wanted fields but receipts by their API names in
/// alphabetical order, each as it is sent; null if it is empty. Whoever has the values can work it out.
fn content_hash(desired: &Desired, describe: &Describe) -> Result<String, RecordProblem> {
    let mut content: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, value) in &desired.fields {
        let field = describe.field(name).ok_or_else(|| unknown(name, describe))?;
        content.insert(&field.name, prepare(field, value, desired.overlong.get(name).copied())?.value);
    }
    let text = serde_json::to_string(&content).expect("JSON values are written as JSON");
    Ok(format!("{:x}", Sha256::digest(text)))
}

/// A field whose value is longer than it is, so that only a part of it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// API name.
    pub field: String,
    /// Characters of the value.
    pub from_chars: usize,
    /// Characters that are written.
    pub to_chars: usize,
}

/// The fields of which only a part of the value is written.
pub fn cut_fields(desired: &Desired, describe: &Describe) -> Vec<Cut> {
    let one = |(name, value): (&String, &Value)| {
        let field = describe.field(name)?;
        let (from_chars, to_chars) = cut_chars(field, value, desired.overlong.get(name).copied())?;
        Some(Cut { field: field.name.clone(), from_chars, to_chars })
    };
    desired.fields.iter().filter_map(one).collect()
}

/// Checks that the external ID field exists, may be matched by, and takes this value.
pub fn check_external_id(desired: &Desired, field: &str, describe: &Describe) -> Result<(), RecordProblem> {
    let field = describe.field(field).ok_or_else(|| unknown(field, describe))?;
    if !field.external_id {
        let hint = "Tick \"External ID\" for the field in Setup, or name another in `external_id.field`.";
        return Err(RecordProblem::new(&field.name, "it is not an external ID", hint));
    }
    let length = desired.key.encode_utf16().count();
    if length > EXTERNAL_ID_CHARS_MAX {
        let message = format!(
            "the external ID has {length} characters, no field takes more than {EXTERNAL_ID_CHARS_MAX}"
        );
        return Err(RecordProblem::new(&field.name, message, "Let `external_id.from` name a short value."));
    }
    prepare(field, &Value::String(desired.key.clone()), None).map(|_| ())
}

fn created(field: &Field, prepared: Prepared) -> Result<Option<Value>, RecordProblem> {
    if prepared.value.is_null() {
        return if field.nillable || field.defaulted_on_create { Ok(None) } else { Err(required(field)) };
    }
    if field.createable { Ok(Some(prepared.value)) } else { Err(locked(field, "set on create")) }
}

fn updated(field: &Field, prepared: Prepared, stored: &Value) -> Result<Option<Value>, RecordProblem> {
    if key(field, stored) == prepared.key {
        return Ok(None);
    }
    if prepared.value.is_null() && !field.nillable && field.kind != Kind::Checkbox {
        return Err(required(field));
    }
    if field.updateable { Ok(Some(prepared.value)) } else { Err(locked(field, "changed")) }
}

fn unknown(name: &str, describe: &Describe) -> RecordProblem {
    let message =
        format!("`{}` has no such field, or the integration user may not see it", describe.object());
    RecordProblem::new(name, message, "Install the package's latest version and assign its permission set.")
}

fn required(field: &Field) -> RecordProblem {
    let hint = "Answer a value for it, or make the field optional in Setup.";
    RecordProblem::new(&field.name, "the field is required and the value is empty", hint)
}

fn locked(field: &Field, what: &str) -> RecordProblem {
    let hint = "Assign the permission set that allows it, or remove the field from the mapping (formulas and \
                master-detail parents cannot be changed).";
    RecordProblem::new(&field.name, format!("the field may not be {what} by the integration user"), hint)
}

#[cfg(test)]
mod tests;
