//! Pushes over HTTP: the vendor says that its data has changed, and asks what became of it.
//!
//! Here: the body, the query and the answers. Not here: which items and orgs there may be (`Service`), finding the records
//! (`orgpipe_actors`).

use std::{collections::BTreeMap, time::Duration};

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web::{Data, Path, Payload, Query},
};
use orgpipe_actors::{AcceptedPush, NewPush, PUSH_BYTES_MAX, PushError, PushItems, PushView, Service};
use orgpipe_reconcile::lookup;
use orgpipe_store::{Seq, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use tokio::{sync::Semaphore, time};
use utoipa::{IntoParams, ToSchema};

use super::{
    problem::ApiError,
    query::{NoQuery, Object},
};
use crate::audit_log::{self, nothing_done};

/// The header by which a repeated request is known as such.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Pushes listed when no number is asked for, and at most.
const LIMITS: (usize, usize) = (100, 1_000);
/// Seconds until somebody may ask again who was told that too much waits.
const RETRY_AFTER_SECS: u32 = 60;
/// Pushes that are read and stored at the same time: each takes some times its bytes of memory.
const TURNS_MAX: usize = 8;
static TURNS: Semaphore = Semaphore::const_new(TURNS_MAX);
/// How long the body of one may take to come.
const BODY_MAX: Duration = Duration::from_mins(1);

/// What has changed: exactly one of `external_ids`, `keys` and `record_ids`, with 1 to 10,000 items; `org` or `orgs`, or neither
/// to mean all orgs that have the sync.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// `name` of the sync in the settings.
    sync: String,
    /// External IDs of records of the sync's target.
    #[schema(min_items = 1, max_items = 10000)]
    external_ids: Option<Vec<String>>,
    /// Keys of the sync with their values: all of an item are those of one record.
    #[schema(min_items = 1, max_items = 10000)]
    keys: Option<Vec<BTreeMap<String, Value>>>,
    /// IDs of records of one org, 15 or 18 characters.
    #[schema(min_items = 1, max_items = 10000)]
    record_ids: Option<Vec<String>>,
    /// Only in this org.
    org: Option<String>,
    /// Only in these orgs.
    #[schema(min_items = 1)]
    orgs: Option<Vec<String>>,
    /// What a look-up would answer about each item, in order, or null to have it looked up.
    #[schema(value_type = Option<Vec<Value>>)]
    data: Option<Vec<Option<Box<RawValue>>>>,
}

/// The latest pushes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushList {
    /// The newest first, without what is told org by org.
    changes: Vec<PushView>,
}

/// `?limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LatestQuery {
    /// At most so many; 100 unless told, and never more than 1,000.
    limit: Option<usize>,
}

/// Say that your data has changed
///
/// In each org the records are found, then looked up, compared and written, before all that is not of the moment. It is answered
/// once it is on disk.
#[utoipa::path(
    post,
    path = "/api/v1/changes",
    operation_id = "pushChanges",
    tag = "pushes",
    params((
        "Idempotency-Key" = Option<String>,
        Header,
        description = "The same key with the same body again is the same push, for as long as it is kept: 1 to 255 visible characters.",
    )),
    request_body(
        content = ChangeBody,
        example = json!({ "sync": "account_enrichment", "external_ids": ["acme.com", "globex.com"] })
    ),
    responses(
        (status = 202, description = "It is on disk.", body = AcceptedPush),
        (status = 408, description = "The body did not come within a minute.", body = ApiError),
        (status = 409, description = "The `Idempotency-Key` came with another push before.", body = ApiError),
        (status = 422, description = "There is no such org, sync or key, or the sync's target has no lookup that leads from an external ID to a record.", body = ApiError),
        (
            status = 503,
            description = "Too much waits, too many pushes are being taken in at this moment, or the disk is nearly full: nothing was taken in.",
            body = ApiError,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
    )
)]
pub(super) async fn add(
    service: Data<Service>,
    request: HttpRequest,
    payload: Payload,
    _: Query<NoQuery>,
) -> HttpResponse {
    let Ok(_turn) = TURNS.try_acquire() else {
        let what = format!("{TURNS_MAX} pushes are being taken in, and no more at the same time");
        return refused_early(StatusCode::SERVICE_UNAVAILABLE, &what, "Push again shortly.");
    };
    let new = match read(&request, payload).await {
        Ok(new) => new,
        Err(refused) => return refused,
    };
    match service.push(new).await {
        // It was kept when it came first.
        Ok(accepted) if accepted.repeated => nothing_done(HttpResponse::Accepted().json(accepted)),
        Ok(accepted) => {
            let AcceptedPush { number, sync, items, orgs, .. } = &accepted;
            let numbers = [("number", number.0), ("items", *items as u64), ("orgs", *orgs as u64)];
            let mut details = numbers.map(|(name, number)| (name, number.to_string())).to_vec();
            details.push(("sync", sync.clone()));
            audit_log::done(HttpResponse::Accepted().json(&accepted), &details)
        }
        Err(error) => problem(&error),
    }
}

/// What became of a push, org by org
#[utoipa::path(
    get,
    path = "/api/v1/changes/{number}",
    operation_id = "getPush",
    tag = "pushes",
    responses(
        (status = 200, description = "Its records by how they ended.", body = PushView),
        (status = 404, description = "There is no such push: it never was, is older than 7 days, or made room for newer ones.", body = ApiError),
    )
)]
pub(super) async fn show(service: Data<Service>, number: Path<u64>, _: Query<NoQuery>) -> HttpResponse {
    match service.pushed(Seq(*number)).await {
        Ok(push) => HttpResponse::Ok().json(push),
        Err(error) => problem(&error),
    }
}

