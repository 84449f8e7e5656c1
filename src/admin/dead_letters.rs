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
    ACTED_ON_MAX, ActedOn, DeadLetterAction, DeadLetterCommand, DeadLetterError, DeadLetterFilter,
    RetriedRecord, Service,
};
use orgpipe_store::{DeadLetter, LetterError, LetterGroup, ReasonKey, Seq, Subject, UnixMs};
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
use crate::audit_log::{self, nothing_done};

/// Dead letters answered when no number is asked for.
const LIMIT: usize = 100;
/// Records named of one dead letter.
const RECORDS_MAX: usize = 100;
/// Reasons told of what a command would be about.
const REASONS_MAX: usize = 100;
/// Records asked about at a time.
const RETRIED_MAX: usize = 500;

/// `?limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LetterAuditQuery {
    /// At most so many; 100 unless told.
    limit: Option<usize>,
}

/// `?reason=TEXT&group=KEY&before=N&limit=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Those whose reason has this text in it.
    reason: Option<String>,
    /// Those of the group with this key.
    group: Option<String>,
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

/// `?records=ID,ID&since_ms=N`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RetriedQuery {
    /// Record IDs, separated by commas; of more than 500 the first ones.
    records: String,
    /// When the retry began, as it answered.
    #[serde(default)]
    since_ms: u64,
}

/// `?reason=TEXT|group=KEY|all=true&before=N&limit=N&dry_run=true`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyQuery {
    /// Those whose reason has this text in it.
    reason: Option<String>,
    /// Those of the group with this key.
    group: Option<String>,
    /// All of them; one of this, `reason` and `group`.
    #[serde(default)]
    all: bool,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
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
    /// Name of the sync; empty if it is of none.
    sync: String,
    /// When it was refused for the first time.
    first_ms: UnixMs,
    /// When it was refused last.
    last_ms: UnixMs,
    /// How often it was refused.
    count: u64,
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
    /// All that was said about it last.
    errors: Vec<LetterErrorView>,
    /// Key of the group that it belongs to.
    group: String,
}

/// One thing that is wrong with a record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LetterErrorView {
    /// Salesforce's code; empty for what orgpipe itself refused.
    code: String,
    /// What was said; values of the record are cut out: `…`.
    message: String,
    /// The fields that are blamed.
    fields: Vec<String>,
}

impl From<&LetterError> for LetterErrorView {
    fn from(error: &LetterError) -> Self {
        let LetterError { code, message, fields } = error.clone();
        Self { code, message, fields }
    }
}

/// Dead letters of one sync that have the same reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterGroup {
    /// By which they are retried or discarded.
    key: String,
    /// Name of the sync; empty if they are of none.
    sync: String,
    /// The object that was to be written; empty if it did not come to that.
    target: String,
    /// What is wrong.
    reason: String,
    /// What to do.
    hint: String,
    /// How many there are.
    letters: u64,
    /// How many records they stand for.
    records: u64,
    /// How often they were refused, all together.
    count: u64,
    /// When the first was refused for the first time.
    first_ms: UnixMs,
    /// When one was refused last.
    last_ms: UnixMs,
    /// The one that was refused last.
    sample: ListedDeadLetter,
}

impl From<&LetterGroup> for DeadLetterGroup {
    fn from(group: &LetterGroup) -> Self {
        let DeadLetter { sync, target, reason, hint, .. } = &group.sample;
        Self {
            key: group.key.to_string(),
            sync: sync.clone(),
            target: target.clone(),
            reason: reason.clone(),
            hint: hint.clone(),
            letters: group.letters,
            records: group.records,
            count: group.count,
            first_ms: group.first_ms,
            last_ms: group.last_ms,
            sample: (&group.sample).into(),
        }
    }
}

/// Dead letters of an org by sync and reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterGroups {
    /// The largest first, at most 200.
    groups: Vec<DeadLetterGroup>,
}

/// What became of records that were asked for by retries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetriedRecords {
    /// One for each.
    records: Vec<RetriedRecord>,
}

/// What a command would be about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WouldAct {
    /// The org.
    org: String,
    /// How many dead letters.
    letters: usize,
    /// How many records they stand for.
    records: u64,
    /// By reason, the most frequent first, at most 100.
    reasons: Vec<ReasonCount>,
    /// The highest number among them.
    newest: Option<Seq>,
    /// Where to go on; null when there are no more.
    before: Option<Seq>,
}

/// How many dead letters have a reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReasonCount {
    /// What is wrong.
    reason: String,
    /// How many.
    letters: usize,
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            number: letter.seq,
            sync: letter.sync.clone(),
            first_ms: letter.first_ms,
            last_ms: letter.last_ms,
            count: letter.count,
            target: letter.target.clone(),
            key: letter.key.clone(),
            records: letter.records(),
            attempts: letter.attempts,
            reason: letter.reason.clone(),
            hint: letter.hint.clone(),
            errors: letter.errors.iter().map(LetterErrorView::from).collect(),
            group: letter.reason_key().to_string(),
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

impl From<&DeadLetter> for ListedDeadLetter {
    fn from(letter: &DeadLetter) -> Self {
        let named = letter.subjects.iter().take(RECORDS_MAX).map(|subject| subject.record.clone());
        Self { letter: letter.into(), record_ids: named.collect() }
    }
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
    /// When it began: `since_ms` for how retried records end.
    at_ms: UnixMs,
    /// Numbers of dead letters.
    done: Vec<Seq>,
    /// Of a retry: the records that are asked for instead.
    asked: Vec<AskedAgain>,
    /// Those about which it could not be done.
    refused: Vec<RefusedLetter>,
    /// Give it as `before` for the next ones; null when there are no more.
    before: Option<Seq>,
}

