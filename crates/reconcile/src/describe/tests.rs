//! Descriptions of objects, read field by field.

use serde_json::json;

use super::*;

fn read(value: Value) -> Result<Describe, DescribeProblem> {
    let Value::Object(row) = value else { unreachable!() };
    Describe::from_json(&row)
}

#[test]
fn fields_are_found_by_name_in_any_case() {
    let json = json!({"name": "Foo__c", "fields": [
        {"name": "A__c", "type": "double", "precision": 18, "scale": 2, "nillable": false, "updateable": false},
        {"name": "B__c", "type": "string", "length": 80, "externalId": true, "caseSensitive": true}]});
    let describe = read(json).unwrap();
    assert_eq!(describe.object(), "Foo__c");
    let a = describe.field("a__C").unwrap();
    assert_eq!(
        (a.kind, a.scale, a.precision, a.nillable, a.updateable),
        (Kind::Number, Some(2), 18, false, false)
    );
    let b = describe.field("B__c").unwrap();
    assert_eq!((b.kind, b.length, b.external_id, b.case_sensitive), (Kind::Text, 80, true, true));
    assert!(describe.field("C__c").is_none());
}

#[test]
fn a_relationship_leads_to_its_object_or_to_what_several_have_in_common() {
    let json = json!({"fields": [
        {"name": "Name", "relationshipName": null, "referenceTo": []},
        {"name": "OwnerId", "relationshipName": "Owner", "referenceTo": ["Group", "User"]},
        {"name": "Plan__c", "relationshipName": "Plan__r", "referenceTo": ["Plan__c"]}]});
    let describe = json.as_object().unwrap();
    for (name, object) in [("owner", Some("Name")), ("Plan__r", Some("Plan__c")), ("Plan__c", None)] {
        assert_eq!(Describe::parent_object(describe, name), object, "{name}");
    }
}

#[test]
fn what_is_no_describe_is_refused() {
    assert_eq!(read(json!({})), Err(DescribeProblem::NoFields));
    let cases = [(json!({"type": "int"}), "name"), (json!({"name": "A"}), "type")];
    for (field, key) in cases {
        assert_eq!(read(json!({"fields": [field]})), Err(DescribeProblem::Incomplete { place: 0, key }));
    }
}
