//! Every path: who may ask for it, whether it reads a body, and who answers.
//!
//! Here: the table, holding a caller against it, and which requests are kept as commands. Not here: who a caller is (`access`), answers
//! (the handlers), what is kept of a command (`audit_log`).
//!
//! Invariant: a path without a line in the table is not served, and a line without a word about who may ask does not compile.

use actix_web::{
    Error, HttpMessage as _, HttpResponse, Route,
    body::{BoxBody, EitherBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::{Next, from_fn},
    web,
};
use serde_json::json;
use tokio::runtime::Handle;

use super::{
    access::{Caller, Denied},
    alerts, audit, changes, commands, dead_letters,
    document::{self, ServedPath},
    live, login, metrics, orgs, preview_page, previews, probes, reload, stored_orgs, token_commands,
    tokens::Role,
    views,
};
use crate::{
    audit_log::{AuditLog, CommandResult, Deed, PUSH, kept_of_query},
    connect::handlers as connect,
    dashboard::{assets, fleet, lookup, org, process},
};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Everybody.
    Anyone,
    /// Whoever has a token of this role, or of a higher one.
    With(Role),
}

use Effect::{Asks, Does};
use Role::{Admin, Operate, Read};
use Who::{Anyone, With};

/// Whether a body is read; one that nobody reads is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    /// By the handler, which bounds it and looks at its type.
    Read,
}

/// What a POST does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It asks something that takes calls or a body, or is about whoever asks: nothing of it is kept.
    Asks,
    /// It is a command, which the audit keeps under this name.
    Does(&'static str),
}

/// A path with a method.
pub(super) struct Rule {
    method: fn() -> Method,
    pub(super) path: &'static str,
    pub(super) who: Who,
    effect: Effect,
    body: Body,
    to: fn() -> Route,
}

impl Rule {
    pub(super) fn method(&self) -> Method {
        (self.method)()
    }

    #[cfg(test)]
    pub(super) fn reads_body(&self) -> bool {
        self.body == Body::Read
    }
}

const fn get(path: &'static str, who: Who, to: fn() -> Route) -> Rule {
    Rule { method: || Method::GET, path, who, effect: Asks, body: Body::None, to }
}

const fn post(path: &'static str, who: Who, effect: Effect, to: fn() -> Route) -> Rule {
    Rule { method: || Method::POST, path, who, effect, body: Body::None, to }
}

/// A POST with a body.
const fn send(path: &'static str, who: Who, effect: Effect, to: fn() -> Route) -> Rule {
    Rule { body: Body::Read, ..post(path, who, effect, to) }
}

