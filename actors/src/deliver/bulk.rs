//! Writing many records: one Bulk API 2.0 job.
//!
//! Here: opening a job and looking at one. Not here: when to look (`writer`), the verdict on a row (`outcome`).
//!
//! The job's ID is on disk before its data is uploaded. So after a crash the job is found again, and what was uploaded
//! is not written a second time by another job as long as the first may still run.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use orgpipe_reconcile::{Operation, Row, route::BULK_CALLS};
use orgpipe_salesforce::{
    bulk::{
        BulkRow, csv,
        job::{self, JobState, ResultKind},
        poll_delay,
        results::Results,
    },
    call::{Call, Reply},
    error::{ApiError, ErrorClass},
    failure::CallError,
};
use orgpipe_store::{Job, Outcome, StoreError};

use super::outcome::{Moment, Outgoing, Sent, Tried, fields_of, of_error, of_job, unknown, unpack_one};
use crate::{
    failpoint::Point,
    org::{
        api::{budget::patience, gate::Reservation, transport::Each},
        context::OrgContext,
        step_error::StepError,
        store::Position,
    },
    priority::Priority,
    queue_entry::{JobEntry, pack, unpack},
};

/// Rows of one job: one batch as Salesforce cuts it (Bulk API 2.0 Guide, "How Requests Are Processed").
pub(crate) const ROWS_MAX: usize = 10_000;

/// Pages of an org's jobs that are looked through for a lost one, 1,000 jobs each.
const LIST_PAGES_MAX: usize = 20;
/// How far our clock and Salesforce's may be apart, and how long a job may take to be made.
const CLOCKS_MS: u64 = 10 * 60_000;

/// A job under way.
#[derive(Debug)]
pub(super) struct OpenJob {
    /// Salesforce's ID.
    pub id: String,
    /// When to look next (time since start).
    pub look_at: Duration,
    entry: JobEntry,
    /// What is written to.
    target: String,
    /// The fields in its file.
    fields: Vec<String>,
    /// What is remembered of each change, by sequence number.
    tried: HashMap<u64, Tried>,
    /// When the oldest of its requests came, Unix milliseconds; not known after a restart.
    received_ms: Option<u64>,
    priority: Priority,
    /// Calls set aside for it; none after a restart.
    reservation: Option<Reservation>,
    looks: u32,
}

impl OpenJob {
    async fn call(&self, org: &OrgContext, call: &Call) -> Result<Reply, StepError> {
        match &self.reservation {
            Some(reservation) => org.api.call_reserved(reservation, call).await,
            None => org.api.call(self.priority, call).await,
        }
    }

    async fn download(&self, org: &OrgContext, call: &Call, each: Each<'_>) -> Result<(), StepError> {
        let reply = match &self.reservation {
            Some(reservation) => org.api.download(reservation, call, each).await?,
            None => org.api.download(&org.api.reserve(self.priority, 1).await?, call, each).await?,
        };
        Ok(reply.require_success()?)
    }
}

/// What a look at a job found.
#[derive(Debug)]
pub(super) enum Look {
    /// It still runs.
    Running,
    /// It has ended so, row by row; with the time its oldest request came, if that is known.
    Ended(Vec<(u64, Outcome)>, Option<u64>),
}

/// What became of changes for which a job was opened.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The job, unless no row was left for one.
    pub job: Option<OpenJob>,
    /// A CSV cannot carry them: to be written by REST instead.
    pub left_over: Vec<Outgoing>,
    /// The file was full before all were in it: the rest is still taken, and for another job.
    pub more: bool,
}

/// A stored job, after a restart. `None`: its body cannot be read; its changes are tried again.
pub(super) fn resume(job: Job, now: Duration) -> Result<OpenJob, Vec<(u64, Outcome)>> {
    // One that cannot be read any more was sent all the same.
    let changes: Vec<Outgoing> = job.changes.iter().filter_map(|change| unpack_one(change).ok()).collect();
    let tried = tried_of(&changes);
    match unpack::<JobEntry>(&job.body) {
        Ok(entry) => {
            let priority = job.changes.first().map_or(Priority::Refresh, |change| change.lane.into());
            Ok(OpenJob {
                id: job.id,
                look_at: now,
                entry,
                target: job.changes.first().map(|change| change.target.clone()).unwrap_or_default(),
                fields: fields_of(&changes),
                tried,
                received_ms: None,
                priority,
                reservation: None,
                looks: 0,
            })
        }
        Err(problem) => {
            let again = |seq| (seq, Outcome::Retry { due_ms: 0, reason: problem.to_string(), resend: 0 });
            Err(job.changes.iter().map(|change| again(change.seq)).collect())
        }
    }
}

