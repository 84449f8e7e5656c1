//! Reading very many records of a run by one Bulk API 2.0 query job, which takes fewer API calls than REST pages.
//!
//! Here: creating the job, looking at it, one page of its results, and what each comes to for the run. Not here: when
//! (`refresh`), REST pages (`pages`), what types its rows have (`reconcile::column`).
//!
//! ```text
//! created ─▶ at work ─▶ complete ─▶ page by page ─▶ deleted
//!    └──────────┴────────────┴────────────┴─▶ lost: the run reads REST pages from its start
//! ```
//! The job's ID is stored before anything is done with it, and the locator of the next page with the requests of the one
//! before. A crash before that leaves a job that nobody reads, as does a run that is replaced or whose sync is gone:
//! Salesforce deletes it after seven days. A job that is lost costs calls, not data.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use orgpipe_reconcile::{
    Row,
    column::{Kinds, note, type_row},
    describe::Describe,
};
use orgpipe_salesforce::{
    bulk::{
        job::{self, JobInfo, JobState},
        poll_delay,
        query::{self, Next, PageHead},
    },
    error::ErrorClass,
    failure::CallError,
    rest::describe,
};
use orgpipe_store::{Lane, NewRequest, UnixMs};
use serde::{Deserialize, Serialize};

use super::pages::{self, Cursor, id_of};
use crate::{
    org::{api::budget::patience, context::OrgContext, describe::readable, step_error::StepError},
    queue_entry::Origin,
    settings::{RefreshSettings, SyncSettings},
};

/// Records of a page. With the one query beside it that tells what has changed, a job takes 1 call per 10,000 records and
/// some 15 more; REST pages take 1 per 2,000. So 100,000 records, the default of `bulk_from`, take half the calls.
const PAGE: usize = 20_000;
/// Calls of a job beside its pages: describes of what it reads, create, looks over some minutes, delete.
const JOB_CALLS: u64 = 14;
/// Bytes of a page: it is in memory while it becomes requests, one look-up's worth of rows at a time.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often a page is read that makes no sense.
const MALFORMED_MAX: u32 = 3;
/// A job that is at work for longer does not end: Salesforce gives up each of its chunks after 10 minutes and 15 tries
/// (BULKDOC, "Bulk API 2.0 Query").
const WORK_MAX: Duration = Duration::from_hours(24);
/// Longest wait between two looks, whatever the clock has done: `poll_delay` at its longest with no patience left.
const LOOK_MAX: Duration = Duration::from_mins(10);

/// A query job that a run reads by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueryJob {
    /// Salesforce's ID.
    pub id: String,
    /// Before it was created: a change after that may not be in its rows.
    read_ms: UnixMs,
    /// The same by the org's clock; none in one of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org_read_ms: Option<UnixMs>,
    /// Looks so far.
    looks: u32,
    /// Not before that is the next look.
    look_ms: UnixMs,
    /// Records it found; none while it is at work.
    found: Option<u64>,
    /// Of the next page; none for the first.
    locator: Option<String>,
    /// Records of the next page at most.
    page: usize,
    /// How often that page made no sense.
    malformed: u32,
    /// Types of its columns.
    kinds: Kinds,
}

impl QueryJob {
    /// What it waits for; none when it is complete.
    pub(super) fn waits(&self) -> Option<&'static str> {
        self.found.is_none().then_some("Salesforce, which works on the Bulk query")
    }
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum JobStep {
    /// Nothing is due before.
    Wait(Duration),
    /// No records yet; so it goes on.
    Looked(QueryJob),
    /// A page that made no sense; it is read again after a while.
    Malformed(QueryJob, CallError),
    /// A page as requests, with the number of its records; how it goes on, unless it was the last one.
    Page(Vec<NewRequest>, u64, Option<QueryJob>),
    /// The job comes to nothing, for this reason.
    Lost(String),
}

/// About how many calls it takes to read so many records by a job.
pub(crate) fn calls(records: u64) -> u64 {
    JOB_CALLS + 2 * records.div_ceil(PAGE as u64)
}

