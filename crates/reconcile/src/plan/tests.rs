//! The record that an answer asks for.

use serde_json::json;

use super::*;
use crate::{MappingSpec, ValueSpec, mapping::tests::spec};

fn record() -> Row {
    let Value::Object(row) =
        json!({"Id": "0015000000Gv7qJ", "Website": "a.example", "Owner": {"Email": "x@a"}})
    else {
        unreachable!()
    };
    row
}

fn decision() -> Decision<'static> {
    Decision { org: "acme", now: DateTime::UNIX_EPOCH, correlation_id: "corr" }
}

#[test]
fn values_come_from_the_record_and_the_answer() {
    let mapping = Mapping::new(spec()).unwrap();
    let cases = [
        (json!({"key": " K1 ", "employees": 5}), "K1", Some(json!(5))),
        (json!({"key": 42, "employees": null}), "42", Some(Value::Null)),
        (json!({"key": "K1"}), "K1", None),
    ];
    for (data, external_id, employees) in cases {
        let desired = mapping.desired(&record(), &data, decision()).unwrap();
        assert_eq!(desired.key, external_id);
        assert_eq!(desired.source_id, "0015000000Gv7qJAAR");
        assert_eq!(desired.fields.get("acmeco__Employee_Count__c").cloned(), employees);
        assert_eq!(desired.fields["acmeco__Owner__c"], "x@a");
    }
}

#[test]
fn every_form_of_a_value_is_applied() {
    let fields = [
        ("Constant__c", ValueSpec { value: Some(json!(7)), ..ValueSpec::default() }),
        ("Default__c", ValueSpec { default: Some(json!("none")), ..ValueSpec::from("/missing") }),
        ("Absent__c", "/missing".into()),
        (
            "Mapped__c",
            ValueSpec { map: Some([("DE".into(), json!("Germany"))].into()), ..ValueSpec::from("/country") },
        ),
        ("Cel__c", ValueSpec { cel: Some("org + ' ' + record.Owner.Email".into()), ..ValueSpec::default() }),
        ("Year__c", ValueSpec { cel: Some("now.getFullYear()".into()), ..ValueSpec::default() }),
        ("At__c", "$meta.synced_at".into()),
        ("Corr__c", "$meta.correlation_id".into()),
        ("Status__c", "$meta.status".into()),
        ("Hash__c", "$meta.content_hash".into()),
        ("Note__c", ValueSpec { overlong: Some("refuse".into()), ..ValueSpec::from("/note") }),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    let external_id_from = ValueSpec { cel: Some("answer.key.lowerAscii()".into()), ..ValueSpec::default() };
    let mapping = MappingSpec { fields, external_id_from, namespace: String::new(), ..spec() };
    let mapping = Mapping::new(mapping).unwrap();
    let desired = |data: Value| mapping.desired(&record(), &data, decision());
    let found = desired(json!({"key": " K1", "country": "DE", "note": "n"})).unwrap();
    let expected = json!({"Constant__c": 7, "Default__c": "none", "Mapped__c": "Germany", "Cel__c": "acme x@a",
        "Year__c": 1970, "Note__c": "n"});
    assert_eq!((found.key.as_str(), Value::Object(found.fields)), ("k1", expected));
    let receipts = [
        ("At__c", Receipt::Value(json!("1970-01-01T00:00:00.000Z"))),
        ("Corr__c", Receipt::Value(json!("corr"))),
        ("Hash__c", Receipt::ContentHash),
        ("Status__c", Receipt::Value(json!("Current"))),
    ];
    assert_eq!(found.receipts, receipts.map(|(name, receipt)| (name.to_owned(), receipt)).into());
    assert_eq!(found.overlong, [("Note__c".to_owned(), Overlong::Refuse)].into());

    for (data, field, reason) in [
        (json!({"key": "K", "country": "hidden"}), "Mapped__c", "no entry"),
        (json!({"key": 5, "country": "DE"}), "External_Id__c", "cannot take int"),
        (json!({"country": "DE"}), "External_Id__c", "was not answered"),
    ] {
        let problem = desired(data).unwrap_err();
        assert_eq!(problem.field, field);
        assert!(problem.message.contains(reason) && !problem.to_string().contains("hidden"), "{problem}");
    }
}

#[test]
fn a_record_that_cannot_be_written_names_the_field() {
    let mapping = Mapping::new(spec()).unwrap();
    let without = |name: &str| {
        let mut row = record();
        row.remove(name);
        row
    };
    let cases = [
        (record(), json!({}), "acmeco__External_Id__c"),
        (record(), json!({"key": "  "}), "acmeco__External_Id__c"),
        (record(), json!({"key": true}), "acmeco__External_Id__c"),
        (record(), json!({"key": "K", "employees": {}}), "acmeco__Employee_Count__c"),
        (without("Owner"), json!({"key": "K"}), "acmeco__Owner__c"),
        (without("Id"), json!({"key": "K"}), "Id"),
    ];
    for (row, data, field) in cases {
        let problem = mapping.desired(&row, &data, decision()).unwrap_err();
        assert_eq!(problem.field, field, "{problem}");
        assert!(!problem.hint.is_empty());
    }
}
