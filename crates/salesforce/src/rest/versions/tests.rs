//! The list of API versions.

use super::*;
use crate::call::tests::reply;

#[test]
fn versions_are_free_and_listed_in_order() {
    let call = versions();
    assert_eq!((call.path.as_str(), call.cost), ("/services/data/", 0));
    let body = r#"[{"label":"Winter '26","url":"/services/data/v65.0","version":"65.0"},
                   {"label":"Spring '26","url":"/services/data/v66.0","version":"66.0"}]"#;
    assert_eq!(parse(&reply(200, body)).unwrap(), ["65.0", "66.0"]);
    for body in ["[]", "{}", r#"[{"label":"x"}]"#, "<html>"] {
        assert!(matches!(parse(&reply(200, body)), Err(CallError::Unreadable { .. })), "{body}");
    }
}
