//! Why a step of reading, deciding or writing went no further. What it had begun stays as it was, and is tried again.
//!
//! Here: the error and what follows from it: its class, its hint, when to go on. Not here: problems of one record, which
//! end as dead letters, and how long a step waits (`retry`).

use std::time::Duration;

use orgpipe_reconcile::{describe::DescribeProblem, drift::Unfit};
use orgpipe_salesforce::{
    error::{ApiError, ErrorClass},
    failure::CallError,
    oauth::error::LoginError,
};
use orgpipe_store::{StoreError, UnixMs};

use super::grant_store::GrantError;
use crate::{
    problem::{Hint, Problem},
    vendor::lookup::LookupError,
};

/// Why a call is held back, to leave calls for the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuotaWait {
    /// Our part of the day.
    #[error("our share of the org's API calls of a day is used up")]
    Share,
    /// The customer's part of it.
    #[error("what is left of the org's API calls of a day is kept for the customer")]
    Reserve,
    /// All of it.
    #[error("the org's API calls of a day are used up")]
    Day,
}

impl QuotaWait {
    fn hint(self) -> &'static str {
        match self {
            Self::Share => "Raise the org's `daily_share` to spend more of its calls.",
            Self::Reserve => "Lower the org's `reserve` to spend more of its calls.",
            Self::Day => "Find out in the org's Setup, Company Information, who uses them.",
        }
    }
}

/// Why a step went no further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Salesforce, or the way there.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The call is held back by ourselves.
    #[error("{why}")]
    WaitingForQuota {
        /// When to ask again.
        until_ms: UnixMs,
        /// Why it is held back.
        why: QuotaWait,
    },
    /// The login leads to another org than before, which is to be dealt with first.
    #[error("the login leads to another org than before, and what waits for that one is given up first")]
    OtherOrg,
    /// The API version of the settings is not served any more, so nothing is found at any path.
    #[error("the org serves API version {version} no more, only {}", .served.join(", "))]
    VersionGone {
        /// As the settings say it.
        version: String,
        /// Those that the org lists, oldest first.
        served: Vec<String>,
    },
    /// Only the customer can give another login.
    #[error("{}", .0.reason)]
    NoGrant(Problem),
    /// The login works, and no call is let in with what it gives.
    #[error("the login works, and the org refuses every call with the token that it gives")]
    TokenRefused,
    /// The org's actors are ending.
    #[error("the org's connection is shutting down")]
    ShuttingDown,
    /// The vendor's API.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Of a sync's fields nothing is left to ask with, or to match with.
    #[error("sync `{sync}` waits: {unfit}")]
    Unfit {
        /// Its name.
        sync: String,
        /// What is missing.
        unfit: Unfit,
    },
    /// The org's description of a target.
    #[error("the describe of {object} cannot be used: {cause}")]
    Unusable {
        /// The target.
        object: String,
        /// What is wrong.
        cause: DescribeProblem,
    },
}

impl From<LoginError> for StepError {
    fn from(error: LoginError) -> Self {
        Self::Call(error.into())
    }
}

impl From<GrantError> for StepError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Store(error) => error.into(),
            GrantError::Sealed(_) => {
                let hint =
                    "Put the vault key back that this data directory was used with, and start orgpipe again.";
                Self::NoGrant(Problem::new(error.to_string(), hint))
            }
        }
    }
}

impl From<ApiError> for StepError {
    fn from(error: ApiError) -> Self {
        Self::Call(error.into())
    }
}

impl StepError {
    /// What kind of trouble with the org it is; `None` if it is none with the org.
    pub(crate) fn class(&self) -> Option<ErrorClass> {
        match self {
            Self::Call(error) => Some(error.class()),
            Self::WaitingForQuota { .. } => Some(ErrorClass::DailyLimit),
            Self::VersionGone { .. } => Some(ErrorClass::Org),
            Self::NoGrant(_) | Self::TokenRefused => Some(ErrorClass::Auth),
            Self::OtherOrg | Self::ShuttingDown => Some(ErrorClass::Transient),
            Self::Store(_) | Self::Lookup(_) | Self::Unfit { .. } | Self::Unusable { .. } => None,
        }
    }

    /// The same in a word, for traces.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Lookup(_) => "look-up",
            Self::Unfit { .. } | Self::Unusable { .. } => "unusable",
            Self::WaitingForQuota { .. } => "budget",
            Self::ShuttingDown => "stopping",
            Self::Call(_)
            | Self::VersionGone { .. }
            | Self::NoGrant(_)
            | Self::TokenRefused
            | Self::OtherOrg => self.class().map_or("other", class_name),
        }
    }

    /// What Salesforce said, if it refused the call.
    pub(crate) fn refusal(&self) -> Option<&ApiError> {
        match self {
            Self::Call(CallError::Refused(error)) => Some(error),
            _ => None,
        }
    }

    /// When it may go on; `None` if nobody knows.
    pub(crate) fn again_at_ms(&self) -> Option<UnixMs> {
        match self {
            Self::WaitingForQuota { until_ms, .. } => Some(*until_ms),
            _ => None,
        }
    }

    /// After how long the vendor's API may be asked again, if that is known.
    pub(crate) fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::Lookup(LookupError::Down { retry_in, .. } | LookupError::Failed { retry_in, .. }) => {
                Some(*retry_in)
            }
            _ => None,
        }
    }
}

impl Hint for StepError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Call(error) => error.hint(),
            Self::WaitingForQuota { why, .. } => Some(why.hint().to_owned()),
            Self::VersionGone { served, .. } => Some(format!(
                "Set the org's `api_version` to one of these, such as {}, then reload the settings (`orgpipe reload`); \
                 what waits is kept until then.",
                served.last().map_or("none", String::as_str)
            )),
            Self::NoGrant(problem) => problem.hint.clone(),
            Self::TokenRefused => Some(
                "Look at the running user's rights (API Enabled) and at the org's session settings (Setup, Session \
                 Settings: sessions locked to an address or a domain). It is tried again by itself, more and more seldom."
                    .to_owned(),
            ),
            Self::OtherOrg | Self::ShuttingDown => None,
            Self::Lookup(error) => Some(error.hint().to_owned()),
            Self::Unfit { unfit, .. } => Some(unfit.hint()),
            Self::Unusable { .. } => {
                Some("Check the target's API name and the integration user's permissions.".to_owned())
            }
        }
    }
}
/// A class in a word.
fn class_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Auth => "auth",
        ErrorClass::DailyLimit => "daily-limit",
        ErrorClass::Concurrency => "concurrency",
        ErrorClass::Transient => "transient",
        ErrorClass::Schema => "schema",
        ErrorClass::Record => "record",
        ErrorClass::Org => "org",
        ErrorClass::Bug => "bug",
    }
}
