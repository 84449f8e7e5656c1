//! Writing many records: one Bulk API 2.0 job.
//!
//! Here: opening a job, looking at one, aborting one that stands. Not here: how long it may stand (`job`), when to look
//! (`writer`), the verdict on a row (`outcome`).
//!
//! The job's ID is on disk before its data is uploaded. So after a crash the job is found again, and what was uploaded
//! is not written a second time by another job as long as the first may still run.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use orgpipe_reconcile::{
    Operation, Row,
    route::{BULK_CALLS, COLLECTIONS_MAX},
};
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
use orgpipe_store::{Job, Outcome, Seq, StoreError, UnixMs};

use super::{
    commit::CommittedEnds,
    job::{OpenJob, Progress},
    outcome::{self, Moment},
    outgoing::{self, Outgoing, Tried, fields_of, unpack_one},
    step::{self, EndedJob},
};
use crate::{
    failpoint::Point,
    org::{
        api::{budget::patience, transport::Each},
        context::OrgContext,
        describe::is_closed,
        step_error::StepError,
        store::Position,
    },
    priority::Priority,
    queue_entry::{JobEntry, pack, unpack},
    trace::steps::Traces,
};

/// Rows of one job: one batch as Salesforce cuts it (Bulk API 2.0 Guide, "How Requests Are Processed").
pub(crate) const ROWS_MAX: usize = 10_000;

/// Pages of an org's jobs that are looked through for a lost one, 1,000 jobs each.
const LIST_PAGES_MAX: usize = 20;
/// Times that the results of a job that has ended may be unreadable; then its rows are sent again, by REST.
const UNREAD_MAX: u32 = 5;
/// How far our clock and Salesforce's may be apart, and how long a job may take to be made.
const CLOCKS: Duration = Duration::from_mins(10);

async fn call(org: &OrgContext, open: &OpenJob, call: &Call) -> Result<Reply, StepError> {
    match &open.reservation {
        Some(reservation) => org.api.call_reserved(reservation, call).await,
        None => org.api.call(open.priority, call).await,
    }
}

async fn download(org: &OrgContext, open: &OpenJob, call: &Call, each: Each<'_>) -> Result<(), StepError> {
    let reply = match &open.reservation {
        Some(reservation) => org.api.download(reservation, call, each).await?,
        None => org.api.download(&org.api.reserve(open.priority, 1).await?, call, each).await?,
    };
    Ok(reply.require_success()?)
}

/// What a look at a job found.
#[derive(Debug)]
pub(super) enum Look {
    /// It still runs.
    Running,
    /// It has ended.
    Ended(Ended),
}

