//! The times of a subscription that are ours to choose.
//!
//! Here: each with its default and where that comes from. Not here: times that Salesforce sets (`session/link`).

use std::time::Duration;

/// How long a subscription waits for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A session whose events are not stored this long after they came is left, and resumed by replay. Default 30 s:
    /// Salesforce drops a session 40 s after an answer without a poll ("Using Streaming API Timeouts").
    pub poll_within: Duration,
    /// Within this time Salesforce must begin to answer anything but a poll that it holds. Default 30 s: a session that
    /// is not heard of for 40 s is gone (same page).
    pub answer_within: Duration,
    /// Age at which a session is replaced, less up to a tenth by chance. Default 2 h 45 min: the balancer's cookie
    /// lives 3 h, and without it the session is unknown.
    pub renew_after: Duration,
    /// First ceiling of the wait after trouble, doubled each time. Default 1 s.
    pub retry_base: Duration,
    /// Last ceiling of the wait after trouble. Default 5 min.
    pub retry_max: Duration,
    /// Wait before asking again what only a person can mend; up to half is added by chance. Default 15 min.
    pub probe_after: Duration,
    /// Time for taking leave of Salesforce. Default 10 s.
    pub leave_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(30),
            renew_after: Duration::from_mins(165),
            retry_base: Duration::from_secs(1),
            retry_max: Duration::from_mins(5),
            probe_after: Duration::from_mins(15),
            leave_within: Duration::from_secs(10),
        }
    }
}
