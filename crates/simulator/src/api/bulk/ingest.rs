//! Ingest jobs: rows in, three result files out.
//!
//! Here: creating, uploading, running a job. Not here: what a write checks (`data`, `org/writes`).

use std::sync::Arc;

use rand::seq::SliceRandom;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::api::call::Call;
use crate::csv::read::{self, CsvTable};
use crate::csv::write;
use crate::data::{FieldKind, Object, Refusal, java_text};
use crate::faults::JobFault;
use crate::org::jobs::{Job, JobResult, JobState, PendingWork};
use crate::org::outcome::{RecordOutcome, RecordWrite, WriteOperation, WriteRules};
use crate::org::{Org, OrgState, writes};
use crate::row::Row;

/// Rows written in one transaction. Source: Bulk API guide "How Requests Are Processed".
const TRANSACTION: usize = 200;
/// Source: Bulk API guide "Bulk API 2.0 Limits": 150 MB once encoded, so 100 MB as sent.
const UPLOAD_MAX: usize = 100 * 1_024 * 1_024;
/// What a cell says to empty a field.
const EMPTY: &str = "#N/A";

pub(crate) fn create(org: &Org, state: &mut OrgState, call: &Call, user: &str) -> Answer {
    let body = match call.object() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let seen = state.views.seen(user);
    let Some(object) = seen.object(text("object").unwrap_or_default()) else {
        let message =
            format!("Entity '{}' is not supported by the Bulk API.", text("object").unwrap_or_default());
        return Answer::error(400, "INVALIDENTITY", &message);
    };
    let operation = text("operation").unwrap_or_default();
    if !["insert", "update", "upsert", "delete", "hardDelete"].contains(&operation) {
        return Answer::error(400, "INVALIDJOB", &format!("Unknown operation '{operation}'"));
    }
    let by = text("externalIdFieldName").and_then(|name| object.field(name));
    let by =
        by.filter(|field| field.external_id || field.kind == FieldKind::Id).map(|field| field.name.clone());
    if operation == "upsert" && by.is_none() {
        let given = text("externalIdFieldName").unwrap_or_default();
        let message = format!(
            "InvalidJob : Field name provided, {given} does not match an External ID for {}",
            object.name
        );
        return Answer::error(400, "INVALIDJOB", &message);
    }
    let delimiter = match text("columnDelimiter").unwrap_or("COMMA") {
        "BACKQUOTE" => ("BACKQUOTE", b'`'),
        "CARET" => ("CARET", b'^'),
        "COMMA" => ("COMMA", b','),
        "PIPE" => ("PIPE", b'|'),
        "SEMICOLON" => ("SEMICOLON", b';'),
        "TAB" => ("TAB", b'\t'),
        other => return Answer::error(400, "INVALIDJOB", &format!("Unknown columnDelimiter '{other}'")),
    };
    let crlf = match text("lineEnding").unwrap_or("LF") {
        "LF" => false,
        "CRLF" => true,
        other => return Answer::error(400, "INVALIDJOB", &format!("Unknown lineEnding '{other}'")),
    };
    if text("contentType").unwrap_or("CSV") != "CSV" {
        return Answer::error(400, "INVALIDJOB", "contentType must be CSV");
    }
    if state.jobs.is_full() {
        return Answer::error(400, "LIMIT_EXCEEDED", "Max open jobs has been reached.");
    }
    let (object, now) = (object.name.clone(), org.clock.wall_ms());
    let id = state.tables.new_id("750");
    let mut job = Job::ingest(id, object, operation.to_owned(), user, now);
    (job.external_id, job.version, job.crlf, job.delimiter) = (by, call.version(), crlf, delimiter);
    job.origin = call.origin("bulkapi");
    let answer = Answer::json(200, &job.created());
    state.jobs.add(job);
    answer
}

pub(crate) fn upload(state: &mut OrgState, call: &Call, id: &str) -> Answer {
    let Some(job) = state.jobs.get_mut(id) else { return Answer::not_found() };
    if job.state != JobState::Open {
        return Answer::error(400, "INVALIDJOBSTATE", "Job is not open for uploads");
    }
    if !call.content_type.starts_with("text/csv") {
        let message = format!("Content type {} does not match the job's CSV", call.content_type);
        return Answer::error(415, "UNSUPPORTED_MEDIA_TYPE", &message);
    }
    if job.uploaded {
        return Answer::error(
            400,
            "INVALIDBATCH",
            &format!(
                "Found multiple contents for job: <{id}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a new Job"
            ),
        );
    }
    if call.body.len() > UPLOAD_MAX {
        return Answer::error(400, "INVALIDBATCH", "The content is larger than 100 MB");
    }
    job.uploaded = true;
    job.work = PendingWork::Ingest { csv: call.body.clone() };
    Answer::empty(201)
}

