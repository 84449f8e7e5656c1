//! Who gave which command, over HTTP: of all orgs and the service itself, or of one org.
//!
//! Here: queries and answers. Not here: what is kept of a command (`audit_log`), what was done about each record of a dead letter
//! (`dead_letters`).

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use orgpipe_actors::{OrgError, Service};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::orgs;
use crate::audit_log::{AuditEntry, AuditLog};

/// Commands answered when no number is asked for, and at most.
const LIMITS: (usize, usize) = (100, 1_000);

/// `?before=N&limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Those with a lower number.
    before: Option<u64>,
    /// At most so many; 100 unless told, and never more than 1,000.
    limit: Option<usize>,
}

/// Commands that were given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditList {
    /// The newest first.
    commands: Vec<AuditEntry>,
}

/// Who gave which command, newest first
///
/// Each one that was carried out, of at most the last 10,000 and of as many days as the ledger has (`ledger_days`); of pushes the last
/// 1,000. Without what stands in bodies.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    operation_id = "listCommands",
    tag = "service",
    params(AuditQuery),
    responses(
        (status = 200, description = "About all orgs, and about the service itself.", body = AuditList),
    )
)]
pub(super) async fn list(log: Data<AuditLog>, query: Query<AuditQuery>) -> HttpResponse {
    HttpResponse::Ok().json(AuditList { commands: page(&log, None, &query) })
}

/// Who gave which command about an org, newest first
///
/// Also about one that is gone, for as long as they are kept.
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/audit",
    operation_id = "listCommandsOfOrg",
    tag = "orgs",
    params(AuditQuery),
    responses(
        (status = 200, description = "Each that was carried out; the records of dead letters are told by `dead-letters/audit`.", body = AuditList),
    )
)]
pub(super) async fn of_org(
    service: Data<Service>,
    log: Data<AuditLog>,
    org: Path<String>,
    query: Query<AuditQuery>,
) -> HttpResponse {
    let commands = page(&log, Some(&org), &query);
    if commands.is_empty() && service.settings_of(&org).is_none() {
        return orgs::problem(&OrgError::Unknown(org.into_inner()));
    }
    HttpResponse::Ok().json(AuditList { commands })
}

fn page(log: &AuditLog, org: Option<&str>, query: &AuditQuery) -> Vec<AuditEntry> {
    log.entries(org, query.before, query.limit.unwrap_or(LIMITS.0).min(LIMITS.1))
}