/// All there are. Where two fit a path, the first one answers.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    get("/healthz", Anyone, || web::to(probes::alive)),
    get("/readyz", Anyone, || web::to(probes::ready)),
    // The looks of pages, which people who are not logged in see, too.
    get("/assets/{name}", Anyone, || web::to(assets::serve)),
    get("/login", Anyone, || web::to(login::show)),
    send("/login", Anyone, Asks, || web::to(login::post)),
    // The link is what lets a customer in.
    get("/connect/{link}", Anyone, || web::to(connect::show)),
    send("/connect/{link}", Anyone, Asks, || web::to(connect::begin)),
    post("/connect/{link}/check", Anyone, Asks, || web::to(connect::check)),
    get("/oauth/callback", Anyone, || web::to(connect::answer)),
    post("/logout", With(Read), Asks, || web::to(login::log_out)),
    get("/", With(Read), || web::to(fleet::show)),
    // Who listens is asked anew for as long as the stream lasts.
    get("/live", With(Read), || web::to(live::open)),
    get("/lookup", With(Read), || web::to(lookup::show)),
    get("/process", With(Read), || web::to(process::show)),
    get("/orgs/{org}", With(Read), || web::to(org::overview::show)),
    post("/orgs/{org}/forecast", With(Operate), Asks, || web::to(org::forecast::post)),
    get("/orgs/{org}/dead-letters", With(Read), || web::to(org::letters::show)),
    send("/orgs/{org}/dead-letters", With(Operate), Does("act on dead letters"), || web::to(org::letters::post)),
    // What an org said about a record may have values of it.
    get("/orgs/{org}/records", With(Operate), || web::to(org::record::show)),
    get("/orgs/{org}/doctor", With(Read), || web::to(org::doctor::show)),
    post("/orgs/{org}/doctor", With(Operate), Does("examine"), || web::to(org::doctor::post)),
    get("/orgs/{org}/mapping", With(Read), || web::to(org::mapping::show)),
    get("/orgs/{org}/audit", With(Read), || web::to(org::audit::show)),
    get("/orgs/{org}/preview", With(Operate), || web::to(preview_page::show)),
    send("/orgs/{org}/preview", With(Operate), Asks, || web::to(preview_page::post)),
    get("/metrics", With(Read), || web::to(metrics::show)),
    get("/api/v1/openapi.json", With(Read), || web::to(document::show)),
    get("/api/v1/history", With(Read), || web::to(views::history)),
    get("/api/v1/lookup", With(Read), || web::to(views::lookup)),
    get("/api/v1/process", With(Read), || web::to(views::process)),
    get("/api/v1/tree", With(Read), || web::to(orgs::tree)),
    post("/api/v1/reload", With(Operate), Does("reload settings"), || web::to(reload::post)),
    // Of all orgs, and of tokens.
    get("/api/v1/audit", With(Operate), || web::to(audit::list)),
    get("/api/v1/alerts", With(Read), || web::to(alerts::list)),
    get("/api/v1/notify", With(Read), || web::to(alerts::receivers)),
    post("/api/v1/notify/{name}/test", With(Operate), Does("test receiver"), || web::to(alerts::test)),
    get("/api/v1/changes", With(Read), || web::to(changes::list)),
    send("/api/v1/changes", With(Operate), Does(PUSH), || web::to(changes::add)),
    get("/api/v1/changes/{number}", With(Read), || web::to(changes::show)),
    get("/api/v1/tokens", With(Admin), || web::to(token_commands::list)),
    send("/api/v1/tokens", With(Admin), Does("add token"), || web::to(token_commands::add)),
    post("/api/v1/tokens/{name}/revoke", With(Admin), Does("revoke token"), || web::to(token_commands::revoke)),
    get("/api/v1/orgs", With(Read), || web::to(orgs::list)),
    send("/api/v1/orgs", With(Admin), Does("add org"), || web::to(stored_orgs::add)),
    get("/api/v1/orgs/{org}", With(Read), || web::to(orgs::one)),
    // As the page, which has always shown it to whoever may look.
    get("/api/v1/orgs/{org}/audit", With(Read), || web::to(audit::of_org)),
    get("/api/v1/orgs/{org}/dead-letters", With(Read), || web::to(dead_letters::list)),
    get("/api/v1/orgs/{org}/dead-letters/audit", With(Read), || web::to(dead_letters::audit)),
    get("/api/v1/orgs/{org}/dead-letters/groups", With(Read), || web::to(dead_letters::groups)),
    get("/api/v1/orgs/{org}/dead-letters/retried", With(Read), || web::to(dead_letters::retried)),
    post("/api/v1/orgs/{org}/dead-letters/retry", With(Operate), Does("retry dead letters"), || web::to(dead_letters::retry_many)),
    post("/api/v1/orgs/{org}/dead-letters/discard", With(Operate), Does("discard dead letters"), || web::to(dead_letters::discard_many)),
    // With `values=true` it takes the role `operate`.
    get("/api/v1/orgs/{org}/dead-letters/{number}", With(Read), || web::to(dead_letters::show)),
    post("/api/v1/orgs/{org}/dead-letters/{number}/retry", With(Operate), Does("retry dead letter"), || web::to(dead_letters::retry)),
    post("/api/v1/orgs/{org}/dead-letters/{number}/discard", With(Operate), Does("discard dead letter"), || web::to(dead_letters::discard)),
    get("/api/v1/orgs/{org}/history", With(Read), || web::to(views::org_history)),
    get("/api/v1/orgs/{org}/syncs", With(Read), || web::to(orgs::syncs)),
    get("/api/v1/orgs/{org}/receipts", With(Read), || web::to(orgs::receipts)),
    // What an org said about a record may have values of it.
    get("/api/v1/orgs/{org}/records", With(Operate), || web::to(orgs::find)),
    get("/api/v1/orgs/{org}/records/{record}", With(Operate), || web::to(orgs::explain)),
    post("/api/v1/orgs/{org}/pause", With(Operate), Does("pause"), || web::to(commands::pause)),
    post("/api/v1/orgs/{org}/resume", With(Operate), Does("resume"), || web::to(commands::resume)),
    post("/api/v1/orgs/{org}/restart", With(Operate), Does("restart"), || web::to(commands::restart)),
    post("/api/v1/orgs/{org}/drain", With(Operate), Does("drain"), || web::to(commands::drain)),
    get("/api/v1/orgs/{org}/doctor", With(Read), || web::to(orgs::last_examination)),
    post("/api/v1/orgs/{org}/doctor", With(Operate), Does("examine"), || web::to(orgs::doctor)),
    // With `settings` it takes the role `admin`.
    send("/api/v1/orgs/{org}/preview", With(Operate), Asks, || web::to(previews::post)),
    post("/api/v1/orgs/{org}/limits", With(Operate), Asks, || web::to(orgs::limits)),
    send("/api/v1/orgs/{org}/invite", With(Admin), Does("invite"), || web::to(stored_orgs::invite)),
    post("/api/v1/orgs/{org}/remove", With(Admin), Does("remove"), || web::to(stored_orgs::remove)),
    post("/api/v1/orgs/{org}/purge", With(Admin), Does("purge"), || web::to(commands::purge)),
    post("/api/v1/orgs/{org}/refresh", With(Operate), Does("refresh"), || web::to(commands::refresh)),
    get("/api/v1/orgs/{org}/refreshes", With(Read), || web::to(orgs::refreshes)),
    post("/api/v1/orgs/{org}/refresh/pause", With(Operate), Does("pause refresh"), || web::to(commands::pause_refresh)),
    post("/api/v1/orgs/{org}/refresh/resume", With(Operate), Does("resume refresh"), || web::to(commands::resume_refresh)),
    post("/api/v1/orgs/{org}/refresh/cancel", With(Operate), Does("cancel refresh"), || web::to(commands::cancel_refresh)),
    post("/api/v1/orgs/{org}/replay", With(Operate), Does("replay"), || web::to(commands::replay)),
];

