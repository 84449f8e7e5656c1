//! The pages of one org: what it does now, its dead letters, the doctor's findings, its mapping, who did what, its records.
//!
//! In reading order: `top` (what all of them begin with), `overview` with `parts`, `work` and `charts`, then a file for each
//! other page. Here: which pages there are, and what is answered when there is no such org. Not here: all orgs (`fleet`).

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod forecast;
pub(crate) mod letters;
pub(crate) mod mapping;
pub(crate) mod overview;
mod parts;
pub(crate) mod record;
mod top;
mod work;

use actix_web::{HttpResponse, http::StatusCode};
use orgpipe_actors::OrgError;

use super::shell::{self, Viewer};

/// An org that cannot be shown.
fn absent(viewer: &Viewer, error: &OrgError) -> HttpResponse {
    let (status, heading, hint) = match error {
        OrgError::Unknown(_) => (
            StatusCode::NOT_FOUND,
            "No such org",
            "The fleet has all orgs that run; one that is only invited is not among them before its customer has connected it.",
        ),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "This cannot be shown", "Look into orgpipe's log."),
    };
    shell::failed(viewer, status, heading, &super::words::sentence(&error.to_string()), hint)
}
