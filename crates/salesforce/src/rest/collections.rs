//! sObject Collections: up to 200 records in one API call, each with a fate of its own.
//!
//! Here: upsert by external ID, update, deletion and reading by record ID, never all-or-none. Not here: cutting a long list (`limits::COLLECTION_RECORDS_MAX`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{RowResult, row_result, written_fields};
use crate::{
    Row,
    call::{Body, Call, CallKind, Method, Reply, VERSION_MARK, json_body, segment},
    failure::CallError,
    limits::{
        QUERY_TIMEOUT, REPLY_BYTES_MAX, WRITE_REPLY_BYTES_MAX, WRITE_TIMEOUT, WRITE_TIMEOUT_PER_RECORD,
    },
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
    let call =
        Call::new(CallKind::Collections, Method::Patch, path, json_body(&body), timeout(rows.len()), true);
    Call { answer_bytes_max: WRITE_REPLY_BYTES_MAX, ..call }
}

/// Reads fields of records of one object by their IDs, at most [`RETRIEVE_RECORDS_MAX`](crate::limits::RETRIEVE_RECORDS_MAX).
/// The names stand in the body, so there may be as many as there are fields (RESTDOC
/// `resources_composite_sobjects_collections_retrieve`). Fields of other records, `Owner.Name`, it does not read.
pub fn retrieve(object: &str, ids: &[String], fields: &[String]) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects/{}", segment(object));
    let body = json_body(&json!({"ids": ids, "fields": fields}));
    let call = Call::new(CallKind::Retrieve, Method::Post, path, body, QUERY_TIMEOUT, true);
    Call { answer_bytes_max: REPLY_BYTES_MAX, ..call }
}

/// The records that were read; those that are not there, or that we may not see, are left out.
pub fn retrieved(reply: &Reply) -> Result<Vec<Row>, CallError> {
    let Value::Array(records) = reply.json()? else {
        return Err(reply.unreadable("the records are no list"));
    };
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        match record {
            Value::Object(row) => rows.push(row),
            Value::Null => {}
            _ => return Err(reply.unreadable("a record that is no object")),
        }
    }
    Ok(rows)
}

/// Changes records of one object, given with their record IDs; makes none (RESTDOC
/// `resources_composite_sobjects_collections_update`).
pub fn update(object: &str, rows: &[(&str, &Row)]) -> Call {
    let records: Vec<Value> = rows.iter().map(|(id, row)| record(object, "id", id, row)).collect();
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects");
    let body = json!({"allOrNone": false, "records": records});
    let call =
        Call::new(CallKind::Collections, Method::Patch, path, json_body(&body), timeout(rows.len()), true);
    Call { answer_bytes_max: WRITE_REPLY_BYTES_MAX, ..call }
}

/// Deletes records by their IDs (RESTDOC `resources_composite_sobjects_collections_delete`). One that is deleted
/// already fails with `ENTITY_IS_DELETED`.
pub fn delete(ids: &[&str]) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects");
    let mut call =
        Call::new(CallKind::Collections, Method::Delete, path, Body::None, timeout(ids.len()), true);
    call.answer_bytes_max = WRITE_REPLY_BYTES_MAX;
    call.query = vec![("ids".to_owned(), ids.join(",")), ("allOrNone".to_owned(), "false".to_owned())];
    call
}

/// The more records, the longer the customer's automation takes.
fn timeout(records: usize) -> Duration {
    WRITE_TIMEOUT + WRITE_TIMEOUT_PER_RECORD.saturating_mul(u32::try_from(records).unwrap_or(u32::MAX))
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
mod tests;
