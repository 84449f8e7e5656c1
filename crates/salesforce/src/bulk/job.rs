//! One ingest job: create, upload, close, poll, read the results.
//!
//! Here: the calls and the states. Not here: the files' contents (`csv`), how long to wait (`bulk::poll_delay`).
//!
//! Source: BULKDOC, chapter "Bulk API 2.0 Ingest".

use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Value, json};

use crate::{
    call::{Body, Call, CallKind, Method, Reply, VERSION_MARK, json_body, local_path, segment},
    error::ApiError,
    failure::CallError,
    limits::{SMALL_TIMEOUT, TRANSFER_TIMEOUT, WRITE_REPLY_BYTES_MAX},
};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its one upload, for at most 24 hours.
    Open,
    /// Closed by us, and queued by Salesforce.
    UploadComplete,
    /// Salesforce is writing the records.
    InProgress,
    /// Every record was looked at; some may have failed all the same.
    JobComplete,
    /// Stopped by Salesforce; records may be written all the same.
    Failed,
    /// Stopped by somebody; records may be written all the same.
    Aborted,
}

impl JobState {
    /// True once the result files are complete.
    pub fn is_final(self) -> bool {
        match self {
            Self::Open | Self::UploadComplete | Self::InProgress => false,
            Self::JobComplete | Self::Failed | Self::Aborted => true,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "Open" => Self::Open,
            "UploadComplete" => Self::UploadComplete,
            "InProgress" => Self::InProgress,
            "JobComplete" => Self::JobComplete,
            "Failed" => Self::Failed,
            "Aborted" => Self::Aborted,
            _ => return None,
        })
    }
}

/// A job as Salesforce tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobInfo {
    /// Starts with `750`.
    pub id: String,
    /// Where it stands.
    pub state: JobState,
    /// Where the upload goes; starts with `/`.
    pub content_url: String,
    /// Records looked at, failed ones included; 0 while the job is open.
    pub processed: u64,
    /// Records that failed.
    pub failed: u64,
    /// Why the whole job failed.
    pub error: Option<ApiError>,
}

/// A job in a list of all of an org's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedJob {
    /// Starts with `750`.
    pub id: String,
    /// Where it stands; `None` for a state that jobs of this kind do not have.
    pub state: Option<JobState>,
    /// ID of the user who made it.
    pub created_by: String,
    /// When, Unix milliseconds by Salesforce's clock.
    pub created_ms: i64,
}

/// One of the three result files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// The records that were written.
    Successful,
    /// The records that were refused.
    Failed,
    /// The records that nobody looked at.
    Unprocessed,
}

/// What a job does to its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Changes or makes them, matched by this external ID field.
    Upsert(&'a str),
    /// Changes them, matched by `Id`.
    Update,
    /// Deletes them, matched by `Id`, which is the file's only column.
    Delete,
}

/// Creates a job. Asked twice it makes two jobs; an open one without data does nothing.
pub fn create(object: &str, operation: Operation<'_>) -> Call {
    let mut body = json!({
        "object": object, "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA",
    });
    body["operation"] = json!(match operation {
        Operation::Upsert(field) => {
            body["externalIdFieldName"] = json!(field);
            "upsert"
        }
        Operation::Update => "update",
        Operation::Delete => "delete",
    });
    let path = format!("/services/data/{VERSION_MARK}/jobs/ingest");
    Call::new(CallKind::BulkCreate, Method::Post, path, json_body(&body), SMALL_TIMEOUT, false)
}

/// Uploads the file, once: Salesforce refuses a second upload. After a lost answer look at the job instead.
pub fn upload(content_url: &str, csv: Bytes) -> Call {
    Call::new(
        CallKind::BulkUpload,
        Method::Put,
        local_path(content_url),
        Body::Csv(csv),
        TRANSFER_TIMEOUT,
        false,
    )
}

/// Says that the upload is complete, which starts the work.
pub fn close(id: &str) -> Call {
    set_state(CallKind::BulkEnd, path_of(id), "UploadComplete")
}

