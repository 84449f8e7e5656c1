//! Fields of a row, by name and by path.

use serde_json::json;

use super::*;

#[test]
fn a_path_ignores_case_and_follows_parents() {
    let Value::Object(row) =
        json!({"Website": "a.example", "Owner": {"Email": "x@a.example"}, "Parent": null})
    else {
        unreachable!()
    };
    let cases = [
        ("website", Some(json!("a.example"))),
        ("owner.email", Some(json!("x@a.example"))),
        ("Parent.Name", Some(Value::Null)),
        ("Website.Name", None),
        ("Phone", None),
    ];
    for (path, expected) in cases {
        assert_eq!(at(&row, path).cloned(), expected, "{path}");
    }
}