/// Creates a job that reads all that the run has to and can; none if the run has to read REST pages.
pub(super) async fn create(
    org: &OrgContext,
    sync: &SyncSettings,
    condition: &str,
    cursor: &Cursor,
) -> Result<Option<QueryJob>, StepError> {
    let sync = &*readable(org, Lane::Refresh, sync).await?;
    let kinds = match kinds(org, sync).await? {
        Ok(kinds) => kinds,
        Err(why) => return Ok(not_by_bulk(org, sync, &why)),
    };
    let (read_ms, org_read_ms) = (org.clock.now_ms(), Some(org.api.time().now_ms()));
    let soql = pages::statement(sync, condition, cursor).unordered().to_soql();
    let reply = org.api.call(Lane::Refresh, &query::create(&soql)).await;
    match reply.and_then(|reply| Ok(job::info(&reply)?)) {
        Ok(JobInfo { id, .. }) => {
            tracing::info!(org = org.id(), sync = sync.name, job = id, "the refresh reads by a Bulk query");
            let look_ms = read_ms.saturating_add(look_delay(org, 0));
            let (looks, found, locator, page, malformed) = (0, None, None, PAGE, 0);
            Ok(Some(QueryJob {
                id,
                read_ms,
                org_read_ms,
                looks,
                look_ms,
                found,
                locator,
                page,
                malformed,
                kinds,
            }))
        }
        Err(error) if is_final(&error) => Ok(not_by_bulk(org, sync, &error.to_string())),
        // There may be a job now, and a run has no second one.
        Err(StepError::Call(
            error @ (CallError::Transport { sent: true, .. } | CallError::Unreadable { .. }),
        )) => Ok(not_by_bulk(org, sync, &error.to_string())),
        Err(error) => Err(error),
    }
}

fn not_by_bulk(org: &OrgContext, sync: &SyncSettings, why: &str) -> Option<QueryJob> {
    tracing::warn!(
        org = org.id(),
        sync = sync.name,
        "the refresh reads REST pages, not by a Bulk query: {why}"
    );
    None
}

/// The types of what is read, or why it cannot be read as CSV.
async fn kinds(org: &OrgContext, sync: &SyncSettings) -> Result<Result<Kinds, String>, StepError> {
    let mut described: BTreeMap<String, (Row, Describe)> = BTreeMap::new();
    let mut kinds = Kinds::new();
    for path in sync.mapping.read_fields() {
        let mut object = sync.mapping.object().to_owned();
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            if !described.contains_key(&object) {
                let reply = org.api.call(Lane::Refresh, &describe::describe(&object, None)).await?;
                let row = match describe::parse(&reply).map_err(StepError::from) {
                    Ok(answer) => answer.map(|answer| answer.row).unwrap_or_default(),
                    Err(error) if is_final(&error) => return Ok(Err(error.to_string())),
                    Err(error) => return Err(error),
                };
                match Describe::from_json(&row) {
                    Ok(describe) => drop(described.insert(object.clone(), (row, describe))),
                    Err(problem) => return Ok(Err(problem.to_string())),
                }
            }
            let (row, describe) = &described[&object];
            if names.peek().is_some() {
                match Describe::parent_object(row, name) {
                    Some(parent) => object = parent.to_owned(),
                    None => return Ok(Err(format!("{object} has no relationship `{name}`"))),
                }
                continue;
            }
            match describe.field(name) {
                Some(field) if note(&mut kinds, &path, field) => {}
                Some(_) => return Ok(Err(format!("CSV cannot carry `{name}` of {object}"))),
                None => return Ok(Err(format!("{object} has no field `{name}` that we may see"))),
            }
        }
    }
    Ok(Ok(kinds))
}

/// One step of a job: a look at it, or a page of its results. `run` names the run, which has `read` so many records so far.
pub(super) async fn step(
    org: &OrgContext,
    sync: &SyncSettings,
    refresh: &RefreshSettings,
    run: &str,
    read: u64,
    job: QueryJob,
) -> Result<JobStep, StepError> {
    let step = match job.found {
        None => look(org, job).await,
        Some(found) => match page(org, sync, refresh, (run, read, found), &job).await {
            Err(StepError::Call(error @ CallError::Unreadable { .. }))
                if job.malformed + 1 < MALFORMED_MAX =>
            {
                Ok(JobStep::Malformed(QueryJob { malformed: job.malformed + 1, ..job }, error))
            }
            Err(StepError::Call(error @ CallError::Unreadable { .. })) => {
                Ok(JobStep::Lost(error.to_string()))
            }
            other => other,
        },
    };
    match step {
        Err(error) if is_final(&error) => Ok(JobStep::Lost(error.to_string())),
        other => other,
    }
}

