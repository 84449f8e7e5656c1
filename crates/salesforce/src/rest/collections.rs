//! sObject Collections: up to 200 records in one API call, each with a fate of its own.
//!
//! Here: upsert by external ID, update and deletion by record ID, never all-or-none. Not here: cutting a long list (`limits::COLLECTION_RECORDS_MAX`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{RowResult, row_result, written_fields};
use crate::{
    Row,
    call::{Body, Call, Method, Reply, VERSION_MARK, json_body, segment},
    failure::CallError,
    limits::{WRITE_REPLY_BYTES_MAX, WRITE_TIMEOUT, WRITE_TIMEOUT_PER_RECORD},
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
    let call = Call::new(Method::Patch, path, json_body(&body), timeout(rows.len()), true);
    Call { answer_bytes_max: WRITE_REPLY_BYTES_MAX, ..call }
}

/// Changes records of one object, given with their record IDs; makes none (RESTDOC
/// `resources_composite_sobjects_collections_update`).
pub fn update(object: &str, rows: &[(&str, &Row)]) -> Call {
    let records: Vec<Value> = rows.iter().map(|(id, row)| record(object, "id", id, row)).collect();
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects");
    let body = json!({"allOrNone": false, "records": records});
    let call = Call::new(Method::Patch, path, json_body(&body), timeout(rows.len()), true);
    Call { answer_bytes_max: WRITE_REPLY_BYTES_MAX, ..call }
}

/// Deletes records by their IDs (RESTDOC `resources_composite_sobjects_collections_delete`). One that is deleted
/// already fails with `ENTITY_IS_DELETED`.
pub fn delete(ids: &[&str]) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/composite/sobjects");
    let mut call = Call::new(Method::Delete, path, Body::None, timeout(ids.len()), true);
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
