//! What a customer's admin sees: one plain page per step.
//!
//! Here: texts and looks. Not here: what happened (`onboarding`). Nothing on these pages is of another customer, and no word
//! of anybody's is markup.

use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};
use askama::Template;
use orgpipe_actors::{Report, Severity};
use orgpipe_salesforce::oauth::error::LoginError;
use serde::Deserialize;

use super::onboarding::{ConnectError, Connection, Done, Invited};

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{% if let Content::Going { page } = body %}<meta http-equiv="refresh" content="0; url={{ page }}">
{% endif %}<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 8vh auto 4rem; max-width: 38rem; padding: 0 1.2rem }
h1 { font-size: 1.45rem; margin: 0 0 .6rem; line-height: 1.25 }
p { margin: 0 0 1rem } .quiet { opacity: .7; font-size: .9rem }
fieldset { border: 1px solid #8886; border-radius: .5rem; padding: .8rem 1rem 1rem; margin: 0 0 1rem }
label { display: block; margin: .35rem 0 } label.block { margin-top: .7rem }
input[type=text] { font: inherit; width: 100%; box-sizing: border-box; padding: .45rem; margin-top: .3rem }
button { font: inherit; padding: .5rem 1.2rem; border-radius: .4rem; border: 1px solid #0b5cab; background: #0b5cab; color: #fff; cursor: pointer }
button.plain { background: none; color: inherit; border-color: #8888 }
.good { border-left: .3rem solid #1a7f37 } .bad { border-left: .3rem solid #c92a2a } .some { border-left: .3rem solid #b25e00 }
.good, .bad, .some { padding: .1rem 0 .1rem .9rem; margin: 0 0 1.2rem } .good p, .bad p, .some p { margin: .35rem 0 }
ul { padding-left: 1.2rem } li { margin: 0 0 .8rem } li span { display: block; opacity: .8 }
code { font-size: .92em }
</style>
</head>
<body>
<main>
{% match body %}
{% when Content::Start with { login_host, connected, kind, domain, wrong } %}<h1>Connect your Salesforce org with {{ vendor }}</h1>
{% if !wrong.0.is_empty() %}<div class="bad" role="alert"><p><strong>{{ wrong.0|safe }}.</strong> {{ wrong.1|safe }}</p></div>
{% endif %}{% match connected %}{% when Connection::Never %}{% when Connection::Stands %}<p>This org is connected already. Connect it again only if you were asked to.</p>
{% when Connection::Lost %}<p>This org was connected, and the access was taken back or has expired. Please connect it again.</p>
{% endmatch %}<p>{{ vendor }} keeps its data up to date in your org. On the next page, which is Salesforce's own, you log in and allow that. {{ vendor }} never sees your password, and you can take it back at any time (Setup, Connected Apps OAuth Usage).</p>
<form method="post" action="{{ action }}">
{% if let Some(login_host) = login_host %}<p>You will log in at <code>{{ login_host }}</code>.</p>
{% else %}<fieldset>
<legend>Which org?</legend>
<label><input type="radio" name="kind" value="production"{% if kind != "sandbox" && kind != "domain" %} checked{% endif %}> Production, or Developer Edition</label>
<label><input type="radio" name="kind" value="sandbox"{% if kind == "sandbox" %} checked{% endif %}> A sandbox</label>
<label><input type="radio" name="kind" value="domain"{% if kind == "domain" %} checked{% endif %}> By its address:</label>
<label class="block" for="domain">My Domain, or the address of any page of the org
<input type="text" id="domain" name="domain" value="{{ domain }}" autocomplete="off" spellcheck="false" placeholder="https://acme.my.salesforce.com"></label>
</fieldset>
{% endif %}<p><button>Go to Salesforce</button></p>
</form>
<p class="quiet">Log in as the user that {{ vendor }} is to work as: what it may see and change in your org is what that user may. You need no password of ours.</p>
{% when Content::Going with { page } %}<h1>On to Salesforce</h1>
<p>If nothing happens, <a href="{{ page }}">go on to Salesforce's page</a>.</p>
{% when Content::Done with { org_id, findings, asked, again_secs } %}<h1>{% if findings.is_empty() %}Your org is connected{% else %}Your org is connected, and something is missing{% endif %}</h1>
{% if findings.is_empty() && *asked %}<div class="good" role="status"><p>All that {{ vendor }} needs is there. You can close this page.</p></div>
{% else if let Some(secs) = again_secs %}<div class="some" role="status"><p>We looked at your org a moment ago. Please look again in {{ secs }} seconds.</p></div>
<form method="post" action="{{ action }}/check"><p><button>Look again</button></p></form>
{% else if findings.is_empty() %}<div class="good" role="status"><p>It takes a little longer to look whether all is there; {{ vendor }} sees the result. You can close this page.</p></div>
{% else %}<div class="some" role="status"><p>Please mend this in your org, then look again. Nothing is lost meanwhile.</p></div>
<ul>
{% for finding in findings %}<li><strong>{{ finding.0|safe }}.</strong><span>{{ finding.1|safe }}</span></li>
{% endfor %}</ul>
<form method="post" action="{{ action }}/check"><p><button>Look again</button></p></form>
{% endif %}<p class="quiet">Salesforce org {{ org_id }}.</p>
{% when Content::Failed with { heading, what, hint, again } %}<h1>{{ heading }}</h1>
<div class="bad" role="alert"><p><strong>{{ what|safe }}.</strong> {{ hint|safe }}</p></div>
{% if *again %}<form method="get" action="{{ action }}"><p><button class="plain">Try again</button></p></form>
{% endif %}{% endmatch %}
</main>
</body>
</html>
"#
)]
struct ConnectPage<'p> {
    title: &'p str,
    vendor: &'p str,
    /// Where the forms lead.
    action: &'p str,
    body: Content,
}

enum Content {
    Start {
        login_host: Option<String>,
        connected: Connection,
        kind: String,
        domain: String,
        wrong: (Markup, Markup),
    },
    Going {
        page: String,
    },
    Done {
        org_id: String,
        findings: Vec<(Markup, Markup)>,
        asked: bool,
        again_secs: Option<u64>,
    },
    Failed {
        heading: &'static str,
        what: Markup,
        hint: Markup,
        again: bool,
    },
}

/// What `marked` has made.
type Markup = String;

/// `kind=production|sandbox|domain&domain=ADDRESS`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    domain: String,
}

