//! Whatever is mapped and whatever is stored: write, read back, and there is nothing to write; nor at the next refresh.
//!
//! How an org stores a value is written here from Salesforce's documentation, and shares nothing with the crate.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use orgpipe_reconcile::{
    Mapping, MappingSpec, Row, ValueSpec,
    describe::Describe,
    diff::{Diff, diff, receipts},
    plan::Decision,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

const FIELDS: [&str; 9] =
    ["Text__c", "Long__c", "Code__c", "Pick__c", "Multi__c", "Check__c", "Num__c", "At__c", "Hash__c"];

fn describe() -> Describe {
    let json = json!({ "name": "Thing__c", "fields": [
        { "name": "Key__c", "type": "string", "length": 80, "externalId": true },
        { "name": "Text__c", "type": "string", "length": 10 },
        { "name": "Long__c", "type": "textarea", "length": 40 },
        { "name": "Code__c", "type": "string", "length": 3 },
        { "name": "Pick__c", "type": "picklist", "length": 255 },
        { "name": "Multi__c", "type": "multipicklist", "length": 4099 },
        { "name": "Check__c", "type": "boolean", "nillable": false },
        { "name": "Num__c", "type": "double", "precision": 16, "scale": 2 },
        { "name": "At__c", "type": "datetime" },
        { "name": "Hash__c", "type": "string", "length": 64 }] });
    Describe::from_json(json.as_object().expect("an object")).expect("a describe")
}

/// What Salesforce answers after a write.
fn as_salesforce_stores(name: &str, sent: &Value) -> Value {
    match (name, sent) {
        ("Check__c", Value::Null) => json!(false),
        ("Num__c", Value::Number(number)) => json!(number.as_f64().expect("a double")),
        ("Multi__c", Value::String(text)) => {
            let mut values: Vec<&str> = text.split(';').collect();
            values.sort_unstable();
            json!(values.join(";"))
        }
        ("At__c", Value::String(text)) => json!(text.replace('Z', "+0000")),
        ("Pick__c", Value::String(text)) => json!(text.to_ascii_uppercase()),
        ("Long__c", Value::String(text)) => json!(text.replace('\n', "\r\n").trim()),
        (_, Value::String(text)) if text.trim().is_empty() => Value::Null,
        (_, Value::String(text)) => json!(text.trim()),
        (_, other) => other.clone(),
    }
}

fn read_back(before: &Row, written: Row) -> Row {
    let mut after = before.clone();
    after.extend(written.into_iter().map(|(name, sent)| {
        let stored = as_salesforce_stores(&name, &sent);
        (name, stored)
    }));
    after
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ a-cA-Cäß\n]{0,14}".prop_map(|text| json!(text)),
        select(vec!["DE", "true", "12", "1.005", "2026-01-31T13:05:00+02:00", "x;y;X", " ", ""])
            .prop_map(|text| json!(text)),
        any::<bool>().prop_map(|flag| json!(flag)),
        (-1_000_i32..1_000).prop_map(|number| json!(number)),
        (-1e6..1e6_f64).prop_map(|number| json!(number)),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => any_scalar(),
        1 => Just(Value::Null),
        2 => vec(any_scalar(), 0..4).prop_map(Value::Array),
    ]
}

