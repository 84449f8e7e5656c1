//! The REST and Bulk resources, as functions from a call to an answer.
//!
//! Here: the table of paths, and what every call goes through: version, token, quota.
//! Not here: sockets (`server`), what a write does (`org/writes`), logins (`oauth`).
//! Source: REST API Developer Guide "Reference", Bulk API 2.0 and Bulk API Developer Guide.

mod bulk;
mod call;
mod collections;
mod discovery;
mod query;
mod rows;

pub(crate) use bulk::advance;
pub(crate) use call::Call;

use crate::answer::Answer;
use crate::org::{Org, OrgState};
use crate::rights::Right;

/// An answer and whether the call counted against the quota.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) answer: Answer,
    pub(crate) counted: bool,
}

/// Answers one call to `/services/data…`; `token` is what the client presented.
pub(crate) fn handle(org: &Org, state: &mut OrgState, call: &Call, token: Option<&str>) -> Handled {
    let free = |answer| Handled { answer, counted: false };
    let Some(version) = call.segments.first() else { return free(discovery::versions(state.versions_from)) };
    if let Some(refused) = discovery::refuse_version(version, state.versions_from) {
        return free(refused);
    }
    let now = org.clock.now_ms();
    let Some(session) = token.and_then(|token| state.logins.tokens.take(token, now)) else {
        return free(Answer::error(401, "INVALID_SESSION_ID", "Session expired or invalid"));
    };
    if !session.has_scope(&["api", "full"]) {
        let message = "This session is not valid for use with the REST API";
        return free(Answer::error(401, "INVALID_SESSION_ID", message));
    }
    let user = session.user;
    if !state.views.may(&user, Right::ApiEnabled) {
        let message = "The REST API is not enabled for this Organization.";
        return free(Answer::error(403, "API_DISABLED_FOR_ORG", message));
    }
    let counted = state.quota.take(now);
    let mut answer = if counted {
        route(org, state, call, &user)
    } else {
        Answer::error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    };
    let counts = format!("{}/{}", state.quota.used(now), state.quota.max());
    let usage = if org.facts.per_app_usage {
        format!("api-usage={counts}; per-app-api-usage={counts}(appName=simulated-app)")
    } else {
        format!("api-usage={counts}")
    };
    answer.headers.push(("Sforce-Limit-Info", usage));
    Handled { answer, counted }
}

fn route(org: &Org, state: &mut OrgState, call: &Call, user: &str) -> Answer {
    let segments: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    let method = call.method.as_str();
    let seen = state.views.seen(user);
    let seen = seen.as_ref();
    let writer = &org.client_writer(user, call.origin("rest"));
    match (method, segments.as_slice()) {
        ("GET", []) => discovery::resources(org, state, call, user),
        ("GET", ["limits"]) => discovery::limits(org, state),
        ("GET", ["query"]) => query::first(state, seen, call, user, false),
        ("GET", ["queryAll"]) => query::first(state, seen, call, user, true),
        ("GET", ["query" | "queryAll", locator]) => query::next(state, call, locator, user),
        ("GET", ["tooling", "query"]) => discovery::installed_packages(org, state, call, user),
        ("GET", ["sobjects"]) => discovery::objects(seen, call),
        ("GET", ["sobjects", object]) => discovery::object(seen, call, object),
        ("GET", ["sobjects", object, "describe"]) => discovery::describe(org, seen, call, object),
        ("GET", ["sobjects", object, "eventSchema"]) => discovery::event_schema(seen, object),
        ("POST", ["sobjects", object] | ["sobjects", object, "Id"]) => {
            rows::create(org, state, (seen, call), object, writer)
        }
        ("GET", ["sobjects", object, id]) => rows::get(state, (seen, call), object, "Id", id),
        ("PATCH", ["sobjects", object, id]) => rows::update(org, state, (seen, call), object, id, writer),
        ("DELETE", ["sobjects", object, id]) => rows::delete(org, state, seen, object, "Id", id, writer),
        ("GET", ["sobjects", object, field, key]) => rows::get(state, (seen, call), object, field, key),
        ("PATCH", ["sobjects", object, field, key]) => {
            rows::upsert(org, state, (seen, call), object, field, key, writer)
        }
        ("DELETE", ["sobjects", object, field, key]) => {
            rows::delete(org, state, seen, object, field, key, writer)
        }
        ("POST", ["composite", "sobjects"]) => collections::create(org, state, (seen, call), writer),
        ("PATCH", ["composite", "sobjects"]) => collections::update(org, state, (seen, call), writer),
        ("DELETE", ["composite", "sobjects"]) => collections::delete(org, state, (seen, call), writer),
        ("PATCH", ["composite", "sobjects", object, field]) => {
            collections::upsert(org, state, (seen, call), object, field, writer)
        }
        ("GET" | "POST", ["composite", "sobjects", object]) => {
            collections::retrieve(state, (seen, call), object)
        }
        (_, ["jobs", rest @ ..]) => bulk::route(org, state, call, rest, user),
        (_, ["query" | "limits" | "sobjects" | "composite", ..]) => {
            let message =
                format!("HTTP Method '{method}' not allowed. Allowed are GET,HEAD,POST,PATCH,DELETE");
            Answer::error(405, "METHOD_NOT_ALLOWED", &message)
        }
        _ => Answer::not_found(),
    }
}
