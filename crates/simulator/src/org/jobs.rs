//! The jobs an org keeps, and what it says of them.
//!
//! Here: a job's state and its JSON. Not here: doing its work, and paths (`api/bulk`).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::csv::{read, write};
use crate::data::instant_text;
use crate::faults::JobFault;
use crate::log::LoggedJob;

/// Jobs kept; past it the oldest that has ended goes.
const JOBS_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl JobState {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// The input of a job that is still to be worked on.
#[derive(Debug)]
pub(crate) enum PendingWork {
    None,
    Ingest { csv: Bytes },
    Query { soql: String },
}

/// How a job ended, with its result files.
#[derive(Debug)]
pub(crate) enum JobResult {
    Ingest {
        successful: String,
        failed: String,
        unprocessed: String,
        processed_count: usize,
        failed_count: usize,
        /// How it was ended before its time.
        cut: Option<Box<JobFault>>,
    },
    Query {
        header: String,
        rows: Vec<String>,
    },
    /// The job as a whole failed, with its message; `unprocessed` is the file of rows.
    Failed {
        message: String,
        unprocessed: String,
    },
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) operation: String,
    pub(crate) external_id: Option<String>,
    pub(crate) version: u32,
    pub(crate) crlf: bool,
    pub(crate) delimiter: (&'static str, u8),
    pub(crate) user: String,
    /// As change events name it.
    pub(crate) origin: String,
    pub(crate) created_ms: i64,
    pub(crate) changed_ms: i64,
    pub(crate) state: JobState,
    pub(crate) work: PendingWork,
    pub(crate) uploaded: bool,
    pub(crate) done: Option<JobResult>,
    query: bool,
}

impl Job {
    pub(crate) fn ingest(id: String, object: String, operation: String, user: &str, now_ms: i64) -> Self {
        Self {
            id,
            object,
            operation,
            external_id: None,
            version: 0,
            crlf: false,
            delimiter: ("COMMA", b','),
            user: user.to_owned(),
            origin: String::new(),
            created_ms: now_ms,
            changed_ms: now_ms,
            state: JobState::Open,
            work: PendingWork::None,
            uploaded: false,
            done: None,
            query: false,
        }
    }

    pub(crate) fn query(
        id: String,
        object: String,
        operation: String,
        user: &str,
        now_ms: i64,
        soql: String,
    ) -> Self {
        let job = Self::ingest(id, object, operation, user, now_ms);
        Self { state: JobState::UploadComplete, work: PendingWork::Query { soql }, query: true, ..job }
    }

    pub(crate) fn is_query(&self) -> bool {
        self.query
    }

    pub(crate) fn finish(&mut self, done: JobResult, now_ms: i64) {
        self.state = match &done {
            // Aborted at work, it stays so.
            _ if self.state == JobState::Aborted => JobState::Aborted,
            JobResult::Ingest { cut: Some(cut), .. } if cut.aborted => JobState::Aborted,
            JobResult::Ingest { cut: Some(_), .. } | JobResult::Failed { .. } => JobState::Failed,
            JobResult::Ingest { .. } | JobResult::Query { .. } => JobState::JobComplete,
        };
        self.changed_ms = now_ms;
        self.done = Some(done);
    }

    /// What was not done is listed as unprocessed.
    pub(crate) fn abort(&mut self) {
        self.state = JobState::Aborted;
        if let PendingWork::Ingest { csv } = std::mem::replace(&mut self.work, PendingWork::None) {
            let unprocessed = read::table(&csv, self.delimiter.1, self.crlf)
                .map_or_else(|_| String::new(), |table| write::plain(&table.header, &table.rows));
            let none = String::new();
            self.done = Some(JobResult::Ingest {
                successful: none.clone(),
                failed: none,
                unprocessed,
                processed_count: 0,
                failed_count: 0,
                cut: None,
            });
        }
    }

    /// As answered to a `PATCH`: without where and how to upload.
    pub(crate) fn brief(&self) -> Value {
        json!({
            "id": self.id, "operation": self.operation, "object": self.object, "createdById": self.user,
            "createdDate": instant_text(self.created_ms.div_euclid(1_000) * 1_000),
            "systemModstamp": instant_text(self.changed_ms.div_euclid(1_000) * 1_000),
            "state": self.state.name(), "concurrencyMode": "Parallel", "contentType": "CSV",
            "apiVersion": f64::from(self.version),
        })
    }

    /// As answered to the `POST` that made it.
    pub(crate) fn created(&self) -> Value {
        let mut shown = self.brief();
        shown["lineEnding"] = json!(if self.crlf { "CRLF" } else { "LF" });
        shown["columnDelimiter"] = json!(self.delimiter.0);
        if let Some(field) = &self.external_id {
            shown["externalIdFieldName"] = json!(field);
        }
        if !self.query {
            shown["contentUrl"] =
                json!(format!("services/data/v{}.0/jobs/ingest/{}/batches", self.version, self.id));
        }
        shown
    }

    /// As answered to a `GET`.
    pub(crate) fn full(&self) -> Value {
        let mut shown = self.created();
        shown["jobType"] = json!(if self.query { "V2Query" } else { "V2Ingest" });
        shown["retries"] = json!(0);
        let took = self.changed_ms.saturating_sub(self.created_ms);
        shown["totalProcessingTime"] = json!(if self.state.has_ended() { took } else { 0 });
        if self.query {
            shown["isPkChunkingSupported"] = json!(true);
        } else {
            shown["apiActiveProcessingTime"] = shown["totalProcessingTime"].clone();
            shown["apexProcessingTime"] = json!(0);
        }
        let (processed, failed) = match &self.done {
            Some(JobResult::Ingest { processed_count, failed_count, cut, .. }) => {
                if let Some(cut) = cut.as_ref().filter(|cut| !cut.message.is_empty()) {
                    shown["errorMessage"] = json!(cut.message);
                }
                (*processed_count, *failed_count)
            }
            Some(JobResult::Query { rows, .. }) => (rows.len(), 0),
            Some(JobResult::Failed { message, .. }) => {
                if !message.is_empty() {
                    shown["errorMessage"] = json!(message);
                }
                (0, 0)
            }
            None => (0, 0),
        };
        if self.state != JobState::Open {
            shown["numberRecordsProcessed"] = json!(processed);
            if !self.query {
                shown["numberRecordsFailed"] = json!(failed);
            }
        }
        shown
    }
}

#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// By id, which is the order of creation.
    all: BTreeMap<String, Job>,
    made: (u64, u64),
    pub(crate) held: bool,
    pub(crate) lose_rows: usize,
    pub(crate) end_next: Option<Box<JobFault>>,
}

