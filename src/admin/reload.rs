//! Reading the settings again by `POST /api/v1/reload`.
//!
//! Here: the answer. Not here: reading them (`in_force`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use orgpipe_actors::{Reloaded, Service};

use super::{problem::RefusedSettings, query::NoQuery};
use crate::in_force::{ReloadError, SettingsFile, reload};

/// Read the settings file again
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    operation_id = "reload",
    tag = "service",
    responses(
        (status = 200, description = "What is different now.", body = Reloaded),
        (status = 422, description = "The file has problems; nothing was changed.", body = RefusedSettings),
        (status = 500, description = "The settings cannot be put to work; nothing was changed.", body = RefusedSettings),
    )
)]
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
            let hint = error.hint().unwrap_or_default();
            let (error, problems) = (error.to_string(), error.problems());
            HttpResponse::build(status).json(RefusedSettings { error, hint, problems })
        }
    }
}