/// A result file of a job that has ended.
pub(crate) fn results(state: &OrgState, id: &str, file: &str) -> Answer {
    let Some(job) = state.jobs.get(id) else { return Answer::not_found() };
    // A job aborted at work ends with the transaction it is in.
    if !job.state.has_ended() || (job.uploaded && job.done.is_none()) {
        return Answer::error(400, "INVALIDJOBSTATE", "The job has not ended yet");
    }
    let none = String::new();
    let body = match (&job.done, file) {
        (Some(JobResult::Ingest { successful, .. }), "successfulresults") => successful,
        (Some(JobResult::Ingest { failed, .. }), "failedresults") => failed,
        (
            Some(JobResult::Ingest { unprocessed, .. } | JobResult::Failed { unprocessed, .. }),
            "unprocessedrecords",
        ) => unprocessed,
        _ => &none,
    };
    Answer::text(200, "text/csv", body.clone().into_bytes())
}

/// A job at work, one transaction after the other.
pub(crate) struct IngestRun {
    object: Arc<Object>,
    operation: WriteOperation,
    user: String,
    /// As change events name it.
    origin: String,
    table: CsvTable,
    /// Rows seen to so far.
    at: usize,
    successful: Vec<String>,
    failed: Vec<String>,
    cut: Option<Box<JobFault>>,
}

impl IngestRun {
    /// Reads the upload; `Err` is how the job ends if it cannot be worked on at all.
    pub(crate) fn start(state: &mut OrgState, id: &str, csv: &[u8]) -> Result<Self, JobResult> {
        let fail = |message: String, unprocessed: String| JobResult::Failed { message, unprocessed };
        let lost = std::mem::take(&mut state.jobs.lose_rows);
        let cut = state.jobs.end_next.take();
        let job =
            state.jobs.get(id).ok_or_else(|| fail("InvalidJob : job is gone".to_owned(), String::new()))?;
        let operation = match (job.operation.as_str(), &job.external_id) {
            ("insert", _) => WriteOperation::Insert,
            ("update", _) => WriteOperation::Update,
            ("upsert", Some(by)) => WriteOperation::Upsert { by: by.clone(), update_only: false },
            _ => WriteOperation::Delete,
        };
        let table =
            read::table(csv, job.delimiter.1, job.crlf).map_err(|message| fail(message, String::new()))?;
        let object = state.views.seen(&job.user).shared(&job.object);
        let object = object.ok_or_else(|| fail("InvalidJob : object is gone".to_owned(), String::new()))?;
        if let Some(unknown) = table.header.iter().find(|name| !known(&object, name)) {
            let message = format!("InvalidBatch : Field name not found : {unknown}");
            return Err(fail(message, write::plain(&table.header, &table.rows)));
        }
        let at = lost.min(table.rows.len());
        Ok(Self {
            object,
            operation,
            user: job.user.clone(),
            origin: job.origin.clone(),
            table,
            at,
            successful: Vec::new(),
            failed: Vec::new(),
            cut,
        })
    }

    /// Writes the next rows; false when none are left.
    pub(crate) fn step(&mut self, org: &Org, state: &mut OrgState) -> bool {
        let end = self.cut.as_ref().map_or(usize::MAX, |cut| cut.after_rows).min(self.table.rows.len());
        let to = (self.at + TRANSACTION).min(end);
        let rows = self.table.rows.get(self.at..to).unwrap_or_default();
        if rows.is_empty() {
            return false;
        }
        let rules = WriteRules { all_or_none: false, whole_on_wrong_type: false };
        let wanted: Vec<RecordWrite> = rows
            .iter()
            .map(|row| RecordWrite {
                object: self.object.name.clone(),
                operation: self.operation.clone(),
                row: record(&self.table, row, &self.operation),
            })
            .collect();
        let writer = org.client_writer(&self.user, self.origin.clone());
        let outcomes = match writes::write(org, state, &wanted, rules, &writer) {
            Ok(outcomes) => outcomes,
            Err(refusal) => wanted.iter().map(|_| RecordOutcome::Refused(refusal.clone())).collect(),
        };
        for (row, outcome) in rows.iter().zip(outcomes) {
            match success(&outcome) {
                Ok((id, created)) => {
                    self.successful.push(written(&self.object, &self.table, row, &id, created));
                }
                Err(refusal) => self.failed.push(refused(&self.table, row, &refusal)),
            }
        }
        self.at = to;
        true
    }

    /// The three files; what was not seen to is unprocessed.
    pub(crate) fn finish(mut self, state: &mut OrgState) -> JobResult {
        // Salesforce promises no order.
        self.successful.shuffle(&mut state.rng);
        self.failed.shuffle(&mut state.rng);
        let columns = &self.table.header;
        JobResult::Ingest {
            processed_count: self.successful.len() + self.failed.len(),
            failed_count: self.failed.len(),
            cut: self.cut,
            successful: write::header(&["sf__Id", "sf__Created"], columns) + &self.successful.concat(),
            failed: write::header(&["sf__Id", "sf__Error"], columns) + &self.failed.concat(),
            unprocessed: write::plain(columns, &self.table.rows[self.at..]),
        }
    }
}

