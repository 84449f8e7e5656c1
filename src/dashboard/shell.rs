//! What every page has: who looks, where they are, and how a page is answered.
//!
//! Here: the frame's values, and the headers of a page. Not here: its looks (`templates/base.html`), roles (`admin`).

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use askama::Template;

use super::assets::{ASSETS, Assets};

/// What a page of the dashboard may do: use files of this service, and send its forms back to it. Nothing written into a page
/// is ever run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// What a page for people who are not logged in may do: look.
pub(crate) const PLAIN_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                            frame-ancestors 'none'; base-uri 'none'";

/// Somebody who looks at the dashboard; `admin` puts it beside each request that comes from somebody it knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Viewer {
    /// The token's name.
    pub(crate) name: String,
    /// As operators read it.
    pub(crate) role: &'static str,
    /// Whether they may give commands.
    pub(crate) may_operate: bool,
    /// Whether there is a session that can be ended.
    pub(crate) by_cookie: bool,
}

/// The parts of the dashboard, as they stand in its navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All orgs, and the pages below each.
    Fleet,
    /// The vendor's API.
    Lookup,
    /// This process.
    Process,
}

/// What `templates/base.html` needs. A page has it as its field `shell`.
pub(crate) struct Shell {
    pub(crate) viewer: Viewer,
    pub(crate) place: Place,
    pub(crate) assets: &'static Assets,
    /// What this page watches for changes, as the query of `/live`: empty for the whole fleet, `?org=ID` for an org.
    pub(crate) live: String,
    pub(crate) version: &'static str,
}

impl Shell {
    /// The frame of a page that shows something of all orgs, or of none.
    pub(crate) fn new(viewer: &Viewer, place: Place) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { viewer: viewer.clone(), place, assets: &ASSETS, live: String::new(), version }
    }

    /// The same for a page about one org, whose name is one that a path may have.
    pub(crate) fn of_org(viewer: &Viewer, org: &str) -> Self {
        Self { live: format!("?org={org}"), ..Self::new(viewer, Place::Fleet) }
    }

    /// Whether the page is in the part of the dashboard with this address.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        let at = match self.place {
            Place::Fleet => "/",
            Place::Lookup => "/lookup",
            Place::Process => "/process",
        };
        at == path
    }

    /// The pages above one of an org's, by name and address, as `parts::crumbs` shows them.
    pub(crate) fn trail(org: &str) -> [(String, String); 2] {
        [("Fleet".to_owned(), "/".to_owned()), (org.to_owned(), format!("/orgs/{org}"))]
    }
}

/// A page as an answer.
pub(crate) fn page(status: StatusCode, page: &impl Template) -> HttpResponse {
    answer(HttpResponse::build(status), POLICY, page)
}

/// A page without scripts, for people who are not logged in.
pub(crate) fn plain(builder: HttpResponseBuilder, page: &impl Template) -> HttpResponse {
    answer(builder, PLAIN_POLICY, page)
}

fn answer(mut builder: HttpResponseBuilder, policy: &'static str, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => builder
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, policy))
            .body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// A page that tells what is wrong, and what to do.
#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage<'p> {
    shell: Shell,
    heading: &'p str,
    what: &'p str,
    hint: &'p str,
}

/// There is no such thing, or it cannot be shown; `what` and `hint` are sentences.
pub(crate) fn failed(
    viewer: &Viewer,
    status: StatusCode,
    heading: &str,
    what: &str,
    hint: &str,
) -> HttpResponse {
    page(status, &FailedPage { shell: Shell::new(viewer, Place::Fleet), heading, what, hint })
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;

    use super::*;

    #[test]
    fn nobodys_words_are_markup_and_nothing_in_a_page_is_run() {
        let viewer = Viewer { name: "<u>jo</u>".to_owned(), by_cookie: true, ..Viewer::default() };
        let answer = failed(&viewer, StatusCode::NOT_FOUND, "<i>No</i>", "<b>what</b>", "<s>hint</s>");
        assert_eq!(answer.status(), 404);
        let html = answer.into_body().try_into_bytes().expect("a body");
        let html = String::from_utf8(html.to_vec()).expect("text");
        assert!(
            !["<u>", "<i>", "<b>", "<s>", "style=", " onclick"].iter().any(|markup| html.contains(markup)),
            "{html}"
        );
        assert!(html.matches("<script").count() == html.matches("<script src=\"/assets/").count(), "{html}");
    }
}
