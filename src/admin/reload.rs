//! Reading the settings again by `POST /api/v1/reload`.
//!
//! Here: the answer. Not here: reading them (`in_force`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use orgpipe_actors::Service;
use serde_json::json;

use super::query::NoQuery;
use crate::in_force::{ReloadError, SettingsFile, reload};

pub(super) async fn post(
    service: Data<Service>,
    settings: Data<SettingsFile>,
    _: Query<NoQuery>,
) -> HttpResponse {
    match reload(&service, &settings).await {
        Ok(reloaded) => HttpResponse::Ok().json(reloaded),
        Err(error) => {
            let status = match &error {
                ReloadError::Problems(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ReloadError::Start(_) | ReloadError::NotRead => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let hint = error.hint();
            let body = json!({ "error": error.to_string(), "hint": hint.unwrap_or_default(), "problems": error.problems() });
            HttpResponse::build(status).json(body)
        }
    }
}
