//! Tokens over HTTP: list, add, revoke.
//!
//! Here: queries, bodies and answers. Not here: what a token is (`tokens`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Json, Path, Query},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    access::Access,
    query::{NoQuery, Object},
    tokens::{Role, TokenError},
};

/// A token that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
    role: Role,
}

pub(super) async fn list(access: Data<Access>, _: Query<NoQuery>) -> HttpResponse {
    let tokens: Vec<Value> = access
        .tokens
        .all()
        .iter()
        .map(|token| json!({ "name": token.name, "role": token.role, "created_ms": token.created_ms }))
        .collect();
    HttpResponse::Ok().json(json!({ "tokens": tokens }))
}

pub(super) async fn add(
    access: Data<Access>,
    new: Json<Object<NewToken>>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let Object(NewToken { name, role }) = new.into_inner();
    match access.tokens.add(&name, role).await {
        // Told this once: only its hash is kept.
        Ok(secret) => HttpResponse::Created()
            .json(json!({ "name": name, "role": role, "token": secret.expose_secret() })),
        Err(error) => problem(&error),
    }
}

pub(super) async fn revoke(access: Data<Access>, name: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match access.tokens.revoke(&name).await {
        Ok(()) => HttpResponse::Ok().json(json!({ "name": *name })),
        Err(error) => problem(&error),
    }
}

fn problem(error: &TokenError) -> HttpResponse {
    let status = match error {
        TokenError::Name(_) => StatusCode::BAD_REQUEST,
        TokenError::Unknown(_) => StatusCode::NOT_FOUND,
        TokenError::Exists(_) | TokenError::LastAdmin(_) | TokenError::TooMany => StatusCode::CONFLICT,
        TokenError::Unreadable(_) | TokenError::NoChance(_) | TokenError::Store(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let hint = error.hint().unwrap_or_default();
    HttpResponse::build(status).json(json!({ "error": error.to_string(), "hint": hint }))
}
