//! The files of a Bulk job: the upload, and the three results matched to it.
//!
//! Here: how values are written, what a file may not hold, and which result belongs to which record.
//! Not here: the job (`job`), what to do with a record that failed.
//!
//! Invariant: each uploaded record gets exactly one [`BulkRow`]. Salesforce shuffles the results, may leave records
//! out, and rewrites values (`912260031` comes back as `9.12260031E8`), so only the external ID ties them together
//! (BULKDOC, "Prepare CSV Files" and "Get Job Successful Record Results").

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use serde_json::Value;

use super::BulkRow;
use crate::{
    Row,
    error::{ApiError, CallError},
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
        /// Which record.
        row: usize,
        /// Which field.
        field: String,
    },
    /// A list or an object.
    #[error("record {row}: `{field}` holds a list or an object, which has no place in a CSV file")]
    NotScalar {
        /// Which record.
        row: usize,
        /// Which field.
        field: String,
    },
    /// A value that is too long.
    #[error("record {row}: `{field}` holds {chars} characters, the Bulk API takes {BULK_FIELD_CHARS_MAX}")]
    FieldTooLong {
        /// Which record.
        row: usize,
        /// Which field.
        field: String,
        /// How long it is.
        chars: usize,
    },
    /// Values that are too long together.
    #[error("record {row} holds {chars} characters, the Bulk API takes {BULK_RECORD_CHARS_MAX}")]
    RecordTooLong {
        /// Which record.
        row: usize,
        /// How long it is.
        chars: usize,
    },
    /// Nothing to match the result by.
    #[error("record {row} has an empty external ID")]
    NoKey {
        /// Which record.
        row: usize,
    },
    /// With this record the file would have too many columns.
    #[error("with record {row} the file has {fields} columns in a header of {chars} characters")]
    TooManyFields {
        /// Which record.
        row: usize,
        /// How many columns.
        fields: usize,
        /// How long the header line is.
        chars: usize,
    },
    /// With this record the file would be too large.
    #[error("with record {row} the file is larger than {BULK_UPLOAD_BYTES_MAX} bytes")]
    Full {
        /// Which record.
        row: usize,
    },
}

impl CsvProblem {
    /// Which record, counted from 0.
    pub fn row(&self) -> usize {
        match self {
            Self::LiteralNull { row, .. }
            | Self::NotScalar { row, .. }
            | Self::FieldTooLong { row, .. }
            | Self::RecordTooLong { row, .. }
            | Self::NoKey { row }
            | Self::TooManyFields { row, .. }
            | Self::Full { row } => *row,
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
            Self::TooManyFields { .. } | Self::Full { .. } => {
                "Put this record and those after it into another job."
            }
        }
    }
}

/// The upload: UTF-8, lines end with LF, no byte order mark, the external ID in the first column.
///
/// Null and blank text become `#N/A`; a field that a record does not have stays empty, so it is left alone. `Id` and
/// `attributes` are left out.
pub fn write(field: &str, rows: &[(&str, &Row)]) -> Result<Bytes, CsvProblem> {
    let columns = columns(field, rows)?;
    let mut file = String::new();
    for (index, (name, _)) in columns.iter().enumerate() {
        push_cell(&mut file, index, name);
    }
    file.push('\n');
    for (row, (key, values)) in rows.iter().enumerate() {
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
            push_cell(&mut file, index, &text);
        }
        file.push('\n');
        if chars > BULK_RECORD_CHARS_MAX {
            return Err(CsvProblem::RecordTooLong { row, chars });
        }
        if file.len() > BULK_UPLOAD_BYTES_MAX {
            return Err(CsvProblem::Full { row });
        }
    }
    Ok(Bytes::from(file))
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

