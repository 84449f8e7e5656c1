//! What an operator is told of the writes of one org that stand: Bulk jobs in the org's queue, calls without an answer, and
//! what is refused until somebody mends it.
//!
//! Here: these as values, and as sentences. Not here: what is done about them (`deliver`).

use std::sync::Arc;

use orgpipe_store::{Seq, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::time, problem::Problem};

/// A Bulk job under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BulkJobStatus {
    /// Salesforce's ID.
    pub id: String,
    /// The object written to.
    pub target: String,
    /// Records in it.
    pub records: u64,
    /// Its state as Salesforce calls it, when it was looked at last.
    pub state: &'static str,
    /// Records that Salesforce has looked at.
    pub processed: u64,
    /// Since when it stands so.
    pub since_ms: UnixMs,
    /// When it is aborted if it still stands so.
    pub given_up_ms: UnixMs,
    /// It stands for longer than jobs of its size usually take.
    pub hangs: bool,
    /// Why it could not be looked at; empty if it could.
    pub trouble: String,
    /// Numbers of its changes.
    #[serde(skip)]
    pub changes: Arc<[Seq]>,
}

/// A refusal that somebody else has to mend, and that records wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WriteWait {
    /// Salesforce's code.
    pub code: String,
    /// The object written to.
    pub target: String,
    /// Why, as a sentence without a final stop.
    pub note: String,
    /// What to do.
    pub hint: String,
    /// Since when.
    pub since_ms: UnixMs,
    /// By when all of them have been sent again.
    pub again_ms: UnixMs,
}

/// A call that writes and has not been answered for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnansweredWrite {
    /// Records in it.
    pub records: u64,
    /// When it was made.
    pub since_ms: UnixMs,
}

impl UnansweredWrite {
    /// For the operator.
    pub(crate) fn problem(self) -> Problem {
        let Self { records, since_ms } = self;
        let reason = format!(
            "a call that writes {records} records has not been answered since {}",
            time_text(since_ms)
        );
        let hint = "The others pass meanwhile, and these are sent again in smaller calls. Look for triggers and flows of \
                    the org that take long.";
        Problem::new(reason, hint)
    }
}

impl BulkJobStatus {
    /// Of one that hangs.
    pub(crate) fn problem(&self) -> Option<Problem> {
        if !self.hangs && self.trouble.is_empty() {
            return None;
        }
        let Self { id, target, records, state, processed, trouble, .. } = self;
        let (since, until) = (time_text(self.since_ms), time_text(self.given_up_ms));
        let trouble = if trouble.is_empty() { String::new() } else { format!("; {trouble}") };
        let reason = format!(
            "Bulk job {id}, with {records} records for {target}, stands in the org's queue since {since} ({state}, \
             {processed} looked at){trouble}"
        );
        let hint = format!(
            "Live changes go by REST meanwhile. If it still stands so at {until}, it is aborted and the rest of its \
             records go by REST. What holds up the queue is in Setup, Bulk Data Load Jobs."
        );
        Some(Problem::new(reason, hint))
    }
}

impl WriteWait {
    /// For the operator.
    pub(crate) fn problem(&self) -> Problem {
        let Self { target, note, since_ms, .. } = self;
        let reason = format!("records for {target} wait since {}: {note}", time_text(*since_ms));
        Problem::new(reason, self.hint.clone())
    }
}

/// Day and time, to the second.
pub(crate) fn time_text(at: UnixMs) -> String {
    time(at).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_hangs_is_told_with_since_when_and_until_when() {
        let job = BulkJobStatus {
            id: "750A".into(),
            target: "Enrichment__c".into(),
            records: 20,
            state: "InProgress",
            processed: 0,
            since_ms: UnixMs(0),
            given_up_ms: UnixMs(600_000),
            hangs: true,
            trouble: String::new(),
            changes: Arc::from([]),
        };
        let told = job.problem().expect("it hangs").to_string();
        for part in
            ["Bulk job 750A, with 20 records", "since 1970-01-01 00:00:00 UTC", "at 1970-01-01 00:10:00"]
        {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(BulkJobStatus { hangs: false, ..job }.problem(), None);
    }
}
