//! The file that a Bulk job is given.
//!
//! Here: how values are written, and what a file may not hold. Not here: the job (`job`), its results (`results`).
//!
//! Source: BULKDOC, "Prepare CSV Files".

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    Row,
    limits::{
        BULK_FIELD_CHARS_MAX, BULK_FIELDS_MAX, BULK_HEADER_CHARS_MAX, BULK_RECORD_CHARS_MAX,
        BULK_UPLOAD_BYTES_MAX,
    },
};

/// What sets a field to null; an empty cell leaves the field alone.
const NULL: &str = "#N/A";

/// A record that a Bulk file cannot carry. `row` is its place in the list, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvProblem {
    /// The text that means null would not arrive as text.
    #[error("record {row}: `{field}` holds the literal text `#N/A`, which the Bulk API takes for null")]
    LiteralNull {
        /// The record's place in the list, from 0.
        row: usize,
        /// The field's name.
        field: String,
    },
    /// A list or an object.
    #[error("record {row}: `{field}` holds a list or an object, which has no place in a CSV file")]
    NotScalar {
        /// The record's place in the list, from 0.
        row: usize,
        /// The field's name.
        field: String,
    },
    /// A value that is too long.
    #[error("record {row}: `{field}` holds {chars} characters, the Bulk API takes {BULK_FIELD_CHARS_MAX}")]
    FieldTooLong {
        /// The record's place in the list, from 0.
        row: usize,
        /// The field's name.
        field: String,
        /// The number of its characters.
        chars: usize,
    },
    /// Values that are too long together.
    #[error("record {row} holds {chars} characters, the Bulk API takes {BULK_RECORD_CHARS_MAX}")]
    RecordTooLong {
        /// The record's place in the list, from 0.
        row: usize,
        /// The number of its characters.
        chars: usize,
    },
    /// Nothing to match the result by.
    #[error("record {row} has an empty external ID")]
    NoKey {
        /// The record's place in the list, from 0.
        row: usize,
    },
    /// With this record the file would have too many columns.
    #[error("with record {row} the file has {fields} columns in a header of {chars} characters")]
    TooManyFields {
        /// The record's place in the list, from 0.
        row: usize,
        /// The number of columns.
        fields: usize,
        /// The number of characters in the header line.
        chars: usize,
    },
}

impl CsvProblem {
    /// The record's place in the list, from 0.
    pub fn row(&self) -> usize {
        match self {
            Self::LiteralNull { row, .. }
            | Self::NotScalar { row, .. }
            | Self::FieldTooLong { row, .. }
            | Self::RecordTooLong { row, .. }
            | Self::NoKey { row }
            | Self::TooManyFields { row, .. } => *row,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LiteralNull { .. } | Self::NotScalar { .. } => {
                "Write this record over REST, which takes it as it is."
            }
            Self::FieldTooLong { .. } | Self::RecordTooLong { .. } => "Shorten the value in the mapping.",
            Self::NoKey { .. } => "Map a value to the external ID field.",
            Self::TooManyFields { .. } => "Put this record and those after it into another job.",
        }
    }
}

/// What is uploaded of a list of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// UTF-8, lines end with LF, no byte order mark, the key in the first column.
    pub file: Bytes,
    /// Records that a file cannot carry, in order; they are not in it.
    pub refused: Vec<CsvProblem>,
    /// The file was full with the record before this one; none from here on is in it.
    pub full_at: Option<usize>,
}

/// Writes records, given with their keys: external IDs, or record IDs in `Id`.
///
/// Null and blank text become `#N/A`; a field that a record does not have stays empty, so it is left alone. `Id` and
/// `attributes` are left out. `Err`: up to that record there are too many columns for one file.
pub fn write(field: &str, rows: &[(&str, &Row)]) -> Result<Upload, CsvProblem> {
    fill(field, rows, BULK_UPLOAD_BYTES_MAX)
}

