//! What a field keeps of a value it is given, and when it refuses.
//!
//! Here: one value against one field. Not here: whether the field must be set, whether the record pointed to exists
//! (`tables`).
//! Sources: SOAP guide "Core Data Types Used in API Calls", Object Reference "Field Types"; the words of the errors
//! are those Salesforce answers with.

use serde_json::Value;

use super::id;
use super::kind::FieldKind;
use super::number;
use super::object::Field;
use super::refusal::Refusal;
use super::times;

const TEXT_AREA: u32 = 255;
const URL: u32 = 255;
const PHONE: u32 = 40;
const EMAIL: u32 = 80;

/// The value as stored; null for an empty one. Text loses trailing blanks, numbers what exceeds the scale,
/// instants what is finer than a second.
pub(crate) fn stored(field: &Field, input: &Value) -> Result<Value, Refusal> {
    let kept = match &field.kind {
        FieldKind::Text { length } | FieldKind::LongText { length } | FieldKind::Encrypted { length } => {
            line(field, input, *length)
        }
        FieldKind::RichText { length } => line(field, input, *length).map(tidied),
        FieldKind::TextArea => line(field, input, TEXT_AREA),
        FieldKind::Url => line(field, input, URL),
        FieldKind::Phone => line(field, input, PHONE),
        FieldKind::Email => email(field, input),
        FieldKind::Picklist { values, restricted } => picklist(field, input, values, *restricted),
        FieldKind::MultiPicklist { values, restricted } => multi_picklist(field, input, values, *restricted),
        FieldKind::Number { precision, scale }
        | FieldKind::Currency { precision, scale }
        | FieldKind::Percent { precision, scale } => decimal(field, input, *precision, *scale),
        FieldKind::Integer { digits } => integer(field, input, *digits),
        FieldKind::Checkbox => checkbox(input),
        FieldKind::Date => moment(input, "date", times::parse_date),
        FieldKind::DateTime => moment(input, "dateTime", |text| {
            let ms = times::parse_instant(text)?;
            Some(times::instant_text(ms.div_euclid(1_000) * 1_000))
        }),
        FieldKind::Lookup { .. } | FieldKind::Id => reference(field, input),
    };
    kept.map_err(|refusal| if refusal.wrong_type.is_some() { refusal.on(&field.name) } else { refusal })
}

/// The longest text a field takes, in UTF-16 units; `None` if it holds no text.
pub(crate) fn length(kind: &FieldKind) -> Option<u32> {
    match kind {
        FieldKind::Text { length }
        | FieldKind::LongText { length }
        | FieldKind::RichText { length }
        | FieldKind::Encrypted { length } => Some(*length),
        FieldKind::TextArea => Some(TEXT_AREA),
        FieldKind::Url => Some(URL),
        FieldKind::Phone => Some(PHONE),
        FieldKind::Email => Some(EMAIL),
        FieldKind::Picklist { .. } => Some(255),
        FieldKind::MultiPicklist { .. } => Some(4_099),
        FieldKind::Lookup { .. } | FieldKind::Id => Some(18),
        _ => None,
    }
}

fn line(field: &Field, input: &Value, length: u32) -> Result<Value, Refusal> {
    let Some(text) = text(input)? else { return Ok(Value::Null) };
    // Salesforce counts as Java does: a letter outside the basic plane counts twice.
    if text.encode_utf16().count() > usize::try_from(length).unwrap_or(usize::MAX) {
        let message = format!("{}: data value too large: {text} (max length={length})", field.label());
        return Err(Refusal::new("STRING_TOO_LONG", message).on(&field.name));
    }
    Ok(Value::from(text))
}

