//! What is answered instead of what was asked for.
//!
//! Here: the one form that all refusals have. Not here: their words (the handlers), and who is let in at all (`access`).

use actix_web::{HttpResponse, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// What is wrong, as a sentence.
    pub(crate) error: String,
    /// What to do about it; empty if there is nothing to do.
    pub(crate) hint: String,
}

/// Why settings are not taken, problem by problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RefusedSettings {
    /// What is wrong, as a sentence.
    pub(crate) error: String,
    /// What to do about it; empty if there is nothing to do.
    pub(crate) hint: String,
    /// Each problem of the file, with the line and what to do.
    pub(crate) problems: Vec<String>,
}

/// An answer that something was not done.
pub(super) fn refused(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).json(Refusal { error: error.into(), hint: hint.into() })
}
