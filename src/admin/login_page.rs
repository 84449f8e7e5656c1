//! The page to log in on.
//!
//! Here: how it looks. Not here: what comes of it (`login`).

use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;

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
p { opacity: .75 } .wrong { color: #c92a2a; opacity: 1 } .wrong::first-letter { text-transform: uppercase }
</style>
</head>
<body>
<h1>orgpipe</h1>
{% if is_in %}<p>You are logged in. <a href="/">On to the dashboard</a></p>
{% else %}{% if !wrong.is_empty() %}<p class="wrong" role="alert">{{ wrong }}.</p>
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

/// The page to log in on, with what is wrong.
pub(super) fn page(answer: HttpResponseBuilder, wrong: &str) -> HttpResponse {
    html(answer, &LoginPage { is_in: false, wrong })
}

/// The page that goes on to the dashboard by itself.
pub(super) fn gone_in(answer: HttpResponseBuilder) -> HttpResponse {
    html(answer, &LoginPage { is_in: true, wrong: "" })
}

fn html(mut answer: HttpResponseBuilder, page: &LoginPage<'_>) -> HttpResponse {
    match page.render() {
        Ok(html) => answer.content_type("text/html; charset=utf-8").body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}
