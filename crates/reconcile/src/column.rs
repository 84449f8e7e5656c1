//! A row that was read as CSV, made what it is when read as JSON.
//!
//! Here: which types differ, and one value of each. Not here: the CSV itself (`salesforce::bulk::query`).
//!
//! Invariant: a row leads to the same look-up and to the same record, whichever way it was read.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Number, Value};

use crate::{
    Row,
    describe::{Field, Kind},
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
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_becomes_what_rest_answers() {
        let cases = [
            (Kind::Checkbox, "true", json!(true)),
            (Kind::Checkbox, "false", json!(false)),
            (Kind::Checkbox, "maybe", json!("maybe")),
            (Kind::Int, "5", json!(5)),
            (Kind::Int, "1.2E4", json!(12_000)),
            (Kind::Int, "1.5", json!("1.5")),
            (Kind::Number, "5", json!(5.0)),
            (Kind::Number, "-0.25", json!(-0.25)),
            (Kind::Number, "9.12260031E8", json!(912_260_031.0)),
            (Kind::Number, "NaN", json!("NaN")),
            (Kind::DateTime, "2026-01-31T10:00:00.000Z", json!("2026-01-31T10:00:00.000+0000")),
            (Kind::DateTime, "2026-01-31T12:00:00.250+02:00", json!("2026-01-31T10:00:00.250+0000")),
            (Kind::DateTime, "today", json!("today")),
            (Kind::Date, "2026-01-31", json!("2026-01-31")),
            (Kind::Time, "13:05:00.000Z", json!("13:05:00.000Z")),
            (Kind::Text, "007", json!("007")),
            (Kind::Text, "true", json!("true")),
        ];
        for (kind, text, expected) in cases {
            let kinds = Kinds::from([("f__c".to_owned(), kind)]);
            let mut row = Row::from_iter([("F__c".to_owned(), json!(text))]);
            type_row(&kinds, &mut row);
            assert_eq!(row["F__c"], expected, "{kind:?} {text}");
        }
    }

    #[test]
    fn a_parents_field_has_its_own_type() {
        let kinds = Kinds::from([("owner.isactive".to_owned(), Kind::Checkbox)]);
        let Value::Object(mut row) = json!({"IsActive": "true", "Owner": {"IsActive": "true", "N": null}})
        else {
            unreachable!()
        };
        type_row(&kinds, &mut row);
        assert_eq!(Value::Object(row), json!({"IsActive": "true", "Owner": {"IsActive": true, "N": null}}));
    }

    proptest! {
        #[test]
        fn a_number_is_the_one_that_rest_answers(cents in -1_000_000_000_000_000..1_000_000_000_000_000_i64) {
            let number: f64 = format!("{cents}e-2").parse().unwrap();
            let rest: Value = serde_json::from_str(&format!("{number:?}")).unwrap();
            for text in [format!("{number:?}"), format!("{number:E}"), format!("{number}")] {
                prop_assert_eq!(typed(Kind::Number, &text), Some(rest.clone()));
            }
        }
    }
}
