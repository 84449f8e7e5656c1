//! One mapped value: where it comes from, and what is made of it before it is written.
//!
//! Here: what the operator wrote, checking it, applying map and default. Not here: reading TOML (`src/config`), picking
//! from record and answer (`plan`), expressions (`expression`), how Salesforce keeps a value (`stored`).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    expression::{Expression, Type},
    name::is_path,
    row,
};

/// One mapped value as the operator wrote it; nothing is checked yet. A plain text is only `from`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValueSpec {
    /// The same value for every record: text, number, true or false.
    pub value: Option<Value>,
    /// `$Field` of the customer's record, `/pointer` into the vendor's answer, or `$meta.…` of the decision.
    pub from: Option<String>,
    /// An expression in the Common Expression Language.
    pub cel: Option<String>,
    /// What is written instead of a value that is absent, null or empty.
    pub default: Option<Value>,
    /// What is written instead of a value, by the value's text.
    pub map: Option<BTreeMap<String, Value>>,
    /// What is written instead of a value that `map` does not have.
    pub otherwise: Option<Value>,
    /// What is done with a text that is longer than its field: `truncate` or `refuse`.
    pub overlong: Option<String>,
}

impl From<&str> for ValueSpec {
    fn from(from: &str) -> Self {
        Self { from: Some(from.to_owned()), ..Self::default() }
    }
}

impl ValueSpec {
    /// Whether it is no more than where it comes from, so that it may have been written as a text.
    pub fn is_plain(&self) -> bool {
        self.from.is_some() && *self == Self { from: self.from.clone(), ..Self::default() }
    }

    /// As it stands in the settings: a text if it only says where the value comes from, else a table.
    pub fn written(&self) -> Value {
        let Ok(Value::Object(mut table)) = serde_json::to_value(self) else { return Value::Null };
        table.retain(|_, value| !value.is_null());
        match (table.len(), table.get("from")) {
            (1, Some(from)) => from.clone(),
            _ => Value::Object(table),
        }
    }

    /// Whether it is the ID of the customer's record and nothing else.
    pub fn is_record_id(&self) -> bool {
        self.from.as_deref().is_some_and(|from| from.eq_ignore_ascii_case("$Id")) && self.map.is_none()
    }
}

/// A checked value of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSource {
    /// As it was written.
    spec: Box<ValueSpec>,
    source: Source,
    overlong: Option<Overlong>,
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
    /// Something of the decision itself.
    Meta(Meta),
    /// An expression over record and answer.
    Expression(Expression),
}

/// What a record can be told about how it came to be written. None of it makes a record differ by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meta {
    /// What joins the logs: the event's correlation ID, or the ID of the event, push or refresh.
    CorrelationId,
    /// When it was decided.
    SyncedAt,
    /// `Current`: what is written is what the vendor answered.
    Status,
    /// A hash of the other values.
    ContentHash,
}

