//! Why something went no further, and what to do about it, as a board, a log or a dead letter tells an operator.
//!
//! Here: the two sentences together, and what every error says of itself. Not here: the errors.

use std::fmt::{self, Display, Formatter};

use orgpipe_reconcile::{change::ChangeProblem, event::EventProblem};
use orgpipe_salesforce::oauth::error::LoginError;
use orgpipe_store::StoreError;

/// An error that knows what can be done about it.
pub(crate) trait Hint: Display {
    /// What an operator can do; none if there is nothing to do.
    fn hint(&self) -> Option<String>;
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, as a sentence without a final stop.
    pub reason: String,
    /// What to do, as whole sentences; none if there is nothing to do.
    pub hint: Option<String>,
}

impl Problem {
    /// One that somebody can do something about.
    pub(crate) fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: Some(hint.into()) }
    }

    /// One that passes by itself.
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    /// What `error` means for `what`: "the refresh waits".
    pub(crate) fn of(what: &str, error: &impl Hint) -> Self {
        Self { reason: format!("{what}: {error}"), hint: error.hint() }
    }
}

impl<E: Hint> From<&E> for Problem {
    fn from(error: &E) -> Self {
        Self { reason: error.to_string(), hint: error.hint() }
    }
}

/// The reason, then the hint.
impl Display for Problem {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.hint {
            Some(hint) => write!(formatter, "{}. {hint}", self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

impl Hint for StoreError {
    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

impl Hint for LoginError {
    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

impl Hint for EventProblem {
    fn hint(&self) -> Option<String> {
        Some(Self::hint(self))
    }
}

impl Hint for ChangeProblem {
    fn hint(&self) -> Option<String> {
        Some(Self::hint(self))
    }
}