/// What became of the changes of a job.
#[derive(Debug)]
pub(super) struct Ended {
    /// Row by row.
    pub ends: CommittedEnds,
    /// When its oldest request came, if that is known.
    pub received_ms: Option<UnixMs>,
    /// Rows that failed of their transaction.
    pub limited: usize,
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

/// A stored job, after a restart. Its changes are tried again if its body cannot be read.
pub(super) fn resume(job: Job, org: &OrgContext) -> Result<OpenJob, Vec<(Seq, Outcome)>> {
    let traces = outgoing::traces(org, &job.changes);
    // One that cannot be read any more was sent all the same.
    let changes: Vec<Outgoing> = job.changes.iter().filter_map(|change| unpack_one(change).ok()).collect();
    match unpack::<JobEntry>(&job.body) {
        Ok(entry) => {
            // One of an earlier version does not know when it was created.
            let opened_ms = entry.opened_ms.unwrap_or_else(|| org.clock.now_ms());
            Ok(OpenJob {
                id: job.id,
                look_at: org.clock.monotonic(),
                entry,
                target: job.changes.first().map(|change| change.target.clone()).unwrap_or_default(),
                fields: fields_of(&changes),
                tried: tried_of(org, &changes),
                changes: job.changes.iter().map(|change| change.seq).collect(),
                received_ms: None,
                priority: job.changes.first().map_or(Priority::Refresh, |change| change.lane.into()),
                reservation: None,
                looks: 0,
                unread: 0,
                progress: Progress::new(opened_ms),
                traces,
            })
        }
        Err(problem) => {
            let reason = problem.to_string();
            let again = |seq| {
                (seq, Outcome::Retry { due_ms: None, reason: reason.clone(), resend: 0, counted: true })
            };
            Err(job.changes.iter().map(|change| again(change.seq)).collect())
        }
    }
}

/// Opens a job for changes of one target and operation, uploads them and lets it run. `known`: jobs that run already.
pub(super) async fn open(
    org: &OrgContext,
    (priority, traces): (Priority, &Traces),
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
    if let Err(error) = abort_lost(org, priority, known).await {
        return by_rest(org, opened, changes, error);
    }
    // So that a job whose ID does not reach us is found again and does not stay open.
    mark(org, Some(org.clock.now_ms())).await?;
    let create = match operation {
        Operation::Upsert => job::create(&target, job::Operation::Upsert(&field)),
        Operation::Update => job::create(&target, job::Operation::Update),
        Operation::Delete => job::create(&target, job::Operation::Delete),
    };
    let info = match job::info(&org.api.call_reserved(&reservation, &create).await?) {
        Ok(info) => info,
        // The day's batches are used up, which is not the same as its calls, or the object takes no jobs: REST still works.
        Err(CallError::Refused(error)) if error.is_of_bulk() || is_of_this_job(&error) => {
            tracing::warn!(
                org = org.id(),
                rows = changes.len(),
                "written by REST instead of a Bulk job: {error}"
            );
            mark(org, None).await?;
            opened.left_over.append(&mut changes);
            return Ok(opened);
        }
        Err(error) => return by_rest(org, opened, changes, error.into()),
    };
    let rows = changes.iter().map(|change| (change.seq, change.key().1.to_owned())).collect();
    let opened_ms = org.clock.now_ms();
    let fields = Some(fields_of(&changes));
    let content_url = info.content_url;
    let entry = JobEntry {
        v: 1,
        content_url,
        external_id_field: field,
        operation,
        opened_ms: Some(opened_ms),
        rows,
        fields,
    };
    let seqs: Vec<Seq> = changes.iter().map(|change| change.seq).collect();
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
        tried: tried_of(org, &changes),
        changes: Arc::from(seqs),
        received_ms,
        priority,
        reservation: Some(reservation),
        looks: 0,
        unread: 0,
        progress: Progress::new(opened_ms),
        traces: traces.clone(),
    };
    // From here on a failure is found by looking at the job: one that is still open is aborted and its rows retried.
    match upload(org, &open, data).await {
        Ok(()) => open.look_at += look_delay(org, 0),
        Err(error) => {
            tracing::warn!(org = org.id(), job = open.id, "the upload failed, the job is given up: {error}");
        }
    }
    tracing::debug!(org = org.id(), job = open.id, rows = open.changes.len(), "bulk job opened");
    opened.job = Some(open);
    Ok(opened)
}

/// The Bulk API is not answered as it should: other calls may be. Whatever else is wrong is wrong with these, too.
fn by_rest(
    org: &OrgContext,
    mut opened: Opened,
    mut changes: Vec<Outgoing>,
    error: StepError,
) -> Result<Opened, StepError> {
    let of_this_call = match &error {
        StepError::Call(CallError::Transport { .. } | CallError::Unreadable { .. }) => true,
        StepError::Call(CallError::Refused(refusal)) => refusal.class() == ErrorClass::Transient,
        _ => false,
    };
    if !of_this_call {
        return Err(error);
    }
    tracing::warn!(org = org.id(), rows = changes.len(), "written by REST instead of a Bulk job: {error}");
    opened.left_over.append(&mut changes);
    Ok(opened)
}

/// Whether no such job can be created, while calls as such go through.
fn is_of_this_job(error: &ApiError) -> bool {
    matches!(error.class(), ErrorClass::Schema | ErrorClass::Org | ErrorClass::Record | ErrorClass::Bug)
        && !error.is_api_closed()
        && !error.is_read_only()
}