impl Choice {
    /// The host that was chosen, as it was typed. An address that was typed is meant, whatever is ticked.
    pub(super) fn host(&self) -> &str {
        match self.kind.as_str() {
            "domain" => &self.domain,
            _ if !self.domain.trim().is_empty() => &self.domain,
            "sandbox" => "test.salesforce.com",
            _ => "login.salesforce.com",
        }
    }
}

/// The pages of one vendor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages<'p> {
    /// The name that customers know.
    pub(super) vendor: &'p str,
    /// The path of the link that they came by; empty if that is not known.
    pub(super) action: &'p str,
}

impl Pages<'_> {
    /// Where it begins; once more, with what was chosen, if something was `wrong` with it.
    pub(super) fn start(
        self,
        invited: &Invited,
        choice: &Choice,
        wrong: Option<&ConnectError>,
    ) -> HttpResponse {
        let login_host = invited.login.as_ref().map(|login| login.host().to_owned());
        let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let wrong = wrong
            .map(|error| (marked(&sentence(&error.to_string())), marked(&error.hint())))
            .unwrap_or_default();
        let Choice { kind, domain } = choice.clone();
        let title = format!("Connect with {}", self.vendor);
        self.page(
            status,
            &title,
            Content::Start { login_host, connected: invited.connected, kind, domain, wrong },
        )
    }

    /// On to Salesforce's page. By a page of ours: a browser does not follow the redirect of a form to elsewhere, as our
    /// Content-Security-Policy tells it.
    pub(super) fn going(self, page: &str) -> (StatusCode, String) {
        (StatusCode::OK, self.html("On to Salesforce", Content::Going { page: page.to_owned() }))
    }

    /// It is connected.
    pub(super) fn done(self, done: &Done) -> HttpResponse {
        let findings = done.report.as_ref().map(findings).unwrap_or_default();
        let (org_id, asked, again_secs) = (done.org_id.clone(), done.report.is_some(), done.again_secs);
        self.page(StatusCode::OK, "Connected", Content::Done { org_id, findings, asked, again_secs })
    }

    /// It is not.
    pub(super) fn failed(self, error: &ConnectError) -> HttpResponse {
        let status = match error {
            ConnectError::Link(_) => StatusCode::NOT_FOUND,
            ConnectError::Host(_)
            | ConnectError::NotAsked
            | ConnectError::NoCallback(_)
            | ConnectError::Form => StatusCode::BAD_REQUEST,
            ConnectError::Login(_) | ConnectError::OtherOrg { .. } | ConnectError::Taken { .. } => {
                StatusCode::CONFLICT
            }
            ConnectError::Org(_) => StatusCode::SERVICE_UNAVAILABLE,
            ConnectError::TooOften => StatusCode::TOO_MANY_REQUESTS,
            ConnectError::Settings(_)
            | ConnectError::NotStarted(_)
            | ConnectError::Store(_)
            | ConnectError::Record(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let again = !self.action.is_empty() && !matches!(error, ConnectError::Link(_));
        let (what, hint) = (marked(&sentence(&told(error))), marked(&error.hint()));
        let heading = heading(error);
        self.page(status, heading, Content::Failed { heading, what, hint, again })
    }

    fn page(self, status: StatusCode, title: &str, body: Content) -> HttpResponse {
        html(&mut HttpResponse::build(status), self.html(title, body))
    }

    fn html(self, title: &str, body: Content) -> String {
        let page = ConnectPage { title, vendor: self.vendor, action: self.action, body };
        // Only what cannot be written into a text fails, and nothing here is of that kind.
        page.render().unwrap_or_else(|error| error.to_string())
    }
}

/// A page as an answer.
pub(super) fn html(answer: &mut HttpResponseBuilder, html: String) -> HttpResponse {
    answer.content_type("text/html; charset=utf-8").body(html)
}

/// What it comes to. An org may well be connected when a page is shown once more.
fn heading(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Link(_) => "This link cannot be used",
        ConnectError::NotAsked | ConnectError::NoCallback(_) | ConnectError::Form => "Nothing was done",
        ConnectError::Org(_) | ConnectError::TooOften => "Your org could not be looked at",
        ConnectError::Host(_)
        | ConnectError::Login(_)
        | ConnectError::OtherOrg { .. }
        | ConnectError::Taken { .. }
        | ConnectError::NotStarted(_)
        | ConnectError::Store(_)
        | ConnectError::Record(_)
        | ConnectError::Settings(_) => "Your org is not connected",
    }
}

