//! An operator's commands to one org over HTTP: pause, resume, restart, drain, refresh, replay, purge.
//!
//! Here: queries and answers. Not here: what an org does with a command (`Service`), dead letters (`dead_letters`), the
//! table of paths (`mod.rs`).

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query},
};
use orgpipe_actors::{Ledger, OrgError, RefreshWish, ReplayFrom, Replayed, Service};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    orgs::problem,
    problem::{ApiError, Commanded, refused},
    query::NoQuery,
};

/// How long a drain goes on when no deadline is given, and at most, in seconds.
pub(crate) const DRAIN_SECS: (u64, u64) = (3_600, 7 * 86_400);

/// `?sync=NAME&changed=true`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshQuery {
    /// Of this sync only.
    sync: Option<String>,
    /// Only what has changed since the last one.
    #[serde(default)]
    changed: bool,
}

/// `?sync=NAME`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshWishQuery {
    /// Of this sync only.
    sync: Option<String>,
}

/// `?deadline_secs=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainQuery {
    /// It pauses after so many seconds in any case; an hour unless told, a week at most.
    deadline_secs: Option<u64>,
}

/// `?from=PLACE&channel=NAME`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayQuery {
    /// `earliest`, `latest`, or a replay ID.
    from: String,
    /// Of this channel, if the org has several.
    channel: Option<String>,
}

/// An org of which nothing is stored any more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Purged {
    /// The org.
    org: String,
    /// Its records as they were.
    records: Ledger,
    /// What follows of it, as a sentence.
    consequence: String,
}

/// A refresh that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefreshBegun {
    /// The org.
    org: String,
    /// The syncs that are refreshed.
    syncs: Vec<String>,
}

/// Refreshes that were paused, resumed or ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefreshChanged {
    /// The org.
    org: String,
    /// The syncs whose refresh it is about.
    syncs: Vec<String>,
    /// What follows of it, as a sentence.
    consequence: String,
}

/// Events that are delivered once more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayBegun {
    /// The org.
    org: String,
    /// The channel.
    channel: String,
    /// The position before: the replay ID it would have gone on behind.
    before: Option<String>,
    /// What follows of it, as a sentence.
    consequence: String,
}