/// Remembers that a job is being opened, or that its ID is stored.
async fn mark(org: &OrgContext, opening_ms: Option<UnixMs>) -> Result<(), StoreError> {
    let position = Position::BulkOpening;
    org.store.put(vec![opening_ms.map_or_else(|| position.cleared(), |at_ms| position.moment(at_ms))]).await
}

/// After a crash or a lost answer: aborts the job that was being opened then, if it was. `known` are all others of ours.
///
/// It is one of our user's that is still open and was made about that time. Nothing was uploaded to it, so nothing is
/// lost with it; left alone it would stay open for a day.
pub(super) async fn abort_lost(
    org: &OrgContext,
    priority: Priority,
    known: &[OpenJob],
) -> Result<(), StepError> {
    let Some(opening_ms) = org.store.moment(Position::BulkOpening).await? else { return Ok(()) };
    match abort_opened_at(org, priority, known, opening_ms).await {
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

async fn abort_opened_at(
    org: &OrgContext,
    priority: Priority,
    known: &[OpenJob],
    opening_ms: UnixMs,
) -> Result<(), StepError> {
    let user = org.api.session(None).await?.token.user_id;
    let mut page = Some(job::list());
    for _ in 0..LIST_PAGES_MAX {
        let Some(call) = page.take() else { break };
        let (jobs, next) = job::listed(&org.api.call(priority, &call).await?)?;
        let lost = jobs.iter().filter(|job| {
            job.state == Some(JobState::Open)
                && job.created_by == user
                && u64::try_from(job.created_ms).is_ok_and(|at_ms| UnixMs(at_ms).apart(opening_ms) <= CLOCKS)
                && known.iter().all(|open| open.id != job.id)
        });
        for job in lost {
            tracing::info!(
                org = org.id(),
                job = job.id,
                "a Bulk job was left open by a crash and is aborted"
            );
            job::info(&org.api.call(priority, &job::abort(&job.id)).await?)?;
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
    let reply = call(org, open, &job::upload(&open.entry.content_url, data)).await?;
    reply.require_success()?;
    org.pass(Point::AfterUpload);
    let closed = call(org, open, &job::close(&open.id)).await?;
    org.pass(Point::AfterClose);
    job::info(&closed)?;
    Ok(())
}

/// Looks at a job. An error means that it could not be looked at; it is looked at again later.
pub(super) async fn look(org: &OrgContext, open: &mut OpenJob) -> Result<Look, StepError> {
    open.looks += 1;
    open.look_at = org.clock.monotonic() + look_delay(org, open.looks);
    let info = match job::info(&call(org, open, &job::status(&open.id)).await?) {
        Ok(info) => info,
        // Nobody knows it any more: jobs are deleted after seven days, or by an administrator.
        Err(CallError::Refused(error)) if error.status == 404 || error.class() == ErrorClass::Schema => {
            return Ok(all_again(org, open, "the Bulk job is gone", outcome::unknown));
        }
        Err(error) => return Err(error.into()),
    };
    let now_ms = org.clock.now_ms();
    open.seen(&info, now_ms);
    match info.state {
        JobState::UploadComplete | JobState::InProgress if open.is_over(now_ms) => {
            if abort(org, open).await? {
                tracing::warn!(
                    org = org.id(),
                    job = open.id,
                    rows = open.changes.len(),
                    "the Bulk job stood for too long in the org's queue and is aborted; what it has not done goes by REST"
                );
            }
            // What it has done is read once it has ended, as is that of one that had ended before.
            open.look_at = org.clock.monotonic() + look_delay(org, 0);
            Ok(Look::Running)
        }
        JobState::UploadComplete | JobState::InProgress => Ok(Look::Running),
        JobState::Open => {
            if !abort(org, open).await? {
                open.look_at = org.clock.monotonic() + look_delay(org, 0);
                return Ok(Look::Running);
            }
            Ok(all_again(org, open, "the Bulk job's upload did not end", outcome::unknown))
        }
        JobState::JobComplete | JobState::Failed | JobState::Aborted => {
            let aborted = info.state == JobState::Aborted;
            match results(org, open, info.error, aborted).await {
                Err(error @ StepError::Call(CallError::Unreadable { .. })) => {
                    open.unread += 1;
                    if open.unread < UNREAD_MAX {
                        return Err(error);
                    }
                    tracing::warn!(
                        org = org.id(),
                        job = open.id,
                        "the Bulk job's results are given up: {error}"
                    );
                    Ok(all_again(org, open, "the Bulk job's results cannot be read", outcome::by_rest))
                }
                looked => looked,
            }
        }
    }
}

/// Aborts a job; false if it has ended meanwhile, so that it is to be read.
async fn abort(org: &OrgContext, open: &OpenJob) -> Result<bool, StepError> {
    match job::info(&call(org, open, &job::abort(&open.id)).await?) {
        Ok(_) => Ok(true),
        Err(CallError::Refused(error)) if error.is_job_state() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn results(
    org: &OrgContext,
    open: &OpenJob,
    cause: Option<ApiError>,
    aborted: bool,
) -> Result<Look, StepError> {
    let mut results = Results::new(&open.entry.external_id_field);
    for kind in [ResultKind::Successful, ResultKind::Failed, ResultKind::Unprocessed] {
        let mut file = results.file(kind);
        download(org, open, &job::results(&open.id, kind), &mut |bytes| file.push(bytes)).await?;
        file.end()?;
    }
    let rows = results.rows(open.entry.rows.iter().map(|(_, key)| key.as_str()));
    let failed =
        |row: &BulkRow, is: fn(&ApiError) -> bool| matches!(row, BulkRow::Failed(error) if is(error));
    let of_schema = |error: &ApiError| error.class() == ErrorClass::Schema;
    if rows.iter().any(|row| failed(row, of_schema)) || cause.as_ref().is_some_and(of_schema) {
        org.schemas.doubt(&open.target);
    }
    let denied = rows.iter().any(|row| failed(row, ApiError::is_denied));
    let closed = denied && is_closed(org, open.priority, &open.target).await;
    let moment = Moment { now_ms: org.clock.now_ms(), jitter: org.clock.jitter() };
    let ended = EndedJob {
        entry: &open.entry,
        fields: &open.fields,
        tried: &open.tried,
        cause: cause.as_ref(),
        aborted,
        closed,
        moment,
    };
    let ends = step::ends_of_job(ended, rows);
    org.board.write_waits(&open.target, &ends.waits, ends.again_ms(), moment.now_ms);
    Ok(Look::Ended(Ended {
        ends: CommittedEnds { outcomes: ends.outcomes, target_ids: ends.target_ids },
        received_ms: open.received_ms,
        limited: ends.limited.min(COLLECTIONS_MAX),
    }))
}

/// What nobody knows the end of is sent again, by the way that `end` chooses.
fn all_again(
    org: &OrgContext,
    open: &OpenJob,
    why: &str,
    end: fn(&str, usize, Tried, Moment) -> Outcome,
) -> Look {
    let moment = Moment { now_ms: org.clock.now_ms(), jitter: org.clock.jitter() };
    let again = open.entry.rows.iter().map(|(seq, _)| {
        let tried = open.tried.get(seq).copied().unwrap_or_default();
        (*seq, end(why, open.entry.rows.len(), tried, moment))
    });
    let ends = CommittedEnds::unnamed(again.collect());
    Look::Ended(Ended { ends, received_ms: open.received_ms, limited: 0 })
}

fn tried_of(org: &OrgContext, changes: &[Outgoing]) -> HashMap<Seq, Tried> {
    let tried = |change: &Outgoing| {
        let leaves_out = org.settings.syncs_leaving_out(&change.entry.sync);
        (change.seq, Tried { leaves_out, ..change.tried() })
    };
    changes.iter().map(tried).collect()
}
