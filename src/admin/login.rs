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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginQuery {
    token: Option<String>,
}

/// `token=TOKEN`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginForm {
    token: String,
}

/// Shows the page, or logs in by the link.
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

/// Logs in by the form.
pub(super) async fn post(access: Data<Access>, form: Form<LoginForm>, _: Query<NoQuery>) -> HttpResponse {
    match access.log_in(form.token.trim()).await {
        Ok(cookie) => {
            HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, DASHBOARD)).finish()
        }
        Err(denied) => denied.answer(true),
    }
}

/// Ends the session.
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