impl Jobs {
    pub(crate) fn add(&mut self, job: Job) {
        if self.all.len() >= JOBS_MAX {
            let ended = self.all.values().find(|job| job.state.has_ended()).map(|job| job.id.clone());
            self.all.remove(&ended.unwrap_or_default());
        }
        if job.query {
            self.made.1 += 1;
        } else {
            self.made.0 += 1;
        }
        self.all.insert(job.id.clone(), job);
    }

    /// Forgets the jobs that have ended, as after seven days.
    pub(crate) fn expire(&mut self) {
        self.all.retain(|_, job| !job.state.has_ended());
    }

    pub(crate) fn is_full(&self) -> bool {
        self.all.len() >= JOBS_MAX && !self.all.values().any(|job| job.state.has_ended())
    }

    pub(crate) fn has(&self, kind: &str, id: &str) -> bool {
        self.all.get(id).is_some_and(|job| job.query == (kind == "query"))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Job> {
        self.all.get(id)
    }

    /// The query jobs or the ingest jobs, in the order of their creation.
    pub(crate) fn of_kind(&self, query: bool) -> impl Iterator<Item = &Job> {
        self.all.values().filter(move |job| job.query == query)
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.all.remove(id);
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.all.get_mut(id)
    }

    /// The ingest jobs that are kept.
    pub(crate) fn logged(&self) -> Vec<LoggedJob> {
        self.of_kind(false)
            .map(|job| LoggedJob {
                id: job.id.clone(),
                operation: job.operation.clone(),
                state: job.state.name().to_owned(),
            })
            .collect()
    }

    /// Ingest jobs and query jobs made since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.made
    }
}
