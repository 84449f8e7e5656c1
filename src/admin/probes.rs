//! What machines ask to know whether the service lives, and whether it does its work.
//!
//! Here: the two answers. Not here: the reasons (`orgpipe_actors::NotReady`). Anybody may ask, so no org is named.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use orgpipe_actors::{NotReady, Service};
use serde::Serialize;
use utoipa::ToSchema;

use super::query::NoQuery;

/// Whether the service does its work.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    /// It does.
    ready: bool,
    /// Why not; empty if it is.
    reasons: Vec<Reason>,
}

/// A reason why not.
#[derive(Debug, Serialize, ToSchema)]
struct Reason {
    /// By name.
    reason: NotReady,
    /// As a sentence.
    what: &'static str,
}

/// Whether the process lives
///
/// Who hears nothing starts it afresh. It is answered under any name in `Host`.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    tag = "service",
    responses((status = 200, description = "It does.", content_type = "text/plain", body = String))
)]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether the service does its work
///
/// For load balancers and orchestrators; like `/healthz` it is answered under any name in `Host`. No org is named.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "service",
    responses(
        (status = 200, description = "It does.", body = Readiness),
        (status = 503, description = "It does not, for these reasons.", body = Readiness),
    )
)]
pub(super) async fn ready(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    let reasons: Vec<Reason> = service
        .not_ready()
        .await
        .into_iter()
        .map(|reason| Reason { reason, what: reason.sentence() })
        .collect();
    let ready = reasons.is_empty();
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(Readiness { ready, reasons })
}
