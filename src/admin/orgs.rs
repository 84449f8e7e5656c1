//! Orgs over HTTP: all or one, the receipts, the doctor, the forecast, a record's story and the tree.
//!
//! Here: queries and answers. Not here: commands (`commands`), dead letters (`dead_letters`).

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, Query},
};
use orgpipe_actors::{OrgError, Service, State};
use serde::Deserialize;
use serde_json::json;

use super::{names, query::NoQuery, stored_orgs};
use crate::{effective, in_force::SettingsFile};

/// Requests that have ended, told of one record when no number is asked for, and at most.
const CHAPTERS: (usize, usize) = (20, 1_000);

/// `?limit=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitQuery {
    limit: Option<usize>,
}

pub(super) async fn list(
    service: Data<Service>,
    settings: Data<SettingsFile>,
    _: Query<NoQuery>,
) -> HttpResponse {
    // The status of the others does not depend on it.
    let left = service.left().await.unwrap_or_default();
    let data = service.room().await;
    let stored = stored_orgs::all(&service, &settings).await.unwrap_or_default();
    let orgs = service.orgs().await;
    HttpResponse::Ok().json(json!({ "orgs": orgs, "left": left, "stored": stored, "data": data }))
}

pub(super) async fn tree(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(service.tree().await)
}

pub(super) async fn one(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.org(&org).await {
        Some(view) => HttpResponse::Ok().json(view),
        None => problem(&OrgError::Unknown(org.into_inner())),
    }
}

/// The syncs as this org has them.
pub(super) async fn syncs(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.settings_of(&org) {
        Some(settings) => {
            let syncs: Vec<_> = settings.syncs.iter().map(|sync| effective::json(sync)).collect();
            HttpResponse::Ok().json(json!({ "syncs": syncs }))
        }
        None => problem(&OrgError::Unknown(org.into_inner())),
    }
}

/// The whole story of one record.
pub(super) async fn explain(
    service: Data<Service>,
    path: Path<(String, String)>,
    query: Query<LimitQuery>,
) -> HttpResponse {
    let (org, record) = path.into_inner();
    let limit = query.limit.unwrap_or(CHAPTERS.0).min(CHAPTERS.1);
    match service.explain(&org, &record, limit).await {
        Ok(story) => HttpResponse::Ok().json(story),
        Err(error) => problem(&error),
    }
}

/// The org's API calls, and what a refresh would take of them. A POST, as the answer takes API calls itself.
pub(super) async fn limits(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    let forecasts = match service.forecasts(&org).await {
        Ok(forecasts) => forecasts,
        Err(error) => return problem(&error),
    };
    let Some(view) = service.org(&org).await else { return problem(&OrgError::Unknown(org.into_inner())) };
    let waiting = view.status.parts.iter().filter(|(_, part)| part.state == State::Waiting);
    let waits: Vec<String> =
        waiting.map(|(part, why)| format!("{}: {}", names::part(*part), why.note)).collect();
    HttpResponse::Ok().json(json!({ "budget": view.budget, "waits": waits, "forecasts": forecasts }))
}

/// What the org lacks of all that its syncs need. A POST, as the answer takes a login and API calls.
pub(super) async fn doctor(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.doctor(&org).await {
        Ok(report) => HttpResponse::Ok().json(report),
        Err(error) => problem(&error),
    }
}

/// What is planned for each sync's refresh.
pub(super) async fn refreshes(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.refreshes(&org).await {
        Ok(refreshes) => HttpResponse::Ok().json(json!({ "refreshes": refreshes })),
        Err(error) => problem(&error),
    }
}

pub(super) async fn receipts(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.receipts(&org).await {
        Ok(receipts) => HttpResponse::Ok().json(json!({ "receipts": receipts })),
        Err(error) => problem(&error),
    }
}

pub(super) fn problem(error: &OrgError) -> HttpResponse {
    let (status, hint) = match error {
        OrgError::Unknown(_) => (
            StatusCode::NOT_FOUND,
            "`orgpipe orgs list` (GET /api/v1/orgs) shows those there are; one that is only invited does not run yet.",
        ),
        OrgError::InUse(_) => (StatusCode::CONFLICT, "Take it out of the settings and reload them first."),
        OrgError::NothingToRefresh { .. } => (StatusCode::CONFLICT, "Add `refresh = {}` to the sync."),
        OrgError::Down(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Try again in a moment; if it is parked, resume it first (see its note).",
        ),
        OrgError::Stopping(_) | OrgError::Busy(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Try again once it runs again.")
        }
        OrgError::TooSoon { wait_secs, .. } => {
            let hint = "Each examination takes a login and API calls of the org; ask again then.";
            return HttpResponse::TooManyRequests()
                .insert_header((header::RETRY_AFTER, wait_secs.to_string()))
                .json(json!({ "error": error.to_string(), "hint": hint }));
        }
        OrgError::WhichChannel { .. } => (StatusCode::CONFLICT, "Give its name as `channel`."),
        OrgError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Look into orgpipe's log."),
    };
    HttpResponse::build(status).json(json!({ "error": error.to_string(), "hint": hint }))
}
