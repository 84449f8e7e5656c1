//! Queries that are not understood.
//!
//! Here: what is answered to them. Not here: which names a path knows (the handlers).

use actix_web::{
    HttpResponse,
    error::{InternalError, QueryPayloadError},
    web::QueryConfig,
};
use serde::Deserialize;
use serde_json::json;

/// For a path that takes no query: any name in one is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// A query that cannot be read, or that has a name nobody knows, is answered with the names there are.
pub(super) fn queries() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        let what = match &error {
            QueryPayloadError::Deserialize(cause) => cause.to_string(),
            other => other.to_string(),
        };
        let hint = "Nothing was done; correct the name and ask again.";
        let body = json!({ "error": format!("the query cannot be taken: {what}"), "hint": hint });
        InternalError::from_response(error, HttpResponse::BadRequest().json(body)).into()
    })
}
