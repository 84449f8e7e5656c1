//! Descriptions of objects, changed and unchanged.

use super::*;
use crate::{call::tests::reply, error::ErrorClass};

#[test]
fn a_description_has_fields_and_may_be_as_it_was() {
    let call = describe("A__c", None);
    assert_eq!((call.path.as_str(), call.headers.len()), ("/services/data/{v}/sobjects/A__c/describe", 0));
    let time = "Wed, 25 Nov 2026 14:00:00 GMT";
    assert_eq!(describe("A__c", Some(time)).headers, [("If-Modified-Since", time.to_owned())]);
    let mut fresh = reply(200, r#"{"name":"A__c","fields":[]}"#);
    fresh.headers.push(("last-modified".to_owned(), time.to_owned()));
    let described = parse(&fresh).unwrap().expect("a description");
    assert_eq!(
        (described.row["name"].as_str(), described.last_modified.as_deref()),
        (Some("A__c"), Some(time))
    );
    assert_eq!(parse(&reply(304, "")).unwrap(), None);
    assert!(matches!(parse(&reply(200, r#"{"name":"A__c"}"#)), Err(CallError::Unreadable { .. })));
    let missing = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
    assert_eq!(parse(&reply(404, missing)).unwrap_err().class(), ErrorClass::Schema);
}

#[test]
fn the_list_of_objects_is_read_by_name() {
    let body = r#"{"encoding":"UTF-8","sobjects":[{"name":"Account"},{"name":"a__B__c"},{"label":"x"}]}"#;
    assert_eq!(names(&reply(200, body)).unwrap(), ["Account", "a__B__c"]);
    assert!(matches!(names(&reply(200, "{}")), Err(CallError::Unreadable { .. })));
}
