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
use orgpipe_actors::{OrgError, RefreshWish, ReplayFrom, Service};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{orgs::problem, query::NoQuery};

/// How long a drain goes on when no deadline is given, and at most, in seconds.
pub(crate) const DRAIN_SECS: (u64, u64) = (3_600, 7 * 86_400);

/// `?sync=NAME&changed=true`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshQuery {
    sync: Option<String>,
    #[serde(default)]
    changed: bool,
}

/// `?sync=NAME`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshWishQuery {
    sync: Option<String>,
}

/// `?deadline_secs=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainQuery {
    deadline_secs: Option<u64>,
}

/// `?from=PLACE&channel=NAME`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayQuery {
    from: String,
    channel: Option<String>,
}

pub(super) async fn pause(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    let consequence =
        "Events wait at Salesforce, which keeps them for 72 hours; what is queued stays on disk.";
    answer(service.pause(&org).await, json!({ "org": *org, "consequence": consequence }))
}

pub(super) async fn resume(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    answer(service.resume(&org).await, json!({ "org": *org }))
}

pub(super) async fn restart(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    answer(service.restart(&org).await, json!({ "org": *org }))
}

pub(super) async fn drain(
    service: Data<Service>,
    org: Path<String>,
    query: Query<DrainQuery>,
) -> HttpResponse {
    let secs = query.deadline_secs.unwrap_or(DRAIN_SECS.0).min(DRAIN_SECS.1);
    let consequence = format!(
        "Nothing new is taken in; once nothing is open, or after {secs} s, the org is paused until it is resumed."
    );
    let done = service.drain_org(&org, Duration::from_secs(secs)).await;
    answer(done, json!({ "org": *org, "consequence": consequence }))
}

pub(super) async fn purge(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.purge(&org).await {
        Ok(records) => {
            let consequence = format!(
                "All that was stored of it is gone, with {} open records and {} dead letters. If it comes back, it begins anew.",
                records.open, records.dead_letters
            );
            answer(Ok(()), json!({ "org": *org, "records": records, "consequence": consequence }))
        }
        Err(error) => problem(&error),
    }
}

pub(super) async fn refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshQuery>,
) -> HttpResponse {
    match service.refresh(&org, query.sync.as_deref(), query.changed).await {
        Ok(syncs) => answer(Ok(()), json!({ "org": *org, "syncs": syncs })),
        Err(error) => problem(&error),
    }
}

pub(super) async fn pause_refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshWishQuery>,
) -> HttpResponse {
    wish(&service, &org, &query, RefreshWish::Pause).await
}

pub(super) async fn resume_refresh(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RefreshWishQuery>,
) -> HttpResponse {
    wish(&service, &org, &query, RefreshWish::Resume).await
}

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
        RefreshWish::Cancel => "A run under way ends where it is; what was read goes on, and the schedule stays.",
    };
    match service.refresh_wish(org, query.sync.as_deref(), wish).await {
        Ok(syncs) => answer(Ok(()), json!({ "org": org, "syncs": syncs, "consequence": consequence })),
        Err(error) => problem(&error),
    }
}

pub(super) async fn replay(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ReplayQuery>,
) -> HttpResponse {
    let from: ReplayFrom = match query.from.parse() {
        Ok(from) => from,
        Err(error) => {
            let hint = "A replay ID stands in the log and in the answer to an earlier replay.";
            let body = json!({ "error": format!("{error}"), "hint": hint });
            return HttpResponse::build(StatusCode::BAD_REQUEST).json(body);
        }
    };
    match service.replay(&org, query.channel.as_deref(), from).await {
        Ok(done) => answer(
            Ok(()),
            json!({ "org": *org, "channel": done.channel, "before": done.before, "consequence": done.consequence }),
        ),
        Err(error) => problem(&error),
    }
}

fn answer(done: Result<(), OrgError>, body: Value) -> HttpResponse {
    match done {
        Ok(()) => HttpResponse::Accepted().json(body),
        Err(error) => problem(&error),
    }
}
