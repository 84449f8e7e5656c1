//! The pages of the web server flow: login, consent, and what went wrong.
//!
//! Here: how they look; they need no script. The names of their fields and buttons are for tests and their browsers.
//! Not here: which of them is shown (`authorize`).

use askama::Template;

use crate::answer::Answer;

pub(crate) const HTML: &str = "text/html;charset=UTF-8";

/// The style that all pages have.
const STYLE: &str = ":root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 12vh auto 0; max-width: 24rem; padding: 0 1rem }
h1 { font-size: 1.25rem; margin: 0 0 .5rem }
p, ul, form { margin: 0 0 1rem }
label { display: block; margin: 0 0 .75rem }
input { box-sizing: border-box; display: block; font: inherit; padding: .5rem; width: 100% }
button { font: inherit; margin-right: .5rem; padding: .5rem 1.25rem }
.note { font-size: .85rem; opacity: .75 }
.error { color: #c92a2a }";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Login | {{ org }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<h1>Log in to {{ org }}</h1>
{% if let Some(error) = error %}<p class="error" id="error" role="alert">{{ error }}</p>
{% endif %}<form method="post" action="/login">
<input type="hidden" name="source" value="{{ source }}">
<label>Username <input id="username" name="username" type="text" value="{{ username }}" autocomplete="username" required{% if username.is_empty() %} autofocus{% endif %}></label>
<label>Password <input id="password" name="password" type="password" autocomplete="current-password" required{% if !username.is_empty() %} autofocus{% endif %}></label>
<button id="Login" type="submit">Log In</button>
</form>
<p class="note">A simulated Salesforce org. The password is no secret: the control API tells it.</p>
</body>
</html>
"#
)]
struct LoginPage<'a> {
    style: &'static str,
    org: &'a str,
    source: &'a str,
    username: &'a str,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Allow access? | {{ org }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<h1>Allow access?</h1>
<p><strong id="app">{{ app }}</strong> is asking to:</p>
<ul>
{% for (scope, meaning) in scopes %}<li>{{ meaning }} <span class="note">({{ scope }})</span></li>
{% endfor %}</ul>
<p>Do you want to allow access for <strong id="user">{{ username }}</strong> in {{ org }}?</p>
<form method="post" action="{{ action }}">
<input type="hidden" name="source" value="{{ source }}">
<button id="oaapprove" type="submit" name="decision" value="allow">Allow</button>
<button id="oadeny" type="submit" name="decision" value="deny">Deny</button>
</form>
<p class="note">A simulated Salesforce org.</p>
</body>
</html>
"#
)]
struct ConsentPage<'a> {
    style: &'static str,
    org: &'a str,
    app: &'a str,
    username: &'a str,
    source: &'a str,
    action: &'static str,
    scopes: &'a [(&'a str, &'static str)],
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OAuth Error | {{ org }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<h1>We can't authorize you because of an OAuth error</h1>
<p class="error" id="error" role="alert">{{ error }} : {{ description }}</p>
<p class="note">A simulated Salesforce org.</p>
</body>
</html>
"#
)]
struct ErrorPage<'a> {
    style: &'static str,
    org: &'a str,
    error: &'a str,
    description: &'a str,
}

/// The login page, with what was wrong the last time.
pub(crate) fn login(org: &str, source: &str, username: &str, error: Option<&str>) -> Answer {
    page(200, &LoginPage { style: STYLE, org, source, username, error })
}

/// The page that asks a user to let the app in; `action` is where the answer is posted.
pub(crate) fn consent(
    org: &str,
    (app, username): (&str, &str),
    source: &str,
    action: &'static str,
    scopes: &[(&str, &'static str)],
) -> Answer {
    page(200, &ConsentPage { style: STYLE, org, app, username, source, action, scopes })
}

/// The page for what cannot be told to the app.
pub(crate) fn error(org: &str, error: &str, description: &str) -> Answer {
    page(400, &ErrorPage { style: STYLE, org, error, description })
}

/// No `form-action` in the policy: it would forbid the redirect to the app that follows a form.
fn page(status: u16, page: &impl Template) -> Answer {
    // Writing to memory does not fail.
    Answer::text(status, HTML, page.render().unwrap_or_default().into_bytes())
        .with("Cache-Control", "no-store")
        .with(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        )
        .with("X-Content-Type-Options", "nosniff")
}
