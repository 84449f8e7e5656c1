//! JSON as the evaluator's values, and a result as JSON.
//!
//! Here: what a record and an answer look like to an expression. A whole number is an int, however it is written; other
//! numbers are doubles.

use std::collections::HashMap;

use cel::{Value as CelValue, objects::Key};
use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Number, Value};

use super::{cost::taken, flaw::Failure};
use crate::row::{self, Row};

/// Doubles up to this one hold every whole number.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The fields of a record that an expression names, spelt as it names them; an error is the path that was not read.
pub(super) fn record(record: &Row, paths: &[String]) -> Result<Value, String> {
    let mut fields = Map::new();
    for path in paths {
        let value = row::at(record, path).ok_or_else(|| path.clone())?;
        let value = value.as_str().and_then(instant).map_or_else(|| value.clone(), Value::String);
        put(&mut fields, path, value);
    }
    Ok(Value::Object(fields))
}

fn put(fields: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => _ = fields.insert(path.to_owned(), value),
        Some((parent, rest)) => {
            let parent = fields.entry(parent).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(parent) = parent {
                put(parent, rest, value);
            }
        }
    }
}

/// A date and time as Salesforce answers it, `2026-01-31T13:05:00.000+0000`, in the spelling that `timestamp` reads.
fn instant(text: &str) -> Option<String> {
    let plain = text.strip_suffix("+0000").filter(|plain| plain.len() == 23)?;
    chrono::NaiveDateTime::parse_from_str(plain, "%Y-%m-%dT%H:%M:%S%.3f").ok().map(|_| format!("{plain}Z"))
}

/// What is taken of a value; an empty path is the whole. What is not there is left out.
pub(super) fn cel(value: &Value, paths: &[&[String]]) -> CelValue {
    let Value::Object(members) = value else { return whole(value) };
    if paths.iter().any(|path| path.is_empty()) {
        return whole(value);
    }
    let mut found: HashMap<Key, CelValue> = HashMap::new();
    for (name, behind) in taken(paths) {
        let Some(member) = members.get(name) else { continue };
        found.insert(Key::from(name.clone()), cel(member, &behind));
    }
    CelValue::Map(found.into())
}

fn whole(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => self::number(number),
        Value::String(text) => CelValue::String(text.clone().into()),
        Value::Array(members) => CelValue::List(members.iter().map(whole).collect::<Vec<_>>().into()),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (Key::from(name.clone()), whole(member)));
            CelValue::Map(members.collect::<HashMap<_, _>>().into())
        }
    }
}

fn number(number: &Number) -> CelValue {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), ..) => CelValue::Int(whole),
        (None, Some(whole), _) => CelValue::UInt(whole),
        // Checked to be whole and in range.
        #[allow(clippy::cast_possible_truncation)]
        (None, None, Some(double)) if is_whole(double) => CelValue::Int(double as i64),
        (None, None, double) => CelValue::Float(double.unwrap_or(f64::NAN)),
    }
}

fn is_whole(double: f64) -> bool {
    double.fract() == 0.0 && double.abs() <= WHOLE_MAX
}

/// A result as it can be mapped.
pub(super) fn json(value: CelValue) -> Result<Value, Failure> {
    match value {
        CelValue::List(members) => {
            Ok(Value::Array(members.iter().cloned().map(scalar).collect::<Result<_, _>>()?))
        }
        value => scalar(value),
    }
}

fn scalar(value: CelValue) -> Result<Value, Failure> {
    let refuse = |what: &str, hint| {
        Failure::new(format!("its expression comes to {what}, which no field keeps"), hint)
    };
    match value {
        CelValue::Null => Ok(Value::Null),
        CelValue::Bool(flag) => Ok(Value::Bool(flag)),
        CelValue::Int(whole) => Ok(whole.into()),
        CelValue::UInt(whole) => Ok(whole.into()),
        // Checked to be whole and in range.
        #[allow(clippy::cast_possible_truncation)]
        CelValue::Float(double) if is_whole(double) => Ok((double as i64).into()),
        CelValue::Float(double) => Number::from_f64(double).map(Value::Number).ok_or_else(|| {
            refuse("no finite number", "Ask before whether the divisor is zero, or the text a number.")
        }),
        CelValue::String(text) => Ok(Value::String(text.as_str().to_owned())),
        CelValue::Timestamp(instant) => {
            Ok(Value::String(instant.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true)))
        }
        CelValue::List(_) => Err(refuse("a list of lists", "Take one of its values.")),
        CelValue::Map(_) => Err(refuse("a map", "Take one of its values.")),
        CelValue::Duration(_) => Err(refuse("a duration", "Take a number of it, such as `.getHours()`.")),
        _ => Err(refuse("a value of another kind", "Let it come to a text, a number, true or false.")),
    }
}
