//! Whose fault a failure may be: that of one of the records that are asked about together, or nobody's here.
//!
//! What may be one record's fault is asked about in halves until it stands alone. It is held against that record only when
//! something else of the same kind was answered meanwhile: where nothing is, the trouble lies elsewhere, and all wait.
//!
//! Here: the decision, pure. Not here: asking (`select`, `decide/lookup.rs`).

use orgpipe_reconcile::RecordProblem;
use orgpipe_salesforce::{error::ErrorClass, failure::CallError};

use super::step_error::StepError;
use crate::{problem::Hint as _, vendor::lookup::LookupError};

/// Statuses that a request gets for its size: the body, the URL or the head.
const TOO_LARGE: [u16; 3] = [413, 414, 431];

/// Whether the failure may be due to one of the values or records of the call. Missing rights, a spent allowance, a login, a
/// changed schema and an API that is down are not.
pub(crate) fn may_be_one_records(error: &StepError) -> bool {
    match error {
        StepError::Call(CallError::Refused(error)) => {
            TOO_LARGE.contains(&error.status) || matches!(error.class(), ErrorClass::Record | ErrorClass::Bug)
        }
        StepError::Lookup(LookupError::Refused { .. } | LookupError::Failed { .. }) => true,
        StepError::Call(_)
        | StepError::Lookup(LookupError::Down { .. })
        | StepError::Store(_)
        | StepError::WaitingForQuota { .. }
        | StepError::OtherOrg
        | StepError::NoGrant(_)
        | StepError::TokenRefused
        | StepError::VersionGone { .. }
        | StepError::ShuttingDown
        | StepError::Unfit { .. }
        | StepError::Unusable { .. } => false,
    }
}

/// What is told of the record that it is due to.
pub(crate) fn problem(field: &str, error: &StepError) -> RecordProblem {
    RecordProblem::new(field, error.to_string(), error.hint().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orgpipe_salesforce::error::ApiError;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_record_can_cause_is_halved() {
        let refused = |status, code: &str| {
            let error = ApiError::from_json(status, &json!({ "errorCode": code, "message": "no" }));
            StepError::from(error.expect("an error"))
        };
        let host = || "api.example.com".to_owned();
        for (error, expected) in [
            (refused(400, "INVALID_QUERY_FILTER_OPERATOR"), true),
            (refused(400, "MALFORMED_QUERY"), true),
            (refused(414, "URI_TOO_LONG"), true),
            (refused(431, "HTTP_431"), true),
            (refused(403, "REQUEST_LIMIT_EXCEEDED"), false),
            (refused(401, "INVALID_SESSION_ID"), false),
            (refused(503, "SERVER_UNAVAILABLE"), false),
            (refused(400, "INVALID_FIELD"), false),
            (StepError::OtherOrg, false),
            (StepError::VersionGone { version: "66.0".to_owned(), served: Vec::new() }, false),
            (
                StepError::Lookup(LookupError::Failed {
                    host: host(),
                    what: "it answered status 500".to_owned(),
                    retry_in: Duration::ZERO,
                }),
                true,
            ),
            (
                StepError::Lookup(LookupError::Down {
                    host: host(),
                    what: "it answered status 503".to_owned(),
                    retry_in: Duration::ZERO,
                }),
                false,
            ),
        ] {
            assert_eq!(may_be_one_records(&error), expected, "{error}");
        }
    }
}