/// Opens a job for changes of one target and operation, uploads them and lets it run. `known`: jobs that run already.
pub(super) async fn open(
    org: &OrgContext,
    priority: Priority,
    mut changes: Vec<Outgoing>,
    known: &[OpenJob],
) -> Result<Opened, StepError> {
    let mut opened = Opened::default();
    let (target, operation, field) = match changes.first() {
        Some(first) => (first.entry.target.clone(), first.entry.operation, first.key().0.to_owned()),
        None => return Ok(opened),
    };
    let data = loop {
        let rows: Vec<(&str, &Row)> =
            changes.iter().map(|change| (change.key().1, &change.entry.fields)).collect();
        match csv::write(&field, &rows) {
            Ok(upload) => {
                opened.more |= upload.full_at.is_some();
                changes.truncate(upload.full_at.unwrap_or(changes.len()));
                for problem in upload.refused.iter().rev() {
                    opened.left_over.push(changes.remove(problem.row()));
                }
                break upload.file;
            }
            // One row that fits no file is written by REST, too.
            Err(problem) if problem.row() > 0 => {
                changes.truncate(problem.row());
                opened.more = true;
            }
            Err(_) => opened.left_over.push(changes.remove(0)),
        }
        if changes.is_empty() {
            break Bytes::new();
        }
    };
    if changes.is_empty() {
        return Ok(opened);
    }
    // All calls of the job's life are set aside before the first, so that it does not stand half-way.
    let reservation = org.api.reserve(priority, BULK_CALLS).await?;
    abort_lost(org, known).await?;
    // So that a job whose ID does not reach us is found again and does not stay open.
    mark(org, Some(org.clock.now_ms())).await?;
    let create = match operation {
        Operation::Upsert => job::create(&target, job::Operation::Upsert(&field)),
        Operation::Update => job::create(&target, job::Operation::Update),
        Operation::Delete => job::create(&target, job::Operation::Delete),
    };
    let info = match job::info(&org.api.call_reserved(&reservation, &create).await?) {
        Ok(info) => info,
        // The day's batches are used up, which is not the same as its calls: REST still works.
        Err(CallError::Refused(error)) if error.is_of_bulk() => {
            tracing::warn!(
                org = org.id(),
                rows = changes.len(),
                "written by REST instead of a Bulk job: {error}"
            );
            mark(org, None).await?;
            opened.left_over.append(&mut changes);
            return Ok(opened);
        }
        Err(error) => return Err(error.into()),
    };
    let rows = changes.iter().map(|change| (change.seq, change.key().1.to_owned())).collect();
    let fields = Some(fields_of(&changes));
    let content_url = info.content_url;
    let entry = JobEntry { v: 1, content_url, external_id_field: field, operation, rows, fields };
    let seqs: Vec<u64> = changes.iter().map(|change| change.seq).collect();
    org.pass(Point::BeforePutJob);
    org.store.put_job(&info.id, pack(&entry), &seqs).await?;
    mark(org, None).await?;
    org.pass(Point::AfterPutJob);
    let received_ms = changes.iter().map(|change| change.entry.received_ms).min();
    let mut open = OpenJob {
        id: info.id,
        look_at: org.clock.monotonic(),
        entry,
        target,
        fields: fields_of(&changes),
        tried: tried_of(&changes),
        received_ms,
        priority,
        reservation: Some(reservation),
        looks: 0,
    };
    // From here on a failure is found by looking at the job: one that is still open is aborted and its rows retried.
    match upload(org, &open, data).await {
        Ok(()) => open.look_at += look_delay(org, 0),
        Err(error) => {
            tracing::warn!(org = org.id(), job = open.id, "the upload failed, the job is given up: {error}");
        }
    }
    tracing::debug!(org = org.id(), job = open.id, rows = seqs.len(), "bulk job opened");
    opened.job = Some(open);
    Ok(opened)
}

/// Remembers that a job is being opened, or that its ID is stored.
async fn mark(org: &OrgContext, opening_ms: Option<u64>) -> Result<(), StoreError> {
    let position = Position::BulkOpening;
    org.store.put(vec![opening_ms.map_or_else(|| position.cleared(), |at_ms| position.number(at_ms))]).await
}

/// After a crash or a lost answer: aborts the job that was being opened then, if it was. `known` are all others of ours.
///
/// It is one of our user's that is still open and was made about that time. Nothing was uploaded to it, so nothing is
/// lost with it; left alone it would stay open for a day.
pub(super) async fn abort_lost(org: &OrgContext, known: &[OpenJob]) -> Result<(), StepError> {
    let Some(opening_ms) = org.store.number(Position::BulkOpening).await? else { return Ok(()) };
    let opening_ms = i64::try_from(opening_ms).unwrap_or(i64::MAX);
    match abort_opened_at(org, known, opening_ms).await {
        // An org that does not show its jobs, or one that has changed meanwhile: it ends by itself after a day.
        Err(StepError::Call(CallError::Refused(error)))
            if matches!(
                error.class(),
                ErrorClass::Org | ErrorClass::Schema | ErrorClass::Record | ErrorClass::Bug
            ) =>
        {
            tracing::warn!(org = org.id(), "a Bulk job may have been left open: {error}");
        }
        other => other?,
    }
    mark(org, None).await?;
    Ok(())
}