/// Stops a job; what is written stays written.
pub fn abort(id: &str) -> Call {
    set_state(CallKind::BulkEnd, path_of(id), "Aborted")
}

/// Asks where the job stands; an API call like any other, so ask sparingly ([`super::poll_delay`]).
pub fn status(id: &str) -> Call {
    Call::get(CallKind::BulkPoll, path_of(id), SMALL_TIMEOUT)
}

/// Asks for all jobs of the org, up to 1,000 a page, in no order (BULKDOC, "Get All Job Info").
pub fn list() -> Call {
    let mut call =
        Call::get(CallKind::BulkPoll, format!("/services/data/{VERSION_MARK}/jobs/ingest"), SMALL_TIMEOUT);
    call.answer_bytes_max = WRITE_REPLY_BYTES_MAX;
    call.query.push(("jobType".to_owned(), "V2Ingest".to_owned()));
    call
}

/// Asks for a further page.
pub fn list_next(link: &str) -> Call {
    Call::get(CallKind::BulkPoll, local_path(link), SMALL_TIMEOUT)
}

/// Reads a page of them, and where the next one is.
pub fn listed(reply: &Reply) -> Result<(Vec<ListedJob>, Option<String>), CallError> {
    let answer = reply.json()?;
    let records = answer.get("records").and_then(Value::as_array);
    let records = records.ok_or_else(|| reply.unreadable("a list of jobs without `records`"))?;
    let job = |record: &Value| {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let created = DateTime::parse_from_str(text("createdDate")?, "%Y-%m-%dT%H:%M:%S%.f%z").ok()?;
        Some(ListedJob {
            id: text("id")?.to_owned(),
            state: text("state").and_then(JobState::from_name),
            created_by: text("createdById")?.to_owned(),
            created_ms: created.timestamp_millis(),
        })
    };
    let next = answer.get("nextRecordsUrl").and_then(Value::as_str).map(str::to_owned);
    Ok((records.iter().filter_map(job).collect(), next))
}

/// Fetches a result file, once the state is final. Salesforce keeps it for seven days.
pub fn results(id: &str, kind: ResultKind) -> Call {
    let name = match kind {
        ResultKind::Successful => "successfulResults",
        ResultKind::Failed => "failedResults",
        ResultKind::Unprocessed => "unprocessedrecords",
    };
    let mut call = Call::get(CallKind::BulkResult, format!("{}/{name}/", path_of(id)), TRANSFER_TIMEOUT);
    call.headers.push(("accept", "text/csv".to_owned()));
    call
}

/// Reads the answer to [`create`], [`close`], [`abort`] or [`status`], of query jobs as well.
///
/// Some answers leave out `contentUrl`; where it points to is documented, so it is filled in.
pub fn info(reply: &Reply) -> Result<JobInfo, CallError> {
    let answer = reply.json()?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    let id = text("id").ok_or_else(|| reply.unreadable("a job without `id`"))?.to_owned();
    let state = text("state").ok_or_else(|| reply.unreadable("a job without `state`"))?;
    let state = JobState::from_name(state)
        .ok_or_else(|| reply.unreadable(format!("the unknown job state `{}`", state.escape_debug())))?;
    Ok(JobInfo {
        content_url: text("contentUrl").map_or_else(|| format!("{}/batches", path_of(&id)), local_path),
        state,
        processed: number("numberRecordsProcessed"),
        failed: number("numberRecordsFailed"),
        error: text("errorMessage").map(|message| ApiError::from_text(reply.status, message)),
        id,
    })
}

fn path_of(id: &str) -> String {
    format!("/services/data/{VERSION_MARK}/jobs/ingest/{}", segment(id))
}

/// Asks for a state of the job, ingest or query, at this path.
pub(super) fn set_state(kind: CallKind, path: String, state: &str) -> Call {
    Call::new(kind, Method::Patch, path, json_body(&json!({"state": state})), SMALL_TIMEOUT, false)
}

#[cfg(test)]
mod tests;
