//! A row that was read as CSV, made what it is when read as JSON.
//!
//! Here: which types differ, and one value of each. Not here: the CSV itself (`salesforce::bulk::query`).
//!
//! Invariant: a row leads to the same look-up and to the same record, whichever way it was read.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Number, Value};

use crate::{
    describe::{Field, Kind},
    row::Row,
};

/// The selected fields that are not plain text: their paths in lower case, and how Salesforce keeps them.
pub type Kinds = BTreeMap<String, Kind>;

/// Notes a selected field's type; false if CSV cannot carry it so that it is the same afterwards.
pub fn note(kinds: &mut Kinds, path: &str, field: &Field) -> bool {
    match field.kind {
        Kind::Checkbox | Kind::Int | Kind::Number | Kind::DateTime => {
            kinds.insert(path.to_ascii_lowercase(), field.kind);
            true
        }
        // Written alike in both.
        Kind::Text
        | Kind::TextArea
        | Kind::ExactText
        | Kind::Picklist
        | Kind::MultiPicklist
        | Kind::Date
        | Kind::Time
        | Kind::Reference => true,
        Kind::Unsupported => false,
    }
}

/// Gives the texts of a row their types, parents' fields too. What is not of its type stays text.
pub fn type_row(kinds: &Kinds, row: &mut Row) {
    if !kinds.is_empty() {
        type_under("", kinds, row);
    }
}

fn type_under(prefix: &str, kinds: &Kinds, row: &mut Row) {
    for (name, value) in row.iter_mut() {
        let path = format!("{prefix}{}", name.to_ascii_lowercase());
        match value {
            Value::Object(parent) => type_under(&format!("{path}."), kinds, parent),
            Value::String(text) => {
                if let Some(typed) = kinds.get(&path).and_then(|kind| typed(*kind, text)) {
                    *value = typed;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }
}

/// The value as the REST API answers it; none if it is not of that kind.
fn typed(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Checkbox => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Int => {
            let whole = |text: &str| text.parse::<i64>().ok();
            // Bulk results write large numbers with an exponent, `9.12260031E8` ("Get Job Successful Record Results").
            whole(text)
                .or_else(|| whole(&format!("{}", text.parse::<f64>().ok()?)))
                .map(|whole| Value::Number(whole.into()))
        }
        // REST answers these with a point or an exponent, also where they are whole. Read by the JSON parser, as it rounds
        // the last digit of long ones differently.
        Kind::Number => {
            let number = serde_json::from_str::<Number>(text).ok()?;
            number.as_f64().and_then(Number::from_f64).map(Value::Number)
        }
        // `2026-01-31T10:00:00.000Z` here, `2026-01-31T10:00:00.000+0000` there.
        Kind::DateTime => {
            let instant = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
            Some(Value::String(instant.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()))
        }
        Kind::Text
        | Kind::TextArea
        | Kind::ExactText
        | Kind::Picklist
        | Kind::MultiPicklist
        | Kind::Date
        | Kind::Time
        | Kind::Reference
        | Kind::Unsupported => None,
    }
}

#[cfg(test)]
mod tests;
