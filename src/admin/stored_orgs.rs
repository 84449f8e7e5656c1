//! Orgs that are kept in the store: added, invited and removed over HTTP, without an edit of the settings and without a restart.
//!
//! Here: bodies and answers. Not here: what an invitation is (`connect`), the other commands about orgs (`commands`).

use std::{collections::BTreeMap, time::Duration};

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Json, Path, Query, ReqData},
};
use orgpipe_actors::Service;
use orgpipe_salesforce::oauth::login_host;
use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    access::Caller,
    problem::{ApiError, Commanded, refused},
    query::{NoQuery, Object},
};
use crate::{
    audit_log,
    connect::{InviteError, handlers::Door, is_loopback},
    in_force::{
        SettingsFile,
        stored_org::{Connected, RecordError, StoredOrg, WEB_SERVER},
    },
};

/// Hours of a day.
const DAY_HOURS: u64 = 24;
/// Days for which a link may be good.
const DAYS: std::ops::RangeInclusive<u32> = 1..=90;

/// How a customer is invited.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InviteBody {
    /// Where the customer logs in: an address of the org; without it the customer chooses.
    #[serde(default)]
    login_url: Option<String>,
    /// For how many days the link is good; without it as `connect.link_days` says.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 90)]
    days: Option<u32>,
}

/// An org with the keys of an `[[org]]` table of the settings (config/example.toml); without `auth` a customer connects it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes a table, which is read as one")]
pub(super) struct NewOrg {
    /// Your name for it.
    id: String,
    /// The other keys.
    #[schema(additional_properties)]
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// An org that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AddedOrg {
    /// Its name.
    org: String,
    /// A customer has to connect it.
    by_consent: bool,
}

/// A link by which a customer connects an org.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InvitedOrg {
    /// The org's name.
    org: String,
    /// The link; it ends the one of before.
    #[schema(format = "uri")]
    link: String,
    /// Good until then.
    until_ms: Option<UnixMs>,
}

/// An org that is kept in the store, or connected by a customer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StoredOrgView {
    /// Its name.
    id: String,
    /// Why it is not worked for.
    problems: Vec<String>,
    /// It stands in a settings file. This and what follows is null if what is stored of it cannot be read.
    in_file: Option<bool>,
    /// Who added it: the name of a token.
    by: Option<String>,
    /// When.
    added_ms: Option<UnixMs>,
    /// A customer connects it.
    by_consent: Option<bool>,
    /// The link's end, if there is one.
    invited_until_ms: Option<UnixMs>,
    /// As whom it was connected.
    connected: Option<Connected>,
}

/// Add an org, kept in the store
#[utoipa::path(
    post,
    path = "/api/v1/orgs",
    operation_id = "addOrg",
    tag = "orgs",
    request_body(content = NewOrg, example = json!({ "id": "acme", "namespace": "acmeco" })),
    responses(
        (status = 201, description = "It is kept; one that needs no consent runs.", body = AddedOrg),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 422, description = "The settings do not take it; each problem stands in `error`.", body = ApiError),
    )
)]
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
        return audit_log::done(refused(StatusCode::CONFLICT, error.to_string(), hint), &[("org", id)]);
    }
    let answer = HttpResponse::Created().json(AddedOrg { org: id.clone(), by_consent: org.is_by_consent() });
    audit_log::done(answer, &[("org", id)])
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

/// Make a link by which a customer connects an org
///
/// An org that is not there is added.
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/invite",
    operation_id = "inviteOrg",
    tag = "orgs",
    request_body(content = InviteBody, example = json!({ "days": 7 })),
    responses(
        (status = 201, description = "The link; it ends the one of before.", body = InvitedOrg),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
        (status = 422, description = "The settings do not take it; each problem stands in `error`.", body = ApiError),
    )
)]
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
            return refused(StatusCode::BAD_REQUEST, &what, error.hint());
        }
    };
    let life = days.map(|days| Duration::from_hours(DAY_HOURS * u64::from(days)));
    match door.onboarding().invite(&id, login_url.as_ref(), &caller.name, life, door.chance()).await {
        Ok((org, link)) => {
            let until_ms = org.invitation.map(|invitation| invitation.until_ms);
            HttpResponse::Created().json(InvitedOrg {
                org: id.into_inner(),
                link: link.to_string(),
                until_ms,
            })
        }
        Err(error) => problem(&error),
    }
}

/// Remove an org from the store
///
/// It stops, and what is stored of its records stays until it is purged.
#[utoipa::path(
    post,
    path = "/api/v1/orgs/{org}/remove",
    operation_id = "removeOrg",
    tag = "orgs",
    responses(
        (status = 200, description = "It stops.", body = Commanded),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
    )
)]
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
        return audit_log::done(refused(StatusCode::CONFLICT, error.to_string(), hint), &[]);
    }
    let consequence = "It stops. What is stored of its records stays until `orgpipe org purge`; the customer's consent stays \
                       until they take it back in their org.";
    HttpResponse::Ok().json(Commanded { org: id.into_inner(), consequence: Some(consequence.to_owned()) })
}

/// What is told of the orgs of the store, beside what runs.
pub(super) async fn all(
    service: &Service,
    settings: &SettingsFile,
) -> Result<Vec<StoredOrgView>, RecordError> {
    let left_out = settings.left_out();
    let problems = |id: &str| left_out.get(id).cloned().unwrap_or_default();
    let view = |org: StoredOrg| StoredOrgView {
        problems: problems(&org.id),
        in_file: Some(org.table.is_none()),
        by_consent: Some(org.is_by_consent()),
        by: Some(org.by),
        added_ms: Some(org.added_ms),
        invited_until_ms: org.invitation.map(|invitation| invitation.until_ms),
        connected: org.connected,
        id: org.id,
    };
    let unreadable = |id: String| StoredOrgView {
        problems: problems(&id),
        id,
        in_file: None,
        by: None,
        added_ms: None,
        by_consent: None,
        invited_until_ms: None,
        connected: None,
    };
    let stored = StoredOrg::all(service).await?.into_iter().filter_map(|org| match org {
        Ok(org) => Some(view(org)),
        Err(RecordError::Unreadable { id, .. }) => Some(unreadable(id)),
        Err(RecordError::Store(_)) => None,
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
    refused(status, error.to_string(), error.hint())
}
