//! The calls of an ingest job's life, and the reading of what a job answers.

use super::*;
use crate::{call::tests::reply, error::ErrorClass};

#[test]
fn the_calls_of_a_jobs_life() {
    let base = "/services/data/{v}/jobs/ingest";
    let upsert = Operation::Upsert("X__c");
    let Body::Json(body) = create("E__c", upsert).body else { panic!("no JSON") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["operation"], &body["externalIdFieldName"]), (&json!("upsert"), &json!("X__c")));
    assert_eq!((&body["lineEnding"], &body["object"]), (&json!("LF"), &json!("E__c")));
    for (operation, name) in [(Operation::Update, "update"), (Operation::Delete, "delete")] {
        let Body::Json(body) = create("E__c", operation).body else { panic!("no JSON") };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["operation"], body.get("externalIdFieldName")), (&json!(name), None));
    }
    for (call, method, path, idempotent) in [
        (create("E__c", upsert), Method::Post, base.to_owned(), false),
        (upload("services/x/batches", Bytes::new()), Method::Put, "/services/x/batches".to_owned(), false),
        (close("750"), Method::Patch, format!("{base}/750"), false),
        (status("750"), Method::Get, format!("{base}/750"), true),
        (results("750", ResultKind::Successful), Method::Get, format!("{base}/750/successfulResults/"), true),
        (results("750", ResultKind::Failed), Method::Get, format!("{base}/750/failedResults/"), true),
        (
            results("750", ResultKind::Unprocessed),
            Method::Get,
            format!("{base}/750/unprocessedrecords/"),
            true,
        ),
        (abort("../7"), Method::Patch, format!("{base}/..%2F7"), false),
    ] {
        assert_eq!((call.method, call.path, call.idempotent), (method, path, idempotent));
    }
    assert_eq!(close("750").body, json_body(&json!({"state": "UploadComplete"})));
    assert_eq!(abort("750").body, json_body(&json!({"state": "Aborted"})));
}

#[test]
fn answers_with_more_and_with_fewer_keys_are_read() {
    let made = r#"{"id":"750a","operation":"upsert","state":"Open","apiVersion":60.0,
        "contentUrl":"services/data/v60.0/jobs/ingest/750a/batches"}"#;
    let open = JobInfo {
        id: "750a".into(),
        state: JobState::Open,
        content_url: "/services/data/v60.0/jobs/ingest/750a/batches".into(),
        processed: 0,
        failed: 0,
        error: None,
    };
    assert_eq!(info(&reply(200, made)), Ok(open.clone()));
    let absolute = made.replace("services/data", "https://x.my.salesforce.com/services/data");
    assert_eq!(info(&reply(200, absolute)), Ok(open));
    let closed = info(&reply(200, r#"{"id":"750a","state":"UploadComplete"}"#)).unwrap();
    assert_eq!(closed.content_url, "/services/data/{v}/jobs/ingest/750a/batches");
    let done = r#"{"id":"750a","state":"JobComplete","numberRecordsProcessed":8,"numberRecordsFailed":1}"#;
    let done = info(&reply(200, done)).unwrap();
    assert_eq!((done.processed, done.failed, done.state.is_final()), (8, 1, true));
}

#[test]
fn a_list_of_jobs_is_read_and_goes_on() {
    let page = r#"{"done":false,"nextRecordsUrl":"/services/data/v66.0/jobs/ingest?queryLocator=x","records":[
        {"id":"750a","state":"Open","createdById":"005a","createdDate":"2024-09-09T20:41:31.000+0000"},
        {"id":"750b","state":"Queued","createdById":"005a","createdDate":"2024-09-09T20:41:31.000+0000"},
        {"id":"750c"}]}"#;
    let (jobs, next) = listed(&reply(200, page)).unwrap();
    let open = ListedJob {
        id: "750a".into(),
        state: Some(JobState::Open),
        created_by: "005a".into(),
        created_ms: 1_725_914_491_000,
    };
    assert_eq!(jobs, [open.clone(), ListedJob { id: "750b".into(), state: None, ..open }]);
    assert_eq!(list_next(&next.unwrap()).path, "/services/data/v66.0/jobs/ingest?queryLocator=x");
    assert_eq!(listed(&reply(200, r#"{"records":[],"nextRecordsUrl":null}"#)), Ok((Vec::new(), None)));
}

#[test]
fn a_jobs_error_has_a_class() {
    for (message, code, class) in [
        ("InvalidBatch : Field name not found : X__c", "InvalidBatch", ErrorClass::Schema),
        ("ExceededQuota : ApiBatchItems Limit exceeded", "ExceededQuota", ErrorClass::DailyLimit),
        ("TooManyLockFailure : gave up", "TooManyLockFailure", ErrorClass::Transient),
        ("InternalServerError : Retried more than 20 times", "InternalServerError", ErrorClass::Transient),
        ("ClientInputError : LineEnding is invalid on user data.", "ClientInputError", ErrorClass::Bug),
        ("something else", "HTTP_200", ErrorClass::Record),
    ] {
        let body = json!({"id": "750", "state": "Failed", "errorMessage": message}).to_string();
        let error = info(&reply(200, body)).unwrap().error.unwrap();
        assert_eq!((error.code.as_str(), error.class()), (code, class), "{message}");
    }
}

#[test]
fn an_answer_that_tells_no_state_is_unreadable() {
    for body in ["{}", r#"{"id":"750"}"#, r#"{"state":"Open"}"#, r#"{"id":"750","state":"Paused"}"#, "[]"] {
        assert!(matches!(info(&reply(200, body)), Err(CallError::Unreadable { .. })), "{body}");
    }
    let gone = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
    assert!(matches!(info(&reply(404, gone)), Err(CallError::Refused(error)) if error.code == "NOT_FOUND"));
}
