//! Tokens over HTTP: list, add, revoke.
//!
//! Here: queries, bodies and answers. Not here: what a token is (`tokens`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Json, Path, Query},
};
use orgpipe_store::UnixMs;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    access::Access,
    problem::{ApiError, refused},
    query::{NoQuery, Object},
    tokens::{Role, Token, TokenError},
};
use crate::audit_log;

/// A token that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Under which what its owner does is remembered.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._@-]+$")]
    name: String,
    /// What it lets its owner do.
    role: Role,
}

/// A token, without what it is told by.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Under which what its owner does is remembered.
    name: String,
    /// What it lets its owner do.
    role: Role,
    /// When it was made.
    created_ms: UnixMs,
}

/// The tokens there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    /// By name.
    tokens: Vec<TokenView>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// Under which what its owner does is remembered.
    name: String,
    /// What it lets its owner do.
    role: Role,
    /// What its owner has to show. It is told this once: only its hash is kept.
    #[schema(pattern = "^op_[0-9a-f]{64}$")]
    token: String,
}

/// A token that is good for nothing now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevokedToken {
    /// Its name.
    name: String,
}

/// The tokens there are
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    operation_id = "listTokens",
    tag = "tokens",
    responses(
        (status = 200, description = "All, without what they are told by.", body = TokenList),
    )
)]
pub(super) async fn list(access: Data<Access>, _: Query<NoQuery>) -> HttpResponse {
    let all = access.tokens.all().into_iter();
    let view = |token: Token| TokenView { name: token.name, role: token.role, created_ms: token.created_ms };
    HttpResponse::Ok().json(TokenList { tokens: all.map(view).collect() })
}

/// Make a token
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    operation_id = "addToken",
    tag = "tokens",
    request_body(content = NewToken, example = json!({ "name": "grafana", "role": "read" })),
    responses(
        (status = 201, description = "The token; it is told this once.", body = MadeToken),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
    )
)]
pub(super) async fn add(
    access: Data<Access>,
    new: Json<Object<NewToken>>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let Object(NewToken { name, role }) = new.into_inner();
    match access.tokens.add(&name, role).await {
        Ok(secret) => {
            let details = [("name", name.clone()), ("role", role.name().to_owned())];
            let token = secret.expose_secret().to_owned();
            audit_log::done(HttpResponse::Created().json(MadeToken { name, role, token }), &details)
        }
        Err(error) => problem(&error),
    }
}

/// Revoke a token and end its sessions
#[utoipa::path(
    post,
    path = "/api/v1/tokens/{name}/revoke",
    operation_id = "revokeToken",
    tag = "tokens",
    responses(
        (status = 200, description = "It is good for nothing now.", body = RevokedToken),
        (status = 409, description = "As things stand it cannot be done.", body = ApiError),
    )
)]
pub(super) async fn revoke(access: Data<Access>, name: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match access.tokens.revoke(&name).await {
        Ok(()) => HttpResponse::Ok().json(RevokedToken { name: name.into_inner() }),
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
    refused(status, error.to_string(), error.hint().unwrap_or_default())
}