/// One [`BulkRow`] per key, in the order of the upload.
///
/// Keys are compared without case and outer blanks, numbers by value where Salesforce rewrote them. Results of a key
/// that was uploaded several times go to its records in order.
pub fn reconcile(
    field: &str,
    keys: &[String],
    successful: &[u8],
    failed: &[u8],
    unprocessed: &[u8],
) -> Result<Vec<BulkRow>, CallError> {
    let mut found: HashMap<String, VecDeque<BulkRow>> = HashMap::new();
    let mut keep = |key: String, row| found.entry(key).or_default().push_back(row);
    read(field, "successful", successful, |key, cells| {
        let created = cells("sf__Created").eq_ignore_ascii_case("true");
        keep(key, BulkRow::Written { id: cells("sf__Id"), created });
    })?;
    read(field, "failed", failed, |key, cells| {
        keep(key, BulkRow::Failed(ApiError::from_text(200, &cells("sf__Error"))));
    })?;
    read(field, "unprocessed", unprocessed, |key, _| keep(key, BulkRow::Unprocessed))?;

    let mut take = |key: &str| found.get_mut(key).and_then(VecDeque::pop_front);
    let mut rows: Vec<Option<BulkRow>> = keys.iter().map(|key| take(&folded(key))).collect();
    let mut rewritten: HashMap<String, VecDeque<BulkRow>> = HashMap::new();
    for (key, left) in found {
        if let Some(number) = number(&key) {
            rewritten.entry(number).or_default().extend(left);
        }
    }
    for (row, key) in rows.iter_mut().zip(keys).filter(|(row, _)| row.is_none()) {
        *row = number(&folded(key)).and_then(|number| rewritten.get_mut(&number)?.pop_front());
    }
    Ok(rows.into_iter().map(|row| row.unwrap_or(BulkRow::Unknown)).collect())
}

/// Calls back with the folded key, and the look-up of a cell by column name, of each record of a result file.
fn read(
    field: &str,
    kind: &str,
    file: &[u8],
    mut each: impl FnMut(String, &dyn Fn(&str) -> String),
) -> Result<(), CallError> {
    let unreadable = |what: String| CallError::Unreadable {
        status: 200,
        what: format!("the file of {kind} records {what}"),
    };
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    if file.trim_ascii().is_empty() {
        return Ok(());
    }
    if file.trim_ascii_start().starts_with(b"<") {
        return Err(unreadable("is a web page".to_owned()));
    }
    // Quotes come in pairs, doubled ones too, unless the end is missing.
    if file.iter().fold(false, |within, byte| within ^ (*byte == b'"')) {
        return Err(unreadable("ends within a value".to_owned()));
    }
    let mut reader = csv::ReaderBuilder::new().from_reader(file);
    let position = |error: &csv::Error| error.position().map_or(0, csv::Position::record);
    let damaged = |error: csv::Error| unreadable(format!("is damaged at record {}", position(&error)));
    let header: HashMap<String, usize> = reader
        .byte_headers()
        .map_err(damaged)?
        .iter()
        .enumerate()
        .map(|(index, name)| (String::from_utf8_lossy(name).trim().to_ascii_lowercase(), index))
        .collect();
    for record in reader.byte_records() {
        let record = record.map_err(damaged)?;
        let cell = |name: &str| {
            let bytes = header.get(&name.to_ascii_lowercase()).and_then(|index| record.get(*index));
            String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
        };
        if !header.contains_key(&field.to_ascii_lowercase()) {
            return Err(unreadable(format!("has no column `{field}`")));
        }
        each(folded(&cell(field)), &cell);
    }
    Ok(())
}

fn folded(key: &str) -> String {
    key.trim().to_lowercase()
}

/// A decimal number in a form that is equal if the values are, exactly: `1.50` and `15e-1` are `15e-1`.
fn number(key: &str) -> Option<String> {
    let (mantissa, exponent) = key.split_once('e').unwrap_or((key, "0"));
    let mut exponent: i64 = exponent.parse::<i32>().ok()?.into();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    exponent -= i64::try_from(fraction.len()).ok()?;
    let significant = digits.trim_end_matches('0');
    exponent += i64::try_from(digits.len() - significant.len()).ok()?;
    match significant.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        significant => Some(format!("{sign}{significant}e{exponent}")),
    }
}

#[cfg(test)]
mod tests;
