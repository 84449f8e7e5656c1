//! What can be asked about a token, and its end.
//!
//! Here: revocation, introspection, identity. Not here: how one gets a token (`token`).
//! Sources: Help "Revoke OAuth Tokens", "OAuth 2.0 Token Introspection", "The User Info Endpoint"; RFC 7662.

use serde_json::{Value, json};

use super::admit;
use super::denied::Denied;
use super::reply::user_field;
use super::request::TokenRequest;
use crate::answer::Answer;
use crate::org::{Org, OrgState};

/// Scopes that let the app know who the user is.
const KNOWS_THE_USER: [&str; 5] = ["id", "openid", "profile", "full", "api"];

/// `POST /services/oauth2/revoke`, or `GET` with `?token=`.
pub(crate) fn revoke(org: &Org, state: &mut OrgState, request: &TokenRequest) -> Answer {
    let refused = |error: &str, text: &str| {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("error", error), ("error_description", text)])
            .finish();
        Answer::text(400, "application/x-www-form-urlencoded", body.into_bytes())
    };
    if !matches!(request.field("token_type_hint"), None | Some("access_token" | "refresh_token")) {
        return refused("unsupported_token_type", "this token type is not supported");
    }
    let token = request.field("token").unwrap_or_default();
    let now = org.clock.now_ms();
    let idle_ms = state.logins.idle_ms();
    if let Some(grant) = state.logins.grants.by_token(token, idle_ms, now).map(|grant| grant.id) {
        state.logins.end_grant(grant);
        return Answer::empty(200);
    }
    if state.logins.tokens.end(token, now) {
        return Answer::empty(200);
    }
    refused("invalid_token", "invalid token")
}

/// `POST /services/oauth2/introspect`, for a client that shows its secret.
pub(crate) fn introspect(org: &Org, state: &OrgState, request: &TokenRequest) -> Answer {
    if let Err(Denied(error, text)) = admit::client(org, request, true) {
        let status = if error == "invalid_client" { 401 } else { 400 };
        return Answer::json(status, &json!({"error": error, "error_description": text}));
    }
    let token = request.field("token").unwrap_or_default();
    let now = org.clock.now_ms();
    let idle_ms = state.logins.idle_ms();
    let secs = |simulated_ms: i64| org.clock.wall_ms_at(simulated_ms).div_euclid(1_000);
    let about = |(user, scope): (&str, &str), kind: &str, begun_ms: i64, ends_ms: Option<i64>| {
        let mut about = json!({
            "active": true, "scope": scope, "client_id": org.facts.client_id,
            "username": user_field(state, user, "Username"), "sub": org.identity_url(state, user),
            "token_type": kind, "iat": secs(begun_ms), "nbf": secs(begun_ms),
        });
        if let Some(ends_ms) = ends_ms {
            about["exp"] = json!(secs(ends_ms));
        }
        Answer::json(200, &about)
    };
    if let Some((known, ends_ms)) = state.logins.tokens.look_at(token, now) {
        return about((&known.user, &known.scope), "access_token", known.begun_ms, Some(ends_ms));
    }
    if let Some(grant) = state.logins.grants.by_token(token, idle_ms, now) {
        let ends_ms = idle_ms.map(|idle_ms| grant.used_ms.saturating_add(idle_ms));
        return about((&grant.user, &grant.scope), "refresh_token", grant.approved_ms, ends_ms);
    }
    Answer::json(200, &json!({"active": false}))
}

/// `GET /services/oauth2/userinfo` and the identity URL `/id/ORG/USER`.
pub(crate) fn identity(org: &Org, state: &mut OrgState, token: Option<&str>) -> Answer {
    let now = org.clock.now_ms();
    let Some(token) = token else { return Answer::text(403, "text/plain", b"Missing_OAuth_Token".to_vec()) };
    let known = state.logins.tokens.take(token, now).filter(|known| known.has_scope(&KNOWS_THE_USER));
    let Some(known) = known else { return Answer::text(403, "text/plain", b"Bad_OAuth_Token".to_vec()) };
    let user = &known.user;
    let field = |name: &str| -> Value { user_field(state, user, name) };
    let base = &org.base_url;
    let known = json!({
        "sub": org.identity_url(state, user), "id": org.identity_url(state, user), "user_id": user,
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
