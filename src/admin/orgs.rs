//! Orgs over HTTP: all or one, the receipts, the doctor, the forecast, a record's story and the tree.
//!
//! Here: queries and answers. Not here: commands (`commands`), dead letters (`dead_letters`).

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, Query},
};
use orgpipe_actors::{
    BudgetView, FIND_CHARS_MAX, Forecast, Left, OrgError, OrgView, Receipt, RecordSearch, RefreshPlan,
    Report, RoomView, Service, State, Story, Tree,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    names,
    problem::{ApiError, refused},
    query::NoQuery,
    stored_orgs::{self, StoredOrgView},
};
use crate::{effective::EffectiveSync, in_force::SettingsFile};

/// Requests that have ended, told of one record when no number is asked for, and at most.
const CHAPTERS: (usize, usize) = (20, 1_000);

/// `?limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitQuery {
    /// Requests that have ended, told at most; 20 unless told, and never more than 1,000.
    limit: Option<usize>,
}

/// `?find=TEXT&limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FindRecordsQuery {
    /// ID of the customer's record, or of the record written for it, of 15 or 18 characters; or the external ID by which the
    /// two belong together. At most 300 characters.
    find: String,
    /// Requests that have ended, told at most; 20 unless told, and never more than 1,000.
    limit: Option<usize>,
}

/// All orgs, and the disk.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OrgList {
    /// Those that are worked for.
    orgs: Vec<OrgView>,
    /// Gone from the settings, with what is stored of them still.
    left: Vec<Left>,
    /// Kept in the store, or connected by a customer.
    stored: Vec<StoredOrgView>,
    /// The disk of the data directory.
    data: RoomView,
}

/// The syncs of an org.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncList {
    /// One for each.
    syncs: Vec<EffectiveSync>,
}

/// The API calls of an org.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LimitsView {
    /// Those of the last 24 hours.
    budget: BudgetView,
    /// What waits, as sentences.
    waits: Vec<String>,
    /// What a refresh of each sync would take.
    forecasts: Vec<Forecast>,
}

/// What is planned for the refreshes of an org.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefreshPlans {
    /// One for each sync that can be refreshed.
    refreshes: Vec<RefreshPlan>,
}

/// Gaps in the events that were healed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptList {
    /// The newest first.
    receipts: Vec<Receipt>,
}

/// All orgs
#[utoipa::path(
    get,
    path = "/api/v1/orgs",
    operation_id = "listOrgs",
    tag = "orgs",
    responses(
        (status = 200, description = "Those of the settings; those of which something is stored still; and the disk.", body = OrgList),
    )
)]
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
    HttpResponse::Ok().json(OrgList { orgs, left, stored, data })
}

/// The threads, the orgs on them, and their parts
#[utoipa::path(
    get,
    path = "/api/v1/tree",
    operation_id = "getTree",
    tag = "service",
    responses(
        (status = 200, description = "As it is now.", body = Tree),
    )
)]
pub(super) async fn tree(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    HttpResponse::Ok().json(service.tree().await)
}

/// One org
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}",
    operation_id = "getOrg",
    tag = "orgs",
    responses(
        (status = 200, description = "What it is at.", body = OrgView),
    )
)]
pub(super) async fn one(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.org(&org).await {
        Some(view) => HttpResponse::Ok().json(view),
        None => problem(&OrgError::Unknown(org.into_inner())),
    }
}

/// The syncs as this org has them, under the keys of the settings
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/syncs",
    operation_id = "listSyncs",
    tag = "orgs",
    responses(
        (status = 200, description = "One for each.", body = SyncList),
    )
)]
pub(super) async fn syncs(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.settings_of(&org) {
        Some(settings) => {
            let syncs = settings.syncs.iter().map(|sync| EffectiveSync::of(sync)).collect();
            HttpResponse::Ok().json(SyncList { syncs })
        }
        None => problem(&OrgError::Unknown(org.into_inner())),
    }
}

/// The story of one record
///
/// Values are never shown: `#…` stands for one, and equal marks for equal values of a field.
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/records/{record}",
    operation_id = "explainRecord",
    tag = "records",
    params(LimitQuery),
    responses(
        (status = 200, description = "What was asked for, answered, decided and written.", body = Story),
    )
)]
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