/// Rich text as the org keeps it: `&` alone is an entity, a tag is in lower case and empty ones have no slash.
fn tidied(text: Value) -> Value {
    let Value::String(text) = text else { return text };
    let (mut tidy, mut rest) = (String::new(), text.as_str());
    while let Some(letter) = rest.chars().next() {
        let entity = rest.strip_prefix('&').and_then(|name| name.split_once(';')).is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '#')
        });
        let end = rest.find('>').filter(|_| letter == '<');
        let taken = match (letter, end) {
            ('&', _) if !entity => {
                tidy.push_str("&amp;");
                1
            }
            (_, Some(end)) => {
                let tag = rest[..=end].to_lowercase().replace(" />", ">").replace("/>", ">");
                tidy.push_str(&tag);
                end + 1
            }
            _ => {
                tidy.push(letter);
                letter.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    Value::from(tidy)
}

fn email(field: &Field, input: &Value) -> Result<Value, Refusal> {
    let kept = line(field, input, EMAIL)?;
    let Value::String(text) = &kept else { return Ok(kept) };
    let plain = !text.contains(|letter: char| letter.is_whitespace() || letter == ',');
    let right = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !host.contains('@')
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
    });
    if plain && right {
        return Ok(kept);
    }
    let message = format!("{}: invalid email address: {text}", field.label());
    Err(Refusal::new("INVALID_EMAIL_ADDRESS", message).on(&field.name))
}

fn picklist(field: &Field, input: &Value, values: &[String], restricted: bool) -> Result<Value, Refusal> {
    let Some(text) = text(input)? else { return Ok(Value::Null) };
    match values.iter().find(|value| value.eq_ignore_ascii_case(text)) {
        Some(value) => Ok(Value::from(value.as_str())),
        None if restricted => Err(bad_choice(field, text)),
        None => line(field, input, 255),
    }
}

fn multi_picklist(
    field: &Field,
    input: &Value,
    values: &[String],
    restricted: bool,
) -> Result<Value, Refusal> {
    let Some(text) = text(input)? else { return Ok(Value::Null) };
    let mut chosen: Vec<(usize, &str)> = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let place = values.iter().position(|value| value.eq_ignore_ascii_case(part));
        if place.is_none() && restricted {
            return Err(bad_choice(field, part));
        }
        let value = place.map_or(part, |place| &values[place]);
        if !chosen.iter().any(|(_, there)| *there == value) {
            chosen.push((place.unwrap_or(values.len()), value));
        }
    }
    chosen.sort_by_key(|(place, _)| *place);
    let joined = chosen.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(";");
    Ok(if joined.is_empty() { Value::Null } else { Value::from(joined) })
}

fn bad_choice(field: &Field, value: &str) -> Refusal {
    let message = format!("{}: bad value for restricted picklist field: {value}", field.label());
    Refusal::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).on(&field.name)
}

fn decimal(field: &Field, input: &Value, precision: u8, scale: u8) -> Result<Value, Refusal> {
    let Some(number) = number_of(input, "double")? else { return Ok(Value::Null) };
    let rounded = number::round(number, scale);
    in_range(field, rounded, precision.saturating_sub(scale))?;
    Ok(Value::from(rounded))
}

fn integer(field: &Field, input: &Value, digits: u8) -> Result<Value, Refusal> {
    let Some(number) = number_of(input, "int")? else { return Ok(Value::Null) };
    if number.fract() != 0.0 {
        return Err(Refusal::wrong_type("int", token(input), &shown(input)));
    }
    in_range(field, number, digits)?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    Ok(Value::from(number as i64))
}

fn in_range(field: &Field, number: f64, digits: u8) -> Result<(), Refusal> {
    if number.abs() < 10f64.powi(i32::from(digits)) {
        return Ok(());
    }
    let message = format!(
        "{}: value outside of valid range on numeric field: {}",
        field.label(),
        number::java_text(number)
    );
    Err(Refusal::new("NUMBER_OUTSIDE_VALID_RANGE", message).on(&field.name))
}

fn number_of(input: &Value, expected: &'static str) -> Result<Option<f64>, Refusal> {
    let number = match input {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(Refusal::wrong_type(expected, token(input), &shown(input))),
    }
}

