//! A Bulk job that is open: what was uploaded to it, how long it may stand, and what is told of it.
//!
//! Salesforce promises no time: a job waits in the org's queue behind those of others, and hangs there when the queue does.
//! So a job may stand without a row being looked at only for a time by its size; then it is aborted, what it has done is read,
//! and the rest goes by REST.
//!
//! Here: the job as a value, and its time. Pure. Not here: the calls about it (`bulk`), when to look (`writer`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use orgpipe_salesforce::bulk::job::{JobInfo, JobState};
use orgpipe_store::{Seq, UnixMs};

use super::outgoing::Tried;
use crate::{
    org::{api::gate::Reservation, context::OrgContext, writes::BulkJobStatus},
    priority::Priority,
    queue_entry::JobEntry,
    trace::{
        spans::About,
        steps::{StepSpan, Traces},
    },
};

/// Time that a job of one row may stand.
const STANDS: Duration = Duration::from_mins(10);
/// And for each further thousand rows: the org may work on one batch of 10,000 for ten minutes, and begin it anew some times
/// (Bulk API 2.0 and Bulk API Developer Guide, "How Requests Are Processed").
const STANDS_PER_THOUSAND: Duration = Duration::from_mins(3);
/// After this part of that time it hangs: what is live is not given to another job beside it.
const LATE_PART: u32 = 10;
/// The same while no further job may be opened beside it.
const LATE_IN_A_CROWD: Duration = Duration::from_secs(20);

/// A job under way.
#[derive(Debug)]
pub(super) struct OpenJob {
    /// Salesforce's ID.
    pub id: String,
    /// When to look next (time since start).
    pub look_at: Duration,
    /// What is stored of it.
    pub entry: JobEntry,
    /// What is written to.
    pub target: String,
    /// The fields in its file.
    pub fields: Vec<String>,
    /// What is remembered of each change, by sequence number.
    pub tried: HashMap<Seq, Tried>,
    /// Numbers of its changes.
    pub changes: Arc<[Seq]>,
    /// When the oldest of its requests came; not known after a restart.
    pub received_ms: Option<UnixMs>,
    /// Who asked.
    pub priority: Priority,
    /// Calls set aside for it; none after a restart.
    pub reservation: Option<Reservation>,
    /// Times that it was looked at.
    pub looks: u32,
    /// Times that its results could not be read.
    pub unread: u32,
    /// How far it was when it was looked at last.
    pub progress: Progress,
    /// The traces of what asked for its changes.
    pub traces: Traces,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Where it stood.
    pub state: JobState,
    /// Rows that were looked at.
    pub processed: u64,
    /// Since when it stands so.
    pub since_ms: UnixMs,
    /// Why it could not be looked at, or not be aborted; empty if it could.
    pub trouble: String,
}

impl Progress {
    /// Of a job that was created then.
    pub(super) fn new(opened_ms: UnixMs) -> Self {
        Self { state: JobState::Open, processed: 0, since_ms: opened_ms, trouble: String::new() }
    }
}

/// Time that a job of so many rows may stand without a row being looked at.
fn stands_max(rows: usize) -> Duration {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    STANDS.saturating_add(STANDS_PER_THOUSAND.saturating_mul(rows) / 1_000)
}

impl OpenJob {
    /// A look found it so.
    pub(super) fn seen(&mut self, info: &JobInfo, now_ms: UnixMs) {
        self.progress.trouble.clear();
        self.progress.state = info.state;
        // A row that was looked at is what counts: from one state to the next it may come without being worked on.
        if info.processed != self.progress.processed {
            self.progress.processed = info.processed;
            self.progress.since_ms = now_ms;
        }
    }

    /// It stands for longer than jobs of its size usually take.
    pub(super) fn is_late(&self, now_ms: UnixMs) -> bool {
        self.stood(now_ms) >= stands_max(self.entry.rows.len()) / LATE_PART
    }