/// Find a record by its ID, by the ID of the record written for it, or by its external ID
///
/// The story is that of the record that is meant: the only candidate, or the one whose own ID it is. Looked at are what is open
/// and the rows that the ledger keeps of the last `ledger_days`. Values are no way to find a record.
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/records",
    operation_id = "findRecords",
    tag = "records",
    params(FindRecordsQuery),
    responses(
        (status = 200, description = "The records it may mean; none if nothing is known of it.", body = RecordSearch),
        (status = 400, description = "There is nothing to look for, or it is too long.", body = ApiError),
    )
)]
pub(super) async fn find(
    service: Data<Service>,
    org: Path<String>,
    query: Query<FindRecordsQuery>,
) -> HttpResponse {
    let FindRecordsQuery { find, limit } = query.into_inner();
    if find.trim().is_empty() || find.chars().count() > FIND_CHARS_MAX {
        let what = format!("`find` takes 1 to {FIND_CHARS_MAX} characters");
        let hint = "Give the ID of a record, of 15 or 18 characters, or an external ID, behind `find=`.";
        return refused(StatusCode::BAD_REQUEST, what, hint);
    }
    let limit = limit.unwrap_or(CHAPTERS.0).min(CHAPTERS.1);
    match service.find_records(&org, &find, limit).await {
        Ok(found) => HttpResponse::Ok().json(found),
        Err(error) => problem(&error),
    }
}

/// The org's API calls, and what a refresh would take of them
///
/// A POST, as the answer takes API calls of the org itself.
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/limits",
    operation_id = "forecastLimits",
    tag = "orgs",
    responses(
        (status = 200, description = "As it is now.", body = LimitsView),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn limits(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    let forecasts = match service.forecasts(&org).await {
        Ok(forecasts) => forecasts,
        Err(error) => return problem(&error),
    };
    let Some(view) = service.org(&org).await else { return problem(&OrgError::Unknown(org.into_inner())) };
    let waiting = view.status.parts.iter().filter(|(_, part)| part.state == State::Waiting);
    let waits = waiting.map(|(part, why)| format!("{}: {}", names::part(*part), why.note)).collect();
    HttpResponse::Ok().json(LimitsView { budget: view.budget, waits, forecasts })
}

/// What an org lacks of all that its syncs need
///
/// A POST, as the answer takes a login and API calls of the org itself.
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/doctor",
    operation_id = "examineOrg",
    tag = "orgs",
    responses(
        (status = 200, description = "What was found.", body = Report),
        (
            status = 429,
            description = "The org was examined a moment ago; or too many wrong tokens were tried.",
            body = ApiError,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn doctor(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.doctor(&org).await {
        Ok(report) => HttpResponse::Ok().json(report),
        Err(error) => problem(&error),
    }
}

/// What the doctor found in an org the last time
///
/// Asks the org nothing: `POST` examines it anew. It is kept for as long as the service runs.
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/doctor",
    operation_id = "getExamination",
    tag = "orgs",
    responses(
        (status = 200, description = "What was found then; `at_ms` says when.", body = Report),
        (status = 404, description = "There is no such org, or it was not examined since the service started.", body = ApiError),
    )
)]
pub(super) async fn last_examination(
    service: Data<Service>,
    org: Path<String>,
    _: Query<NoQuery>,
) -> HttpResponse {
    if service.settings_of(&org).is_none() {
        return problem(&OrgError::Unknown(org.into_inner()));
    }
    if let Some(report) = service.doctor_report(&org) {
        return HttpResponse::Ok().json(&*report);
    }
    let what = format!("org `{org}` was not examined since the service started");
    let hint = format!("Examine it: `orgpipe doctor {org}`, or POST to the same path.");
    refused(StatusCode::NOT_FOUND, what, hint)
}

/// What is planned for each sync's refresh
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/refreshes",
    operation_id = "listRefreshes",
    tag = "orgs",
    responses(
        (status = 200, description = "One for each sync that can be refreshed.", body = RefreshPlans),
    )
)]
pub(super) async fn refreshes(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.refreshes(&org).await {
        Ok(refreshes) => HttpResponse::Ok().json(RefreshPlans { refreshes }),
        Err(error) => problem(&error),
    }
}

/// Gaps in the events that were healed, newest first
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/receipts",
    operation_id = "listReceipts",
    tag = "orgs",
    responses(
        (status = 200, description = "One for each.", body = ReceiptList),
    )
)]
pub(super) async fn receipts(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.receipts(&org).await {
        Ok(receipts) => HttpResponse::Ok().json(ReceiptList { receipts }),
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
                .json(ApiError { error: error.to_string(), hint: hint.to_owned() });
        }
        OrgError::WhichChannel { .. } => (StatusCode::CONFLICT, "Give its name as `channel`."),
        OrgError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Look into orgpipe's log."),
    };
    refused(status, error.to_string(), hint)
}
