//! `POST /api/v1/orgs/{org}/preview`: what a sync would do, with values of records, which nobody keeps.
//!
//! Here: the body and the answers. Not here: the preview (`orgpipe_actors`), the page (`preview_page`).

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query, ReqData},
};
use orgpipe_actors::{
    Preview, PreviewCost, PreviewError, PreviewRequest, PreviewedRecords, SAMPLE, Service,
    settings::SyncSettings,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    access::Caller,
    orgs,
    problem::{ApiError, RefusedSettings, refused},
    query::{LargeObject, NoQuery},
    tokens::Role,
};
use crate::in_force::{ProposalError, SettingsFile};

/// Bytes of a body: a settings file of some thousands of orgs.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewBody {
    /// Name of the sync.
    sync: String,
    /// So many records, the first ones that a refresh would read; 200 unless told.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2000)]
    sample: Option<usize>,
    /// This record alone, by its ID of 15 or 18 characters; excludes `sample`.
    #[serde(default)]
    record: Option<String>,
    /// The text of another settings file, to be compared with the one that runs; nothing of it is taken but the sync.
    #[serde(default)]
    settings: Option<String>,
    /// Say only what it takes.
    #[serde(default)]
    cost_only: bool,
}

/// What a preview would take.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewCostOnly {
    /// The org.
    org: String,
    /// What it takes.
    cost: PreviewCost,
}

/// What is answered: the one or the other.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum PreviewAnswer {
    /// What it would do.
    Whole(Box<Preview>),
    /// With `cost_only`: what that takes.
    Cost(PreviewCostOnly),
}

/// What a sync would do with some records, and what it would take for all
///
/// Reads records, looks them up, matches and compares them as a refresh does, with API calls of the org and calls of your API,
/// which are counted like others; writes nothing. The answer has values of records. One preview of an org at a time. With
/// `settings` it takes the role `admin`.
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/preview",
    operation_id = "previewSync",
    tag = "records",
    request_body(content = PreviewBody, example = json!({ "sync": "accounts", "sample": 200 })),
    responses(
        (status = 200, description = "What it would do; with `cost_only`, what that takes.", body = PreviewAnswer),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 422, description = "The new settings have problems, or do not have the org or the sync.", body = RefusedSettings),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn post(
    service: Data<Service>,
    settings: Data<SettingsFile>,
    org: Path<String>,
    caller: ReqData<Caller>,
    body: LargeObject<PreviewBody, BODY_BYTES_MAX>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let LargeObject(PreviewBody { sync, sample, record, settings: text, cost_only }) = body;
    let records = match (sample, record) {
        (Some(_), Some(_)) => {
            let what = "`sample` and `record` exclude each other";
            return refused(StatusCode::BAD_REQUEST, what, "Leave one of the two out.");
        }
        (None, Some(record)) => PreviewedRecords::One(record),
        (sample, None) => PreviewedRecords::First(sample.unwrap_or(SAMPLE)),
    };
    let proposed = match text {
        None => None,
        Some(text) => {
            // They are settings, which are for nobody else; nothing that they name is read.
            if let Err(denied) = caller.check(Role::Admin) {
                return denied.answer(false);
            }
            match proposed(&service, &settings, text, &org, &sync).await {
                Ok(sync) => Some(sync),
                Err(answer) => return answer,
            }
        }
    };
    let request = PreviewRequest { sync, records, proposed };
    if cost_only {
        return match service.preview_cost(&org, request) {
            Ok(cost) => {
                HttpResponse::Ok().json(PreviewAnswer::Cost(PreviewCostOnly { org: org.into_inner(), cost }))
            }
            Err(error) => problem(&error),
        };
    }
    match service.preview(&org, request).await {
        Ok(preview) => HttpResponse::Ok().json(PreviewAnswer::Whole(Box::new(preview))),
        Err(error) => problem(&error),
    }
}

async fn proposed(
    service: &Service,
    settings: &SettingsFile,
    text: String,
    org: &str,
    sync: &str,
) -> Result<Arc<SyncSettings>, HttpResponse> {
    settings.proposed(service, text, org, sync).await.map_err(|error| {
        let status = match &error {
            ProposalError::Problems(_) | ProposalError::NoOrg(_) | ProposalError::NoSync { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ProposalError::NotRead | ProposalError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let (hint, problems) = (error.hint().clone(), error.problems());
        HttpResponse::build(status).json(RefusedSettings { error: error.to_string(), hint, problems })
    })
}

/// Why there is no preview.
pub(super) fn problem(error: &PreviewError) -> HttpResponse {
    let status = match error {
        PreviewError::Org(error) => return orgs::problem(error),
        PreviewError::NoSync { .. } => StatusCode::NOT_FOUND,
        PreviewError::Record { .. } | PreviewError::Sample(_) => StatusCode::BAD_REQUEST,
        PreviewError::OtherObject { .. } | PreviewError::Stands { .. } | PreviewError::UnderWay(_) => {
            StatusCode::CONFLICT
        }
        PreviewError::TooSlow { .. } | PreviewError::Failed { .. } => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(status, error.to_string(), error.hint())
}
