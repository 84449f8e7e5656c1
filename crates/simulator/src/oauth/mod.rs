//! Logins: tokens for assertions and secrets, and what can be asked about a token.
//!
//! Here: the OAuth endpoints as functions from a form to an answer. Not here: the JWT itself (`jwt`), which calls
//! need a token (`api`). Sources: Help "OAuth 2.0 JWT Bearer Flow", "OAuth 2.0 Client Credentials Flow", "Revoke OAuth
//! Tokens", "OAuth Authorization Flow Errors"; REST guide "Authorize with OAuth".

mod denied;
mod jwt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::data::Tables;
use crate::org::{Org, OrgState};
use crate::rights::Right;
use crate::row::Row;
use denied::Denied;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// `POST /services/oauth2/token`; `basic` is the client's id and secret from an `Authorization: Basic` header.
pub(crate) fn token(
    org: &Org,
    state: &mut OrgState,
    form: &[(String, String)],
    basic: Option<(String, String)>,
) -> Answer {
    if let Some((error, text)) = &state.refused_logins {
        return Answer::json(400, &json!({"error": error, "error_description": text}));
    }
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let granted = match field("grant_type") {
        Some(JWT_BEARER) => by_assertion(org, state, field("assertion").unwrap_or_default()),
        Some("client_credentials") => {
            let basic =
                basic.or_else(|| Some((field("client_id")?.to_owned(), field("client_secret")?.to_owned())));
            by_secret(org, state, basic)
        }
        Some(_) => Err(Denied("unsupported_grant_type", "grant type not supported")),
        None => Err(Denied("invalid_request", "must provide a grant_type")),
    };
    match granted {
        Ok(user) => Answer::json(200, &grant(org, state, &user)),
        Err(Denied(error, text)) => Answer::json(400, &json!({"error": error, "error_description": text})),
    }
}

/// `POST /services/oauth2/revoke`.
pub(crate) fn revoke(state: &mut OrgState, token: &str) -> Answer {
    if state.tokens.end(token) {
        return Answer::empty(200);
    }
    let body = "error=invalid_token&error_description=invalid+token";
    Answer::text(400, "application/x-www-form-urlencoded", body.as_bytes().to_vec())
}

/// `POST /services/oauth2/introspect`.
pub(crate) fn introspect(org: &Org, state: &mut OrgState, token: &str) -> Answer {
    let now = org.clock.now_ms();
    let Some(user) = state.tokens.user(token, now) else {
        return Answer::json(200, &json!({"active": false}));
    };
    let wall = org.clock.wall_ms() / 1_000;
    let idle = i64::try_from(org.facts.session_idle.as_secs()).unwrap_or(i64::MAX);
    let username = user_field(&state.tables, &user, "Username");
    let known = json!({
        "active": true, "scope": "id api", "client_id": org.facts.client_id, "username": username,
        "sub": identity_url(org, state, &user), "token_type": "access_token", "iat": wall, "nbf": wall,
        "exp": wall.saturating_add(idle),
    });
    Answer::json(200, &known)
}

/// `GET /services/oauth2/userinfo` and the identity URL `/id/ORG/USER`.
pub(crate) fn identity(org: &Org, state: &mut OrgState, token: Option<&str>) -> Answer {
    let now = org.clock.now_ms();
    let user = match token {
        None => return Answer::text(403, "text/plain", b"Missing_OAuth_Token".to_vec()),
        Some(token) => state.tokens.user(token, now),
    };
    let Some(user) = user else { return Answer::text(403, "text/plain", b"Bad_OAuth_Token".to_vec()) };
    let field = |name: &str| user_field(&state.tables, &user, name);
    let base = &org.base_url;
    let known = json!({
        "sub": identity_url(org, state, &user), "id": identity_url(org, state, &user), "user_id": user,
        "organization_id": org.org_id(state), "preferred_username": field("Username"), "username": field("Username"),
        "nick_name": field("Name"), "display_name": field("Name"), "name": field("Name"), "email": field("Email"),
        "email_verified": true, "user_type": "STANDARD", "active": true, "asserted_user": true,
        "urls": {
            "rest": format!("{base}/services/data/v{{version}}/"),
            "sobjects": format!("{base}/services/data/v{{version}}/sobjects/"),
            "query": format!("{base}/services/data/v{{version}}/query/"),
            "custom_domain": base,
        },
    });
    Answer::json(200, &known)
}

fn by_assertion(org: &Org, state: &OrgState, assertion: &str) -> Result<String, Denied> {
    let claims = jwt::read(assertion, &org.keys)?;
    if claims.issuer != org.facts.client_id {
        return Err(Denied("invalid_client_id", "client identifier invalid"));
    }
    jwt::check_times(&claims, org.clock.wall_ms())?;
    jwt::check_audience(&claims, &org.base_url)?;
    let mut users = state.tables.rows("User");
    let found = users.find(|user| text(user, "Username").eq_ignore_ascii_case(&claims.subject));
    found
        .map(|user| text(user, "Id").to_owned())
        .filter(|user| state.views.may(user, Right::AppApproved))
        .ok_or(Denied("invalid_grant", "user hasn't approved this consumer"))
}

fn by_secret(org: &Org, state: &OrgState, given: Option<(String, String)>) -> Result<String, Denied> {
    let (id, secret) = given.ok_or(Denied("invalid_request", "missing required parameters"))?;
    if id != org.facts.client_id {
        return Err(Denied("invalid_client_id", "client identifier invalid"));
    }
    if secret != org.facts.client_secret {
        return Err(Denied("invalid_client", "invalid client credentials"));
    }
    let user = &org.facts.integration_user;
    let lets_in = state.views.may(user, Right::AppApproved);
    if lets_in {
        Ok(user.clone())
    } else {
        Err(Denied("invalid_grant", "no client credentials user enabled"))
    }
}

/// A token's JSON. `issued_at` is a text of milliseconds; there is no `expires_in`.
fn grant(org: &Org, state: &mut OrgState, user: &str) -> Value {
    let token = state.tokens.begin(&org.org_id(state), user, org.clock.now_ms());
    let id = identity_url(org, state, user);
    let issued_at = org.clock.wall_ms().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, org.facts.client_secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{id}{issued_at}").as_bytes()));
    let instance_url = state.instance_url.as_ref().unwrap_or(&org.base_url);
    json!({
        "access_token": token, "instance_url": instance_url, "id": id, "issued_at": issued_at,
        "signature": signature, "token_type": "Bearer", "scope": "id api",
    })
}

fn identity_url(org: &Org, state: &OrgState, user: &str) -> String {
    format!("{}/id/{}/{user}", org.base_url, org.org_id(state))
}

fn user_field(tables: &Tables, user: &str, field: &str) -> Value {
    tables.row("User", user).and_then(|row| row.get(field)).cloned().unwrap_or_default()
}

fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