/// A column is a field, or `Account__r.Key__c`.
fn known(object: &Object, column: &str) -> bool {
    match column.split_once('.') {
        Some((relationship, _)) => object.relationship(relationship).is_some(),
        None => object.field(column).is_some(),
    }
}

/// A row's cells as a record: an empty cell says nothing, `#N/A` empties.
fn record(table: &CsvTable, row: &[String], operation: &WriteOperation) -> Row {
    let mut record = Row::new();
    for (column, cell) in table.header.iter().zip(row) {
        // Some clients send an empty `Id` with every upsert.
        if cell.is_empty() || (column == "Id" && matches!(operation, WriteOperation::Insert)) {
            continue;
        }
        let value = if cell == EMPTY { Value::Null } else { json!(cell) };
        match column.split_once('.') {
            Some((relationship, _)) if value.is_null() => record.insert(relationship.to_owned(), value),
            Some((relationship, field)) => record.insert(relationship.to_owned(), json!({field: value})),
            None => record.insert(column.clone(), value),
        };
    }
    record
}

fn success(outcome: &RecordOutcome) -> Result<(String, bool), Refusal> {
    match outcome {
        RecordOutcome::Written(written) => Ok((written.id.clone(), written.created)),
        RecordOutcome::Published { id, .. } => Ok((id.clone(), true)),
        RecordOutcome::Deleted { id } => Ok((id.clone(), false)),
        RecordOutcome::Many(_) => {
            let message = "More than one record found for external id field";
            Err(Refusal::new("DUPLICATE_EXTERNAL_ID", message))
        }
        RecordOutcome::Refused(refusal) => Err(refusal.clone()),
    }
}

/// A line of the successful file; numbers come back in Java's text, not as they were sent.
fn written(object: &Object, table: &CsvTable, row: &[String], id: &str, created: bool) -> String {
    let cells = table.header.iter().zip(row).map(|(column, cell)| {
        let double = object.field(column).is_some_and(|field| {
            matches!(
                field.kind,
                FieldKind::Number { .. } | FieldKind::Currency { .. } | FieldKind::Percent { .. }
            )
        });
        match cell.parse() {
            Ok(number) if double => java_text(number),
            _ => cell.clone(),
        }
    });
    let values: Vec<String> = [id.to_owned(), created.to_string()].into_iter().chain(cells).collect();
    write::line(values.iter().map(String::as_str))
}

/// A line of the failed file: `CODE:message:fields --`.
fn refused(table: &CsvTable, row: &[String], refusal: &Refusal) -> String {
    let fields = refusal.fields.join(",");
    let fields = if fields.is_empty() { String::new() } else { format!("{fields} ") };
    let error = match &refusal.wrong_type {
        Some(wrong) => {
            let place = refusal
                .fields
                .first()
                .and_then(|field| table.header.iter().position(|name| name.eq_ignore_ascii_case(field)));
            format!(
                "INVALID_FIELD:Failed to deserialize field at col {}. Due to, '{}' is not a valid value for the type xsd:{}:{fields}--",
                place.unwrap_or(0),
                wrong.value,
                wrong.expected,
            )
        }
        None => format!("{}:{}:{fields}--", refusal.code, refusal.message),
    };
    let id = table.header.iter().position(|name| name == "Id").map_or("", |place| row[place].as_str());
    write::line([id, &error].into_iter().chain(row.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::options::OrgOptions;
    use crate::org::keys::Keys;

    #[test]
    fn a_job_stopped_at_work_keeps_what_is_done_and_lists_the_rest() {
        let keys = Arc::new(Keys::make().expect("a key pair"));
        let org =
            Org::new(&OrgOptions::default(), 1, 1, "http://127.0.0.1:1".to_owned(), keys, Clock::new(1.0));
        let mut state = org.state();
        let mut job = Job::ingest("750".to_owned(), "Account".to_owned(), "insert".to_owned(), "", 0);
        job.uploaded = true;
        state.jobs.add(job);
        let csv = (0..450).fold("Name\n".to_owned(), |csv, n| csv + &format!("A{n}\n"));
        let mut run =
            IngestRun::start(&mut state, "750", csv.as_bytes()).map_err(|_| ()).expect("it is right");
        assert!(run.step(&org, &mut state) && run.step(&org, &mut state));
        let JobResult::Ingest { unprocessed, processed_count, failed_count, .. } = run.finish(&mut state)
        else {
            panic!("an ingest job ends in files");
        };
        assert_eq!((processed_count, failed_count), (400, 0));
        assert_eq!((unprocessed.lines().count(), unprocessed.lines().nth(1)), (51, Some("\"A400\"")));
        assert_eq!(state.tables.rows("Account").count(), 400);
    }
}
