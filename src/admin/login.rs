//! Logging a browser in and out: a token for a session, told by a cookie.
//!
//! Here: the page to log in on, and what its form and the link of the first start do. Not here: sessions and cookies
//! (`access`, `sessions`).
//!
//! The link brings the token in its address. The answer to it is a page that goes on to the dashboard by itself, not a
//! redirect: a browser that followed the link from elsewhere would leave a cookie of `SameSite=Strict` out of a redirected
//! request, and sends it when a page of ours goes on (RFC 6265bis, section 5.2). The address with the token is left by that,
//! too.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    error::InternalError,
    http::header,
    web::{Data, Form, FormConfig, Query},
};
use askama::Template;
use serde::Deserialize;

use super::{
    access::{Access, Denied},
    guard::NoQuery,
};

/// Bytes of the form.
const FORM_BYTES_MAX: usize = 4 * 1024;
/// Where the dashboard is.
const DASHBOARD: &str = "/";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{% if is_in %}<meta http-equiv="refresh" content="0; url=/">
{% endif %}<title>orgpipe</title>
<style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { margin: 15vh auto 0; max-width: 26rem; padding: 0 1rem }
h1 { font-size: 1.3rem; margin: 0 0 1rem }
label { display: block; margin-bottom: .3rem }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .4rem }
button { font: inherit; margin-top: .8rem; padding: .4rem 1rem }
p { opacity: .75 } .wrong { color: #c92a2a; opacity: 1 }
</style>
</head>
<body>
<h1>orgpipe</h1>
{% if is_in %}<p>You are logged in. <a href="/">On to the dashboard</a></p>
{% else %}{% if !wrong.is_empty() %}<p class="wrong">{{ wrong }}.</p>
{% endif %}<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
<p>The first token is in the file <code>data.token</code> beside the data directory. <code>orgpipe tokens add</code> makes more.</p>
{% endif %}</body>
</html>
"#
)]
struct LoginPage<'p> {
    /// Whether somebody is logged in now, so that the page goes on.
    is_in: bool,
    /// Why somebody is not.
    wrong: &'p str,
}

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

/// The page to log in on, with what is wrong.
pub(super) fn page(answer: HttpResponseBuilder, wrong: &str) -> HttpResponse {
    html(answer, &LoginPage { is_in: false, wrong })
}

fn html(mut answer: HttpResponseBuilder, page: &LoginPage<'_>) -> HttpResponse {
    match page.render() {
        Ok(html) => answer.content_type("text/html; charset=utf-8").body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// Shows the page, or logs in by the link.
pub(super) async fn show(access: Data<Access>, query: Query<LoginQuery>) -> HttpResponse {
    let Some(token) = &query.token else { return page(HttpResponse::Ok(), "") };
    let mut answer = HttpResponse::Ok();
    match log_in(&access, token, &mut answer) {
        Ok(()) => html(answer, &LoginPage { is_in: true, wrong: "" }),
        Err(refused) => refused,
    }
}

/// Logs in by the form.
pub(super) async fn post(access: Data<Access>, form: Form<LoginForm>, _: Query<NoQuery>) -> HttpResponse {
    let mut answer = HttpResponse::SeeOther();
    match log_in(&access, form.token.trim(), &mut answer) {
        Ok(()) => answer.insert_header((header::LOCATION, DASHBOARD)).finish(),
        Err(refused) => refused,
    }
}

fn log_in(access: &Access, token: &str, answer: &mut HttpResponseBuilder) -> Result<(), HttpResponse> {
    let caller = access.owner(token).map_err(|denied: Denied| denied.answer(true))?;
    let cookie = access.begin_session(&caller);
    let cookie = cookie.map_err(|error| HttpResponse::InternalServerError().body(error.to_string()))?;
    tracing::info!(by = caller.name, "a browser was logged in to the dashboard");
    answer.cookie(cookie);
    Ok(())
}

/// Ends the session.
pub(super) async fn log_out(access: Data<Access>, request: HttpRequest, _: Query<NoQuery>) -> HttpResponse {
    let cookie = access.end_session(request.headers());
    HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, "/login")).finish()
}

/// A form that cannot be read is answered with the page; what was sent is not repeated.
pub(super) fn forms() -> FormConfig {
    FormConfig::default().limit(FORM_BYTES_MAX).error_handler(|error, _| {
        let answer = page(HttpResponse::BadRequest(), "The form must have one field, `token`");
        InternalError::from_response(error, answer).into()
    })
}
