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
    PreviewError, PreviewRequest, PreviewedRecords, SAMPLE, Service, settings::SyncSettings,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    access::Caller,
    orgs,
    query::{LargeObject, NoQuery},
    tokens::Role,
};
use crate::in_force::{ProposalError, SettingsFile};

/// Bytes of a body: a settings file of some thousands of orgs.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is to be looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewBody {
    /// Name of the sync.
    sync: String,
    /// So many records, the first ones that a refresh would read.
    #[serde(default)]
    sample: Option<usize>,
    /// This record alone.
    #[serde(default)]
    record: Option<String>,
    /// The text of other settings, to be compared with those that run.
    #[serde(default)]
    settings: Option<String>,
    /// Only what it takes.
    #[serde(default)]
    cost_only: bool,
}

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
            let hint = "Leave one of the two out.";
            let body = json!({ "error": "`sample` and `record` exclude each other", "hint": hint });
            return HttpResponse::BadRequest().json(body);
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
            Ok(cost) => HttpResponse::Ok().json(json!({ "org": *org, "cost": cost })),
            Err(error) => problem(&error),
        };
    }
    match service.preview(&org, request).await {
        Ok(preview) => HttpResponse::Ok().json(preview),
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
        let (hint, problems) = (error.hint(), error.problems());
        let body = json!({ "error": error.to_string(), "hint": hint, "problems": problems });
        HttpResponse::build(status).json(body)
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
    HttpResponse::build(status).json(json!({ "error": error.to_string(), "hint": error.hint() }))
}
