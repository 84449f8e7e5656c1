//! How much a finding of the doctor matters; the status board shows the worst.
//!
//! Not here: the findings (`doctor/finding.rs`).

use serde::Serialize;
use utoipa::ToSchema;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, but not for long, not fully, or with a risk.
    Warning,
    /// It does not work.
    Error,
}
