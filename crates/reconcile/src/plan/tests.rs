//! The record that an answer asks for.

use serde_json::json;

use super::*;
use crate::mapping::tests::spec;

fn record() -> Row {
    let Value::Object(row) =
        json!({"Id": "0015000000Gv7qJ", "Website": "a.example", "Owner": {"Email": "x@a"}})
    else {
        unreachable!()
    };
    row
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
        let desired = mapping.desired(&record(), &data).unwrap();
        assert_eq!(desired.key, external_id);
        assert_eq!(desired.source_id, "0015000000Gv7qJAAR");
        assert_eq!(desired.fields.get("acmeco__Employee_Count__c").cloned(), employees);
        assert_eq!(desired.fields["acmeco__Owner__c"], "x@a");
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
        let problem = mapping.desired(&row, &data).unwrap_err();
        assert_eq!(problem.field, field, "{problem}");
        assert!(!problem.hint.is_empty());
    }
}
