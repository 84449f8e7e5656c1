//! Dead letters over HTTP: list, show, retry, discard, and who did what.
//!
//! Here: queries and answers. Not here: what a dead letter is retried as (`orgpipe_actors`).
//!
//! Values of records are answered only where `values=true` asks for them, of one dead letter at a time, and only to the role
//! `operate`. Who gave a command is the name of the token that came with it.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query, ReqData},
};
use orgpipe_actors::{
    ACTED_ON_MAX, DeadLetterAction, DeadLetterCommand, DeadLetterError, DeadLetterFilter, Service,
};
use orgpipe_store::{DeadLetter, Seq, Subject, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    access::Caller,
    orgs,
    problem::{ApiError, refused},
    query::NoQuery,
    tokens::Role,
};

/// Dead letters answered when no number is asked for.
const LIMIT: usize = 100;
/// Records named of one dead letter.
const RECORDS_MAX: usize = 100;

/// `?reason=TEXT&before=N&limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Those whose reason has this text in it.
    reason: Option<String>,
    /// Those with a lower number.
    before: Option<u64>,
    /// At most so many; 100 unless told.
    limit: Option<usize>,
}

/// `?values=true`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// The values that would have been written, too; this takes the role `operate`.
    #[serde(default)]
    values: bool,
}

/// `?reason=TEXT|all=true&before=N&limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyQuery {
    /// Those whose reason has this text in it.
    reason: Option<String>,
    /// All of them; either this or `reason`.
    #[serde(default)]
    all: bool,
    /// Those with a lower number.
    before: Option<u64>,
    /// At most so many, the newest first; 1,000 unless told.
    limit: Option<usize>,
}

/// A dead letter, without values of records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterView {
    /// By which it is asked for.
    number: Seq,
    /// When it was given up.
    at_ms: UnixMs,
    /// The object that was to be written; empty if it did not come to that.
    target: String,
    /// The external ID.
    key: String,
    /// How many records it stands for.
    records: u64,
    /// How often it was tried.
    attempts: u32,
    /// What is wrong.
    reason: String,
    /// What to do.
    hint: String,
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            number: letter.seq,
            at_ms: letter.at_ms,
            target: letter.target.clone(),
            key: letter.key.clone(),
            records: letter.records(),
            attempts: letter.attempts,
            reason: letter.reason.clone(),
            hint: letter.hint.clone(),
        }
    }
}

/// A dead letter of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListedDeadLetter {
    /// The letter.
    #[serde(flatten)]
    letter: DeadLetterView,
    /// IDs of its records, at most 100.
    record_ids: Vec<String>,
}

/// Dead letters of an org.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterList {
    /// The newest first.
    dead_letters: Vec<ListedDeadLetter>,
}

/// A dead letter with what happened to its records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterInFull {
    /// The letter.
    #[serde(flatten)]
    letter: DeadLetterView,
    /// Its records, at most 100.
    subjects: Vec<SubjectView>,
    /// Only with `values=true`: what would have been written.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Value>,
}

/// A record of a dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubjectView {
    /// Its ID.
    record: String,
    /// When it was asked for.
    asked_ms: UnixMs,
    /// How often it was asked for.
    units: u32,
    /// What happened to it.
    trail: Value,
}

/// What was done about dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActedOnLetters {
    /// The org.
    org: String,
    /// Numbers of dead letters.
    done: Vec<Seq>,
    /// Those about which it could not be done.
    refused: Vec<RefusedLetter>,
    /// Give it as `before` for the next ones; null when there are no more.
    before: Option<Seq>,
}

/// A dead letter about which nothing was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedLetter {
    /// Its number.
    number: Seq,
    /// Why.
    reason: String,
}

/// Who did what about dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterCommands {
    /// One for each record of a dead letter, the newest first.
    orders: Vec<DeadLetterCommand>,
}

/// The dead letters of an org, newest first
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/dead-letters",
    operation_id = "listDeadLetters",
    tag = "dead letters",
    params(ListQuery),
    responses(
        (status = 200, description = "Without values of records.", body = DeadLetterList),
    )
)]
pub(super) async fn list(service: Data<Service>, org: Path<String>, query: Query<ListQuery>) -> HttpResponse {
    let ListQuery { reason, before, limit } = query.into_inner();
    let filter = DeadLetterFilter { reason, before: before.map(Seq), limit: limit.unwrap_or(LIMIT) };
    match service.dead_letters(&org, &filter).await {
        Ok(letters) => {
            let listed = letters.iter().map(|letter| {
                let named = letter.subjects.iter().take(RECORDS_MAX).map(|subject| subject.record.clone());
                ListedDeadLetter { letter: letter.into(), record_ids: named.collect() }
            });
            HttpResponse::Ok().json(DeadLetterList { dead_letters: listed.collect() })
        }
        Err(error) => problem(&error),
    }
}