async fn look(org: &OrgContext, job: QueryJob) -> Result<JobStep, StepError> {
    let now_ms = org.clock.now_ms();
    let wait = job.look_ms.since(now_ms).min(LOOK_MAX);
    if !wait.is_zero() {
        return Ok(JobStep::Wait(wait));
    }
    let info = job::info(&org.api.call(Lane::Refresh, &query::status(&job.id)).await?)?;
    let looks = job.looks + 1;
    let looked = QueryJob { looks, look_ms: now_ms.saturating_add(look_delay(org, looks)), ..job };
    Ok(verdict(looked, info, now_ms))
}

/// What follows from a look.
fn verdict(job: QueryJob, info: JobInfo, now_ms: UnixMs) -> JobStep {
    let because = info.error.map(|error| format!(": {error}")).unwrap_or_default();
    match info.state {
        JobState::JobComplete => JobStep::Looked(QueryJob { found: Some(info.processed), ..job }),
        JobState::Failed => JobStep::Lost(format!("the Bulk query failed{because}")),
        JobState::Aborted => JobStep::Lost(format!("somebody aborted the Bulk query{because}")),
        JobState::Open | JobState::UploadComplete | JobState::InProgress => {
            if now_ms.since(job.read_ms) > WORK_MAX {
                JobStep::Lost("the Bulk query did not end within a day".to_owned())
            } else {
                JobStep::Looked(job)
            }
        }
    }
}

/// Reads the next page of the `found` records, of which the run has `read` some.
async fn page(
    org: &OrgContext,
    sync: &SyncSettings,
    refresh: &RefreshSettings,
    (run, read, found): (&str, u64, u64),
    job: &QueryJob,
) -> Result<JobStep, StepError> {
    let turns = org.vendor().pages;
    let _turn = turns.acquire().await;
    // Pages are read while less than half of the queue is full: this one leaves a quarter of it for live events.
    let room = usize::try_from(org.queue_max / 4).unwrap_or(PAGE);
    let records_max = job.page.min(room).max(1);
    let Some((body, head)) = fetch(org, job, records_max).await? else {
        return Ok(match records_max / 4 {
            0 => JobStep::Lost(format!("one of its records has more than {PAGE_BYTES_MAX} bytes")),
            page => JobStep::Looked(QueryJob { page, ..job.clone() }),
        });
    };
    // A row is as old as the job, and a live change since then must not be undone by it. Those of records that have not
    // changed since are as they are now; the others are read again when they are looked up.
    let now_ms = org.clock.now_ms();
    let changed = pages::changed(org, sync, job.org_read_ms.unwrap_or(job.read_ms)).await?;
    let read_ms = if changed.is_some() { now_ms } else { job.read_ms };
    let sheet = Sheet { sync, batch: refresh.batch, run, kinds: &job.kinds, read_ms };
    let (requests, records) = sheet.requests(&body, &changed.unwrap_or_default()).await?;
    behind(job, head, requests, (read, records, found))
}

/// What follows a page of so many `records`, after those that were `read` before it.
fn behind(
    job: &QueryJob,
    head: PageHead,
    requests: Vec<NewRequest>,
    (read, records, found): (u64, u64, u64),
) -> Result<JobStep, StepError> {
    if let Some(told) = head.records.filter(|told| *told != records) {
        return Err(unreadable(&format!("holds {records} records, but should hold {told}")).into());
    }
    let all = read + records >= found;
    match head.next {
        Next::Page(locator) if job.locator.as_ref() != Some(&locator) => {
            let next = QueryJob { locator: Some(locator), malformed: 0, ..job.clone() };
            Ok(JobStep::Page(requests, records, Some(next)))
        }
        Next::Page(_) => Err(unreadable("leads back to itself").into()),
        Next::End | Next::Untold if all => Ok(JobStep::Page(requests, records, None)),
        Next::End => Ok(JobStep::Lost(format!("it found {found} records, but gave {}", read + records))),
        Next::Untold => Err(unreadable("does not say whether another one follows").into()),
    }
}