    /// It has stood for as long as it may.
    pub(super) fn is_over(&self, now_ms: UnixMs) -> bool {
        self.stood(now_ms) >= stands_max(self.entry.rows.len())
    }

    /// A time that is to come, from a clock that was set back since, counts as now.
    fn stood(&self, now_ms: UnixMs) -> Duration {
        now_ms.since(self.progress.since_ms)
    }

    /// The step in which it is looked at.
    pub(super) fn looking(&self, org: &OrgContext) -> StepSpan {
        let records = Some(self.changes.len() as u64);
        let about = About { org: org.id(), name: ("look at Bulk job of", &self.target), sync: None, records };
        self.traces.step(org.clock, about)
    }

    /// What an operator is told of it. `full`: no further job may be opened beside it.
    pub(super) fn status(&self, now_ms: UnixMs, full: bool) -> BulkJobStatus {
        let rows = self.entry.rows.len();
        let state = match self.progress.state {
            JobState::Open => "Open",
            JobState::UploadComplete => "UploadComplete",
            JobState::InProgress => "InProgress",
            JobState::JobComplete => "JobComplete",
            JobState::Failed => "Failed",
            JobState::Aborted => "Aborted",
        };
        BulkJobStatus {
            id: self.id.clone(),
            target: self.target.clone(),
            records: rows as u64,
            state,
            processed: self.progress.processed,
            since_ms: self.progress.since_ms,
            given_up_ms: self.progress.since_ms.saturating_add(stands_max(rows)),
            hangs: self.is_late(now_ms) || full && self.stood(now_ms) >= LATE_IN_A_CROWD,
            trouble: self.progress.trouble.clone(),
            changes: Arc::clone(&self.changes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(rows: usize) -> OpenJob {
        let entry = JobEntry {
            v: 1,
            content_url: String::new(),
            external_id_field: "X".into(),
            operation: orgpipe_reconcile::Operation::Upsert,
            opened_ms: Some(UnixMs(1_000)),
            rows: (0..rows as u64).map(Seq).map(|seq| (seq, seq.to_string())).collect(),
            fields: None,
        };
        OpenJob {
            id: "750".into(),
            look_at: Duration::ZERO,
            entry,
            target: "T".into(),
            fields: Vec::new(),
            tried: HashMap::new(),
            changes: Arc::from([]),
            received_ms: None,
            priority: Priority::Live,
            reservation: None,
            looks: 0,
            unread: 0,
            progress: Progress::new(UnixMs(1_000)),
            traces: Traces::unasked("acme"),
        }
    }

    fn info(state: JobState, processed: u64) -> JobInfo {
        JobInfo { id: "750".into(), state, content_url: String::new(), processed, failed: 0, error: None }
    }

    #[test]
    fn the_time_of_a_job_goes_by_its_size_and_begins_anew_with_each_row_that_is_looked_at() {
        let minutes = |minutes: u64| UnixMs(1_000 + minutes * 60_000);
        for (rows, late, over) in [(20, 2, 11), (1_000, 2, 14), (10_000, 5, 41)] {
            let job = job(rows);
            assert!(!job.is_late(UnixMs(30_000)) && job.is_late(minutes(late)), "{rows}");
            assert!(!job.is_over(minutes(over - 2)) && job.is_over(minutes(over)), "{rows}");
        }
        let mut job = job(20);
        job.seen(&info(JobState::InProgress, 0), minutes(9));
        assert!(job.is_over(minutes(11)), "another state alone is no progress");
        job.seen(&info(JobState::InProgress, 5), minutes(9));
        assert!(!job.is_over(minutes(11)) && job.is_over(minutes(20)));
        assert!(!job.status(minutes(9), true).hangs && job.status(UnixMs(minutes(9).0 + 20_000), true).hangs);
        let status = job.status(minutes(12), false);
        assert_eq!((status.records, status.processed, status.hangs), (20, 5, true));
        assert!(!job.is_over(UnixMs(0)), "a clock that was set back");
    }
}
