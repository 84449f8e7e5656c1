//! sObject Collections: up to 200 records in one API call, each with a fate of its own.
//!
//! Here: upsert by external ID, update and deletion by record ID, never all-or-none. Not here: cutting a long list (`limits::COLLECTION_RECORDS_MAX`).

use serde_json::{Value, json};

use super::{RowResult, row_result, written_fields};
use crate::{
    Row,
    call::{Body, Call, Method, Reply, VERSION_MARK, json_body, segment},
    failure::CallError,
    limits::WRITE_TIMEOUT,
};

/// Writes records of one object, given with their external IDs (RESTDOC
/// `resources_composite_sobjects_collections_upsert`, API 46.0 and newer).
///
/// A row that holds the external ID itself keeps its form, such as a number. Two rows with one ID in a request fail
/// both: keep them apart.
pub fn upsert(object: &str, field: &str, rows: &[(&str, &Row)]) -> Call {
    let records: Vec<Value> = rows.iter().map(|(key, row)| record(object, field, key, row)).collect();
    let path =
        format!("/services/data/{VERSION_MARK}/composite/sobjects/{}/{}", segment(object), segment(field));
    let body = json!({"allOrNone": false, "records": records});
    Call::new(Method::Patch, path, json_body(&body), WRITE_TIMEOUT, true)
}

/// Changes records of one object, given with their record IDs; makes none (RESTDOC
/// `resources_composite_sobjects_collections_update`).
pub fn update(object: &str, rows: &[(&str, &Row)]) -> Call {
    let records: Vec<Value> = rows.iter().map(|(id, row)| record(object, "id", id, row)).collect();
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects");
    let body = json!({"allOrNone": false, "records": records});
    Call::new(Method::Patch, path, json_body(&body), WRITE_TIMEOUT, true)
}

/// Deletes records by their IDs (RESTDOC `resources_composite_sobjects_collections_delete`). One that is deleted
/// already fails with `ENTITY_IS_DELETED`.
pub fn delete(ids: &[&str]) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects");
    let mut call = Call::new(Method::Delete, path, Body::None, WRITE_TIMEOUT, true);
    call.query = vec![("ids".to_owned(), ids.join(",")), ("allOrNone".to_owned(), "false".to_owned())];
    call
}

fn record(object: &str, field: &str, key: &str, row: &Row) -> Value {
    let own = row
        .iter()
        .find(|(name, value)| field != "id" && name.eq_ignore_ascii_case(field) && !value.is_null());
    let key = own.map_or_else(|| Value::from(key), |(_, value)| value.clone());
    let mut record = Row::new();
    record.insert("attributes".to_owned(), json!({"type": object}));
    record.insert(field.to_owned(), key);
    record.extend(written_fields(row, field).map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(record)
}

/// One result per record, in the order of the request.
///
/// The answer is 200 even if every record failed; an answer with another number of results than `count` cannot be
/// matched to the records, so none of it counts.
pub fn results(reply: &Reply, count: usize) -> Result<Vec<RowResult>, CallError> {
    let answer = reply.json()?;
    let elements = answer.as_array().ok_or_else(|| reply.unreadable("the results are no list"))?;
    if elements.len() != count {
        return Err(reply.unreadable(format!("{} results for {count} records", elements.len())));
    }
    let read = |element| row_result(reply.status, element, false);
    let results: Option<Vec<_>> = elements.iter().map(read).collect();
    results.ok_or_else(|| reply.unreadable("a result without `success`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::reply,
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
        assert_eq!(
            (call.path.as_str(), call.method),
            ("/services/data/{v}/composite/sobjects", Method::Patch)
        );
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
        for (body, count) in
            [(one, 2), (one, 0), ("{}", 1), ("[null]", 1), (r#"[{"id":"a01"}]"#, 1), ("[{", 1)]
        {
            assert!(matches!(results(&reply(200, body), count), Err(CallError::Unreadable { .. })), "{body}");
        }
        let refused = reply(400, r#"[{"errorCode":"INVALID_TYPE","message":"m"}]"#);
        assert_eq!(results(&refused, 1).unwrap_err().class(), ErrorClass::Schema);
    }
}