async fn abort_opened_at(org: &OrgContext, known: &[OpenJob], opening_ms: i64) -> Result<(), StepError> {
    let user = org.api.session(None).await?.token.user_id;
    let mut page = Some(job::list());
    for _ in 0..LIST_PAGES_MAX {
        let Some(call) = page.take() else { break };
        let (jobs, next) = job::listed(&org.api.call(Priority::Live, &call).await?)?;
        let lost = jobs.iter().filter(|job| {
            job.state == Some(JobState::Open)
                && job.created_by == user
                && job.created_ms.abs_diff(opening_ms) <= CLOCKS_MS
                && known.iter().all(|open| open.id != job.id)
        });
        for job in lost {
            tracing::info!(
                org = org.id(),
                job = job.id,
                "a Bulk job was left open by a crash and is aborted"
            );
            job::info(&org.api.call(Priority::Live, &job::abort(&job.id)).await?)?;
        }
        page = next.as_deref().map(job::list_next);
    }
    Ok(())
}

/// How long until a job is looked at, after so many looks: the longer, the less is left of our share of the day's calls.
fn look_delay(org: &OrgContext, looks: u32) -> Duration {
    poll_delay(looks, org.clock.jitter()).mul_f64(patience(org.api.spent()))
}

async fn upload(org: &OrgContext, open: &OpenJob, data: Bytes) -> Result<(), StepError> {
    let reply = open.call(org, &job::upload(&open.entry.content_url, data)).await?;
    reply.require_success()?;
    org.pass(Point::AfterUpload);
    let closed = open.call(org, &job::close(&open.id)).await?;
    org.pass(Point::AfterClose);
    job::info(&closed)?;
    Ok(())
}

/// Looks at a job. An error means that it could not be looked at; it is looked at again later.
pub(super) async fn look(org: &OrgContext, open: &mut OpenJob) -> Result<Look, StepError> {
    open.looks += 1;
    open.look_at = org.clock.monotonic() + look_delay(org, open.looks);
    let info = match job::info(&open.call(org, &job::status(&open.id)).await?) {
        Ok(info) => info,
        // Nobody knows it any more: jobs are deleted after seven days, or by an administrator.
        Err(CallError::Refused(error)) if error.status == 404 || error.class() == ErrorClass::Schema => {
            return Ok(all_again(org, open, "the Bulk job is gone"));
        }
        Err(error) => return Err(error.into()),
    };
    match info.state {
        JobState::UploadComplete | JobState::InProgress => Ok(Look::Running),
        JobState::Open => {
            let reply = open.call(org, &job::abort(&open.id)).await?;
            job::info(&reply)?;
            Ok(all_again(org, open, "the Bulk job's upload did not end"))
        }
        JobState::JobComplete | JobState::Failed | JobState::Aborted => results(org, open, info.error).await,
    }
}

async fn results(org: &OrgContext, open: &OpenJob, cause: Option<ApiError>) -> Result<Look, StepError> {
    let mut results = Results::new(&open.entry.external_id_field);
    for kind in [ResultKind::Successful, ResultKind::Failed, ResultKind::Unprocessed] {
        let mut file = results.file(kind);
        open.download(org, &job::results(&open.id, kind), &mut |bytes| file.push(bytes)).await?;
        file.end()?;
    }
    let rows = results.rows(open.entry.rows.iter().map(|(_, key)| key.as_str()));
    let of_schema = |error: &ApiError| error.class() == ErrorClass::Schema;
    if rows.iter().any(|row| matches!(row, BulkRow::Failed(error) if of_schema(error)))
        || cause.as_ref().is_some_and(of_schema)
    {
        org.schemas.doubt(&open.target);
    }
    let moment = Moment { now_ms: org.clock.now_ms(), jitter: org.clock.jitter() };
    let sent = Sent { operation: open.entry.operation, fields: &open.fields };
    let outcomes = open.entry.rows.iter().zip(rows).map(|((seq, _), row)| {
        let tried = open.tried.get(seq).copied().unwrap_or_default();
        let outcome = match row {
            BulkRow::Written { .. } => Outcome::Written,
            BulkRow::Failed(error) => of_error(&error, sent, tried, moment),
            BulkRow::Unprocessed => match &cause {
                Some(error) => of_job(error, tried, moment),
                None => unknown("the Bulk job ended before this record", tried, moment),
            },
            BulkRow::Unknown => unknown("the Bulk job's results do not name this record", tried, moment),
        };
        (*seq, outcome)
    });
    Ok(Look::Ended(outcomes.collect(), open.received_ms))
}

fn all_again(org: &OrgContext, open: &OpenJob, why: &str) -> Look {
    let moment = Moment { now_ms: org.clock.now_ms(), jitter: org.clock.jitter() };
    let again = open.entry.rows.iter().map(|(seq, _)| {
        let tried = open.tried.get(seq).copied().unwrap_or_default();
        (*seq, unknown(why, tried, moment))
    });
    Look::Ended(again.collect(), open.received_ms)
}

fn tried_of(changes: &[Outgoing]) -> HashMap<u64, Tried> {
    changes.iter().map(|change| (change.seq, change.tried())).collect()
}
