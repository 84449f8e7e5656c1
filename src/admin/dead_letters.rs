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
use orgpipe_actors::{ACTED_ON_MAX, DeadLetterAction, DeadLetterError, DeadLetterFilter, Service};
use orgpipe_store::Seq;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{access::Caller, orgs, query::NoQuery, tokens::Role};

/// Dead letters answered when no number is asked for.
const LIMIT: usize = 100;
/// Records named of one dead letter.
const RECORDS_MAX: usize = 100;

/// `?reason=TEXT&before=N&limit=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    reason: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// `?values=true`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    #[serde(default)]
    values: bool,
}

/// `?reason=TEXT|all=true&before=N&limit=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyQuery {
    reason: Option<String>,
    #[serde(default)]
    all: bool,
    before: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn list(service: Data<Service>, org: Path<String>, query: Query<ListQuery>) -> HttpResponse {
    let ListQuery { reason, before, limit } = query.into_inner();
    let filter = DeadLetterFilter { reason, before: before.map(Seq), limit: limit.unwrap_or(LIMIT) };
    match service.dead_letters(&org, &filter).await {
        Ok(letters) => {
            let letters: Vec<Value> = letters
                .iter()
                .map(|letter| {
                    let named: Vec<&str> =
                        letter.subjects.iter().take(RECORDS_MAX).map(|subject| subject.record.as_str()).collect();
                    json!({ "number": letter.seq, "at_ms": letter.at_ms, "target": letter.target, "key": letter.key,
                            "records": letter.records(), "record_ids": named, "attempts": letter.attempts,
                            "reason": letter.reason, "hint": letter.hint })
                })
                .collect();
            HttpResponse::Ok().json(json!({ "dead_letters": letters }))
        }
        Err(error) => problem(&error),
    }
}

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
            let subjects: Vec<Value> = letter
                .subjects
                .iter()
                .take(RECORDS_MAX)
                .map(|subject| {
                    json!({ "record": subject.record, "asked_ms": subject.asked_ms, "units": subject.units,
                            "trail": text_or_json(&subject.trail) })
                })
                .collect();
            let mut answer = json!({ "number": letter.seq, "at_ms": letter.at_ms, "target": letter.target,
                "key": letter.key, "records": letter.records(), "attempts": letter.attempts,
                "reason": letter.reason, "hint": letter.hint, "subjects": subjects });
            if query.values {
                answer["values"] = text_or_json(&letter.body);
            }
            HttpResponse::Ok().json(answer)
        }
        Err(error) => problem(&error),
    }
}

pub(super) async fn audit(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ListQuery>,
) -> HttpResponse {
    match service.dead_letter_commands(&org, query.limit.unwrap_or(LIMIT)).await {
        Ok(commands) => HttpResponse::Ok().json(json!({ "orders": commands })),
        Err(error) => problem(&error),
    }
}

pub(super) async fn retry(
    service: Data<Service>,
    place: Path<(String, u64)>,
    caller: ReqData<Caller>,
    _: Query<NoQuery>,
) -> HttpResponse {
    one(&service, place.into_inner(), &caller, DeadLetterAction::Retry).await
}

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
        Ok(()) => HttpResponse::Accepted().json(json!({ "org": org, "done": [number], "refused": [] })),
        Err(error) => problem(&error),
    }
}

pub(super) async fn retry_many(
    service: Data<Service>,
    org: Path<String>,
    query: Query<ManyQuery>,
    caller: ReqData<Caller>,
) -> HttpResponse {
    many(&service, &org, query.into_inner(), &caller, DeadLetterAction::Retry).await
}

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
        let body = json!({ "error": "it is not said which dead letters are meant", "hint": hint });
        return HttpResponse::build(StatusCode::BAD_REQUEST).json(body);
    }
    let filter = DeadLetterFilter { reason, before: before.map(Seq), limit: limit.unwrap_or(ACTED_ON_MAX) };
    match service.act_on_dead_letters(org, &filter, act, &caller.name).await {
        Ok(acted) => {
            let refused: Vec<Value> = acted
                .refused
                .iter()
                .map(|(number, reason)| json!({ "number": number, "reason": reason }))
                .collect();
            HttpResponse::Accepted()
                .json(json!({ "org": org, "done": acted.done, "refused": refused, "before": acted.before }))
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
    HttpResponse::build(status)
        .json(json!({ "error": error.to_string(), "hint": error.hint().unwrap_or_default() }))
}
