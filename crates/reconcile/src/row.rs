//! Reading a Salesforce record: field names ignore case, a dotted path follows parent records.
//!
//! Here: access to one row as JSON. Not here: what a value means (`stored`).

use serde_json::Value;

/// A Salesforce record as JSON; parent records stay nested, `attributes` stays as received.
pub type Row = serde_json::Map<String, Value>;

/// The value of a field; Salesforce answers with its own spelling of the name, so case is ignored.
pub fn get<'row>(row: &'row Row, name: &str) -> Option<&'row Value> {
    row.get(name)
        .or_else(|| row.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The value at a dotted path such as `Owner.Email`. An empty parent makes it `Null`; `None` = it was not read.
pub fn at<'row>(row: &'row Row, path: &str) -> Option<&'row Value> {
    let Some((parent, rest)) = path.split_once('.') else { return get(row, path) };
    match get(row, parent)? {
        Value::Object(parent) => at(parent, rest),
        Value::Null => Some(&Value::Null),
        _ => None,
    }
}

/// True for what Salesforce keeps as null: null itself and text of blanks.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests;