/// A checkbox is never null: nothing is false.
fn checkbox(input: &Value) -> Result<Value, Refusal> {
    match input {
        Value::Null => Ok(Value::Bool(false)),
        Value::Bool(set) => Ok(Value::Bool(*set)),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" | "" => Ok(Value::Bool(false)),
            _ => Err(Refusal::wrong_type("boolean", token(input), text)),
        },
        _ => Err(Refusal::wrong_type("boolean", token(input), &shown(input))),
    }
}

fn moment(
    input: &Value,
    expected: &'static str,
    read: impl Fn(&str) -> Option<String>,
) -> Result<Value, Refusal> {
    match input {
        Value::Null => Ok(Value::Null),
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => match read(text.trim()) {
            Some(moment) => Ok(Value::from(moment)),
            None => Err(Refusal::wrong_type(expected, token(input), text)),
        },
        _ => Err(Refusal::wrong_type(expected, token(input), &shown(input))),
    }
}

fn reference(field: &Field, input: &Value) -> Result<Value, Refusal> {
    let Some(text) = text(input)? else { return Ok(Value::Null) };
    let refusal = || {
        let message = format!("{}: id value of incorrect type: {text}", field.label());
        Refusal::new("MALFORMED_ID", message).on(&field.name)
    };
    id::canonical(text).map(Value::from).ok_or_else(refusal)
}

/// Text without trailing blanks; `None` if nothing is left. Numbers are no text for Salesforce's JSON reader.
fn text(input: &Value) -> Result<Option<&str>, Refusal> {
    match input {
        Value::Null => Ok(None),
        Value::String(text) => {
            let text = text.trim_end();
            Ok((!text.is_empty()).then_some(text))
        }
        _ => Err(Refusal::wrong_type("string", token(input), &shown(input))),
    }
}