/// One dead letter
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/dead-letters/{number}",
    operation_id = "getDeadLetter",
    tag = "dead letters",
    params(ShowQuery),
    responses(
        (status = 200, description = "With what happened to its records.", body = DeadLetterInFull),
    )
)]
pub(super) async fn show(
    service: Data<Service>,
    place: Path<(String, u64)>,
    query: Query<ShowQuery>,
    caller: ReqData<Caller>,
) -> HttpResponse {
    let (org, number) = place.into_inner();
    if query.values
        && let Err(denied) = caller.check(Role::Operate)
    {
        return denied.answer(false);
    }
    match service.dead_letter(&org, Seq(number)).await {
        Ok(letter) => {
            let view = |subject: &Subject| SubjectView {
                record: subject.record.clone(),
                asked_ms: subject.asked_ms,
                units: subject.units,
                trail: text_or_json(&subject.trail),
            };
            let subjects = letter.subjects.iter().take(RECORDS_MAX).map(view).collect();
            let values = query.values.then(|| text_or_json(&letter.body));
            HttpResponse::Ok().json(DeadLetterInFull { letter: (&letter).into(), subjects, values })
        }
        Err(error) => problem(&error),
    }
}

/// Who retried and discarded dead letters, newest first
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/dead-letters/audit",
    operation_id = "auditDeadLetters",
    tag = "dead letters",
    params(ListQuery),
    responses(
        (status = 200, description = "One line for each record of a dead letter.", body = DeadLetterCommands),
    )
)]
pub(super) async fn audit(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ListQuery>,
) -> HttpResponse {
    match service.dead_letter_commands(&org, query.limit.unwrap_or(LIMIT)).await {
        Ok(commands) => HttpResponse::Ok().json(DeadLetterCommands { orders: commands }),
        Err(error) => problem(&error),
    }
}

/// Ask anew for the records of a dead letter
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/dead-letters/{number}/retry",
    operation_id = "retryDeadLetter",
    tag = "dead letters",
    responses(
        (status = 202, description = "Done.", body = ActedOnLetters),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn retry(
    service: Data<Service>,
    place: Path<(String, u64)>,
    caller: ReqData<Caller>,
    _: Query<NoQuery>,
) -> HttpResponse {
    one(&service, place.into_inner(), &caller, DeadLetterAction::Retry).await
}

/// Discard a dead letter
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/dead-letters/{number}/discard",
    operation_id = "discardDeadLetter",
    tag = "dead letters",
    responses(
        (status = 202, description = "Done.", body = ActedOnLetters),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn discard(
    service: Data<Service>,
    place: Path<(String, u64)>,
    caller: ReqData<Caller>,
    _: Query<NoQuery>,
) -> HttpResponse {
    one(&service, place.into_inner(), &caller, DeadLetterAction::Discard).await
}

async fn one(
    service: &Service,
    (org, number): (String, u64),
    caller: &Caller,
    act: DeadLetterAction,
) -> HttpResponse {
    match service.act_on_dead_letter(&org, Seq(number), act, &caller.name).await {
        Ok(()) => {
            let (done, refused) = (vec![Seq(number)], Vec::new());
            HttpResponse::Accepted().json(ActedOnLetters { org, done, refused, before: None })
        }
        Err(error) => problem(&error),
    }
}

/// Ask anew for the records of many dead letters
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/dead-letters/retry",
    operation_id = "retryDeadLetters",
    tag = "dead letters",
    params(ManyQuery),
    responses(
        (status = 202, description = "Done, and what could not be.", body = ActedOnLetters),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn retry_many(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ManyQuery>,
    caller: ReqData<Caller>,
) -> HttpResponse {
    many(&service, &org, query.into_inner(), &caller, DeadLetterAction::Retry).await
}

/// Discard many dead letters
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/dead-letters/discard",
    operation_id = "discardDeadLetters",
    tag = "dead letters",
    params(ManyQuery),
    responses(
        (status = 202, description = "Done.", body = ActedOnLetters),
        (status = 503, description = "Not now: the service stops, or the org is busy or parked.", body = ApiError),
    )
)]
pub(super) async fn discard_many(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ManyQuery>,
    caller: ReqData<Caller>,
) -> HttpResponse {
    many(&service, &org, query.into_inner(), &caller, DeadLetterAction::Discard).await
}

async fn many(
    service: &Service,
    org: &str,
    query: ManyQuery,
    caller: &Caller,
    act: DeadLetterAction,
) -> HttpResponse {
    let ManyQuery { reason, all, before, limit } = query;
    if reason.is_some() == all {
        let hint = "Give `reason=TEXT` for those whose reason contains the text, or `all=true`.";
        return refused(StatusCode::BAD_REQUEST, "it is not said which dead letters are meant", hint);
    }
    let filter = DeadLetterFilter { reason, before: before.map(Seq), limit: limit.unwrap_or(ACTED_ON_MAX) };
    match service.act_on_dead_letters(org, &filter, act, &caller.name).await {
        Ok(acted) => {
            let refused = acted.refused.into_iter().map(|(number, reason)| RefusedLetter { number, reason });
            let (org, refused) = (org.to_owned(), refused.collect());
            HttpResponse::Accepted().json(ActedOnLetters {
                org,
                done: acted.done,
                refused,
                before: acted.before,
            })
        }
        Err(error) => problem(&error),
    }
}

/// What is kept as JSON is shown as such.
fn text_or_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)))
}

fn problem(error: &DeadLetterError) -> HttpResponse {
    let status = match error {
        DeadLetterError::Org(error) => return orgs::problem(error),
        DeadLetterError::Unknown { .. } => StatusCode::NOT_FOUND,
        DeadLetterError::CannotRetry { .. } => StatusCode::CONFLICT,
        DeadLetterError::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(status, error.to_string(), error.hint().unwrap_or_default())
}
