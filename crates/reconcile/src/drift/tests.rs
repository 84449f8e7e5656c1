//! What is left of a mapping after the org has changed.

use serde_json::json;

use super::*;
use crate::mapping::{MappingSpec, tests::spec};

#[test]
fn what_vanished_or_is_locked_has_drifted_and_what_can_be_set_once_has_not() {
    let json = json!({ "name": "acmeco__Enrichment__c", "fields": [
        { "name": "acmeco__account__C", "type": "reference", "updateable": false },
        { "name": "acmeco__Employee_Count__c", "type": "double", "createable": false, "updateable": false }] });
    let describe = Describe::from_json(json.as_object().unwrap()).unwrap();
    let expected = [("acmeco__Employee_Count__c", Drift::ReadOnly), ("acmeco__Owner__c", Drift::Gone)];
    let expected = expected.map(|(name, drift)| (name.to_owned(), drift));
    assert_eq!(drifted(&Mapping::new(spec()).unwrap(), &describe), expected);
}

fn readable(json: &Value) -> Readable {
    Readable::from_json(json.as_object().expect("an object"))
}

#[test]
fn a_path_is_followed_over_its_parents_and_ends_where_one_is_gone() {
    let account = json!({ "fields": [
        { "name": "Website" },
        { "name": "OwnerId", "relationshipName": "Owner", "referenceTo": ["User"] },
        { "name": "WhoId", "relationshipName": "Who", "referenceTo": ["Lead", "Contact"] },
        { "name": "Hidden__c", "relationshipName": "Hidden__r", "referenceTo": ["Hidden__c"] }] });
    let mut known = BTreeMap::new();
    assert_eq!(reach("Account", "Website", &known), Reach::Describe("Account".into()));
    known.insert("Account".to_owned(), Some(readable(&account)));
    assert_eq!(reach("Account", "owner.Email", &known), Reach::Describe("User".into()));
    known.insert("User".to_owned(), Some(readable(&json!({ "fields": [{ "name": "Email" }] }))));
    known.insert("Hidden__c".to_owned(), None);
    for (path, expected) in [
        ("website", Reach::Readable),
        ("Phone", Reach::Gone),
        ("owner.EMAIL", Reach::Readable),
        ("Owner.Fax", Reach::Gone),
        ("Parent.Website", Reach::Gone),
        ("Who.Email", Reach::Readable),
        ("Hidden__r.Name", Reach::Gone),
    ] {
        assert_eq!(reach("Account", path, &known), expected, "{path}");
    }
}

#[test]
fn what_cannot_be_read_is_neither_asked_with_nor_written_and_without_a_key_nothing_is_done() {
    let unread = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>();
    let two = MappingSpec {
        keys: [("domain", "Website"), ("phone", "Phone")]
            .map(|(key, field)| (key.to_owned(), field.to_owned()))
            .into(),
        ..spec()
    };
    let mapping = Mapping::new(two.clone()).unwrap();
    let left = remaining(&mapping, &unread(&["Website", "Owner.Email"])).unwrap();
    assert_eq!(left.read_fields(), ["Id", "Phone"]);
    assert_eq!(left.keys(), [("phone".to_owned(), "Phone".to_owned())]);
    assert_eq!(left.target_fields(), ["acmeco__Account__c", "acmeco__Employee_Count__c"]);
    let none = remaining(&mapping, &unread(&["Website", "Phone"])).unwrap_err();
    assert!(none.to_string().contains("Account has no Website, Phone"), "{none}");
    let by_number = MappingSpec { external_id_from: "$accountNumber".into(), ..two };
    let mapping = Mapping::new(by_number).unwrap();
    assert!(remaining(&mapping, &unread(&["AccountNumber"])).is_err());
    assert!(remaining(&mapping, &unread(&["Website"])).is_ok());
}