impl Meta {
    const ALL: [(&'static str, Self); 4] = [
        ("$meta.correlation_id", Self::CorrelationId),
        ("$meta.synced_at", Self::SyncedAt),
        ("$meta.status", Self::Status),
        ("$meta.content_hash", Self::ContentHash),
    ];
}

/// What is done with a text that is longer than its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlong {
    /// The field's part of it is written, if a part of it still says something: free text only.
    Truncate,
    /// The record is a dead letter.
    Refuse,
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
        let always = match &source {
            Some(Source::Constant(_)) => Some("does nothing behind a `value`, which is always the same"),
            Some(Source::Meta(_)) => Some("does nothing behind `$meta`, which is always there"),
            Some(Source::Record(_) | Source::Answer(_) | Source::Expression(_)) | None => None,
        };
        for (key, written) in [("default", spec.default.is_some()), ("map", spec.map.is_some())] {
            if let Some(always) = always.filter(|_| written) {
                problems.push(problem(key, always, "Remove it, or take the value from elsewhere."));
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
        let overlong = match spec.overlong.as_deref() {
            None => None,
            Some("truncate") => Some(Overlong::Truncate),
            Some("refuse") => Some(Overlong::Refuse),
            Some(other) => {
                let message = format!("is `{other}`, which is nothing to do about a text that is too long");
                problems.push(problem("overlong", message, "Write \"truncate\" or \"refuse\"."));
                None
            }
        };
        match source {
            Some(source) if problems.is_empty() => {
                Ok(Self { spec: Box::new(spec.clone()), source, overlong })
            }
            _ => Err(problems),
        }
    }

    /// What the operator wrote.
    pub fn spec(&self) -> &ValueSpec {
        &self.spec
    }

    /// Where the value comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is done with a text that is longer than its field, if the operator said so.
    pub fn overlong(&self) -> Option<Overlong> {
        self.overlong
    }

    /// Values that are written as they stand in the settings, each with the key of the table that it stands under.
    pub fn literals(&self) -> Vec<(&'static str, &Value)> {
        let constant = match &self.source {
            Source::Constant(value) => Some(("value", value)),
            Source::Record(_) | Source::Answer(_) | Source::Meta(_) | Source::Expression(_) => None,
        };
        let ValueSpec { default, map, otherwise, .. } = self.spec.as_ref();
        let mapped = map.iter().flatten().map(|(_, value)| ("map", value));
        let otherwise = otherwise.iter().map(|value| ("otherwise", value));
        let default = default.iter().map(|value| ("default", value));
        constant.into_iter().chain(default).chain(mapped).chain(otherwise).collect()
    }

    /// What an expression comes to, if its value is what is written.
    pub fn expression_result(&self) -> Option<Type> {
        match &self.source {
            Source::Expression(expression) if self.spec.map.is_none() => Some(expression.result()),
            _ => None,
        }
    }

    /// What it tells of the decision, if it does that.
    pub fn meta(&self) -> Option<Meta> {
        match &self.source {
            Source::Meta(meta) => Some(*meta),
            Source::Record(_) | Source::Answer(_) | Source::Constant(_) | Source::Expression(_) => None,
        }
    }

    /// Paths of the customer's record that have to be read for it.
    pub fn record_paths(&self) -> &[String] {
        match &self.source {
            Source::Record(path) => std::slice::from_ref(path),
            Source::Expression(expression) => expression.record_paths(),
            Source::Answer(_) | Source::Constant(_) | Source::Meta(_) => &[],
        }
    }

    /// Whether it takes nothing of what the vendor answered.
    pub fn is_without_answer(&self) -> bool {
        match &self.source {
            Source::Record(_) | Source::Constant(_) | Source::Meta(_) => true,
            Source::Expression(expression) => expression.is_without_answer(),
            Source::Answer(_) => false,
        }
    }

    /// Whether it is the ID of the customer's record as it is.
    pub fn is_record_id(&self) -> bool {
        self.spec.is_record_id()
    }

    /// Whether it is worked out with the time of the decision.
    pub fn takes_now(&self) -> bool {
        matches!(&self.source, Source::Expression(expression) if expression.takes_now())
    }

    /// What is wrong with an expression as an external ID: one record of the target out of many, a new one each time, or none.
    pub fn flaws_as_external_id(&self) -> Vec<ValueProblem> {
        let Source::Expression(expression) = &self.source else { return Vec::new() };
        let mut flaws = Vec::new();
        if expression.takes_now() {
            let hint = "Leave `now` out: with each refresh there would be a new record.";
            flaws.push(problem("cel", "takes `now`, and an external ID stays the same", hint));
        }
        if !expression.tells_records_apart() {
            let hint = "Let it take something of the answer or the record, such as `answer.key`.";
            flaws.push(problem("cel", "is the same for all records, which it shall tell apart", hint));
        }
        let result = expression.result();
        if !matches!(result, Type::Any | Type::String | Type::Int | Type::Uint | Type::Double) {
            let hint = "Let it come to a text or a whole number that identifies the record.";
            flaws.push(problem("cel", format!("comes to a {result}, which is no external ID"), hint));
        }
        flaws
    }

    /// What is written for a value; none = the field is left alone. Default and map's values are written as they stand.
    pub fn finish(&self, value: Option<Value>) -> Result<Option<Value>, Unmapped> {
        match (value, &self.spec.map) {
            (value, _) if value.as_ref().is_none_or(is_empty) => Ok(self.spec.default.clone().or(value)),
            (Some(value), Some(map)) => self.mapped(map, value).map(Some),
            (value, _) => Ok(value),
        }
    }

    /// Whether a text of the record is one of several values, of which the map has at least one.
    fn are_several(&self, map: &BTreeMap<String, Value>, text: &str) -> bool {
        matches!(self.source, Source::Record(_))
            && !map.contains_key(text)
            && text.contains(';')
            && text.split(';').any(|member| map.contains_key(member.trim()))
    }

    /// A list, as of a multi-select picklist, is looked up member by member; so is a text of a record that is one, as
    /// Salesforce answers it.
    fn mapped(&self, map: &BTreeMap<String, Value>, value: Value) -> Result<Value, Unmapped> {
        let one = |value: &Value| {
            let found = text(value).and_then(|text| map.get(&text));
            found.or(self.spec.otherwise.as_ref()).cloned().ok_or(Unmapped)
        };
        match value {
            Value::Array(members) => {
                let members = members.iter().filter(|member| !row::is_empty(member));
                members.map(one).collect::<Result<_, _>>().map(Value::Array)
            }
            Value::String(several) if self.are_several(map, &several) => {
                let members = several.split(';').map(str::trim).filter(|member| !member.is_empty());
                let found = members.map(|member| one(&Value::from(member))).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::String(found.iter().filter_map(text).collect::<Vec<_>>().join(";")))
            }
            value => one(&value),
        }
    }
}