/// What the JSON reader calls such a value.
fn token(input: &Value) -> &'static str {
    match input {
        Value::Null => "VALUE_NULL",
        Value::Bool(true) => "VALUE_TRUE",
        Value::Bool(false) => "VALUE_FALSE",
        Value::Number(number) if number.is_f64() => "VALUE_NUMBER_FLOAT",
        Value::Number(_) => "VALUE_NUMBER_INT",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

fn shown(input: &Value) -> String {
    match input {
        Value::String(text) => text.clone(),
        Value::Array(_) => "[".to_owned(),
        Value::Object(_) => "{".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn field(kind: FieldKind) -> Field {
        Field::new("Some_Field__c", kind)
    }

    #[test]
    fn values_are_stored_as_salesforce_stores_them() {
        let number = FieldKind::Number { precision: 5, scale: 2 };
        let choice = |restricted| FieldKind::Picklist { values: vec!["Not Found".into()], restricted };
        let set = FieldKind::MultiPicklist { values: vec!["A".into(), "B".into()], restricted: false };
        for (kind, input, kept) in [
            (FieldKind::Text { length: 5 }, json!("ab  "), json!("ab")),
            (FieldKind::Text { length: 5 }, json!("  ab"), json!("  ab")),
            (FieldKind::Text { length: 5 }, json!("abcde   "), json!("abcde")),
            (FieldKind::Text { length: 5 }, json!("   "), json!(null)),
            (FieldKind::Text { length: 5 }, json!(""), json!(null)),
            (
                FieldKind::RichText { length: 99 },
                json!("A & <B>b</B><br/> &lt;"),
                json!("A &amp; <b>b</b><br> &lt;"),
            ),
            (FieldKind::Email, json!("a@b.example"), json!("a@b.example")),
            (number.clone(), json!(1.005), json!(1.01)),
            (number.clone(), json!(7), json!(7.0)),
            (number.clone(), json!("7.5"), json!(7.5)),
            (number.clone(), json!(null), json!(null)),
            (FieldKind::Integer { digits: 8 }, json!(12.0), json!(12)),
            (FieldKind::Checkbox, json!(null), json!(false)),
            (FieldKind::Checkbox, json!("TRUE"), json!(true)),
            (FieldKind::Date, json!("2026-01-31"), json!("2026-01-31")),
            (FieldKind::Date, json!(""), json!(null)),
            (
                FieldKind::DateTime,
                json!("2026-01-31T11:00:00.789+01:00"),
                json!("2026-01-31T10:00:00.000+0000"),
            ),
            (choice(true), json!("not found"), json!("Not Found")),
            (choice(false), json!("Other"), json!("Other")),
            (set.clone(), json!("B; A;B"), json!("A;B")),
            (set.clone(), json!("C;B"), json!("B;C")),
            (field_to_account(), json!("001D000000IqhSL"), json!("001D000000IqhSLIAZ")),
        ] {
            assert_eq!(stored(&field(kind.clone()), &input), Ok(kept), "{input} in {kind:?}");
        }
    }

    #[test]
    fn values_are_refused_as_salesforce_refuses_them() {
        let number = FieldKind::Number { precision: 5, scale: 2 };
        for (kind, input, code, words) in [
            (
                FieldKind::Text { length: 2 },
                json!("abc"),
                "STRING_TOO_LONG",
                "Some Field: data value too large: abc (max length=2)",
            ),
            (FieldKind::Text { length: 1 }, json!("😀"), "STRING_TOO_LONG", "max length=1"),
            (
                FieldKind::Text { length: 9 },
                json!(5),
                "JSON_PARSER_ERROR",
                "Cannot deserialize instance of string from VALUE_NUMBER_INT value 5",
            ),
            (FieldKind::Email, json!("nobody"), "INVALID_EMAIL_ADDRESS", "invalid email address: nobody"),
            (number.clone(), json!(999.995), "NUMBER_OUTSIDE_VALID_RANGE", "1000.0"),
            (
                number.clone(),
                json!("many"),
                "JSON_PARSER_ERROR",
                "instance of double from VALUE_STRING value many",
            ),
            (
                FieldKind::Integer { digits: 8 },
                json!(1.5),
                "JSON_PARSER_ERROR",
                "instance of int from VALUE_NUMBER_FLOAT",
            ),
            (FieldKind::Checkbox, json!("yes"), "JSON_PARSER_ERROR", "instance of boolean"),
            (
                FieldKind::Date,
                json!("31.01.2026"),
                "JSON_PARSER_ERROR",
                "instance of date from VALUE_STRING value 31.01.2026",
            ),
            (FieldKind::DateTime, json!(5), "JSON_PARSER_ERROR", "instance of dateTime"),
            (
                FieldKind::Picklist { values: vec![], restricted: true },
                json!("x"),
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                "bad value for restricted picklist field: x",
            ),
            (field_to_account(), json!("abc"), "MALFORMED_ID", "id value of incorrect type: abc"),
        ] {
            let refusal = stored(&field(kind), &input).expect_err("must be refused");
            assert_eq!(refusal.code, code, "{input}");
            assert!(refusal.message.contains(words), "{}", refusal.message);
            assert_eq!(refusal.fields, ["Some_Field__c"]);
        }
    }

    fn field_to_account() -> FieldKind {
        FieldKind::Lookup { to: "Account".into(), children: String::new() }
    }

    proptest! {
        /// What was stored once is stored again unchanged: without this no client could ever reach "nothing to do".
        #[test]
        fn storing_is_idempotent(text in "\\PC{0,12}", number in -1e6f64..1e6, ms in 0i64..4_000_000_000_000) {
            let cases = [
                (FieldKind::Text { length: 20 }, json!(text)),
                (FieldKind::MultiPicklist { values: vec!["a".into()], restricted: false }, json!(text)),
                (FieldKind::Number { precision: 18, scale: 2 }, json!(number)),
                (FieldKind::Number { precision: 18, scale: 0 }, json!(number)),
                (FieldKind::DateTime, json!(times::zulu_text(ms))),
            ];
            for (kind, input) in cases {
                let field = field(kind);
                if let Ok(kept) = stored(&field, &input) {
                    prop_assert_eq!(stored(&field, &kept), Ok(kept));
                }
            }
        }
    }
}
