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
use orgpipe_actors::{ACTED_ON_MAX, ActedOn, DeadLetterAction, DeadLetterError, DeadLetterFilter, Service};
use orgpipe_store::{DeadLetter, LetterError, ReasonKey, Seq, UnixMs};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{access::Caller, orgs, query::NoQuery, tokens::Role};

/// Dead letters answered when no number is asked for.
const LIMIT: usize = 100;
/// Records named of one dead letter.
const RECORDS_MAX: usize = 100;

/// Reasons told of what a command would be about.
const REASONS_MAX: usize = 100;
/// Records asked about at a time.
const RETRIED_MAX: usize = 500;

/// `?reason=TEXT&group=KEY&before=N&limit=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    reason: Option<String>,
    group: Option<String>,
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

/// `?records=ID,ID&since_ms=N`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetriedQuery {
    records: String,
    #[serde(default)]
    since_ms: u64,
}

/// `?reason=TEXT|group=KEY|all=true&before=N&limit=N&dry_run=true`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyQuery {
    reason: Option<String>,
    group: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    all: bool,
    before: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn list(service: Data<Service>, org: Path<String>, query: Query<ListQuery>) -> HttpResponse {
    let ListQuery { reason, group, before, limit } = query.into_inner();
    let Some(group) = group_of(group) else { return no_group() };
    let filter = DeadLetterFilter { reason, group, before: before.map(Seq), limit: limit.unwrap_or(LIMIT) };
    match service.dead_letters(&org, &filter).await {
        Ok(letters) => {
            let letters: Vec<Value> = letters.iter().map(in_list).collect();
            HttpResponse::Ok().json(json!({ "dead_letters": letters }))
        }
        Err(error) => problem(&error),
    }
}

/// By sync and reason.
pub(super) async fn groups(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.dead_letter_groups(&org).await {
        Ok(groups) => {
            let groups: Vec<Value> = groups
                .iter()
                .map(|group| {
                    json!({ "key": group.key.to_string(), "sync": group.sample.sync, "target": group.sample.target,
                            "reason": group.sample.reason, "hint": group.sample.hint, "letters": group.letters,
                            "records": group.records, "count": group.count, "first_ms": group.first_ms,
                            "last_ms": group.last_ms, "sample": in_list(&group.sample) })
                })
                .collect();
            HttpResponse::Ok().json(json!({ "groups": groups }))
        }
        Err(error) => problem(&error),
    }
}

/// How records ended that were asked for by retries.
pub(super) async fn retried(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RetriedQuery>,
) -> HttpResponse {
    let RetriedQuery { records, since_ms } = query.into_inner();
    let records = records.split(',').map(str::trim).filter(|record| !record.is_empty());
    let records = records.take(RETRIED_MAX).map(str::to_owned).collect();
    match service.retried(&org, records, UnixMs(since_ms)).await {
        Ok(records) => HttpResponse::Ok().json(json!({ "records": records })),
        Err(error) => problem(&error),
    }
}

/// A letter as a list has it, and what one alone begins with.
fn in_list(letter: &DeadLetter) -> Value {
    let named: Vec<&str> =
        letter.subjects.iter().take(RECORDS_MAX).map(|subject| subject.record.as_str()).collect();
    let mut value = of_letter(letter);
    value["record_ids"] = json!(named);
    value
}

fn of_letter(letter: &DeadLetter) -> Value {
    let error = |LetterError { code, message, fields }: &LetterError| {
        json!({ "code": code, "message": message, "fields": fields })
    };
    let errors: Vec<Value> = letter.errors.iter().map(error).collect();
    json!({ "number": letter.seq, "sync": letter.sync, "first_ms": letter.first_ms, "last_ms": letter.last_ms,
            "count": letter.count, "target": letter.target, "key": letter.key, "records": letter.records(),
            "attempts": letter.attempts, "reason": letter.reason, "hint": letter.hint, "errors": errors,
            "group": letter.reason_key().to_string() })
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
            let mut answer = of_letter(&letter);
            answer["subjects"] = json!(subjects);
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
        Ok(commands) => HttpResponse::Ok().json(json!({ "commands": commands })),
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
        Ok(acted) => done(&org, &acted),
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
    let ManyQuery { reason, group, dry_run, all, before, limit } = query;
    if usize::from(reason.is_some()) + usize::from(group.is_some()) + usize::from(all) != 1 {
        let hint = "Give `reason=TEXT` for those whose reason contains the text, `group=KEY` for those of one group, or \
                    `all=true`.";
        let body = json!({ "error": "it is not said which dead letters are meant", "hint": hint });
        return HttpResponse::build(StatusCode::BAD_REQUEST).json(body);
    }
    let Some(group) = group_of(group) else { return no_group() };
    let limit = limit.unwrap_or(ACTED_ON_MAX);
    let filter = DeadLetterFilter { reason, group, before: before.map(Seq), limit };
    if dry_run {
        return would(service, org, &filter).await;
    }
    match service.act_on_dead_letters(org, &filter, act, &caller.name).await {
        Ok(acted) => done(org, &acted),
        Err(error) => problem(&error),
    }
}

/// What a command would be about.
async fn would(service: &Service, org: &str, filter: &DeadLetterFilter) -> HttpResponse {
    match service.meant(org, filter).await {
        Ok(meant) => {
            let reasons = meant.reasons.iter().take(REASONS_MAX);
            let reasons: Vec<Value> =
                reasons.map(|(reason, letters)| json!({ "reason": reason, "letters": letters })).collect();
            HttpResponse::Ok().json(json!({ "org": org, "letters": meant.letters, "records": meant.records,
                "reasons": reasons, "newest": meant.newest, "before": meant.before }))
        }
        Err(error) => problem(&error),
    }
}

fn done(org: &str, acted: &ActedOn) -> HttpResponse {
    let numbers: Vec<Seq> = acted.done.iter().map(|(number, _)| *number).collect();
    let asked = acted.done.iter().filter(|(_, records)| !records.is_empty());
    let asked: Vec<Value> =
        asked.map(|(number, records)| json!({ "number": number, "records": records })).collect();
    let refused = acted.refused.iter();
    let refused: Vec<Value> =
        refused.map(|(number, reason)| json!({ "number": number, "reason": reason })).collect();
    HttpResponse::Accepted().json(json!({ "org": org, "at_ms": acted.at_ms, "done": numbers, "asked": asked,
        "refused": refused, "before": acted.before }))
}

/// None if that is no key; none within if none is given.
#[allow(clippy::option_option, reason = "a key that is none and no key are two things")]
fn group_of(group: Option<String>) -> Option<Option<ReasonKey>> {
    group.map_or(Some(None), |group| group.parse().ok().map(Some))
}

fn no_group() -> HttpResponse {
    let hint = "Give the `key` of a group as `GET /api/v1/orgs/{org}/dead-letters/groups` tells it.";
    let body = json!({ "error": "`group` is no key of a group", "hint": hint });
    HttpResponse::build(StatusCode::BAD_REQUEST).json(body)
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