/// All there are, as the document tells them.
pub(super) fn served() -> impl Iterator<Item = ServedPath> {
    RULES.iter().map(|rule| ServedPath {
        method: rule.method(),
        path: rule.path,
        role: match rule.who {
            Anyone => None,
            With(role) => Some(role),
        },
        reads_body: rule.body == Body::Read,
    })
}

/// Whether that may be asked for without a token.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    RULES.iter().any(|rule| rule.who == Anyone && rule.method() == *method && fits(rule.path, path))
}

/// Whether a path is one of a pattern's: part by part the same, or one that varies and is not empty.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut parts, mut wanted) = (path.split('/'), pattern.split('/'));
    let fit = wanted
        .by_ref()
        .zip(parts.by_ref())
        .all(|(wanted, part)| if wanted.starts_with('{') { !part.is_empty() } else { wanted == part });
    fit && pattern.split('/').count() == path.split('/').count()
}

/// Serves them.
pub(super) fn install(app: &mut web::ServiceConfig) {
    for rule in RULES {
        let admitted = from_fn(move |request, next| admit(rule, request, next));
        app.route(rule.path, (rule.to)().method(rule.method()).wrap(admitted));
    }
}

/// Lets a caller through who may ask for it, and keeps what was done.
async fn admit(
    rule: &'static Rule,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<EitherBody<BoxBody, BoxBody>>, Error> {
    let refuse = |request: ServiceRequest, answer: HttpResponse| {
        Ok(request.into_response(answer).map_into_boxed_body().map_into_right_body())
    };
    let caller = request.extensions().get::<Caller>().cloned();
    if let With(role) = rule.who {
        let checked = caller.as_ref().ok_or(Denied::NoToken).and_then(|caller| caller.check(role));
        if let Err(denied) = checked {
            return refuse(request, denied.answer(false));
        }
    }
    if rule.body == Body::None && has_body(&request) {
        let hint = "Put what you want to say into the query, behind the `?` of the address.";
        let body = json!({ "error": "the request has a body, and this path reads none", "hint": hint });
        return refuse(request, HttpResponse::BadRequest().json(body));
    }
    // A customer gives no commands, and the address of what one does is a secret.
    let command = caller.filter(|_| rule.who != Anyone && rule.method() != Method::GET);
    let org = request.match_info().get("org").map(str::to_owned);
    let told = command.as_ref().map(|caller| (caller.name.clone(), request.path().to_owned()));
    let given = command.and_then(|caller| given(rule, &request, caller));
    let answer = next.call(request).await?;
    let status = answer.status();
    if let Some((by, path)) = told
        && !status.is_client_error()
        && !status.is_server_error()
    {
        // A field that is absent is left out of the line.
        tracing::info!(org, by, path, "a command was accepted");
    }
    if let Some(given) = given {
        let result = answer.response().extensions().get::<CommandResult>().cloned();
        given.answered(status, result).await;
    }
    Ok(answer.map_into_left_body())
}

