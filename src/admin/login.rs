//! Logging a browser in and out: a token for a session, told by a cookie.
//!
//! Here: what the form and the link of the first start do. Not here: how they look (`login_page`), sessions and cookies
//! (`access`, `sessions`).
//!
//! The link brings the token in its address. The answer to it is a page that goes on to the dashboard by itself, not a
//! redirect: a browser that followed the link from elsewhere would leave a cookie of `SameSite=Strict` out of a redirected
//! request, and sends it when a page of ours goes on (RFC 6265bis, section 5.2). The address with the token is left by that,
//! too.

use actix_web::{
    HttpRequest, HttpResponse,
    error::InternalError,
    http::header,
    web::{Data, Form, FormConfig, Query},
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    access::Access,
    login_page::{gone_in, page},
    query::NoQuery,
};

/// Bytes of the form.
const FORM_BYTES_MAX: usize = 4 * 1024;
/// Where the dashboard is.
const DASHBOARD: &str = "/";

/// `?token=TOKEN`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginQuery {
    /// Logs in by a link, as the first start tells one.
    token: Option<String>,
}

/// `token=TOKEN`
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginForm {
    /// A token.
    token: String,
}

/// The page to log in on; or logs in by the link
#[utoipa::path(
    get,
    path = "/login",
    operation_id = "loginPage",
    tag = "pages",
    params(LoginQuery),
    responses(
        (status = 200, description = "The page; with a token that is right, one that goes on to the dashboard, and a cookie.", content_type = "text/html", body = String),
        (status = 401, description = "The token is not known: the page again.", content_type = "text/html", body = String),
        (
            status = 429,
            description = "Too many wrong tokens were tried; who has a right one never waits.",
            content_type = "text/html",
            body = String,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
    )
)]
pub(super) async fn show(access: Data<Access>, query: Query<LoginQuery>) -> HttpResponse {
    let Some(token) = &query.token else { return page(HttpResponse::Ok(), "") };
    match access.log_in(token).await {
        Ok(cookie) => {
            let mut answer = HttpResponse::Ok();
            answer.cookie(cookie);
            gone_in(answer)
        }
        Err(denied) => denied.answer(true),
    }
}

/// Log a browser in
#[utoipa::path(
    post,
    path = "/login",
    operation_id = "login",
    tag = "pages",
    request_body(content = LoginForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (
            status = 303,
            description = "To the dashboard, with a cookie.",
            headers(("Location" = String), ("Set-Cookie" = String))
        ),
        (status = 400, description = "The form cannot be read: the page again.", content_type = "text/html", body = String),
        (status = 401, description = "The token is not known: the page again.", content_type = "text/html", body = String),
        (
            status = 429,
            description = "Too many wrong tokens were tried; who has a right one never waits.",
            content_type = "text/html",
            body = String,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
    )
)]
pub(super) async fn post(access: Data<Access>, form: Form<LoginForm>, _: Query<NoQuery>) -> HttpResponse {
    match access.log_in(form.token.trim()).await {
        Ok(cookie) => {
            HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, DASHBOARD)).finish()
        }
        Err(denied) => denied.answer(true),
    }
}

/// Log a browser out
#[utoipa::path(
    post,
    path = "/logout",
    operation_id = "logout",
    tag = "pages",
    responses(
        (
            status = 303,
            description = "To the page to log in on.",
            headers(("Location" = String), ("Set-Cookie" = String))
        ),
    )
)]
pub(super) async fn log_out(access: Data<Access>, request: HttpRequest, _: Query<NoQuery>) -> HttpResponse {
    let cookie = access.end_session(request.headers()).await;
    HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, "/login")).finish()
}

/// A form that cannot be read is answered with the page; what was sent is not repeated.
pub(super) fn forms() -> FormConfig {
    FormConfig::default().limit(FORM_BYTES_MAX).error_handler(|error, _| {
        let answer = page(HttpResponse::BadRequest(), "The form must have one field, `token`");
        InternalError::from_response(error, answer).into()
    })
}
