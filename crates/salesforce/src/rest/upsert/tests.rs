//! The upsert of one record, and whom a refusal concerns.

use serde_json::json;

use super::*;
use crate::call::{Body, tests::reply};

fn row() -> Row {
    let Value::Object(row) = json!({"attributes": {"type": "E__c"}, "id": "a01", "external_id__C": "k", "Size__c": 7, "Gone__c": null})
    else {
        unreachable!()
    };
    row
}

#[test]
fn the_external_id_stands_in_the_url_and_nowhere_else() {
    let call = one("E__c", "External_Id__c", "a/b #1", &row()).unwrap();
    assert_eq!(call.path, "/services/data/{v}/sobjects/E__c/External_Id__c/a%2Fb%20%231");
    assert_eq!(call.body, json_body(&json!({"Size__c": 7, "Gone__c": null})));
    assert!(matches!(call.body, Body::Json(_)) && call.method == Method::Patch && call.idempotent);
}

#[test]
fn ids_that_a_url_cannot_carry_are_left_to_collections() {
    let long = "é".repeat(2_000);
    for id in
        ["x@y.inc", "x@y.INC", "acme.com", "a.xml", "v1.5", ".", "..", "a.", "", " ", "a\nb", long.as_str()]
    {
        assert_eq!(one("E__c", "X__c", id, &Row::new()), None, "{id:?}");
    }
    for id in ["acme", "a/b", "50%", "a.b c", "a.b-c", "ü", "a.averylongending"] {
        assert!(one("E__c", "X__c", id, &Row::new()).is_some(), "{id:?}");
    }
}

#[test]
fn every_form_of_success() {
    for (status, body, id, created) in [
        (201, r#"{"id":"a01","success":true,"errors":[],"created":true}"#, "a01", true),
        (200, r#"{"id":"a01","success":true,"errors":[],"created":false}"#, "a01", false),
        (201, r#"{"id":"a01","success":true,"errors":[]}"#, "a01", true),
        (204, "", "", false),
    ] {
        assert_eq!(result(&reply(status, body)), Ok(RowResult::Written { id: id.into(), created }), "{body}");
    }
    for body in ["", "{}", r#"{"id":"a01","succ"#, "<html>"] {
        assert!(matches!(result(&reply(200, body)), Err(CallError::Unreadable { .. })), "{body}");
    }
}

#[test]
fn a_records_trouble_is_told_from_the_requests() {
    for (status, code, is_record) in [
        (400, "REQUIRED_FIELD_MISSING", true),
        (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", true),
        (400, "DUPLICATES_DETECTED", true),
        (400, "UNABLE_TO_LOCK_ROW", true),
        (400, "INVALID_FIELD", true),
        (400, "INVALID_FIELD_FOR_INSERT_UPDATE", true),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY", true),
        (404, "ENTITY_IS_DELETED", true),
        (404, "INVALID_CROSS_REFERENCE_KEY", true),
        (400, "INVALID_TYPE", false),
        (404, "NOT_FOUND", false),
        (401, "INVALID_SESSION_ID", false),
        (403, "REQUEST_LIMIT_EXCEEDED", false),
        (403, "API_DISABLED_FOR_ORG", false),
        (403, "SOME_NEW_CODE", false),
        (503, "SERVER_UNAVAILABLE", false),
        (500, "UNKNOWN_EXCEPTION", false),
    ] {
        let answer = result(&reply(status, format!(r#"[{{"errorCode":"{code}","message":"m"}}]"#)));
        let (Ok(RowResult::Failed(error)) | Err(CallError::Refused(error))) = &answer else {
            panic!("{code}: {answer:?}")
        };
        assert_eq!((error.code.as_str(), answer.is_ok()), (code, is_record), "{code}");
    }
    let twice =
        result(&reply(300, r#"["/services/data/v66.0/sobjects/W/a","/services/data/v66.0/sobjects/W/b"]"#));
    assert!(matches!(twice, Ok(RowResult::Failed(error)) if error.code == "HTTP_300"));
    for (status, body) in [(400, "<html>Bad Request</html>"), (406, ""), (502, "<html>"), (302, "")] {
        assert!(matches!(result(&reply(status, body)), Err(CallError::Refused(_))), "{status}");
    }
}
