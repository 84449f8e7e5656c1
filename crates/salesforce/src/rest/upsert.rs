//! Upsert of one record by its external ID.
//!
//! Here: the call, for IDs that a URL can carry, and which refusals concern the record and which the whole request.
//! Not here: several records (`collections`), which take any ID and cost the same.

use serde_json::Value;

use super::{RowResult, row_result, written_fields};
use crate::{
    Row,
    call::{Call, CallKind, Method, Reply, VERSION_MARK, json_body, segment},
    error::{ApiError, ErrorClass, errors_in},
    failure::CallError,
    limits::{QUERY_URL_BYTES_MAX, WRITE_TIMEOUT},
};

/// Letters of the longest file extension we expect Salesforce to trip over.
const EXTENSION_CHARS_MAX: usize = 10;

/// Writes one record; `None` if its ID cannot stand in a URL.
pub fn one(object: &str, field: &str, external_id: &str, row: &Row) -> Option<Call> {
    if !fits_url(external_id) {
        return None;
    }
    let path = format!(
        "/services/data/{VERSION_MARK}/sobjects/{}/{}/{}",
        segment(object),
        segment(field),
        segment(external_id)
    );
    let body: Row = written_fields(row, field).map(|(name, value)| (name.clone(), value.clone())).collect();
    Some(Call::new(
        CallKind::Upsert,
        Method::Patch,
        path,
        json_body(&Value::Object(body)),
        WRITE_TIMEOUT,
        true,
    ))
}

/// What became of the record; an error is about the whole request, so that any other record would fare the same.
pub fn result(reply: &Reply) -> Result<RowResult, CallError> {
    if let Some(error) = ApiError::first_of(errors_in(reply)) {
        return if concerns_record(&error) { Ok(RowResult::Failed(error)) } else { Err(error.into()) };
    }
    if reply.body.trim_ascii().is_empty() && reply.status == 204 {
        // API 45.0 and older, an update.
        return Ok(RowResult::Written { id: String::new(), created: false });
    }
    let answer = reply.json()?;
    row_result(reply.status, &answer, reply.status == 201)
        .ok_or_else(|| reply.unreadable("the answer to an upsert has no `success`"))
}

/// True for IDs that reach Salesforce as they are.
///
/// A dot and letters at the end may be taken for a file extension: `x@y.inc` is answered with 404, and other endings
/// "may conflict" as well, none of which is listed (RESTDOC `resources_sobject_upsert_patch`). `.` and `..` are
/// resolved by every URL parser on the way.
fn fits_url(external_id: &str) -> bool {
    let extension = external_id.rsplit_once('.').map(|(_, end)| end);
    let is_extension =
        |end: &str| end.len() <= EXTENSION_CHARS_MAX && end.bytes().all(|byte| byte.is_ascii_alphanumeric());
    !external_id.trim().is_empty()
        && !extension.is_some_and(is_extension)
        && !external_id.chars().any(char::is_control)
        && segment(external_id).len() <= QUERY_URL_BYTES_MAX
}

/// Several records with one external ID (300), values that do not fit, a lock: one record's trouble. A page of a
/// proxy with status 400 says nothing about the record.
fn concerns_record(error: &ApiError) -> bool {
    if error.status == 300 || error.is_for_others_to_mend() {
        return true;
    }
    let is_records = match error.class() {
        ErrorClass::Record => matches!(error.status, 400 | 403 | 404 | 409 | 412),
        ErrorClass::Transient => error.status == 400,
        ErrorClass::Schema => error.status == 400 && error.code.starts_with("INVALID_FIELD"),
        ErrorClass::Auth
        | ErrorClass::DailyLimit
        | ErrorClass::Concurrency
        | ErrorClass::Org
        | ErrorClass::Bug => false,
    };
    is_records && !error.is_without_code()
}

#[cfg(test)]
mod tests;
