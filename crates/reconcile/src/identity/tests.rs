//! Which external IDs are the same.

use serde_json::{Value, json};

use super::*;

fn identity(field: &Value) -> Identity {
    let describe = json!({ "name": "Enrichment__c", "fields": [field] });
    Identity::of(&Describe::from_json(describe.as_object().unwrap()).unwrap(), "ext__C")
}

#[test]
fn two_ids_are_one_as_the_field_says() {
    let text = identity(&json!({ "name": "Ext__c", "type": "string" }));
    let exact = identity(&json!({ "name": "Ext__c", "type": "string", "caseSensitive": true }));
    let number = identity(&json!({ "name": "Ext__c", "type": "double", "scale": 0 }));
    let rows = [
        (text, "a0Xy", " A0xY ", true),
        (text, "042", "42", false),
        (exact, "a0Xy", "A0xY", false),
        (exact, " a0Xy", "a0Xy ", true),
        (exact, "STRASSE", "straße", false),
        (number, "42", "042.0", true),
        (number, "42", "4.2e1", true),
        (number, "9007199254740993", "9007199254740992", false),
        (number, "K1", "k1", true),
        (Identity::default(), "K1", "k1", true),
    ];
    for (identity, one, other, same) in rows {
        assert_eq!(identity.key(one) == identity.key(other), same, "{identity:?} {one} {other}");
    }
    assert!(number.is_number() && !text.is_number());
}