/// The latest pushes, newest first
#[utoipa::path(
    get,
    path = "/api/v1/changes",
    operation_id = "listPushes",
    tag = "pushes",
    params(LatestQuery),
    responses(
        (status = 200, description = "Without what is told org by org.", body = PushList),
    )
)]
pub(super) async fn list(service: Data<Service>, query: Query<LatestQuery>) -> HttpResponse {
    match service.pushes(query.limit.unwrap_or(LIMITS.0).min(LIMITS.1)).await {
        Ok(pushes) => HttpResponse::Ok().json(PushList { changes: pushes }),
        Err(error) => problem(&error.into()),
    }
}

async fn read(request: &HttpRequest, payload: Payload) -> Result<NewPush, HttpResponse> {
    let is_json = request
        .mime_type()
        .is_ok_and(|mime| mime.is_some_and(|mime| mime.essence_str() == "application/json"));
    if !is_json {
        let what = "the body must be JSON, and say so by `Content-Type: application/json`";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, what, CORRECT));
    }
    let Ok(read) = time::timeout(BODY_MAX, payload.to_bytes_limited(PUSH_BYTES_MAX)).await else {
        let what = format!("the body did not come within {} seconds", BODY_MAX.as_secs());
        return Err(refused_early(StatusCode::REQUEST_TIMEOUT, &what, CORRECT));
    };
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(refused(StatusCode::BAD_REQUEST, "the body cannot be read", CORRECT)),
        Err(_) => {
            let what = format!("the body is larger than the {PUSH_BYTES_MAX} bytes that are read");
            let hint = "Send the items with several pushes.";
            return Err(refused_early(StatusCode::PAYLOAD_TOO_LARGE, &what, hint));
        }
    };
    let Object(body) = serde_json::from_slice::<Object<ChangeBody>>(&bytes).map_err(|cause| {
        refused(StatusCode::BAD_REQUEST, &format!("the body cannot be taken: {cause}"), CORRECT)
    })?;
    let mut keys = request.headers().get_all(&IDEMPOTENCY_KEY);
    let key = keys.next().map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    if keys.next().is_some() {
        let what = "the request has two `Idempotency-Key`s";
        return Err(refused(StatusCode::BAD_REQUEST, what, "Give it one."));
    }
    push(body, key).map_err(|(what, hint)| refused(StatusCode::BAD_REQUEST, &what, &hint))
}

const CORRECT: &str = "Nothing was done; correct the body and ask again.";

/// The push that a body asks for. Pure.
fn push(body: ChangeBody, idempotency_key: Option<String>) -> Result<NewPush, (String, String)> {
    let ChangeBody { sync, external_ids, keys, record_ids, org, orgs, data } = body;
    let items = match (external_ids, keys, record_ids) {
        (Some(ids), None, None) => PushItems::ExternalIds(ids),
        (None, Some(keys), None) => PushItems::Keys(keys),
        (None, None, Some(ids)) => PushItems::RecordIds(ids),
        (None, None, None) => {
            let what = "the body has none of `external_ids`, `keys` and `record_ids`";
            return Err((what.to_owned(), "Give the list of what has changed.".to_owned()));
        }
        _ => {
            let what = "the body has more than one of `external_ids`, `keys` and `record_ids`";
            return Err((what.to_owned(), "Send each list with a push of its own.".to_owned()));
        }
    };
    let orgs = match (org, orgs) {
        (Some(org), None) => Some(vec![org]),
        (None, Some(orgs)) if orgs.is_empty() => {
            return Err((
                "`orgs` is empty".to_owned(),
                "Leave it out to mean all orgs that have the sync.".to_owned(),
            ));
        }
        (None, orgs) => orgs,
        (Some(_), Some(_)) => {
            return Err(("the body has `org` and `orgs`".to_owned(), "Give one of them.".to_owned()));
        }
    };
    let read = |(place, data): (usize, Option<Box<RawValue>>)| {
        let Some(data) = data else { return Ok(None) };
        lookup::unasked(&format!("/data/{place}"), &data).map_err(|problem| {
            (format!("`{}` cannot be read: {}", problem.pointer, problem.what), CORRECT.to_owned())
        })
    };
    let data = data.unwrap_or_default().into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(NewPush { sync, orgs, items, data, idempotency_key })
}

fn problem(error: &PushError) -> HttpResponse {
    let status = match error {
        PushError::Problem(_) | PushError::RecordIdsOf(_) => StatusCode::BAD_REQUEST,
        PushError::UnknownOrg(_)
        | PushError::UnknownSync(_)
        | PushError::NoSync { .. }
        | PushError::NoLookup { .. }
        | PushError::UnknownKey { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        PushError::OtherPush(_) => StatusCode::CONFLICT,
        PushError::Unknown(_) => StatusCode::NOT_FOUND,
        PushError::TooMany { .. } | PushError::Store(StoreError::NoRoom { .. }) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        PushError::Store(StoreError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        PushError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refused(status, &error.to_string(), &error.hint().unwrap_or_default())
}

/// Before the body was read to its end.
fn refused_early(status: StatusCode, what: &str, hint: &str) -> HttpResponse {
    let mut answer = refused(status, what, hint);
    // What was not read would be taken for the next request.
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn refused(status: StatusCode, what: &str, hint: &str) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECS.to_string()));
    }
    answer.json(ApiError { error: what.to_owned(), hint: hint.to_owned() })
}
