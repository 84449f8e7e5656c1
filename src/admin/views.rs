//! What pages and programs look at over HTTP: the short history, your API, the process.
//!
//! Here: queries and answers. Not here: where the numbers come from (`Service`).

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use orgpipe_actors::{History, HistorySpan, LookupView, ProcessView, Service};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::{orgs::problem, problem::ApiError, query::NoQuery};

/// `?span=24h`
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SpanQuery {
    /// How far back: 1h, 24h, 7d or 30d.
    span: Option<String>,
}

/// What the whole service did
///
/// Evenly spaced points; no number is there where the service did not run.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    operation_id = "getHistory",
    tag = "service",
    params(SpanQuery),
    responses((status = 200, description = "The points.", body = History), (status = 400, description = "There is no such span.", body = ApiError))
)]
pub(super) async fn history(service: Data<Service>, query: Query<SpanQuery>) -> HttpResponse {
    answer(&service, None, &query).await
}

/// What one org did
///
/// Evenly spaced points; no number is there where the service did not run.
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/history",
    operation_id = "getOrgHistory",
    tag = "orgs",
    params(SpanQuery),
    responses((status = 200, description = "The points.", body = History), (status = 400, description = "There is no such span.", body = ApiError))
)]
pub(super) async fn org_history(
    service: Data<Service>,
    org: Path<String>,
    query: Query<SpanQuery>,
) -> HttpResponse {
    answer(&service, Some(&org), &query).await
}

async fn answer(service: &Service, org: Option<&str>, query: &SpanQuery) -> HttpResponse {
    let name = query.span.as_deref().unwrap_or("24h");
    let Some(span) = HistorySpan::named(name) else {
        let known = HistorySpan::ALL.map(HistorySpan::name).join(", ");
        let error = format!("there is no span `{}`", name.chars().take(20).collect::<String>());
        return HttpResponse::BadRequest()
            .json(json!({ "error": error, "hint": format!("Ask for one of {known}.") }));
    };
    match service.history(org, span).await {
        Ok(history) => HttpResponse::Ok().json(history),
        Err(error) => problem(&error),
    }
}

/// Your API
///
/// How it answers, and what waits for it.
#[utoipa::path(
    get,
    path = "/api/v1/lookup",
    operation_id = "getLookup",
    tag = "service",
    responses((status = 200, description = "As it is now.", body = LookupView))
)]
pub(super) async fn lookup(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(service.lookup_view().await)
}

/// The process
///
/// Its threads, its store, its disk and its memory.
#[utoipa::path(
    get,
    path = "/api/v1/process",
    operation_id = "getProcess",
    tag = "service",
    responses((status = 200, description = "As it is now.", body = ProcessView))
)]
pub(super) async fn process(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(service.process_view().await)
}
