//! Every form of error body, and the verdict on each kind of code.

use super::*;
use crate::call::tests::reply;

fn error(status: u16, code: &str, message: &str) -> ApiError {
    ApiError { status, code: code.into(), message: message.into(), fields: Vec::new(), also: Vec::new() }
}

#[test]
fn every_form_of_error_body() {
    for (status, body, expected) in [
        (
            401,
            r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#,
            error(401, "INVALID_SESSION_ID", "Session expired or invalid"),
        ),
        (400, r#"{"message":"m","errorCode":"API_ERROR"}"#, error(400, "API_ERROR", "m")),
        (400, r#"{"statusCode":"MALFORMED_ID","message":"m","fields":[]}"#, error(400, "MALFORMED_ID", "m")),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"audience is invalid"}"#,
            error(400, "invalid_grant", "audience is invalid"),
        ),
        (
            400,
            r#"{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}"#,
            error(400, "InvalidSessionId", "Invalid session id"),
        ),
        (
            300,
            r#"["/services/data/v23.0/sobjects/W/a","/services/data/v23.0/sobjects/W/b"]"#,
            error(
                300,
                "HTTP_300",
                "the external id matches 2 records: /services/data/v23.0/sobjects/W/a, \
                 /services/data/v23.0/sobjects/W/b",
            ),
        ),
        (403, "Bad_OAuth_Token", error(403, "Bad_OAuth_Token", "")),
        (406, "CustomNotAcceptable", error(406, "HTTP_406", "CustomNotAcceptable")),
        (414, "", error(414, "HTTP_414", "an empty answer")),
        (
            420,
            "<html><head><title>We are setting things up</title></head></html>",
            error(420, "HTTP_420", "a page instead of an answer: We are setting things up"),
        ),
        (
            500,
            "<?xml version=\"1.0\"?><e><sf:exceptionCode>INVALID_USER</sf:exceptionCode>\
             <sf:exceptionMessage>no</sf:exceptionMessage></e>",
            error(500, "INVALID_USER", "no"),
        ),
        (503, r#"[{"errorCode":"SERVER_UNAVAILABLE","message":""}]"#, error(503, "SERVER_UNAVAILABLE", "")),
        (500, r#"[{"errorCode":"X"#, error(500, "HTTP_500", r#"[{"errorCode":"X"#)),
        (400, "[]", error(400, "HTTP_400", "an answer without an error code, 2 bytes")),
        (400, "7", error(400, "HTTP_400", "an answer without an error code, 1 bytes")),
        (400, r#"[{"errorCode":"INVALIDENTITY","message":"m"}]"#, error(400, "INVALIDENTITY", "m")),
    ] {
        assert_eq!(errors_in(&reply(status, body)), [expected], "{body}");
    }
}

#[test]
fn several_errors_and_their_fields_are_all_read() {
    let body = r#"[{"errorCode":"A_B","message":"1","fields":["X","Y"]},{"errorCode":"C_D","message":"2"}]"#;
    let errors = errors_in(&reply(400, body));
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].fields, ["X", "Y"]);
}

#[test]
fn an_error_in_one_text_is_taken_apart() {
    for (text, code, message, fields) in [
        (
            "INVALID_FIELD:Failed to deserialize field at col 3. Due to, 'a:b' is not valid:CloseDate --",
            "INVALID_FIELD",
            "Failed to deserialize field at col 3. Due to, 'a:b' is not valid",
            &["CloseDate"][..],
        ),
        (
            "UNABLE_TO_LOCK_ROW:unable to obtain access: 001a,001b:--",
            "UNABLE_TO_LOCK_ROW",
            "unable to obtain access: 001a,001b",
            &[],
        ),
        (
            "REQUIRED_FIELD_MISSING:Missing: [A, B]:A B --",
            "REQUIRED_FIELD_MISSING",
            "Missing: [A, B]",
            &["A", "B"],
        ),
        ("InvalidBatch : Field name not found : X", "InvalidBatch", "Field name not found : X", &[]),
        ("X_Y:--", "X_Y", "", &[]),
        ("no code: at all", "HTTP_200", "no code: at all", &[]),
        ("", "HTTP_200", "", &[]),
    ] {
        let error = ApiError::from_text(200, text);
        assert_eq!((error.code.as_str(), error.message.as_str()), (code, message), "{text}");
        assert_eq!(error.fields, fields, "{text}");
    }
}

#[test]
fn a_success_holds_no_error() {
    assert_eq!(errors_in(&reply(204, "")), []);
    assert_eq!(errors_in(&reply(200, r#"[{"errorCode":"X","message":"y"}]"#)), []);
}

#[test]
fn a_long_message_is_shortened_between_characters() {
    let body = format!(r#"[{{"errorCode":"X_Y","message":"{}"}}]"#, "é".repeat(5_000));
    assert_eq!(errors_in(&reply(400, body))[0].message.chars().count(), MESSAGE_CHARS_MAX + 1);
}

#[test]
fn one_code_for_three_limits_is_told_apart_by_its_text() {
    for (message, class) in [
        ("TotalRequests Limit exceeded.", ErrorClass::DailyLimit),
        ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", ErrorClass::Concurrency),
        ("ConcurrentPerOrgLongTxn Limit exceeded", ErrorClass::Concurrency),
        ("ConcurrentPerOrgApex Limit exceeded", ErrorClass::Concurrency),
        ("Das Limit ist erreicht.", ErrorClass::DailyLimit),
        ("", ErrorClass::DailyLimit),
    ] {
        for status in [403, 429] {
            assert_eq!(error(status, "REQUEST_LIMIT_EXCEEDED", message).class(), class, "{message}");
        }
    }
}

#[test]
fn the_verdict_follows_from_code_and_status() {
    use ErrorClass::{Auth, Bug, DailyLimit, Org, Record, Schema, Transient};
    for (status, code, message, class) in [
        (401, "INVALID_SESSION_ID", "Session expired or invalid", Auth),
        (400, "InvalidSessionId", "Invalid session id", Auth),
        (403, "Bad_OAuth_Token", "", Auth),
        (302, "HTTP_302", "", Auth),
        (
            400,
            "LIMIT_EXCEEDED",
            "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021).",
            DailyLimit,
        ),
        (400, "API_ERROR", "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021).", DailyLimit),
        (200, "ExceededQuota", "ApiBatchItems Limit exceeded", DailyLimit),
        (400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", Transient),
        (403, "TXN_SECURITY_METERING_ERROR", "", Transient),
        (403, "API_CURRENTLY_DISABLED", "", Transient),
        (200, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "first error: UNABLE_TO_LOCK_ROW, x", Transient),
        (200, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "NullPointerException", Record),
        (406, "HTTP_406", "", Transient),
        (420, "HTTP_420", "", Transient),
        (503, "HTTP_503", "", Transient),
        (400, "INVALID_FIELD", "No such column 'x' on sobject of type Contact", Schema),
        (200, "INVALID_FIELD", "Failed to deserialize field at col 3.", Record),
        (200, "INVALID_FIELD", "Foreign key external ID: x not found for field Y", Record),
        (404, "HTTP_404", "", Schema),
        (404, "ENTITY_IS_DELETED", "entity is deleted", Record),
        (404, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", Record),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", Record),
        (200, "InvalidBatch", "Field name not found : X", Schema),
        (403, "API_DISABLED_FOR_ORG", "", Org),
        (410, "UNSUPPORTED_API_VERSION", "", Org),
        (200, "STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", Org),
        (403, "SOME_NEW_CODE", "", Org),
        (400, "MALFORMED_QUERY", "unexpected token: x", Bug),
        (431, "HTTP_431", "", Bug),
        (400, "INVALIDJOBSTATE", "Closing already Completed Job not allowed", Bug),
        (400, "REQUIRED_FIELD_MISSING", "At least 1 record is required", Bug),
        (200, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", Record),
        (200, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "concurrent users only", Record),
        (200, "SOME_NEW_CODE", "", Record),
        (300, "HTTP_300", "", Record),
    ] {
        assert_eq!(error(status, code, message).class(), class, "{status} {code} {message}");
    }
}

#[test]
fn every_class_but_our_own_fault_comes_with_a_hint() {
    for (code, status) in
        [("UNABLE_TO_LOCK_ROW", 400), ("X_Y", 200), ("X_Y", 403), ("X_Y", 404), ("X_Y", 401)]
    {
        assert!(error(status, code, "").hint().is_some_and(|hint| hint.ends_with('.')), "{code} {status}");
    }
    assert_eq!(error(400, "MALFORMED_QUERY", "").hint(), None);
}

#[test]
fn what_a_transaction_failed_of_is_told_from_what_a_row_failed_of() {
    let automation = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY";
    // Code, text; of the transaction, of a right on the object, for others to mend.
    for (code, message, expected) in [
        (automation, "T: System.LimitException: Too many SOQL queries: 101", (true, false, false)),
        (automation, "T: System.LimitException: Too many DML rows: 10001", (true, false, false)),
        (automation, "T: execution of AfterInsert caused by: null pointer", (true, false, false)),
        (automation, "T: caused by: UNABLE_TO_LOCK_ROW", (false, false, false)),
        (automation, "entity type cannot be inserted: Enrichment", (false, true, true)),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", "Apex heap size too large: 6000001", (true, false, false)),
        ("APEX_ERROR", "System.LimitException: Apex CPU time limit exceeded", (true, false, false)),
        ("UNKNOWN_EXCEPTION", "System.LimitException: Too many query rows: 50001", (true, false, false)),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Too many SOQL queries", (false, false, false)),
        ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", (false, false, true)),
        ("ENTITY_IS_LOCKED", "x", (false, false, true)),
        ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "x", (false, false, true)),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "x", (false, false, false)),
    ] {
        let error = error(400, code, message);
        let told = (error.is_of_transaction(), error.is_closed_object(), error.is_for_others_to_mend());
        assert_eq!(told, expected, "{error}");
    }
}

#[test]
fn a_refused_field_is_one_that_was_sent_and_whose_value_was_judged() {
    let sent: Vec<String> = ["X__c", "Industry__c", "BillingStateCode"].map(str::to_owned).to_vec();
    let blames = |code: &str, message: &str, fields: &[&str]| {
        let fields = fields.iter().map(|&field| field.to_owned()).collect();
        ApiError { fields, ..error(400, code, message) }.refused_fields(&sent)
    };
    let picklist = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";
    for (found, expected) in [
        (blames(picklist, "bad value", &["Industry__c"]), &["Industry__c"][..]),
        (blames(picklist, "Industry__c: bad value", &[]), &["Industry__c"]),
        (blames("FIELD_INTEGRITY_EXCEPTION", "a country first", &["BillingState"]), &["BillingStateCode"]),
        (blames("INVALID_FIELD", "Failed to deserialize field at col 1", &["Industry__c"]), &["Industry__c"]),
        (blames(picklist, "bad value", &["Other__c"]), &[]),
        (blames("INVALID_FIELD", "No such column 'Industry__c'", &["Industry__c"]), &[]),
        (blames("REQUIRED_FIELD_MISSING", "missing", &["Industry__c"]), &[]),
        (blames("FIELD_CUSTOM_VALIDATION_EXCEPTION", "no", &["Industry__c"]), &[]),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn what_salesforce_quotes_of_a_statement_is_not_kept() {
    let text = "\nFROM T WHERE K__c IN ('secret value' FOO\n                       ^\nERROR at Row:1:Column:41\nunexpected token: 'FOO'";
    let error =
        ApiError::from_json(400, &serde_json::json!({ "errorCode": "MALFORMED_QUERY", "message": text }));
    assert_eq!(error.expect("an error").message, "unexpected token: 'FOO'");
}