/// The records that are asked for in the place of a dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AskedAgain {
    /// Its number.
    number: Seq,
    /// Their IDs.
    records: Vec<String>,
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
    commands: Vec<DeadLetterCommand>,
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
    let ListQuery { reason, group, before, limit } = query.into_inner();
    let Ok(group) = group.map(|key| key.parse::<ReasonKey>()).transpose() else { return no_group() };
    let filter = DeadLetterFilter { reason, group, before: before.map(Seq), limit: limit.unwrap_or(LIMIT) };
    match service.dead_letters(&org, &filter).await {
        Ok(letters) => {
            let listed = letters.iter().map(ListedDeadLetter::from);
            HttpResponse::Ok().json(DeadLetterList { dead_letters: listed.collect() })
        }
        Err(error) => problem(&error),
    }
}

/// The dead letters of an org by sync and reason, the largest group first
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/dead-letters/groups",
    operation_id = "listDeadLetterGroups",
    tag = "dead letters",
    responses(
        (status = 200, description = "Without values of records.", body = DeadLetterGroups),
    )
)]
pub(super) async fn groups(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.dead_letter_groups(&org).await {
        Ok(groups) => {
            let groups = groups.iter().map(DeadLetterGroup::from).collect();
            HttpResponse::Ok().json(DeadLetterGroups { groups })
        }
        Err(error) => problem(&error),
    }
}

/// How records ended that were asked for by retries
#[utoipa::path(
    get,
    path = "/api/v1/orgs/{org}/dead-letters/retried",
    operation_id = "listRetriedRecords",
    tag = "dead letters",
    params(RetriedQuery),
    responses(
        (status = 200, description = "One for each record.", body = RetriedRecords),
    )
)]
pub(super) async fn retried(
    service: Data<Service>,
    org: Path<String>,
    query: Query<RetriedQuery>,
) -> HttpResponse {
    let RetriedQuery { records, since_ms } = query.into_inner();
    let records = records.split(',').map(str::trim).filter(|record| !record.is_empty());
    let records = records.take(RETRIED_MAX).map(str::to_owned).collect();
    match service.retried(&org, records, UnixMs(since_ms)).await {
        Ok(records) => HttpResponse::Ok().json(RetriedRecords { records }),
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
    params(LetterAuditQuery),
    responses(
        (status = 200, description = "One line for each record of a dead letter.", body = DeadLetterCommands),
    )
)]
pub(super) async fn audit(
    service: Data<Service>,
    org: Path<String>,
    query: Query<LetterAuditQuery>,
) -> HttpResponse {
    match service.dead_letter_commands(&org, query.limit.unwrap_or(LIMIT)).await {
        Ok(commands) => HttpResponse::Ok().json(DeadLetterCommands { commands }),
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
        Ok(acted) => done(org, acted),
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
        (status = 200, description = "With `dry_run`: what would be done.", body = WouldAct),
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
        (status = 200, description = "With `dry_run`: what would be done.", body = WouldAct),
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
    let ManyQuery { reason, group, all, dry_run, before, limit } = query;
    if usize::from(reason.is_some()) + usize::from(group.is_some()) + usize::from(all) != 1 {
        let hint = "Give `reason=TEXT` for those whose reason contains the text, `group=KEY` for those of one group, or \
                    `all=true`.";
        return refused(StatusCode::BAD_REQUEST, "it is not said which dead letters are meant", hint);
    }
    let Ok(group) = group.map(|key| key.parse::<ReasonKey>()).transpose() else { return no_group() };
    let limit = limit.unwrap_or(ACTED_ON_MAX);
    let filter = DeadLetterFilter { reason, group, before: before.map(Seq), limit };
    if dry_run {
        return would(service, org, &filter).await;
    }
    match service.act_on_dead_letters(org, &filter, act, &caller.name).await {
        Ok(acted) => done(org.to_owned(), acted),
        Err(error) => problem(&error),
    }
}

async fn would(service: &Service, org: &str, filter: &DeadLetterFilter) -> HttpResponse {
    match service.meant(org, filter).await {
        Ok(meant) => {
            let reasons = meant.reasons.into_iter().take(REASONS_MAX);
            let would = WouldAct {
                org: org.to_owned(),
                letters: meant.letters,
                records: meant.records,
                reasons: reasons.map(|(reason, letters)| ReasonCount { reason, letters }).collect(),
                newest: meant.newest,
                before: meant.before,
            };
            nothing_done(HttpResponse::Ok().json(would))
        }
        Err(error) => problem(&error),
    }
}

fn done(org: String, acted: ActedOn) -> HttpResponse {
    let ActedOn { at_ms, done, refused, before } = acted;
    let letters = done.len();
    let numbers = done.iter().map(|(number, _)| *number).collect();
    let asked = done.into_iter().filter(|(_, records)| !records.is_empty());
    let asked = asked.map(|(number, records)| AskedAgain { number, records }).collect();
    let refused = refused.into_iter().map(|(number, reason)| RefusedLetter { number, reason }).collect();
    let answer =
        HttpResponse::Accepted().json(ActedOnLetters { org, at_ms, done: numbers, asked, refused, before });
    if letters == 0 {
        nothing_done(answer)
    } else {
        audit_log::done(answer, &[("letters", letters.to_string())])
    }
}

fn no_group() -> HttpResponse {
    let hint = "Give the `key` of a group as `GET /api/v1/orgs/{org}/dead-letters/groups` tells it.";
    refused(StatusCode::BAD_REQUEST, "`group` is no key of a group", hint)
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