/// Whether nothing is in it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(members) => members.iter().all(row::is_empty),
        value => row::is_empty(value),
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
    let written =
        [("value", spec.value.is_some()), ("from", spec.from.is_some()), ("cel", spec.cel.is_some())];
    let written: Vec<&'static str> = written.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect();
    match written.as_slice() {
        [] => {
            let hint = "Write `value = …`, `from = \"…\"` or `cel = \"…\"`.";
            problems.push(problem("", "says neither what is written nor where it comes from", hint));
        }
        [_] => {}
        [first, others @ ..] => {
            let hint = "Keep one of them: `value` is always the same, `from` is taken as it is, `cel` is worked out.";
            problems.push(problem(first, format!("stands beside `{}`", others.join("` and `")), hint));
        }
    }
    let mut source = spec.value.clone().map(Source::Constant);
    if let Some(from) = &spec.from {
        match from_text(from) {
            Ok(found) => source = Some(found),
            Err((message, hint)) => problems.push(problem("from", message, &hint)),
        }
    }
    if let Some(cel) = &spec.cel {
        match Expression::new(cel) {
            Ok(expression) => source = Some(Source::Expression(expression)),
            Err(flaws) => {
                problems.extend(flaws.into_iter().map(|flaw| problem("cel", flaw.message, &flaw.hint)));
            }
        }
    }
    source
}

fn from_text(from: &str) -> Result<Source, (String, String)> {
    let hint =
        "Write `$Field` for a field of the record, or `/name` for a JSON Pointer into your API's answer.";
    if from.starts_with("$meta.") {
        let known = Meta::ALL.iter().find(|(name, _)| *name == from);
        let names = Meta::ALL.map(|(name, _)| name).join("`, `");
        return known
            .map(|(_, meta)| Source::Meta(*meta))
            .ok_or_else(|| (format!("`{from}` is not known"), format!("There are `{names}`.")));
    }
    match from.strip_prefix('$') {
        Some(field) if is_path(field) => Ok(Source::Record(field.to_owned())),
        Some(_) => Err((format!("`{from}` names no field"), hint.to_owned())),
        None if from.starts_with('/') && escapes_are_right(from) => Ok(Source::Answer(from.to_owned())),
        None if from.starts_with('/') => {
            let hint = "In a JSON Pointer write `~0` for `~` and `~1` for `/` (RFC 6901).";
            Err((format!("`{from}` has a bare `~`"), hint.to_owned()))
        }
        None => Err((format!("`{from}` is neither a field nor a JSON Pointer"), hint.to_owned())),
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