/// Pause an org
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/pause",
    operation_id = "pauseOrg",
    tag = "orgs",
    responses(
        (status = 202, description = "It pauses.", body = Commanded),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn pause(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    let consequence =
        "Events wait at Salesforce, which keeps them for 72 hours; what is queued stays on disk.";
    answer(service.pause(&org).await, &org, Some(consequence.to_owned()))
}

/// Resume an org that is paused or parked
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/resume",
    operation_id = "resumeOrg",
    tag = "orgs",
    responses(
        (status = 202, description = "It starts.", body = Commanded),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn resume(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    answer(service.resume(&org).await, &org, None)
}

/// Start an org's actors afresh
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/restart",
    operation_id = "restartOrg",
    tag = "orgs",
    responses(
        (status = 202, description = "They start.", body = Commanded),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn restart(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    answer(service.restart(&org).await, &org, None)
}

/// Finish what is queued, then pause
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/drain",
    operation_id = "drainOrg",
    tag = "orgs",
    params(DrainQuery),
    responses(
        (status = 202, description = "Nothing new is taken in.", body = Commanded),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn drain(
    service: Data<Service>,
    org: Path<String>,
    query: Query<DrainQuery>,
) -> HttpResponse {
    let secs = query.deadline_secs.unwrap_or(DRAIN_SECS.0).min(DRAIN_SECS.1);
    let consequence = format!(
        "Nothing new is taken in; once nothing is open, or after {secs} s, the org is paused until it is resumed."
    );
    answer(service.drain_org(&org, Duration::from_secs(secs)).await, &org, Some(consequence))
}

/// Delete all that is stored of an org that is gone from the settings
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/purge",
    operation_id = "purgeOrg",
    tag = "orgs",
    responses(
        (status = 202, description = "It is gone.", body = Purged),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn purge(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.purge(&org).await {
        Ok(records) => {
            let consequence = format!(
                "All that was stored of it is gone, with {} open records and {} dead letters. If it comes back, it begins anew.",
                records.open, records.dead_letters
            );
            HttpResponse::Accepted().json(Purged { org: org.into_inner(), records, consequence })
        }
        Err(error) => problem(&error),
    }
}

/// Refresh an org
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/refresh",
    operation_id = "refreshOrg",
    tag = "orgs",
    params(RefreshQuery),
    responses(
        (status = 202, description = "The syncs that are refreshed.", body = RefreshBegun),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshQuery>,
) -> HttpResponse {
    match service.refresh(&org, query.sync.as_deref(), query.changed).await {
        Ok(syncs) => HttpResponse::Accepted().json(RefreshBegun { org: org.into_inner(), syncs }),
        Err(error) => problem(&error),
    }
}

/// Let an org's refreshes rest, also over a restart
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/refresh/pause",
    operation_id = "pauseRefresh",
    tag = "orgs",
    params(RefreshWishQuery),
    responses(
        (status = 202, description = "They rest.", body = RefreshChanged),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn pause_refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshWishQuery>,
) -> HttpResponse {
    wish(&service, &org, &query, RefreshWish::Pause).await
}

/// Let refreshes that are paused go on
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/refresh/resume",
    operation_id = "resumeRefresh",
    tag = "orgs",
    params(RefreshWishQuery),
    responses(
        (status = 202, description = "They go on.", body = RefreshChanged),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn resume_refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshWishQuery>,
) -> HttpResponse {
    wish(&service, &org, &query, RefreshWish::Resume).await
}

/// End the refreshes under way where they are
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/refresh/cancel",
    operation_id = "cancelRefresh",
    tag = "orgs",
    params(RefreshWishQuery),
    responses(
        (status = 202, description = "None is under way.", body = RefreshChanged),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn cancel_refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshWishQuery>,
) -> HttpResponse {
    wish(&service, &org, &query, RefreshWish::Cancel).await
}

async fn wish(service: &Service, org: &str, query: &RefreshWishQuery, wish: RefreshWish) -> HttpResponse {
    let consequence = match wish {
        RefreshWish::Pause => {
            "No page is read and none begins by schedule until it is resumed, also after a restart; what was read goes on."
        }
        RefreshWish::Resume => "It goes on where it was; one that has become due begins.",
        RefreshWish::Cancel => {
            "A run under way ends where it is; what was read goes on, and the schedule stays."
        }
    };
    match service.refresh_wish(org, query.sync.as_deref(), wish).await {
        Ok(syncs) => {
            let (org, consequence) = (org.to_owned(), consequence.to_owned());
            HttpResponse::Accepted().json(RefreshChanged { org, syncs, consequence })
        }
        Err(error) => problem(&error),
    }
}

/// Have events delivered once more
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/replay",
    operation_id = "replayEvents",
    tag = "orgs",
    params(ReplayQuery),
    responses(
        (status = 202, description = "From where.", body = ReplayBegun),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn replay(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ReplayQuery>,
) -> HttpResponse {
    let from: ReplayFrom = match query.from.parse() {
        Ok(from) => from,
        Err(error) => {
            let hint = "A replay ID stands in the log and in the answer to an earlier replay.";
            return refused(StatusCode::BAD_REQUEST, error.to_string(), hint);
        }
    };
    match service.replay(&org, query.channel.as_deref(), from).await {
        Ok(Replayed { channel, before, consequence }) => {
            HttpResponse::Accepted().json(ReplayBegun { org: org.into_inner(), channel, before, consequence })
        }
        Err(error) => problem(&error),
    }
}

fn answer(done: Result<(), OrgError>, org: &str, consequence: Option<String>) -> HttpResponse {
    match done {
        Ok(()) => HttpResponse::Accepted().json(Commanded { org: org.to_owned(), consequence }),
        Err(error) => problem(&error),
    }
}
