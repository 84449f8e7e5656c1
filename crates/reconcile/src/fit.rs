//! Whether what a mapping says of a field can be kept by that field at all, before there is a record.
//!
//! Here: constants and the values of maps, what an expression comes to, cutting. Not here: values of records (`stored`).

use serde_json::Value;

use crate::{
    describe::{Field, Kind},
    expression::Type,
    plan::STATUS,
    stored::{may_be_cut, prepare},
    value::{FieldSource, Meta, Overlong, ValueProblem},
};

/// Characters of `$meta.content_hash`.
const HASH_CHARS: usize = 64;

/// Characters of a correlation ID: most are UUIDs, as those of Salesforce's events all are.
const CORRELATION_ID_CHARS: usize = 36;

/// Everything that the field cannot keep of what may be written to it.
pub fn misfits(source: &FieldSource, field: &Field) -> Vec<ValueProblem> {
    let literals = source.literals().into_iter();
    let mut problems: Vec<ValueProblem> =
        literals.filter_map(|(key, value)| literal(key, value, field)).collect();
    if let Some(result) = source.expression_result().filter(|result| !may_hold(field.kind, *result)) {
        let message = format!("comes to a {result}, which {} does not keep", field.name);
        problems.push(problem("cel", message, "Convert it, or map it to another field."));
    }
    let comes_to = match source.meta() {
        None => None,
        Some(Meta::SyncedAt) => Some((Type::Timestamp, "an instant")),
        Some(Meta::CorrelationId | Meta::Status | Meta::ContentHash) => Some((Type::String, "a text")),
    };
    if let Some((_, what)) = comes_to.filter(|(result, _)| !tells(field.kind, *result)) {
        let message = format!("is {what}, which {} does not keep", field.name);
        problems.push(problem("from", message, "Map it to a field for texts, or for a date and time."));
    } else if let Some(chars) =
        chars_of(source, field).filter(|chars| field.length > 0 && field.length < *chars)
    {
        let message = format!("has {chars} characters, and {} takes {}", field.name, field.length);
        problems.push(problem("from", message, "Give the field more characters in Setup."));
    }
    if source.overlong() == Some(Overlong::Truncate) && !may_be_cut(field) {
        let message = format!("says `truncate`, and {} is never cut", field.name);
        let hint = "Remove it: only free text is cut, of which a part still says something. What is too long for an \
                    external ID, a code, a picklist, an address or a number makes a dead letter.";
        problems.push(problem("overlong", message, hint));
    }
    problems
}

/// Characters that a field must take of what is told of the decision, if it is told whole.
fn chars_of(source: &FieldSource, field: &Field) -> Option<usize> {
    let is_whole = !may_be_cut(field) || source.overlong() == Some(Overlong::Refuse);
    match source.meta()? {
        Meta::ContentHash => Some(HASH_CHARS),
        Meta::CorrelationId => is_whole.then_some(CORRELATION_ID_CHARS),
        Meta::Status => is_whole.then_some(STATUS.len()),
        Meta::SyncedAt => None,
    }
}

fn literal(key: &'static str, value: &Value, field: &Field) -> Option<ValueProblem> {
    let found = prepare(field, value, Some(Overlong::Refuse)).err()?;
    let message = format!("has {value}, which {} does not keep: {}", field.name, found.message);
    Some(problem(key, message, "Write a value that the field keeps, or map another field."))
}

/// Whether a field of this kind may keep a value of this type. A text may be read as anything.
fn may_hold(kind: Kind, result: Type) -> bool {
    match (kind, result) {
        (_, Type::Any | Type::Null) => true,
        (Kind::Unsupported, _) | (_, Type::Map | Type::Duration) => false,
        (Kind::MultiPicklist, _) | (_, Type::String) => true,
        (Kind::Time | Kind::Reference, _) | (_, Type::List) => false,
        (Kind::Text | Kind::TextArea | Kind::ExactText | Kind::Picklist, _) => true,
        (Kind::Checkbox, result) => matches!(result, Type::Bool | Type::Int | Type::Uint),
        (Kind::Int | Kind::Number, result) => matches!(result, Type::Int | Type::Uint | Type::Double),
        (Kind::Date | Kind::DateTime, result) => result == Type::Timestamp,
    }
}

/// The same for a text that surely is no number, date or ID.
fn tells(kind: Kind, result: Type) -> bool {
    match kind {
        Kind::Text | Kind::TextArea | Kind::ExactText | Kind::Picklist | Kind::MultiPicklist => true,
        Kind::Date | Kind::DateTime => result == Type::Timestamp,
        Kind::Checkbox | Kind::Int | Kind::Number | Kind::Time | Kind::Reference | Kind::Unsupported => false,
    }
}

fn problem(key: &'static str, message: String, hint: &str) -> ValueProblem {
    ValueProblem { key, message, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests;
