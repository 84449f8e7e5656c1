//! The control API: what the handles do, over HTTP, for another process.
//!
//! Here: the table of paths. Not here: doing it (`org`, `vendor`).
//!
//! | path | does |
//! |---|---|
//! | `GET /orgs` | where the orgs are and how to log in |
//! | `GET`, `POST /orgs/{org}/records/{object}` | all records; creates one |
//! | `GET`, `PATCH`, `DELETE /orgs/{org}/records/{object}/{id}` | one record |
//! | `POST /orgs/{org}/events/{event}` | publishes |
//! | `GET`, `DELETE /orgs/{org}/calls`, `…/writes`, `…/subscribes` | the logs |
//! | `POST /orgs/{org}/revoke-tokens`, `…/drop-sessions` | ends OAuth or CometD sessions |
//! | `POST /orgs/{org}/expire-events` `n` | all but the newest n events of each channel are gone |
//! | `PUT /orgs/{org}/page-max`, `…/lost-cursors` `n` | short pages, cursors that are gone |
//! | `PUT /orgs/{org}/stamps/{object}/{id}` Unix ms | when a record looks last changed |
//! | `POST /orgs/{org}/migrate` | another org id, replay ids begin anew, events and sessions are gone |
//! | `PUT /orgs/{org}/refused-logins` `["error","error_description"]` or `null` | no login succeeds |
//! | `GET`, `PUT /orgs/{org}/login-policy` | how the org lets the app in, see `LoginPolicy`; absent keys = default |
//! | `POST /orgs/{org}/grants` `"username"`, `GET`, `DELETE …` | approves the app; the approvals; revokes all |
//! | `POST /orgs/{org}/grants/age`, `…/codes/age` seconds | refresh tokens look unused, codes old, for so much longer |
//! | `DELETE /orgs/{org}/browser-sessions` | every browser has to log in again |
//! | `GET`, `DELETE /orgs/{org}/login-history` | logins and tries, and the number of token requests |
//! | `PUT /orgs/{org}/held-token-requests` `true\|false` | token requests are begun and not finished |
//! | `POST /orgs/{org}/rights/take`, `…/give` `"api_enabled"`, `{"field":["Lead","Email","read"]}` | see `Right` |
//! | `PUT /orgs/{org}/clock-ahead` seconds | the org's clock differs from ours |
//! | `POST /orgs/{org}/convert-lead/{id}` | an account of the lead's company; the lead is closed |
//! | `POST /orgs/{org}/merge/{object}/{id}` `{"losers":[…],"fields":{…}}` | merges one or two records into this one |
//! | `PUT /orgs/{org}/available` `true\|false` | takes the org down and back |
//! | `PUT /orgs/{org}/calls-used` `n` | how much of the daily quota is gone |
//! | `PUT /orgs/{org}/locked-rows`, `…/lost-bulk-rows` `n`, `…/held-jobs` `true\|false` | record and job faults |
//! | `POST`, `DELETE /orgs/{org}/faults` `{"path":…,"harm":{"status":503}\|"lose_answer","count":n}` | HTTP faults |
//! | the same with `"harm":{"answer":{"status":…,"body":…}}` or `"harm":"half"` | any answer, half of one |
//! | the same with `"harm":{"zeros":n}` | a small packed answer that unpacks to a list of n zeros |
//! | the same with `"harm":{"late":n}` | done, and answered n real milliseconds later |
//! | `PUT /orgs/{org}/chunk-fault` `{"records_max":n,"code":…,"message":…}` or `null` | larger transactions refused whole |
//! | `PUT /orgs/{org}/read-only` `true\|false`, `…/versions-from` `n` | no writes; versions below n are gone |
//! | `POST /orgs/{org}/row-faults` `{"key":…,"code":…,"message":…,"fields":[…],"count":n}` | refused records |
//! | `PUT /orgs/{org}/end-next-job` `{"after_rows":n,"aborted":false,"message":…}`, `GET …/jobs` | Bulk jobs |
//! | `POST /orgs/{org}/expire-jobs` | Bulk jobs that have ended are gone |
//! | `POST`, `DELETE /orgs/{org}/cometd-faults` `{"at":"connect","harm":…}` | CometD faults, see `CometdFault` |
//! | `POST /orgs/{org}/cometd-faults/{name}`, `GET /cometd-faults` | those known by name, such as `S01`; the names |
//! | `GET`, `PUT /orgs/{org}/streaming` | how the CometD endpoint behaves, see `Streaming`; absent keys = default |
//! | `GET /orgs/{org}/cometd-messages` | the log of Bayeux messages |
//! | `POST /orgs/{org}/channels` `{"channel":…,"payload":…}` | publishes on any channel |
//! | `PUT /orgs/{org}/next-replay-id` `n` | events are forgotten, replay ids go on from n |
//! | `PUT /orgs/{org}/instance-url` `"http://localhost:PORT"` or `null` | a new instance URL |
//! | `GET /vendor` | where look-ups are posted |
//! | `PUT /vendor/answers/{key}` any JSON or `null`, `DELETE /vendor/answers` | what is known |
//! | `POST /vendor/bump/{key}` | changes what is made up |
//! | `GET`, `DELETE /vendor/requests` | the log of look-ups |
//! | `PUT /vendor/zeros` n or `null` | a small packed answer that unpacks to a list of n zeros |
//! | `POST /vendor/faults` `{"status":503,"count":n}`, `PUT /vendor/down`, `PUT /vendor/garbage`, `PUT /vendor/refused/{key}` status | faults |

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cometd;
use crate::data::WriteError;
use crate::faults::HttpFault;
use crate::handle::OrgHandle;
use crate::row::Row;
use crate::vendor::VendorHandle;

