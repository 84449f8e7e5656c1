//! The REST API: one module per resource, each with the call and the reading of its answer.
//!
//! Here: what single and collection upserts share. Not here: when to use which (`reconcile::route`).

pub mod collections;
pub mod describe;
pub mod limits;
pub mod query;
pub mod upsert;
pub mod versions;

use serde_json::Value;

use crate::{Row, error::ApiError};

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum RowResult {
    /// It is stored.
    Written {
        /// Its record ID; empty when API 45.0 or older answered an update without a body.
        id: String,
        /// True if it is new.
        created: bool,
    },
    /// It is not stored; other records of the same request may be.
    Failed(ApiError),
}

/// The fields that are written: no `attributes`, no `Id`, not the external ID either, which Salesforce wants named
/// once only (RESTDOC `dome_upsert`).
fn written_fields<'a>(row: &'a Row, external_id: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    row.iter().filter(move |(name, _)| {
        *name != "attributes" && !name.eq_ignore_ascii_case("Id") && !name.eq_ignore_ascii_case(external_id)
    })
}

/// One element of a result: `{"id", "success", "created", "errors"}`.
///
/// `success` decides: a success may carry messages in `errors`, too (RESTDOC
/// `resources_composite_sobjects_collections`). `created` stands in when the element does not tell.
fn row_result(status: u16, element: &Value, created: bool) -> Option<RowResult> {
    let id = element.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if element.get("success")?.as_bool()? {
        let created = element.get("created").and_then(Value::as_bool).unwrap_or(created);
        return Some(RowResult::Written { id, created });
    }
    let errors = element.get("errors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().filter_map(|error| ApiError::from_json(status, error));
    let error = ApiError::first_of(errors);
    Some(RowResult::Failed(error.unwrap_or_else(|| ApiError::bare(status, "a failure without a reason"))))
}
