//! What must be written so that the org holds what we want: nothing, a new record, or the differing fields.
//!
//! Here: the comparison of a desired record with the one in the org. Not here: when two values count as equal (`stored`).
//!
//! Invariant: *write, read back, diff = `Unchanged`*, for every value a field can keep.

use serde_json::Value;

use crate::{
    describe::{Describe, Field, Kind},
    plan::{Desired, RecordProblem},
    row::{self, Row},
    stored::{Prepared, is_cut, key, prepare},
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
    let mut changed = Row::new();
    for (name, value) in &desired.fields {
        let field = describe.field(name).ok_or_else(|| unknown(name, describe))?;
        let prepared = prepare(field, value)?;
        let sent = match existing {
            None => created(field, prepared)?,
            Some(record) => updated(field, prepared, row::get(record, name).unwrap_or(&Value::Null))?,
        };
        if let Some(value) = sent {
            changed.insert(field.name.clone(), value);
        }
    }
    Ok(match existing {
        None => Diff::Create(changed),
        Some(_) if changed.is_empty() => Diff::Unchanged,
        Some(_) => Diff::Update(changed),
    })
}

/// All mapped fields as they must be written when what the org holds is not known yet, because another write to the
/// same record is on its way. Null clears a field.
pub fn all_fields(desired: &Desired, describe: &Describe) -> Result<Row, RecordProblem> {
    let mut fields = Row::new();
    for (name, value) in &desired.fields {
        let field = describe.field(name).ok_or_else(|| unknown(name, describe))?;
        let value = prepare(field, value)?.value;
        if value.is_null() && !field.nillable {
            return Err(required(field));
        }
        if !field.updateable {
            return Err(locked(field, "changed"));
        }
        fields.insert(field.name.clone(), value);
    }
    Ok(fields)
}

/// Names of the fields whose values are longer than they are, so that only a part of them is written.
pub fn cut_fields(desired: &Desired, describe: &Describe) -> Vec<String> {
    let fields = desired.fields.iter().filter_map(|(name, value)| Some((describe.field(name)?, value)));
    fields.filter(|(field, value)| is_cut(field, value)).map(|(field, _)| field.name.clone()).collect()
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
    prepare(field, &Value::String(desired.key.clone())).map(|_| ())
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
