//! Values as Salesforce keeps them.

use serde_json::json;

use super::*;

fn field(kind: Kind) -> Field {
    Field {
        name: "F__c".into(),
        kind,
        length: 5,
        scale: Some(2),
        precision: 10,
        nillable: true,
        createable: true,
        updateable: true,
        computed: false,
        defaulted_on_create: false,
        external_id: false,
        case_sensitive: false,
    }
}

#[test]
fn values_are_sent_as_the_field_keeps_them() {
    let cases = [
        (Kind::Text, json!("abcdefghijkl"), json!("abcdefghij")),
        (Kind::Text, json!("abcd  "), json!("abcd")),
        (Kind::Text, json!("abcdefg\u{1F600}\u{1F600}"), json!("abcdefg\u{1F600}")),
        (Kind::Text, json!("  "), Value::Null),
        (Kind::Text, json!("           x"), Value::Null),
        (Kind::Text, json!(12), json!("12")),
        (Kind::Checkbox, Value::Null, json!(false)),
        (Kind::Checkbox, json!("TRUE"), json!(true)),
        (Kind::Number, json!(5.0e7), json!(50_000_000)),
        (Kind::Number, json!("1.005"), json!(1.01)),
        (Kind::Date, json!("2026-01-31T23:00:00-05:00"), json!("2026-01-31")),
        (Kind::DateTime, json!("2026-01-31T23:00:00.999-05:00"), json!("2026-02-01T04:00:00.000Z")),
        (Kind::DateTime, json!("2026-01-31"), json!("2026-01-31T00:00:00.000Z")),
        (Kind::Time, json!("13:05"), json!("13:05:00.000Z")),
        (Kind::MultiPicklist, json!(["b", "a", "B"]), json!("b;a")),
        (Kind::Reference, json!("0015000000Gv7qJ"), json!("0015000000Gv7qJAAR")),
    ];
    for (kind, value, sent) in cases {
        let field = Field { length: 10, ..field(kind) };
        let is_text = matches!(kind, Kind::Text);
        let was_cut =
            is_text && value.as_str().is_some_and(|text| text.trim_end().encode_utf16().count() > 10);
        assert_eq!(cut_chars(&field, &value, None).is_some(), was_cut, "{kind:?} {value}");
        assert_eq!(prepare(&field, &value, None).unwrap().value, sent, "{kind:?} {value}");
    }
}

#[test]
fn spellings_of_one_value_are_equal() {
    let cases = [
        (Kind::Number, json!(50_000_000), json!(5.0e7)),
        (Kind::Number, json!(3), json!(3.0)),
        (Kind::DateTime, json!("2013-05-07T22:07:19.000+0000"), json!("2013-05-07T22:07:19Z")),
        (Kind::DateTime, json!("2013-05-07T22:07:19+00:00"), json!("2013-05-08T00:07:19+02:00")),
        (Kind::Time, json!("13:05:00.000Z"), json!("13:05:00")),
        (Kind::MultiPicklist, json!("a;b"), json!("b; a")),
        (Kind::Reference, json!("0015000000Gv7qJ"), json!("0015000000Gv7qJAAR")),
        (Kind::Text, json!("a "), json!("a")),
        (Kind::TextArea, json!("a\r\nb"), json!("a\nb")),
        (Kind::Picklist, json!("Hot"), json!("hot")),
        (Kind::Checkbox, Value::Null, json!(false)),
        (Kind::Text, json!(""), Value::Null),
    ];
    for (kind, one, other) in cases {
        assert_eq!(key(&field(kind), &one), key(&field(kind), &other), "{kind:?} {one} {other}");
    }
    for kind in [Kind::Text, Kind::ExactText] {
        assert_ne!(key(&field(kind), &json!("A")), key(&field(kind), &json!("a")), "{kind:?}");
    }
}

#[test]
fn numbers_beyond_doubles_are_compared_exactly_unless_one_was_read_as_a_double() {
    let long = Field { precision: 18, scale: Some(0), ..field(Kind::Number) };
    let rows = [
        (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64), false),
        (json!("9007199254740993.0"), json!(9_007_199_254_740_993_i64), true),
        (json!(9_007_199_254_740_993_i64), json!(9.007_199_254_740_992e15), true),
        (json!(9_007_199_254_740_995_i64), json!(9.007_199_254_740_992e15), false),
        (json!(12), json!(12.0), true),
    ];
    for (one, other, same) in rows {
        assert_eq!(key(&long, &one) == key(&long, &other), same, "{one} {other}");
    }
    let sent = prepare(&long, &json!("9007199254740993.0"), None).unwrap().value;
    assert_eq!(sent, json!(9_007_199_254_740_993_i64));
}

#[test]
fn what_the_field_cannot_keep_is_refused_without_its_value() {
    let external = Field { external_id: true, ..field(Kind::Text) };
    let cases = [
        (external, json!("secret")),
        // A code: `USA` in a field of two characters is not `US`.
        (field(Kind::Text), json!("secret")),
        (Field { length: 2, ..field(Kind::TextArea) }, json!("secret")),
        (field(Kind::Picklist), json!("secret")),
        (field(Kind::ExactText), json!("secret")),
        (Field { precision: 18, ..field(Kind::Number) }, json!("1234567890123456.78")),
        (field(Kind::MultiPicklist), json!("sec;ret")),
        (field(Kind::Number), json!("secret")),
        (field(Kind::Number), json!(123_456_789)),
        (field(Kind::Int), json!(3_000_000_000_u32)),
        (field(Kind::Checkbox), json!("secret")),
        (field(Kind::Date), json!("secret")),
        (field(Kind::Date), json!("1600-01-01")),
        (field(Kind::DateTime), json!("2026-01-31T10:00:00")),
        (field(Kind::Time), json!("secret")),
        (field(Kind::Reference), json!("secret")),
        (field(Kind::Text), json!({"a": "secret"})),
        (field(Kind::Unsupported), Value::Null),
    ];
    for (field, value) in cases {
        let problem = prepare(&field, &value, None).unwrap_err();
        assert!(!problem.to_string().contains("secret") && !problem.hint.is_empty(), "{problem}");
    }
}