/// A command that has been given, and is not answered yet.
///
/// Whoever hangs up ends the handler wherever it is. What they asked for may be done all the same, so that it is kept then, too.
struct GivenCommand {
    log: AuditLog,
    deed: Option<Deed>,
}

/// What is known of a command before it is carried out; none if nothing of it is to be kept.
fn given(rule: &Rule, request: &ServiceRequest, caller: Caller) -> Option<GivenCommand> {
    let Does(command) = rule.effect else { return None };
    let log = request.app_data::<web::Data<AuditLog>>()?.get_ref().clone();
    let mut details = kept_of_query(request.query_string());
    let (mut org, parts) = (None, request.match_info());
    for (name, value) in parts.iter() {
        match name {
            "org" => org = Some(value.to_owned()),
            _ => drop(details.insert(name.to_owned(), value.to_owned())),
        }
    }
    let deed = Deed { by: caller.name, command: command.to_owned(), org, details, status: None };
    Some(GivenCommand { log, deed: Some(deed) })
}

impl GivenCommand {
    /// Keeps it, on disk before it is answered, unless it came to nothing.
    async fn answered(mut self, status: StatusCode, result: Option<CommandResult>) {
        let Some(mut deed) = self.deed.take() else { return };
        match result {
            Some(CommandResult::Nothing) => return,
            Some(CommandResult::Done(details)) => {
                deed.details.extend(details);
                deed.org = deed.details.remove("org").or(deed.org);
            }
            // It was refused. Of what failed within a part may be done.
            None if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE => return,
            None => {}
        }
        deed.status = Some(status.as_u16());
        // A task of its own, as whoever asked may still hang up.
        let _ = tokio::spawn(self.log.clone().keep(deed)).await;
    }
}

impl Drop for GivenCommand {
    fn drop(&mut self) {
        if let (Some(deed), Ok(runtime)) = (self.deed.take(), Handle::try_current()) {
            runtime.spawn(self.log.clone().keep(deed));
        }
    }
}

fn has_body(request: &ServiceRequest) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length.as_bytes() != b"0")
        || request.headers().contains_key(header::TRANSFER_ENCODING)
}