#[derive(Clone)]
pub(crate) struct ControlTargets {
    pub(crate) orgs: Vec<OrgHandle>,
    pub(crate) vendor: VendorHandle,
}

/// Answers any request to the control port.
pub(crate) async fn entry(request: HttpRequest, body: Bytes, all: web::Data<ControlTargets>) -> HttpResponse {
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let path: Vec<String> = request.path().split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let done = match (request.method().as_str(), path.as_slice()) {
        ("GET", ["cometd-faults"]) => Ok(json!(cometd::names())),
        ("GET", ["orgs"]) => Ok(json!(all.orgs.iter().map(OrgHandle::connection_info).collect::<Vec<_>>())),
        (method, ["orgs", name, rest @ ..]) => match all.orgs.iter().find(|org| org.name() == *name) {
            Some(org) => org_call(org, method, rest, &body),
            None => Err(ControlError::NotFound(format!("there is no org `{name}`"))),
        },
        (method, ["vendor", rest @ ..]) => vendor_call(&all.vendor, method, rest, &body),
        _ => Err(nothing_here(&path)),
    };
    match done {
        Ok(Value::Null) => HttpResponse::NoContent().finish(),
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(ControlError::NotFound(error)) => HttpResponse::NotFound().json(json!({"error": error})),
        Err(ControlError::BadRequest(error)) => HttpResponse::BadRequest().json(json!({"error": error})),
    }
}

enum ControlError {
    NotFound(String),
    BadRequest(String),
}

