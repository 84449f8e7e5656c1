//! A table of differences, and the property: write, read back, diff = `Unchanged`.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::value::Overlong;

fn describe() -> Describe {
    let json = json!({"name": "Enrichment__c", "fields": [
        {"name": "Ext__c", "type": "string", "length": 10, "externalId": true},
        {"name": "Wide__c", "type": "string", "length": 0, "externalId": true},
        {"name": "Plain__c", "type": "double", "precision": 18, "scale": 0},
        {"name": "Text__c", "type": "string", "length": 10},
        {"name": "Long__c", "type": "textarea", "length": 40},
        {"name": "Email__c", "type": "email", "length": 80},
        {"name": "Url__c", "type": "url", "length": 255},
        {"name": "Pick__c", "type": "picklist", "length": 255},
        {"name": "Multi__c", "type": "multipicklist", "length": 4099},
        {"name": "Check__c", "type": "boolean", "nillable": false},
        {"name": "Int__c", "type": "int", "digits": 9},
        {"name": "Num__c", "type": "double", "precision": 16, "scale": 2},
        {"name": "Day__c", "type": "date"},
        {"name": "At__c", "type": "datetime"},
        {"name": "Time__c", "type": "time"},
        {"name": "Account__c", "type": "reference", "length": 18},
        {"name": "Must__c", "type": "string", "length": 8, "nillable": false},
        {"name": "Fixed__c", "type": "string", "length": 8, "updateable": false},
        {"name": "Formula__c", "type": "string", "length": 8, "createable": false, "updateable": false},
        {"name": "Place__c", "type": "location"}]});
    Describe::from_json(json.as_object().unwrap()).unwrap()
}

fn row(value: &Value) -> Row {
    value.as_object().unwrap().clone()
}

fn wanted(fields: &Value) -> Desired {
    Desired {
        key: "K1".into(),
        fields: row(fields),
        receipts: BTreeMap::new(),
        overlong: BTreeMap::new(),
        source_id: "0015000000Gv7qJAAR".into(),
    }
}

#[test]
fn only_what_differs_is_written() {
    let cases = [
        (json!({"Text__c": "a"}), json!({"text__C": "a"}), Diff::Unchanged),
        (json!({"Text__c": "a"}), json!({"Text__c": "b"}), Diff::Update(row(&json!({"Text__c": "a"})))),
        (json!({"text__c": "a"}), json!({}), Diff::Update(row(&json!({"Text__c": "a"})))),
        (json!({"Text__c": ""}), json!({"Text__c": "b"}), Diff::Update(row(&json!({"Text__c": null})))),
        (json!({"Text__c": null}), json!({"Text__c": null}), Diff::Unchanged),
        (json!({"Plain__c": 50_000_000}), json!({"Plain__c": 5.0E7}), Diff::Unchanged),
        (json!({"Check__c": null}), json!({"Check__c": false}), Diff::Unchanged),
        (
            json!({"Check__c": null}),
            json!({"Check__c": true}),
            Diff::Update(row(&json!({"Check__c": false}))),
        ),
        (json!({"Fixed__c": "a"}), json!({"Fixed__c": "a"}), Diff::Unchanged),
        (json!({"Num__c": 1}), json!({"Num__c": "odd"}), Diff::Update(row(&json!({"Num__c": 1})))),
    ];
    for (fields, existing, expected) in cases {
        let found = diff(&wanted(&fields), Some(&row(&existing)), &describe());
        assert_eq!(found, Ok(expected), "{fields} on {existing}");
    }
}

