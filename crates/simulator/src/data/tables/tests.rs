//! What a record may not be, and what a table keeps together.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn row(value: &Value) -> Row {
    value.as_object().cloned().expect("an object")
}

fn writer() -> Writer {
    Writer { user: "005000000000001AAA".to_owned(), now_ms: 1_234_567, sees: None, origin: String::new() }
}

fn tables() -> Tables {
    let custom = |name: &str, unique| crate::CustomField {
        object: "Account".to_owned(),
        name: name.to_owned(),
        kind: FieldKind::Text { length: 20 },
        required: false,
        external_id: true,
        unique,
        computed: false,
    };
    Tables::new(Schema::new("", &[custom("Code__c", true), custom("Group__c", false)]), IdGenerator::new(1))
}

fn insert(tables: &mut Tables, object: &str, fields: &Value) -> String {
    tables.insert(object, &row(fields), &writer()).expect("a valid record").id
}

#[test]
fn records_are_refused_as_salesforce_refuses_them() {
    let mut tables = tables();
    let gone = insert(&mut tables, "Account", &json!({"Name": "gone"}));
    tables.delete("Account", &gone, &writer()).expect("it is there");
    insert(&mut tables, "Account", &json!({"Name": "a", "Code__c": "K1"}));
    let contact = insert(&mut tables, "Contact", &json!({"LastName": "c"}));
    for (object, fields, code, words) in [
        ("Accout", json!({}), "INVALID_TYPE", "sObject type 'Accout' is not supported."),
        ("Account", json!({"Nam": "a"}), "INVALID_FIELD", "No such column 'Nam' on sobject of type Account"),
        ("Account", json!({}), "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]"),
        ("Account", json!({"Name": "  "}), "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]"),
        ("Lead", json!({}), "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName, Company]"),
        (
            "Account",
            json!({"Name": "a", "Id": gone}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "cannot specify Id in an insert call",
        ),
        (
            "Account",
            json!({"Name": "a", "CreatedDate": null}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Unable to create/update fields: CreatedDate.",
        ),
        (
            "Account",
            json!({"Name": "a", "ParentId": contact}),
            "FIELD_INTEGRITY_EXCEPTION",
            "id value of incorrect type",
        ),
        ("Account", json!({"Name": "a", "ParentId": gone}), "ENTITY_IS_DELETED", "entity is deleted"),
        (
            "Account",
            json!({"Name": "a", "ParentId": "001000000000000"}),
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        ),
        (
            "Account",
            json!({"Name": "a", "Code__c": "k1"}),
            "DUPLICATE_VALUE",
            "duplicate value found: Code__c duplicates value on record with id: 001",
        ),
        (
            "Account",
            json!({"Name": "a", "Parent": {"Code__c": "K9"}}),
            "INVALID_FIELD",
            "Foreign key external ID: K9 not found for field Code__c in entity Account",
        ),
        (
            "User",
            json!({"LastName": "a"}),
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "entity type cannot be inserted: User",
        ),
    ] {
        let refusal = tables.insert(object, &row(&fields), &writer()).expect_err("must be refused");
        assert_eq!(refusal.code, code, "{fields}");
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }
    assert_eq!(tables.rows("Account").count(), 1, "nothing of a refused record is left");
}

#[test]
fn a_record_knows_who_wrote_it_and_when() {
    let mut tables = tables();
    let id = insert(&mut tables, "Enrichment__c", &json!({"external_id__C": "x"}));
    let object = tables.schema.object("Enrichment__c").expect("the package is there");
    let whole = Tables::whole(object, tables.row("Enrichment__c", &id).expect("it is there"));
    assert_eq!(whole["External_Id__c"], "x", "names are found whatever their case");
    assert_eq!(whole["Name"], id[..15], "a record without a name is named by its id");
    assert_eq!(whole["CreatedDate"], "1970-01-01T00:20:34.000+0000");
    assert_eq!(whole["SystemModstamp"], whole["CreatedDate"]);
    assert_eq!(whole["CreatedById"], "005000000000001AAA");
    assert_eq!((&whole["Is_Listed__c"], &whole["Status__c"]), (&json!(false), &Value::Null));
}

#[test]
fn an_update_reports_what_changed() {
    let mut tables = tables();
    let id = insert(&mut tables, "Account", &json!({"Name": "a", "Website": "w"}));
    let update = |tables: &mut Tables, fields: Value| {
        tables.update("Account", &id[..15], &row(&fields), &writer()).map(|written| written.changed)
    };
    assert_eq!(update(&mut tables, json!({"Name": "a ", "Website": "w"})), Ok(vec![]));
    assert_eq!(
        update(&mut tables, json!({"Name": "b", "Website": ""})),
        Ok(vec!["Name".to_owned(), "Website".to_owned()])
    );
    let refused = update(&mut tables, json!({"Name": null})).expect_err("a name is required");
    assert_eq!(refused.code, "REQUIRED_FIELD_MISSING");
    for (id, code) in [("001", "MALFORMED_ID"), ("001000000000000", "INVALID_CROSS_REFERENCE_KEY")] {
        let refused =
            tables.update("Account", id, &Row::new(), &writer()).expect_err("there is no such record");
        assert_eq!(refused.code, code);
    }
}

#[test]
fn an_upsert_creates_updates_or_writes_nothing() {
    let mut tables = tables();
    let mut upsert = |by: &str, fields: Value| tables.upsert("Account", by, &row(&fields), &writer());
    let first = upsert("Code__c", json!({"Code__c": "K", "Name": "a"})).expect("it is new");
    let second = upsert("code__c", json!({"Code__c": "k", "Name": "b"})).expect("it is there");
    assert_eq!((first.created, second.created, &first.id), (true, false, &second.id));
    let _ = upsert("Code__c", json!({"Code__c": "L", "Name": "c", "Group__c": "g"})).expect("it is new");
    let _ = upsert("Code__c", json!({"Code__c": "M", "Name": "d", "Group__c": "g"})).expect("it is new");
    let many = upsert("Group__c", json!({"Group__c": "G", "Name": "e"})).expect_err("two records match");
    assert_eq!(many.expect("ids, not a refusal").len(), 2);
    let missing = upsert("Code__c", json!({"Name": "e"})).expect_err("no key").expect_err("a refusal");
    assert_eq!(missing.code, "MISSING_ARGUMENT");
    let unknown = upsert("Name", json!({"Name": "e"})).expect_err("no external ID").expect_err("a refusal");
    assert_eq!(unknown.code, "NOT_FOUND");
}

#[test]
fn a_lookup_can_be_given_by_external_id_and_is_emptied_with_its_record() {
    let mut tables = tables();
    let account = insert(&mut tables, "Account", &json!({"Name": "a", "Code__c": "K1"}));
    let child = insert(
        &mut tables,
        "Enrichment__c",
        &json!({"External_Id__c": "x", "Account__r": {"Code__c": "k1"}}),
    );
    assert_eq!(
        tables.row("Enrichment__c", &child).map(|row| row["Account__c"].clone()),
        Some(json!(account))
    );
    tables.delete("Account", &account, &writer()).expect("it is there");
    assert_eq!(tables.row("Enrichment__c", &child).and_then(|row| row.get("Account__c")), None);
    assert_eq!(
        tables.delete("Account", &account, &writer()).expect_err("it is gone").code,
        "ENTITY_IS_DELETED"
    );
}

proptest! {
    /// After a rollback everything is as before, whatever was done.
    #[test]
    fn a_rollback_leaves_no_trace(steps in prop::collection::vec((0u8..3, 0usize..4, 0u8..4), 0..20)) {
        let mut tables = tables();
        let ids: Vec<String> = (0..3)
            .map(|n| insert(&mut tables, "Account", &json!({"Name": "a", "Code__c": format!("K{n}")})))
            .collect();
        let look = |tables: &Tables| {
            let found: Vec<_> = (0..8).map(|n| tables.find("Account", "Code__c", &json!(format!("K{n}")))).collect();
            (tables.rows("Account").cloned().collect::<Vec<_>>(), found, tables.rows)
        };
        let before = look(&tables);
        tables.begin();
        for (what, which, key) in steps {
            let fields = row(&json!({"Name": "b", "Code__c": format!("K{key}")}));
            let id = ids.get(which).cloned().unwrap_or_default();
            let _ = match what {
                0 => tables.insert("Account", &fields, &writer()).map(|_| ()),
                1 => tables.update("Account", &id, &fields, &writer()).map(|_| ()),
                _ => tables.delete("Account", &id, &writer()),
            };
        }
        tables.rollback();
        prop_assert_eq!(look(&tables), before);
        prop_assert!(ids.iter().all(|id| !tables.is_deleted("Account", id)));
    }
}