fn fill(field: &str, rows: &[(&str, &Row)], bytes_max: usize) -> Result<Upload, CsvProblem> {
    let columns = columns(field, rows)?;
    let mut file = String::new();
    for (index, (name, _)) in columns.iter().enumerate() {
        push_cell(&mut file, index, name);
    }
    file.push('\n');
    let (mut refused, mut full_at) = (Vec::new(), None);
    for (row, (key, values)) in rows.iter().enumerate() {
        let start = file.len();
        if let Err(problem) = push_row(&mut file, row, key, values, &columns) {
            file.truncate(start);
            refused.push(problem);
        } else if file.len() > bytes_max {
            file.truncate(start);
            full_at = Some(row);
            break;
        }
    }
    Ok(Upload { file: Bytes::from(file), refused, full_at })
}

fn push_row(
    file: &mut String,
    row: usize,
    key: &str,
    values: &Row,
    columns: &[(String, String)],
) -> Result<(), CsvProblem> {
    let values: HashMap<String, &Value> =
        values.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let mut chars = 0;
    for (index, (name, lower)) in columns.iter().enumerate() {
        let text = match (index, values.get(lower)) {
            (0, _) if key.trim().is_empty() => return Err(CsvProblem::NoKey { row }),
            (0, _) => checked(row, name, key)?,
            (_, Some(value)) => cell(row, name, value)?,
            (_, None) => String::new(),
        };
        chars += text.chars().count();
        push_cell(file, index, &text);
    }
    file.push('\n');
    if chars > BULK_RECORD_CHARS_MAX {
        return Err(CsvProblem::RecordTooLong { row, chars });
    }
    Ok(())
}

/// Every column with its name in lower case, the external ID first; names that differ in case only are one column.
fn columns(field: &str, rows: &[(&str, &Row)]) -> Result<Vec<(String, String)>, CsvProblem> {
    let mut seen: HashSet<String> =
        HashSet::from([field.to_ascii_lowercase(), "id".into(), "attributes".into()]);
    let mut columns = vec![(field.to_owned(), field.to_ascii_lowercase())];
    let mut chars = field.len();
    for (row, (_, values)) in rows.iter().enumerate() {
        for name in values.keys() {
            let lower = name.to_ascii_lowercase();
            if !seen.contains(&lower) {
                chars += name.chars().count() + 1;
                seen.insert(lower.clone());
                columns.push((name.clone(), lower));
            }
        }
        if columns.len() > BULK_FIELDS_MAX || chars > BULK_HEADER_CHARS_MAX {
            return Err(CsvProblem::TooManyFields { row, fields: columns.len(), chars });
        }
    }
    Ok(columns)
}

fn cell(row: usize, field: &str, value: &Value) -> Result<String, CsvProblem> {
    match value {
        Value::Null => Ok(NULL.to_owned()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) if text.trim().is_empty() => Ok(NULL.to_owned()),
        Value::String(text) => checked(row, field, text),
        Value::Array(_) | Value::Object(_) => Err(CsvProblem::NotScalar { row, field: field.to_owned() }),
    }
}

fn checked(row: usize, field: &str, text: &str) -> Result<String, CsvProblem> {
    if text.trim() == NULL {
        return Err(CsvProblem::LiteralNull { row, field: field.to_owned() });
    }
    // A text of few bytes has few characters.
    let chars = if text.len() > BULK_FIELD_CHARS_MAX { text.chars().count() } else { 0 };
    if chars > BULK_FIELD_CHARS_MAX {
        return Err(CsvProblem::FieldTooLong { row, field: field.to_owned(), chars });
    }
    Ok(text.to_owned())
}

fn push_cell(file: &mut String, index: usize, text: &str) {
    if index > 0 {
        file.push(',');
    }
    if text.contains([',', '"', '\n', '\r']) {
        file.push('"');
        file.push_str(&text.replace('"', "\"\""));
        file.push('"');
    } else {
        file.push_str(text);
    }
}

#[cfg(test)]
mod tests;
