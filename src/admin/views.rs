//! What pages and programs look at over HTTP: the short history, your API, the process.
//!
//! Here: queries and answers. Not here: where the numbers come from (`Service`).

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use orgpipe_actors::{HistorySpan, Service};
use serde::Deserialize;
use serde_json::json;

use super::{orgs::problem, query::NoQuery};

/// `?span=24h`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanQuery {
    span: Option<String>,
}

/// What the whole service did.
pub(super) async fn history(service: Data<Service>, query: Query<SpanQuery>) -> HttpResponse {
    answer(&service, None, &query).await
}

/// What one org did.
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

/// Your API.
pub(super) async fn lookup(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(service.lookup_view().await)
}

/// The process itself.
pub(super) async fn process(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(service.process_view().await)
}
