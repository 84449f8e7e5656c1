//! Records in one request, and a result for each.

use super::*;
use crate::{
    call::tests::reply,
    error::{ApiError, ErrorClass},
};

#[test]
fn each_record_holds_its_type_and_its_id_once() {
    let row = |value: Value| value.as_object().unwrap().clone();
    let (first, second) =
        (row(json!({"x__C": 7, "Id": "a01", "Name": "n"})), row(json!({"X__c": null, "Name": null})));
    let call = upsert("E__c", "X__c", &[("7", &first), ("a.inc", &second)]);
    assert_eq!(call.path, "/services/data/{v}/composite/sobjects/E__c/X__c");
    let Body::Json(body) = &call.body else { panic!("{call:?}") };
    assert_eq!(
        serde_json::from_slice::<Value>(body).unwrap(),
        json!({"allOrNone": false, "records": [
            {"attributes": {"type": "E__c"}, "X__c": 7, "Name": "n"},
            {"attributes": {"type": "E__c"}, "X__c": "a.inc", "Name": null},
        ]})
    );
}

#[test]
fn what_goes_by_record_id_names_it_once() {
    let row = json!({"X__c": "k", "Id": "other", "Name": null}).as_object().unwrap().clone();
    let call = update("E__c", &[("a01", &row)]);
    assert_eq!((call.path.as_str(), call.method), ("/services/data/{v}/composite/sobjects", Method::Patch));
    let Body::Json(body) = &call.body else { panic!("{call:?}") };
    assert_eq!(
        serde_json::from_slice::<Value>(body).unwrap()["records"],
        json!([{"attributes": {"type": "E__c"}, "id": "a01", "X__c": "k", "Name": null}])
    );
    let call = delete(&["a01", "a02"]);
    assert_eq!((call.method, call.query[0].1.as_str()), (Method::Delete, "a01,a02"));
}

#[test]
fn success_is_told_by_the_flag_alone() {
    let body = r#"[
        {"id":"a01","success":true,"errors":[],"created":true},
        {"id":"a02","success":true,"errors":[{"statusCode":"OPERATION_ENQUEUED","message":"u","fields":[]}]},
        {"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW","message":"m","fields":["A"]}]},
        {"id":"a04","success":false,"errors":[]}]"#;
    let results = results(&reply(200, body), 4).unwrap();
    assert_eq!(results[0], RowResult::Written { id: "a01".into(), created: true });
    assert_eq!(results[1], RowResult::Written { id: "a02".into(), created: false });
    let RowResult::Failed(error) = &results[2] else { panic!("{results:?}") };
    assert_eq!((error.class(), error.fields.as_slice()), (ErrorClass::Transient, &["A".to_owned()][..]));
    assert_eq!(results[3], RowResult::Failed(ApiError::bare(200, "a failure without a reason")));
}

#[test]
fn results_that_cannot_be_matched_do_not_count() {
    let one = r#"[{"id":"a01","success":true,"errors":[]}]"#;
    for (body, count) in [(one, 2), (one, 0), ("{}", 1), ("[null]", 1), (r#"[{"id":"a01"}]"#, 1), ("[{", 1)] {
        assert!(matches!(results(&reply(200, body), count), Err(CallError::Unreadable { .. })), "{body}");
    }
    let refused = reply(400, r#"[{"errorCode":"INVALID_TYPE","message":"m"}]"#);
    assert_eq!(results(&refused, 1).unwrap_err().class(), ErrorClass::Schema);
}
