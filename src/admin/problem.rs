//! What several handlers answer: that a command was taken, or why nothing was done.
//!
//! Here: the one form that all of these have. Not here: their words (the handlers), and who is let in at all (`access`).

use actix_web::{HttpResponse, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ApiError {
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

/// A command to an org that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Commanded {
    /// The org.
    pub(super) org: String,
    /// What follows of it, as a sentence, where something is to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consequence: Option<String>,
}

/// An answer that something was not done.
pub(super) fn refused(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).json(ApiError { error: error.into(), hint: hint.into() })
}
