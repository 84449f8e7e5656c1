//! Orgs that are kept in the store: added, invited and removed over HTTP, without an edit of the settings and without a restart.
//!
//! Here: bodies and answers. Not here: what an invitation is (`connect`), the other commands about orgs (`commands`).

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Json, Path, Query, ReqData},
};
use orgpipe_actors::Service;
use orgpipe_salesforce::oauth::login_host;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    access::Caller,
    query::{NoQuery, Object},
};
use crate::{
    connect::{InviteError, handlers::Door, is_loopback},
    in_force::{
        SettingsFile,
        stored_org::{RecordError, StoredOrg, WEB_SERVER},
    },
};

/// Hours of a day.
const DAY_HOURS: u64 = 24;
/// Days for which a link may be good.
const DAYS: std::ops::RangeInclusive<u32> = 1..=90;

/// How a customer is invited.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteBody {
    /// Where the customer logs in: an address of the org; without it the customer chooses.
    #[serde(default)]
    login_url: Option<String>,
    /// For how many days the link is good.
    #[serde(default)]
    days: Option<u32>,
}

/// Adds an org with the keys of an `[[org]]` table; without `auth` a customer connects it.
pub(super) async fn add(
    service: Data<Service>,
    settings: Data<SettingsFile>,
    caller: ReqData<Caller>,
    table: Json<Map<String, Value>>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let mut table = table.into_inner();
    let Some(id) = table.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return refused(StatusCode::BAD_REQUEST, "the body has no `id`", "Give the org a name of your own.");
    };
    if let Some((what, hint)) = unfit(&mut table, &settings) {
        return refused(StatusCode::BAD_REQUEST, &what, &hint);
    }
    table.entry("auth").or_insert_with(|| json!({ "flow": WEB_SERVER }));
    let _change = settings.change().await;
    let now_ms = service.clock().now_ms();
    let org = StoredOrg::new(&id, Some(table), &caller.name, now_ms);
    match StoredOrg::find(&service, &id).await {
        Ok(None) if service.org(&id).await.is_none() => {}
        Ok(_) => {
            let what = format!("there is an org `{id}` already");
            return refused(StatusCode::CONFLICT, &what, "Choose another name, or remove that one first.");
        }
        Err(error) => return problem(&error.into()),
    }
    match settings.problems_of(&service, &org).await {
        Ok(problems) if problems.is_empty() => {}
        Ok(problems) => return problem(&InviteError::Settings { problems }),
        Err(error) => return problem(&RecordError::from(error).into()),
    }
    if let Err(error) = org.put(&service).await {
        return problem(&RecordError::from(error).into());
    }
    if !org.is_by_consent()
        && let Err(error) = settings.put_to_work(&service).await
    {
        let hint = "The org is stored, and starts once that is mended.";
        return refused(StatusCode::CONFLICT, &error.to_string(), hint);
    }
    HttpResponse::Created().json(json!({ "org": id, "by_consent": org.is_by_consent() }))
}