impl From<WriteError> for ControlError {
    fn from(error: WriteError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

fn org_call(org: &OrgHandle, method: &str, path: &[&str], body: &[u8]) -> Result<Value, ControlError> {
    match (method, path) {
        ("GET", []) => Ok(org.connection_info()),
        ("GET", ["records", object]) => Ok(json!(org.rows(object))),
        ("POST", ["records", object]) => Ok(json!({"id": org.create(object, read(body)?)?})),
        ("GET", ["records", object, id]) => match org.get(object, id) {
            Some(row) => Ok(Value::Object(row)),
            None => Err(ControlError::NotFound(format!("there is no {object} {id}"))),
        },
        ("PATCH", ["records", object, id]) => Ok(json!(org.update(object, id, read(body)?)?)),
        ("DELETE", ["records", object, id]) => Ok(json!(org.delete(object, id)?)),
        ("POST", ["events", event]) => Ok(json!({"replayId": org.publish(event, read::<Row>(body)?)})),
        ("GET", ["calls"]) => Ok(json!(org.calls())),
        ("DELETE", ["calls"]) => Ok(json!(org.clear_calls())),
        ("GET", ["writes"]) => Ok(json!(org.writes())),
        ("DELETE", ["writes"]) => Ok(json!(org.clear_writes())),
        ("GET", ["subscribes"]) => Ok(json!(org.subscribes())),
        ("DELETE", ["subscribes"]) => Ok(json!(org.clear_subscribes())),
        ("POST", ["revoke-tokens"]) => Ok(json!(org.revoke_tokens())),
        ("POST", ["drop-sessions"]) => Ok(json!(org.drop_sessions())),
        ("POST", ["expire-events"]) => Ok(json!(org.expire_events(read(body)?))),
        ("PUT", ["page-max"]) => Ok(json!(org.cut_pages(read(body)?))),
        ("PUT", ["lost-cursors"]) => Ok(json!(org.lose_cursors(read(body)?))),
        ("PUT", ["stamps", object, id]) => Ok(json!(org.set_stamp(object, id, read(body)?))),
        ("POST", ["migrate"]) => Ok(json!(org.migrate())),
        ("PUT", ["refused-logins"]) => {
            let refusal: Option<(String, String)> = read(body)?;
            org.refuse_logins(refusal.as_ref().map(|(error, text)| (error.as_str(), text.as_str())));
            Ok(Value::Null)
        }
        ("POST", ["rights", "take"]) => Ok(json!(org.take_right(read(body)?))),
        ("POST", ["rights", "give"]) => Ok(json!(org.give_right(read(body)?))),
        ("PUT", ["clock-ahead"]) => Ok(json!(org.set_clock_ahead(read(body)?))),
        ("POST", ["convert-lead", id]) => Ok(json!({"id": org.convert_lead(id)?})),
        ("POST", ["merge", object, master]) => {
            let Merge { losers, fields } = read(body)?;
            let losers: Vec<&str> = losers.iter().map(String::as_str).collect();
            Ok(json!(org.merge(object, master, &losers, &fields)?))
        }
        ("PUT", ["available"]) => Ok(json!(org.set_available(read(body)?))),
        ("PUT", ["calls-used"]) => Ok(json!(org.set_calls_used(read(body)?))),
        ("PUT", ["locked-rows"]) => Ok(json!(org.lock_next_rows(read(body)?))),
        ("PUT", ["lost-bulk-rows"]) => Ok(json!(org.lose_bulk_rows(read(body)?))),
        ("PUT", ["held-jobs"]) => Ok(json!(org.hold_jobs(read(body)?))),
        ("POST", ["faults"]) => {
            let fault: HttpFault = read(body)?;
            org.org.state().faults.add(fault);
            Ok(Value::Null)
        }
        ("POST", ["row-faults"]) => Ok(json!(org.refuse_row(read(body)?))),
        ("PUT", ["chunk-fault"]) => Ok(json!(org.refuse_chunks(read(body)?))),
        ("PUT", ["read-only"]) => Ok(json!(org.set_read_only(read(body)?))),
        ("PUT", ["versions-from"]) => Ok(json!(org.serve_versions_from(read(body)?))),
        ("PUT", ["end-next-job"]) => Ok(json!(org.end_next_job(read(body)?))),
        ("POST", ["expire-jobs"]) => Ok(json!(org.expire_jobs())),
        ("GET", ["jobs"]) => Ok(json!(org.jobs())),
        ("DELETE", ["faults"]) => Ok(json!(org.clear_faults())),
        _ => login_call(org, method, path, body),
    }
}

fn login_call(org: &OrgHandle, method: &str, path: &[&str], body: &[u8]) -> Result<Value, ControlError> {
    match (method, path) {
        ("GET", ["login-policy"]) => Ok(json!(org.login_policy())),
        ("PUT", ["login-policy"]) => Ok(json!(org.set_login_policy(read(body)?))),
        ("POST", ["grants"]) => {
            let username: String = read(body)?;
            match org.grant_refresh_token(&username) {
                Some(token) => Ok(json!({"refresh_token": token})),
                None => Err(ControlError::NotFound(format!("there is no user `{username}`"))),
            }
        }
        ("GET", ["grants"]) => Ok(json!(org.grants())),
        ("DELETE", ["grants"]) => Ok(json!(org.revoke_grants())),
        ("POST", ["grants", "age"]) => Ok(json!(org.age_grants(Duration::from_secs(read(body)?)))),
        ("POST", ["codes", "age"]) => Ok(json!(org.age_codes(Duration::from_secs(read(body)?)))),
        ("DELETE", ["browser-sessions"]) => Ok(json!(org.end_browser_sessions())),
        ("GET", ["login-history"]) => {
            Ok(json!({"logins": org.login_history(), "token_calls": org.token_calls()}))
        }
        ("DELETE", ["login-history"]) => Ok(json!(org.clear_login_history())),
        ("PUT", ["held-token-requests"]) => Ok(json!(org.hold_token_requests(read(body)?))),
        _ => streaming_call(org, method, path, body),
    }
}

fn streaming_call(org: &OrgHandle, method: &str, path: &[&str], body: &[u8]) -> Result<Value, ControlError> {
    match (method, path) {
        ("POST", ["cometd-faults"]) => Ok(json!(org.cometd_fault(read(body)?))),
        ("POST", ["cometd-faults", name]) => {
            let known = org.cometd_fault_named(name).then_some(Value::Null);
            known.ok_or_else(|| {
                ControlError::NotFound(format!("there is no fault `{name}`: see GET /cometd-faults"))
            })
        }
        ("DELETE", ["cometd-faults"]) => Ok(json!(org.clear_cometd_faults())),
        ("GET", ["streaming"]) => Ok(json!(org.streaming())),
        ("PUT", ["streaming"]) => Ok(json!(org.set_streaming(read(body)?))),
        ("GET", ["cometd-messages"]) => Ok(json!(org.cometd_messages())),
        ("POST", ["channels"]) => {
            let Publish { channel, payload } = read(body)?;
            Ok(json!({"replayId": org.publish_on(&channel, payload)}))
        }
        ("PUT", ["next-replay-id"]) => Ok(json!(org.restart_replay_ids(read(body)?))),
        ("PUT", ["instance-url"]) => Ok(json!(org.move_to(read::<Option<String>>(body)?.as_deref()))),
        _ => Err(nothing_here(path)),
    }
}

#[derive(serde::Deserialize)]
struct Merge {
    losers: Vec<String>,
    #[serde(default)]
    fields: Row,
}

#[derive(serde::Deserialize)]
struct Publish {
    channel: String,
    payload: Row,
}

fn vendor_call(
    vendor: &VendorHandle,
    method: &str,
    path: &[&str],
    body: &[u8],
) -> Result<Value, ControlError> {
    match (method, path) {
        ("GET", []) => Ok(json!({"url": vendor.url()})),
        ("PUT", ["answers", key]) => {
            let answer: Value = read(body)?;
            vendor.set_answer(key, (!answer.is_null()).then_some(answer));
            Ok(Value::Null)
        }
        ("PUT", ["refused", key]) => Ok(json!(vendor.refuse(key, read(body)?))),
        ("DELETE", ["answers"]) => Ok(json!(vendor.clear_answers())),
        ("POST", ["bump", key]) => Ok(json!(vendor.bump(key))),
        ("GET", ["requests"]) => Ok(json!(vendor.requests())),
        ("DELETE", ["requests"]) => Ok(json!(vendor.clear_requests())),
        ("POST", ["faults"]) => {
            let fault: VendorFault = read(body)?;
            vendor.fail_next(fault.status, fault.count);
            Ok(Value::Null)
        }
        ("PUT", ["down"]) => Ok(json!(vendor.set_down(read(body)?))),
        ("PUT", ["zeros"]) => Ok(json!(vendor.answer_zeros(read(body)?))),
        ("PUT", ["garbage"]) => Ok(json!(vendor.answer_garbage(read(body)?))),
        _ => Err(nothing_here(path)),
    }
}

#[derive(serde::Deserialize)]
struct VendorFault {
    status: u16,
    count: u32,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(body)
        .map_err(|error| ControlError::BadRequest(format!("the body is not what this path takes: {error}")))
}

fn nothing_here(path: &[&str]) -> ControlError {
    ControlError::NotFound(format!(
        "nothing at `/{}` with this method: see the table in the control module",
        path.join("/")
    ))
}
