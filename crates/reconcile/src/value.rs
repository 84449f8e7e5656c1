//! One mapped value: where it comes from, and what is made of it before it is written.
//!
//! Here: what the operator wrote, checking it, applying map and default. Not here: reading TOML (`src/config`), picking
//! from record and answer (`plan`), how Salesforce keeps a value (`stored`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{name::is_path, row};

/// One mapped value as the operator wrote it; nothing is checked yet. A plain text is only `from`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueSpec {
    /// The same value for every record: text, number, true or false.
    pub value: Option<Value>,
    /// `$Field` of the customer's record, or `/pointer` into the vendor's answer.
    pub from: Option<String>,
    /// What is written instead of a value that is absent, null or empty.
    pub default: Option<Value>,
    /// What is written instead of a value, by the value's text.
    pub map: Option<BTreeMap<String, Value>>,
    /// What is written instead of a value that `map` does not have.
    pub otherwise: Option<Value>,
}

impl From<&str> for ValueSpec {
    fn from(from: &str) -> Self {
        Self { from: Some(from.to_owned()), ..Self::default() }
    }
}

impl ValueSpec {
    /// Whether it is the ID of the customer's record and nothing else.
    pub fn is_record_id(&self) -> bool {
        self.from.as_deref().is_some_and(|from| from.eq_ignore_ascii_case("$Id")) && self.map.is_none()
    }

    /// Paths of the customer's record that it takes, as far as they can be read without checking it.
    pub fn record_paths(&self) -> Vec<String> {
        self.from.iter().filter_map(|from| from.strip_prefix('$')).map(str::to_owned).collect()
    }
}

/// A checked value of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSource {
    source: Source,
    default: Option<Value>,
    map: Option<ValueMap>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field (or dotted path) of the customer's record.
    Record(String),
    /// A JSON Pointer into the vendor's answer.
    Answer(String),
    /// The same value for every record.
    Constant(Value),
}

/// What is written instead of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ValueMap {
    by_text: BTreeMap<String, Value>,
    otherwise: Option<Value>,
}

/// One thing wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueProblem {
    /// The key of the table that it is about; empty if it is about the value as a whole.
    pub key: &'static str,
    /// What is wrong, with the value in it.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// A value that the map does not have, where nothing is said to be written instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped;

impl FieldSource {
    /// Checks what the operator wrote; reports every problem, not only the first.
    pub fn new(spec: &ValueSpec) -> Result<Self, Vec<ValueProblem>> {
        let mut problems = Vec::new();
        let source = source(spec, &mut problems);
        let is_constant = matches!(source, Some(Source::Constant(_)));
        for (key, written) in [("default", spec.default.is_some()), ("map", spec.map.is_some())] {
            if is_constant && written {
                let hint = "Remove it, or write `from` instead of `value`.";
                problems.push(problem(key, "does nothing behind a `value` that is always the same", hint));
            }
        }
        match (&spec.map, &spec.otherwise) {
            (None, Some(_)) => {
                let hint = "Write `map` as well, or `default` for a value that is absent or empty.";
                problems.push(problem("otherwise", "is for values that a `map` does not have", hint));
            }
            (Some(map), _) if map.is_empty() => {
                let hint = "Write what is written for which value, such as `map = { DE = \"Germany\" }`.";
                problems.push(problem("map", "is empty", hint));
            }
            _ => {}
        }
        match source {
            Some(source) if problems.is_empty() => {
                let otherwise = spec.otherwise.clone();
                let map = spec.map.clone().map(|by_text| ValueMap { by_text, otherwise });
                Ok(Self { source, default: spec.default.clone(), map })
            }
            _ => Err(problems),
        }
    }

    /// Where the value comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Paths of the customer's record that have to be read for it.
    pub fn record_paths(&self) -> &[String] {
        match &self.source {
            Source::Record(path) => std::slice::from_ref(path),
            Source::Answer(_) | Source::Constant(_) => &[],
        }
    }

    /// Whether it takes nothing of what the vendor answered.
    pub fn is_without_answer(&self) -> bool {
        match &self.source {
            Source::Record(_) | Source::Constant(_) => true,
            Source::Answer(_) => false,
        }
    }

    /// Whether it is the ID of the customer's record as it is.
    pub fn is_record_id(&self) -> bool {
        matches!(&self.source, Source::Record(path) if path.eq_ignore_ascii_case("Id")) && self.map.is_none()
    }

    /// What is written for a value; none = the field is left alone. Default and map's values are written as they stand.
    pub fn finish(&self, value: Option<Value>) -> Result<Option<Value>, Unmapped> {
        match (value, &self.map) {
            (value, _) if value.as_ref().is_none_or(row::is_empty) => Ok(self.default.clone().or(value)),
            (Some(value), Some(map)) => map.apply(value).map(Some),
            (value, _) => Ok(value),
        }
    }
}

impl ValueMap {
    /// A list, as of a multi-select picklist, is looked up member by member.
    fn apply(&self, value: Value) -> Result<Value, Unmapped> {
        match value {
            Value::Array(members) => {
                let members = members.into_iter().filter(|member| !row::is_empty(member));
                Ok(Value::Array(members.map(|member| self.one(&member)).collect::<Result<_, _>>()?))
            }
            value => self.one(&value),
        }
    }

    fn one(&self, value: &Value) -> Result<Value, Unmapped> {
        let found = text(value).and_then(|text| self.by_text.get(&text));
        found.or(self.otherwise.as_ref()).cloned().ok_or(Unmapped)
    }
}

/// The text by which a value is looked up. Salesforce answers whole numbers as `5.0`: their text is `5`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text.strip_suffix(".0").unwrap_or(&text);
            Some(if whole == "-0" { "0".to_owned() } else { whole.to_owned() })
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn source(spec: &ValueSpec, problems: &mut Vec<ValueProblem>) -> Option<Source> {
    match (&spec.value, &spec.from) {
        (Some(_), Some(_)) => {
            let hint =
                "Remove one of them: `value` is the same for every record, `from` is taken from somewhere.";
            problems.push(problem("value", "stands beside `from`", hint));
            None
        }
        (Some(value), None) => Some(Source::Constant(value.clone())),
        (None, Some(from)) => match from_text(from) {
            Ok(source) => Some(source),
            Err((message, hint)) => {
                problems.push(problem("from", message, hint));
                None
            }
        },
        (None, None) => {
            let hint = "Write `value = …` or `from = \"…\"`.";
            problems.push(problem("", "says neither what is written nor where it comes from", hint));
            None
        }
    }
}

fn from_text(from: &str) -> Result<Source, (String, &'static str)> {
    let hint =
        "Write `$Field` for a field of the record, or `/name` for a JSON Pointer into your API's answer.";
    match from.strip_prefix('$') {
        Some(field) if is_path(field) => Ok(Source::Record(field.to_owned())),
        Some(_) => Err((format!("`{from}` names no field"), hint)),
        None if from.starts_with('/') && escapes_are_right(from) => Ok(Source::Answer(from.to_owned())),
        None if from.starts_with('/') => {
            let hint = "In a JSON Pointer write `~0` for `~` and `~1` for `/` (RFC 6901).";
            Err((format!("`{from}` has a bare `~`"), hint))
        }
        None => Err((format!("`{from}` is neither a field nor a JSON Pointer"), hint)),
    }
}

fn escapes_are_right(pointer: &str) -> bool {
    pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

fn problem(key: &'static str, message: impl Into<String>, hint: &str) -> ValueProblem {
    ValueProblem { key, message: message.into(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests;
