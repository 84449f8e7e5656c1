//! The page to log in on.
//!
//! Here: what stands on it. Not here: what comes of it (`login`), its looks (`dashboard`).

use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;

use crate::dashboard::{
    assets::{ASSETS, Assets},
    shell::plain,
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'p> {
    assets: &'static Assets,
    /// Whether somebody is logged in now, so that the page goes on.
    is_in: bool,
    /// Why somebody is not.
    wrong: &'p str,
}

/// The page to log in on, with what is wrong.
pub(super) fn page(answer: HttpResponseBuilder, wrong: &str) -> HttpResponse {
    plain(answer, &LoginPage { assets: &ASSETS, is_in: false, wrong })
}

/// The page that goes on to the dashboard by itself.
pub(super) fn gone_in(answer: HttpResponseBuilder) -> HttpResponse {
    plain(answer, &LoginPage { assets: &ASSETS, is_in: true, wrong: "" })
}
