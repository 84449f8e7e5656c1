//! Which record of the target belongs to an external ID, and a record's children.

use serde_json::json;

use super::*;

#[test]
fn children_are_taken_out_of_their_records_unless_some_are_missing() {
    let row =
        |children: Value| Row::from_iter([("Id".to_owned(), json!("001")), ("Kids__r".to_owned(), children)]);
    let some = json!({"totalSize": 2, "done": true, "records": [{"Id": "a"}, {"Id": "b"}]});
    let mut rows = [row(some), row(Value::Null)];
    let children = take_children(&mut rows, "Kids__r").unwrap();
    assert_eq!((children.len(), &children[1]["Id"]), (2, &json!("b")));
    assert!(rows.iter().all(|row| row.len() == 1));
    let cut = json!({"totalSize": 3000, "done": false, "records": [{"Id": "a"}]});
    assert_eq!(take_children(&mut [row(cut)], "Kids__r"), None);
}

#[test]
fn none_one_or_many_records_have_an_external_id() {
    let rows: Vec<Row> = [json!("K1"), json!("Dup"), json!("dup"), json!(42.0), Value::Null, json!(" ")]
        .into_iter()
        .map(|key| Row::from_iter([("Ext__c".to_owned(), key)]))
        .collect();
    let existing = Existing::new(&rows, "ext__c", Identity::default());
    assert_eq!(existing.find(" k1"), Match::One(&rows[0]));
    assert_eq!(existing.find("DUP"), Match::Many(vec![&rows[1], &rows[2]]));
    assert_eq!(existing.find("42"), Match::One(&rows[3]));
    assert_eq!(existing.find("other"), Match::None);
    assert_eq!(existing.find(""), Match::None);
}