/// As markup in which nothing of the text is any: what stands between two backticks is code.
fn marked(text: &str) -> Markup {
    let escaped = askama::filters::escape(text, askama::filters::Html).map(|text| text.to_string());
    // Writing into a text does not fail.
    let escaped = escaped.unwrap_or_default();
    let parts: Vec<&str> = escaped.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped;
    }
    let mark = |(at, part): (usize, &&str)| {
        if at % 2 == 1 { format!("<code>{part}</code>") } else { (*part).to_owned() }
    };
    parts.iter().enumerate().map(mark).collect()
}

/// What a customer's admin is told: of our own troubles, only that there are some.
fn told(error: &ConnectError) -> String {
    match error {
        ConnectError::Store(_)
        | ConnectError::Record(_)
        | ConnectError::Settings(_)
        | ConnectError::NotStarted(_) => "something went wrong on our side".to_owned(),
        ConnectError::Login(LoginError::Refused { code, description, .. }) => {
            let words = if description.is_empty() { code } else { description };
            format!("Salesforce did not let us in: {words}")
        }
        other => other.to_string(),
    }
}

/// What the customer's admin can mend.
fn findings(report: &Report) -> Vec<(Markup, Markup)> {
    let worth = report.findings.iter().filter(|finding| finding.severity > Severity::Note);
    worth.map(|finding| (marked(&sentence(&finding.message)), marked(&finding.fix))).collect()
}

/// With a capital letter, and without its final stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::link::NoLink;

    #[test]
    fn nobodys_words_are_markup() {
        let pages = Pages { vendor: "<b>Example</b>", action: "/connect/x\"><script>" };
        let invited = Invited { org: String::new(), login: None, connected: Connection::Stands };
        let error = ConnectError::OtherOrg { found: "<i>1</i>".into(), expected: "2".into() };
        let done = Done { org_id: "<u>00D</u>".into(), report: None, again_secs: None };
        let choice = Choice { kind: "<b>".into(), domain: "\"><script>".into() };
        let body = |answer: HttpResponse| {
            use actix_web::body::MessageBody as _;
            String::from_utf8(answer.into_body().try_into_bytes().expect("a body").to_vec()).expect("text")
        };
        for html in [
            body(pages.start(&invited, &choice, Some(&error))),
            pages.going("https://x.example/\"><script>").1,
            body(pages.done(&done)),
            body(pages.failed(&error)),
        ] {
            for tag in ["<b>", "<i>", "<u>", "<script>"] {
                assert!(!html.contains(tag), "{tag}: {html}");
            }
        }
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        for (text, html) in [
            ("`a<b`: no, `c`", "<code>a&#60;b</code>: no, <code>c</code>"),
            ("an odd ` one", "an odd ` one"),
            ("none", "none"),
            ("", ""),
        ] {
            assert_eq!(marked(text), html, "{text}");
        }
    }

    #[test]
    fn our_own_troubles_are_not_told_to_customers() {
        let error = ConnectError::NotStarted("orgpipe.toml:12: `syncs` names `x`".into());
        assert_eq!(told(&error), "something went wrong on our side");
        assert!(told(&ConnectError::Link(NoLink::Expired)).contains("expired"));
    }
}