/// A value of every form: constants, sources, expressions, receipts; with default, map and what is done with long texts.
fn any_spec() -> impl Strategy<Value = ValueSpec> {
    let cel = [
        "answer.a",
        "has(answer.b) ? answer.b : 'none'",
        "string(answer.a)",
        "answer.a == null ? 'x' : 'y'",
        "record.Name + ' ' + org",
        "answer.c.map(x, x)",
        "answer.c.filter(x, x != 'a')",
        "size(answer.c)",
        "double(answer.a) / 3.0",
        "answer.a > 5",
        "timestamp(answer.b)",
        "answer.a + answer.a",
        "null",
        "record.Name.lowerAscii().split(' ')",
    ];
    let from = ["/a", "/b", "/c", "/missing", "$Name", "$Owner.Email"];
    let plain = ValueSpec::default;
    let source = prop_oneof![
        1 => any_scalar().prop_map(move |value| ValueSpec { value: Some(value), ..plain() }),
        2 => select(vec!["$meta.synced_at", "$meta.status", "$meta.content_hash", "$meta.correlation_id"]).prop_map(ValueSpec::from),
        4 => select(from.to_vec()).prop_map(ValueSpec::from),
        4 => select(cel.to_vec()).prop_map(move |cel| ValueSpec { cel: Some(cel.to_owned()), ..plain() }),
    ];
    let map = vec((select(vec!["DE", "true", "12", "a", "none"]), any_scalar()), 1..4);
    let overlong = option::of(select(vec!["truncate", "refuse"]));
    (source, option::of(any_scalar()), option::of((map, option::of(any_scalar()))), overlong).prop_map(
        |(source, default, map, overlong)| {
            let is_source =
                source.cel.is_some() || source.from.as_ref().is_some_and(|from| !from.starts_with("$meta"));
            let (map, otherwise) =
                map.filter(|_| is_source).map(|(map, otherwise)| (Some(map), otherwise)).unwrap_or_default();
            ValueSpec {
                default: default.filter(|_| is_source),
                map: map.map(|map| map.into_iter().map(|(text, value)| (text.to_owned(), value)).collect()),
                otherwise,
                overlong: overlong.map(str::to_owned),
                ..source
            }
        },
    )
}

fn mapping(fields: BTreeMap<String, ValueSpec>) -> Mapping {
    let spec = MappingSpec {
        sync: "things".into(),
        object: "Account".into(),
        keys: [("domain".to_owned(), "Website".to_owned())].into(),
        target: "Thing__c".into(),
        external_id_field: "Key__c".into(),
        external_id_from: ValueSpec { cel: Some("'K-' + record.Website".into()), ..ValueSpec::default() },
        fields,
        ..MappingSpec::default()
    };
    Mapping::new(spec).expect("a right mapping")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_was_written_and_read_back_is_not_written_again(
        specs in vec((select(FIELDS.to_vec()), any_spec()), 1..6),
        answers in vec(any_value(), 3),
        name in "[a-cA-C ]{0,12}",
        stored in vec((select(FIELDS.to_vec()), any_scalar()), 0..6),
    ) {
        let mapping = mapping(specs.into_iter().map(|(field, spec)| (field.to_owned(), spec)).collect());
        let record = json!({ "Id": "0015000000Gv7qJAAR", "Name": name, "Website": "a", "Owner": { "Email": "x@a.example" } });
        let record = record.as_object().expect("an object");
        let answer = json!({ "a": answers[0], "b": answers[1], "c": answers[2] });
        let describe = describe();
        let wanted = |secs: i64, correlation_id| {
            let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(secs);
            mapping.desired(record, &answer, Decision { org: "acme", now, correlation_id })
        };
        // What cannot be worked out or kept is a dead letter; the same another time.
        let Ok(first) = wanted(1, "first") else {
            prop_assert!(wanted(2, "second").is_err());
            return Ok(());
        };
        let second = wanted(2, "second").expect("the same record");
        let Ok(Diff::Create(row)) = diff(&first, None, &describe) else { return Ok(()) };
        let Ok(receipt) = receipts(&first, true, &describe) else { return Ok(()) };
        let created = read_back(&Row::new(), row.into_iter().chain(receipt).collect());
        prop_assert_eq!(diff(&second, Some(&created), &describe), Ok(Diff::Unchanged), "{:?}", mapping);

        // On a record that holds something else already, however it came there.
        let existing: Row = stored.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        let updated = match diff(&first, Some(&existing), &describe) {
            Ok(Diff::Unchanged) => existing,
            Ok(Diff::Update(row)) => {
                let receipt = receipts(&first, false, &describe).expect("they could be created");
                read_back(&existing, row.into_iter().chain(receipt).collect())
            }
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(diff(&second, Some(&updated), &describe), Ok(Diff::Unchanged), "{:?}", mapping);
    }
}
