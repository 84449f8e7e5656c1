//! The token endpoint: each grant type, from a form to an answer.
//!
//! Here: who gets a token, and what the login history says of it. Not here: waiting (`oauth`), the assertion (`jwt`), what
//! an admin sets up (`admit`). Sources: Help "OAuth 2.0 JWT Bearer Flow", "OAuth 2.0 Client Credentials Flow", "OAuth 2.0
//! Refresh Token Flow", "Refresh Token Rotation"; REST guide "Understanding the Web Server OAuth Authentication Flow"; release notes Summer '24 "Simultaneous Refresh Token Requests".

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::denied::{Denied, FailedLogin};
use super::reply::{self, Granted};
use super::request::TokenRequest;
use super::{admit, jwt};
use crate::answer::Answer;
use crate::log::LoggedLogin;
use crate::options::{AppStatus, PermittedUsers};
use crate::org::authorizations::BadCode;
use crate::org::grants::NotExchanged;
use crate::org::{Org, OrgState};
use crate::rights::Right;

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// What logins without a browser give: the scopes that the vendor has chosen for its app, less those for browsers.
const OWN_SCOPE: &str = "id api";
const EXPIRED: Denied = Denied("invalid_grant", "expired access/refresh token");

/// A request that is being processed: the grant whose token is in use meanwhile, or why there is nothing to process.
pub(crate) type Begun = Result<Option<u64>, FailedLogin>;

/// Begins a request: of two with the same refresh token one is refused, until the other is finished.
pub(crate) fn begin(org: &Org, state: &mut OrgState, request: &TokenRequest) -> Begun {
    if state.logins.refused.is_some() || request.field("grant_type") != Some("refresh_token") {
        return Ok(None);
    }
    admit::client(org, request, state.logins.policy.secret_required)?;
    let token =
        request.field("refresh_token").ok_or(Denied("invalid_request", "missing required parameters"))?;
    let idle_ms = state.logins.idle_ms();
    let refused = match state.logins.grants.begin_exchange(token, idle_ms, org.clock.now_ms()) {
        Ok(grant) => return Ok(Some(grant)),
        Err(refused) => refused,
    };
    let user = |id: u64| state.logins.grants.get(id).map(|grant| grant.user.clone());
    match refused {
        NotExchanged::Unknown => Err(EXPIRED.into()),
        NotExchanged::Busy(id) => {
            let denied = Denied("invalid_grant", "token request is already being processed");
            Err(FailedLogin { denied, user: user(id), status: None })
        }
        NotExchanged::Idle(id) => {
            let user = user(id);
            state.logins.end_grant(id);
            Err(FailedLogin { denied: EXPIRED, user, status: Some("Refresh token unused for too long") })
        }
        NotExchanged::Reused(id) => {
            let user = user(id);
            state.logins.end_grant(id);
            Err(FailedLogin { denied: EXPIRED, user, status: Some("Refresh token reuse detected") })
        }
    }
}

/// Finishes a request.
pub(crate) fn finish(org: &Org, state: &mut OrgState, request: &TokenRequest, begun: Begun) -> Answer {
    let in_use = begun.as_ref().ok().copied().flatten();
    let refusal =
        |error: &str, text: &str| Answer::json(400, &json!({"error": error, "error_description": text}));
    let (answer, user, status) = if let Some((error, text)) = &state.logins.refused {
        (refusal(error, text), None, format!("Failed: {text}"))
    } else {
        match begun.and_then(|grant| exchange(org, state, request, grant)) {
            Ok(granted) => (reply::token(org, state, &granted), Some(granted.user), "Success".to_owned()),
            Err(failed) => {
                let Denied(error, text) = failed.denied;
                (refusal(error, text), failed.user.clone(), failed.status())
            }
        }
    };
    if let Some(grant) = in_use {
        state.logins.grants.release(grant);
    }
    let kind = request.field("grant_type").unwrap_or_default().to_owned();
    log(org, state, (user.as_deref(), kind, request.from), status);
    answer
}

/// Adds an entry to the login history.
pub(crate) fn log(
    org: &Org,
    state: &mut OrgState,
    (user, kind, from): (Option<&str>, String, Option<IpAddr>),
    status: String,
) {
    let username = user.map(|user| state.username(user)).unwrap_or_default();
    let from = from.map(|from| from.to_string()).unwrap_or_default();
    let at_ms = org.clock.wall_ms();
    state.logins.history.push(LoggedLogin { at_ms, username, kind, from, status });
}

fn exchange(
    org: &Org,
    state: &mut OrgState,
    request: &TokenRequest,
    in_use: Option<u64>,
) -> Result<Granted, FailedLogin> {
    match (request.field("grant_type"), in_use) {
        (Some("refresh_token"), Some(grant)) => by_refresh_token(org, state, request, grant),
        // The refusal of all logins was taken back while it was being processed.
        (Some("refresh_token"), None) => Err(EXPIRED.into()),
        (Some("authorization_code"), _) => by_code(org, state, request),
        (Some(JWT_BEARER), _) => by_assertion(org, state, request),
        (Some("client_credentials"), _) => by_secret(org, state, request),
        (Some(_), _) => Err(Denied("unsupported_grant_type", "grant type not supported").into()),
        (None, _) => Err(Denied("invalid_request", "must provide a grant_type").into()),
    }
}

