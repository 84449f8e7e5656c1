//! What is wrong now, and who is told, over HTTP.
//!
//! Here: the answers. Not here: what is wrong and how it is told (`orgpipe_actors`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query},
};
use orgpipe_actors::{Alert, ReceiverView, Service, Tested};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::{ApiError, refused},
    query::NoQuery,
};

/// Alerts that are listed at most.
const LISTED_MAX: usize = 1_000;

/// What is wrong now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertList {
    /// How many alerts stand.
    total: usize,
    /// The worst of them, at most 1000.
    alerts: Vec<Alert>,
}

/// Who is told about alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiverList {
    /// In the order of the settings.
    receivers: Vec<ReceiverView>,
}

/// What is wrong now
///
/// The worst first. What holds for some seconds only is not among it: `[alerts]` of the settings says for how long.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    operation_id = "listAlerts",
    tag = "service",
    responses((status = 200, description = "The alerts that stand.", body = AlertList))
)]
pub(super) async fn list(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    let standing = service.alerts();
    let alerts = standing.iter().take(LISTED_MAX).cloned().collect();
    HttpResponse::Ok().json(AlertList { total: standing.len(), alerts })
}

/// Who is told about alerts, and how they do
#[utoipa::path(
    get,
    path = "/api/v1/notify",
    operation_id = "listReceivers",
    tag = "service",
    responses((status = 200, description = "The receivers of the settings.", body = ReceiverList))
)]
pub(super) async fn receivers(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(ReceiverList { receivers: service.receivers() })
}

/// Send a receiver of alerts a test
#[utoipa::path(
    post,
    path = "/api/v1/notify/{name}/test",
    operation_id = "testReceiver",
    tag = "service",
    responses(
        (status = 200, description = "What it answered.", body = Tested),
        (status = 404, description = "There is no such receiver.", body = ApiError),
    )
)]
pub(super) async fn test(service: Data<Service>, name: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    if let Some(tested) = service.test_receiver(&name).await {
        return HttpResponse::Ok().json(tested);
    }
    let hint = "`orgpipe notify list` shows those of the settings.";
    refused(StatusCode::NOT_FOUND, format!("there is no `[[notify]]` named `{name}`"), hint)
}
