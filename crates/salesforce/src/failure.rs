//! Why a call brought no result, and the answers from which that is told.
//!
//! Here: every way in which a call can fail, with its verdict and its hint, and the step from an answer to its JSON or to a
//! failure. Not here: what Salesforce's own errors mean (`error`), why a login fails (`oauth`).
//!
//! Invariant: only [`CallError::Refused`] and [`CallError::Login`] repeat what Salesforce said.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    call::Reply,
    error::{ApiError, ErrorClass, errors_in},
    mend,
    oauth::{error::LoginError, refusal::LoginClass},
};

/// Why a call brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The exchange with Salesforce broke off.
    #[error("the connection to Salesforce failed: {text}")]
    Transport {
        /// What happened, without the URL.
        text: String,
        /// False if surely nothing reached Salesforce.
        sent: bool,
    },
    /// There is no token.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Salesforce refused the call.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The answer makes no sense, for instance because it ends too early.
    #[error("Salesforce's answer (status {status}) cannot be read: {what}")]
    Unreadable {
        /// HTTP status of the answer.
        status: u16,
        /// What is wrong with it.
        what: String,
    },
}

impl CallError {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Transport { .. } | Self::Unreadable { .. } => ErrorClass::Transient,
            Self::Login(error) => match error.class() {
                LoginClass::Transient | LoginClass::RateLimited => ErrorClass::Transient,
                LoginClass::Resign
                | LoginClass::Audience
                | LoginClass::Settings
                | LoginClass::Reauthorise
                | LoginClass::App
                | LoginClass::User
                | LoginClass::Org => ErrorClass::Org,
            },
            Self::Refused(error) => error.class(),
        }
    }

    /// What somebody can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Transport { .. } => Some(
                "Check that this machine reaches the org's My Domain host over HTTPS; the call is repeated."
                    .into(),
            ),
            Self::Login(error) => error.hint(),
            Self::Refused(error) => error.hint(),
            Self::Unreadable { .. } => {
                Some("The call is repeated; if it stays, look for a proxy in between.".into())
            }
        }
    }
}

impl Reply {
    /// An answer that is none of 2xx, as its first error.
    pub fn require_success(&self) -> Result<(), CallError> {
        match errors_in(self).into_iter().next() {
            Some(error) => Err(CallError::Refused(error)),
            None => Ok(()),
        }
    }

    /// The JSON of a successful answer.
    pub(crate) fn json(&self) -> Result<Value, CallError> {
        self.json_as()
    }

    /// The same as a type, so that what nobody asks for is passed over and not held.
    pub(crate) fn json_as<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        self.require_success()?;
        mend::json(&self.body).map_err(|error| {
            self.unreadable(format!("{} bytes of body that are no complete JSON: {error}", self.body.len()))
        })
    }

    /// The complaint that this answer cannot be used.
    pub(crate) fn unreadable(&self, what: impl Into<String>) -> CallError {
        CallError::Unreadable { status: self.status, what: what.into() }
    }
}

#[cfg(test)]
mod tests;
