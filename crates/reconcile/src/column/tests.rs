//! Texts of CSV that become what REST answers.

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
    let Value::Object(mut row) = json!({"IsActive": "true", "Owner": {"IsActive": "true", "N": null}}) else {
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