/// What an org of the store may not have. Its secrets are named by whoever may add orgs, and go to its login host: so that must be
/// one of Salesforce's, or this machine where all of it is a rehearsal.
fn unfit(table: &mut Map<String, Value>, settings: &SettingsFile) -> Option<(String, String)> {
    if table.values().any(has_null) {
        return Some(("the body has a `null`".to_owned(), "Leave out what is not to be set.".to_owned()));
    }
    if table.contains_key("instance_hosts") {
        let hint = "Write it into `[org_defaults]` of the settings.".to_owned();
        return Some(("`instance_hosts` is not for an org of the store".to_owned(), hint));
    }
    let written = table.get("login_url")?.as_str()?.to_owned();
    let rehearsal = settings.admin.listen.ip().is_loopback()
        && settings.connect().is_none_or(|connect| is_loopback(&connect.base_url));
    match login_host::correct(&written) {
        Ok(url) if is_loopback(&url) && !rehearsal => {
            let what = format!("`login_url` is `{written}`, which is on this machine");
            Some((what, "Write the org's My Domain.".to_owned()))
        }
        Ok(url) => {
            table.insert("login_url".to_owned(), json!(url.as_str().trim_end_matches('/')));
            None
        }
        Err(error) => Some((format!("`login_url` cannot be taken: {error}"), error.hint())),
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(values) => values.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Makes a link by which a customer connects an org.
pub(super) async fn invite(
    door: Data<Door>,
    caller: ReqData<Caller>,
    id: Path<String>,
    body: Json<Object<InviteBody>>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let Object(InviteBody { login_url, days }) = body.into_inner();
    if days.is_some_and(|days| !DAYS.contains(&days)) {
        let hint = format!("Give {} to {} days.", DAYS.start(), DAYS.end());
        return refused(StatusCode::BAD_REQUEST, "`days` is out of range", &hint);
    }
    let login_url = match login_url.as_deref().map(login_host::correct).transpose() {
        Ok(url) => url,
        Err(error) => {
            let what = format!("`login_url` cannot be taken: {error}");
            return refused(StatusCode::BAD_REQUEST, &what, &error.hint());
        }
    };
    let life = days.map(|days| Duration::from_hours(DAY_HOURS * u64::from(days)));
    match door.onboarding().invite(&id, login_url.as_ref(), &caller.name, life, door.chance()).await {
        Ok((org, link)) => {
            let until_ms = org.invitation.map(|invitation| invitation.until_ms);
            HttpResponse::Created().json(json!({ "org": *id, "link": link, "until_ms": until_ms }))
        }
        Err(error) => problem(&error),
    }
}

/// Removes an org from the store: it stops, and what is stored of its records stays until it is purged.
pub(super) async fn remove(
    service: Data<Service>,
    settings: Data<SettingsFile>,
    id: Path<String>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let _change = settings.change().await;
    match StoredOrg::find(&service, &id).await {
        Ok(Some(_)) | Err(RecordError::Unreadable { .. }) => {}
        Ok(None) => {
            let what = format!("org `{id}` is not kept in the store");
            let hint = "Those of the settings are removed there; `orgpipe orgs list` shows all.";
            return refused(StatusCode::NOT_FOUND, &what, hint);
        }
        Err(error) => return problem(&error.into()),
    }
    if let Err(error) = StoredOrg::remove(&service, &id).await {
        return problem(&RecordError::from(error).into());
    }
    if let Err(error) = settings.put_to_work(&service).await {
        let hint = "The org is removed, and stops once that is mended.";
        return refused(StatusCode::CONFLICT, &error.to_string(), hint);
    }
    let consequence = "It stops. What is stored of its records stays until `orgpipe org purge`; the customer's consent stays \
                       until they take it back in their org.";
    HttpResponse::Ok().json(json!({ "org": *id, "consequence": consequence }))
}

/// What is told of the orgs of the store, beside what runs.
pub(super) async fn all(service: &Service, settings: &SettingsFile) -> Result<Vec<Value>, RecordError> {
    let left_out = settings.left_out();
    let told = |org: StoredOrg| {
        json!({
            "id": org.id,
            "in_file": org.table.is_none(),
            "by": org.by,
            "added_ms": org.added_ms,
            "by_consent": org.is_by_consent(),
            "invited_until_ms": org.invitation.map(|invitation| invitation.until_ms),
            "connected": org.connected,
            "problems": left_out.get(&org.id).cloned().unwrap_or_default(),
        })
    };
    let unreadable =
        |id: &str| json!({ "id": id, "problems": left_out.get(id).cloned().unwrap_or_default() });
    let stored = StoredOrg::all(service).await?.into_iter().map(|org| match org {
        Ok(org) => told(org),
        Err(RecordError::Unreadable { id, .. }) => unreadable(&id),
        Err(RecordError::Store(_)) => Value::Null,
    });
    Ok(stored.collect())
}

fn problem(error: &InviteError) -> HttpResponse {
    let status = match error {
        InviteError::NotByConsent(_) | InviteError::OfFile(_) | InviteError::NoConnect => {
            StatusCode::CONFLICT
        }
        InviteError::Loopback(_) => StatusCode::BAD_REQUEST,
        InviteError::Settings { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        InviteError::Record(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refused(status, &error.to_string(), error.hint())
}

fn refused(status: StatusCode, what: &str, hint: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": what, "hint": hint }))
}