/// How the rows of a page become requests.
struct Sheet<'a> {
    sync: &'a SyncSettings,
    batch: usize,
    run: &'a str,
    kinds: &'a Kinds,
    read_ms: UnixMs,
}

impl Sheet<'_> {
    /// The requests and the number of their records. `changed`: records whose rows do not count.
    async fn requests(
        &self,
        page: &[u8],
        changed: &BTreeSet<String>,
    ) -> Result<(Vec<NewRequest>, u64), StepError> {
        let Self { sync, batch, run, kinds, read_ms } = *self;
        let (mut requests, mut records) = (Vec::new(), 0);
        let (mut rows, mut ids) = (Vec::new(), Vec::new());
        for row in query::rows(page)? {
            let mut row = row?;
            records += 1;
            match id_of(&row) {
                Some(id) if changed.contains(&id) => ids.push(id),
                _ => {
                    type_row(kinds, &mut row);
                    rows.push(row);
                }
            }
            if rows.len() >= batch {
                let full = std::mem::take(&mut rows);
                requests.extend(pages::requests(sync, batch, Origin::Refresh, run, full, read_ms));
                // Other orgs are on the same thread.
                actix_rt::task::yield_now().await;
            }
        }
        requests.extend(pages::requests(sync, batch, Origin::Refresh, run, rows, read_ms));
        requests.extend(pages::rowless(sync, batch, Origin::Refresh, run, &ids, read_ms));
        Ok((requests, records))
    }
}

/// The page as it came; none if it has too many bytes.
async fn fetch(
    org: &OrgContext,
    job: &QueryJob,
    records_max: usize,
) -> Result<Option<(Vec<u8>, PageHead)>, StepError> {
    let plan = org.api.reserve(Lane::Refresh, 1).await?;
    let (mut body, mut too_large) = (Vec::new(), false);
    let mut take = |piece: &[u8]| {
        too_large |= body.len() + piece.len() > PAGE_BYTES_MAX;
        if too_large {
            return Err(unreadable("is too large"));
        }
        body.extend_from_slice(piece);
        Ok(())
    };
    let call = query::results(&job.id, job.locator.as_deref(), records_max);
    let reply = org.api.download(&plan, &call, &mut take).await;
    if too_large {
        return Ok(None);
    }
    let reply = reply?;
    reply.require_success()?;
    Ok(Some((body, query::head(&reply))))
}

/// Takes leave of a job that nobody needs any more. That it stays for seven days does no harm.
pub(super) async fn leave(org: &OrgContext, job: &QueryJob) {
    let call = if job.found.is_some() { query::delete(&job.id) } else { query::abort(&job.id) };
    let left = org.api.call(Lane::Refresh, &call).await.and_then(|reply| Ok(reply.require_success()?));
    if let Err(error) = left {
        tracing::debug!(org = org.id(), job = job.id, "the Bulk query's job stays: {error}");
    }
}

/// Whether asking again leads to nothing else: the job, its results or this page of them is gone, or the object or its
/// fields cannot be queried so, or the day's jobs are used up, which is not the same as its calls.
fn is_final(error: &StepError) -> bool {
    let Some(error) = error.refusal() else { return false };
    match error.class() {
        ErrorClass::Auth | ErrorClass::Concurrency => false,
        ErrorClass::Transient => error.is_lost_locator(),
        ErrorClass::DailyLimit => error.is_of_bulk(),
        ErrorClass::Schema | ErrorClass::Record | ErrorClass::Org | ErrorClass::Bug => true,
    }
}

/// The longer, the less is left of our share of the day's calls.
fn look_delay(org: &OrgContext, looks: u32) -> Duration {
    poll_delay(looks, org.clock.jitter()).mul_f64(patience(org.api.spent()))
}

fn unreadable(what: &str) -> CallError {
    CallError::Unreadable { status: 200, what: format!("the page of query results {what}") }
}

#[cfg(test)]
mod tests;