#[test]
fn receipts_are_written_along_and_are_no_difference() {
    let fields = json!({"Num__c": 1.005, "Text__c": "a", "Long__c": null});
    let text = |text: &str| Receipt::Value(json!(text));
    let receipts: BTreeMap<String, Receipt> =
        [("At__c", text("2026-01-31T13:05:00.000Z")), ("Url__c", Receipt::ContentHash)]
            .map(|(name, receipt)| (name.to_owned(), receipt))
            .into();
    let desired = Desired { receipts, ..wanted(&fields) };
    let stored = row(&json!({"Num__c": 1.01, "Text__c": "a", "At__c": null, "Url__c": "other"}));
    assert_eq!(diff(&desired, Some(&stored), &describe()), Ok(Diff::Unchanged));
    let written = receipts_of(&desired);
    assert_eq!(written["At__c"], "2026-01-31T13:05:00.000Z");
    // printf '{"Long__c":null,"Num__c":1.01,"Text__c":"a"}' | sha256sum
    assert_eq!(written["Url__c"], "a41043e29c2379918a6c3278ae8be930439b6b5fb9f61b2bf73213d127f7f4f9");
    let other =
        Desired { fields: row(&json!({"Num__c": 1.01, "Text__c": "a ", "Long__c": " "})), ..desired.clone() };
    assert_eq!(receipts_of(&other), written);
    let changed = Desired { fields: row(&json!({"Num__c": 1.02})), ..desired };
    assert_ne!(receipts_of(&changed)["Url__c"], written["Url__c"]);
}

fn receipts_of(desired: &Desired) -> Row {
    receipts(desired, false, &describe()).unwrap()
}

#[test]
fn a_new_record_gets_all_but_the_empty_fields() {
    let fields = json!({"Text__c": "a", "Long__c": null, "Check__c": null, "Fixed__c": "x"});
    let expected = row(&json!({"Text__c": "a", "Check__c": false, "Fixed__c": "x"}));
    assert_eq!(diff(&wanted(&fields), None, &describe()), Ok(Diff::Create(expected)));
}

#[test]
fn what_cannot_be_written_names_its_field() {
    let stored = row(&json!({"Must__c": "a", "Fixed__c": "a", "Formula__c": "a"}));
    let cases = [
        (json!({"Nope__c": 1}), None, "Nope__c"),
        (json!({"Must__c": null}), None, "Must__c"),
        (json!({"Must__c": ""}), Some(&stored), "Must__c"),
        (json!({"Fixed__c": "b"}), Some(&stored), "Fixed__c"),
        (json!({"Formula__c": "b"}), None, "Formula__c"),
        (json!({"Place__c": "b"}), None, "Place__c"),
        (json!({"Num__c": "b"}), Some(&stored), "Num__c"),
    ];
    for (fields, existing, field) in cases {
        let problem = diff(&wanted(&fields), existing, &describe()).unwrap_err();
        assert_eq!(problem.field, field);
        assert!(!problem.hint.is_empty());
    }
}

#[test]
fn the_external_id_is_checked_against_describe() {
    let cases = [
        ("Ext__c", "K1", true),
        ("Ext__c", "12345678901", false),
        ("Text__c", "K1", false),
        ("No__c", "K1", false),
    ];
    let long = "k".repeat(256);
    let cases = cases.into_iter().chain([("Wide__c", &long[..255], true), ("Wide__c", &long[..], false)]);
    for (field, external_id, right) in cases {
        let desired = Desired { key: external_id.into(), ..wanted(&json!({})) };
        assert_eq!(check_external_id(&desired, field, &describe()).is_ok(), right, "{field} {external_id}");
    }
}

/// What Salesforce answers after a write of `sent`. Written from Salesforce's documentation, not from `stored`.
fn as_salesforce_stores(name: &str, sent: &Value) -> Value {
    match (name, sent) {
        ("Check__c", Value::Null) => json!(false),
        ("Plain__c" | "Num__c", Value::Number(number)) => json!(number.as_f64().unwrap()),
        ("Multi__c", Value::String(text)) => {
            let mut values: Vec<&str> = text.split(';').collect();
            values.sort_unstable();
            values.reverse();
            json!(values.join(";"))
        }
        ("At__c", Value::String(text)) => json!(text.replace('Z', "+0000")),
        ("Account__c", Value::String(text)) => json!(text[..15]),
        ("Pick__c", Value::String(text)) => json!(text.to_uppercase()),
        ("Long__c", Value::String(text)) => json!(text.replace('\n', "\r\n").trim()),
        (_, Value::String(text)) if text.trim().is_empty() => Value::Null,
        (_, Value::String(text)) => json!(text.trim()),
        (_, other) => other.clone(),
    }
}

