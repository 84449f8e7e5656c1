//! What a customer's admin sees: one plain page per step.
//!
//! Here: what stands where. Not here: what happened (`onboarding`), texts around it (`dashboard/templates/connect.html`). Nothing on these pages is of another customer, and no word
//! of anybody's is markup.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use askama::Template;
use orgpipe_actors::{Report, Severity};
use orgpipe_salesforce::oauth::error::LoginError;
use serde::Deserialize;
use utoipa::ToSchema;

use super::onboarding::{ConnectError, Connection, Done, Invited};
use crate::dashboard::{
    assets::{ASSETS, Assets},
    marked::Marked,
    shell::PLAIN_POLICY,
};

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage<'p> {
    assets: &'static Assets,
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
        wrong: (Marked, Marked),
    },
    Going {
        page: String,
    },
    Done {
        org_id: String,
        findings: Vec<(Marked, Marked)>,
        asked: bool,
        again_secs: Option<u64>,
    },
    Failed {
        heading: &'static str,
        what: Marked,
        hint: Marked,
        again: bool,
    },
}

/// `kind=production|sandbox|domain&domain=ADDRESS`
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// `production`, `sandbox` or `domain`.
    #[serde(default)]
    kind: String,
    /// With `domain`: the org's address.
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
            .map(|error| (Marked::of(&sentence(&error.to_string())), Marked::of(&error.hint())))
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
        let (what, hint) = (Marked::of(&sentence(&told(error))), Marked::of(&error.hint()));
        let heading = heading(error);
        self.page(status, heading, Content::Failed { heading, what, hint, again })
    }

    fn page(self, status: StatusCode, title: &str, body: Content) -> HttpResponse {
        html(&mut HttpResponse::build(status), self.html(title, body))
    }

    fn html(self, title: &str, body: Content) -> String {
        let page = ConnectPage { assets: &ASSETS, title, vendor: self.vendor, action: self.action, body };
        // Only what cannot be written into a text fails, and nothing here is of that kind.
        page.render().unwrap_or_else(|error| error.to_string())
    }
}

/// A page as an answer.
pub(super) fn html(answer: &mut HttpResponseBuilder, html: String) -> HttpResponse {
    answer
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, PLAIN_POLICY))
        .body(html)
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
fn findings(report: &Report) -> Vec<(Marked, Marked)> {
    let worth = report.findings.iter().filter(|finding| finding.severity > Severity::Note);
    worth.map(|finding| (Marked::of(&sentence(&finding.message)), Marked::of(&finding.fix))).collect()
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
    fn our_own_troubles_are_not_told_to_customers() {
        let error = ConnectError::NotStarted("orgpipe.toml:12: `syncs` names `x`".into());
        assert_eq!(told(&error), "something went wrong on our side");
        assert!(told(&ConnectError::Link(NoLink::Expired)).contains("expired"));
    }
}