fn by_refresh_token(
    org: &Org,
    state: &mut OrgState,
    request: &TokenRequest,
    id: u64,
) -> Result<Granted, FailedLogin> {
    // The grant may have been ended while the request was being processed.
    let user = state.logins.grants.get(id).ok_or(EXPIRED)?.user.clone();
    let admitted = admit::app(state).and_then(|()| admit::permitted(state, &user));
    let admitted = admitted.and_then(|()| admit::user(org, state, &user, request.from));
    admitted.map_err(|denied| FailedLogin::of(&user, denied))?;
    let rotates = state.logins.policy.rotation;
    let grant = state.logins.grants.finish_exchange(id, rotates, org.clock.now_ms()).ok_or(EXPIRED)?;
    Ok(Granted { user, scope: grant.scope, grant: Some(id), refresh_token: rotates.then_some(grant.token) })
}

fn by_code(org: &Org, state: &mut OrgState, request: &TokenRequest) -> Result<Granted, FailedLogin> {
    admit::client(org, request, state.logins.policy.secret_required)?;
    let now = org.clock.now_ms();
    let (Some(code), Some(redirect_uri)) = (request.field("code"), request.field("redirect_uri")) else {
        return Err(Denied("invalid_request", "missing required parameters").into());
    };
    let known = state.logins.authorizations.code(code, now).cloned().map_err(|bad| match bad {
        BadCode::Unknown => Denied("invalid_grant", "invalid authorization code"),
        BadCode::Over => Denied("invalid_grant", "expired authorization code"),
    })?;
    let user = known.user;
    let failed = |denied| FailedLogin::of(&user, denied);
    if redirect_uri != known.redirect_uri {
        return Err(failed(Denied("redirect_uri_mismatch", "redirect_uri must match configuration")));
    }
    match (&known.challenge, request.field("code_verifier")) {
        (Some(_), None) => return Err(failed(Denied("invalid_grant", "missing required code verifier"))),
        (Some(challenge), Some(verifier)) if !verifies(verifier, challenge) => {
            return Err(failed(Denied("invalid_request", "invalid code verifier")));
        }
        _ => {}
    }
    let admitted = admit::app(state).and_then(|()| admit::permitted(state, &user));
    admitted.and_then(|()| admit::user(org, state, &user, request.from)).map_err(failed)?;
    state.logins.authorizations.spend(code);
    let keeps = known.scope.split(' ').any(|scope| scope == "refresh_token");
    let grant = keeps.then(|| state.logins.approve(&user, &known.scope, now));
    let refresh_token = grant.and_then(|id| Some(state.logins.grants.get(id)?.token.clone()));
    Ok(Granted { user, scope: known.scope, grant, refresh_token })
}

/// Whether a verifier of PKCE is well-formed and the one whose hash the challenge is. RFC 7636, 4.1, allows 43 to 128
/// characters; Salesforce's own clients send 128 random bytes in base64url, which are 171.
fn verifies(verifier: &str, challenge: &str) -> bool {
    let is_well_formed = (43..=171).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let hash = digest(&SHA256, verifier.as_bytes());
    is_well_formed && URL_SAFE_NO_PAD.encode(hash) == challenge
}

fn by_assertion(org: &Org, state: &mut OrgState, request: &TokenRequest) -> Result<Granted, FailedLogin> {
    const NOT_APPROVED: Denied = Denied("invalid_grant", "user hasn't approved this consumer");
    let claims = jwt::read(request.field("assertion").unwrap_or_default(), &org.keys)?;
    if claims.issuer != org.facts.client_id {
        return Err(Denied("invalid_client_id", "client identifier invalid").into());
    }
    jwt::check_times(&claims, org.clock.wall_ms())?;
    jwt::check_audience(&claims, &org.base_url, &state.logins.policy.audiences)?;
    let user = state.user_named(&claims.subject).ok_or(NOT_APPROVED)?;
    let failed = |denied| FailedLogin::of(&user, denied);
    let policy = &state.logins.policy;
    if policy.app == AppStatus::NotInstalled {
        return Err(failed(NOT_APPROVED));
    }
    admit::app(state).map_err(failed)?;
    admit::permitted(state, &user).map_err(failed)?;
    let asked_once = policy.permitted_users == PermittedUsers::SelfAuthorize;
    let has_approved = || state.logins.grants.live().iter().any(|grant| grant.user == user);
    if asked_once && !state.views.may(&user, Right::AppApproved) && !has_approved() {
        return Err(failed(NOT_APPROVED));
    }
    admit::user(org, state, &user, request.from).map_err(failed)?;
    Ok(Granted { user: user.clone(), scope: OWN_SCOPE.to_owned(), grant: None, refresh_token: None })
}

fn by_secret(org: &Org, state: &mut OrgState, request: &TokenRequest) -> Result<Granted, FailedLogin> {
    if ["login.", "test."].iter().any(|host| request.host.starts_with(host)) {
        return Err(Denied("invalid_grant", "request not supported on this domain").into());
    }
    if !matches!(request.client(), (Some(_), Some(_))) {
        return Err(Denied("invalid_request", "missing required parameters").into());
    }
    admit::client(org, request, true)?;
    admit::app(state)?;
    let user = org.facts.integration_user.clone();
    let failed = |denied| FailedLogin::of(&user, denied);
    if !state.logins.policy.client_credentials_user || !state.views.may(&user, Right::AppApproved) {
        return Err(failed(Denied("invalid_grant", "no client credentials user enabled")));
    }
    admit::user(org, state, &user, request.from).map_err(failed)?;
    Ok(Granted { user: user.clone(), scope: OWN_SCOPE.to_owned(), grant: None, refresh_token: None })
}