fn any_field() -> impl Strategy<Value = (&'static str, Value)> {
    let text =
        |name: &'static str, pattern: &'static str| pattern.prop_map(move |text| (name, json!(text))).boxed();
    let zone = prop_oneof![Just("Z"), Just("+0000"), Just("+00:00"), Just("-05:30")];
    prop_oneof![
        text("Text__c", "[ a-zA-Zäß\u{1F600}]{0,14}"),
        text("Long__c", "[ a-z\n]{0,50}"),
        text("Email__c", "[a-zA-Z]{1,9}@[A-Za-z]{1,9}\\.example"),
        text("Url__c", "https://[a-zA-Z]{1,9}\\.example/[A-Za-z]{0,9}"),
        text("Pick__c", "[ a-zA-Z]{0,9}"),
        text("Multi__c", "([ a-cA-C]{0,3};){0,5}"),
        text("Account__c", "[0-9a-zA-Z]{15}"),
        text("Day__c", "[12][789][0-9]{2}-0[1-9]-[12][0-8]"),
        text("Time__c", "[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,3})?Z?"),
        ("20[0-9]{2}-0[1-9]-[12][0-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?", zone)
            .prop_map(|(text, zone)| ("At__c", json!(format!("{text}{zone}")))),
        proptest::option::of(any::<bool>()).prop_map(|flag| ("Check__c", json!(flag))),
        (-999_999_999..999_999_999_i32).prop_map(|number| ("Int__c", json!(number))),
        (-1e13..1e13_f64).prop_map(|number| ("Num__c", json!(number))),
        (-1e3..1e3_f64).prop_map(|number| ("Num__c", json!(number))),
        (-999_999_999_999_999_999..999_999_999_999_999_999_i64)
            .prop_map(|number| ("Plain__c", json!(number))),
        prop_oneof![Just("Text__c"), Just("Num__c"), Just("Day__c"), Just("Multi__c")]
            .prop_map(|name| (name, Value::Null)),
    ]
}

fn read_back(before: &Row, written: &Row) -> Row {
    let mut after = before.clone();
    for (name, sent) in written {
        after.insert(name.clone(), as_salesforce_stores(name, sent));
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_was_written_and_read_back_is_unchanged(
        wants in proptest::collection::vec(any_field(), 0..8),
        old in proptest::collection::vec(any_field(), 0..8),
    ) {
        let describe = describe();
        let fields = |list: Vec<(&str, Value)>| -> Row {
            list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        let desired = Desired { fields: fields(wants), ..wanted(&json!({})) };
        let before = Desired { fields: fields(old), ..wanted(&json!({})) };

        let Ok(Diff::Create(first)) = diff(&desired, None, &describe) else { panic!("not a creation") };
        let created = read_back(&Row::new(), &first);
        prop_assert_eq!(diff(&desired, Some(&created), &describe), Ok(Diff::Unchanged));

        let Ok(Diff::Create(earlier)) = diff(&before, None, &describe) else { panic!("not a creation") };
        let existing = read_back(&Row::new(), &earlier);
        let updated = match diff(&desired, Some(&existing), &describe).unwrap() {
            Diff::Unchanged => existing,
            Diff::Update(changes) => read_back(&existing, &changes),
            Diff::Create(_) => panic!("the record exists"),
        };
        prop_assert_eq!(diff(&desired, Some(&updated), &describe), Ok(Diff::Unchanged));
    }
}

#[test]
fn fields_whose_values_are_cut_are_named() {
    let long = "x".repeat(41);
    let fields = json!({"Text__c": "eleven char", "Long__c": long, "Must__c": "a code that is refused", "Url__c": "short"});
    let cut = |field: &str, from_chars, to_chars| Cut { field: field.to_owned(), from_chars, to_chars };
    let wanted = wanted(&fields);
    assert_eq!(cut_fields(&wanted, &describe()), [cut("Long__c", 41, 40), cut("Text__c", 11, 10)]);
    let refused = Desired { overlong: [("Text__c".to_owned(), Overlong::Refuse)].into(), ..wanted };
    assert_eq!(cut_fields(&refused, &describe()), [cut("Long__c", 41, 40)]);
    let problem = all_fields(&refused, &describe()).unwrap_err();
    assert!(problem.field == "Must__c" || problem.message.contains("11 characters"), "{problem}");
}
