//! Bulk API 2.0: jobs that take or give many rows as CSV.
//!
//! Here: the table of paths and how jobs go on by themselves. Not here: ingest (`ingest`), query (`query_jobs`), CSV
//! (`csv`), the kept jobs (`org/jobs`).
//! Source: Bulk API 2.0 and Bulk API Developer Guide.

mod ingest;
mod query_jobs;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::Call;
use crate::answer::{Answer, FollowUp};
use crate::org::jobs::{Job, JobResult, JobState, PendingWork};
use crate::org::{Org, OrgState};

/// Simulated time the processing of one row takes.
const ROW_TIME: Duration = Duration::from_micros(200);

pub(crate) fn route(org: &Org, state: &mut OrgState, call: &Call, path: &[&str], user: &str) -> Answer {
    let method = call.method.as_str();
    match (method, path) {
        ("POST", ["ingest"]) => ingest::create(org, state, call, user),
        ("GET", ["ingest"]) => list(state, false),
        ("POST", ["query"]) => query_jobs::create(org, state, call, user),
        ("GET", ["query"]) => list(state, true),
        (_, [kind @ ("ingest" | "query"), id, rest @ ..]) => {
            if !state.jobs.has(kind, id) {
                return Answer::not_found();
            }
            one(org, state, call, (kind, id, rest))
        }
        _ => Answer::not_found(),
    }
}

fn one(org: &Org, state: &mut OrgState, call: &Call, (kind, id, rest): (&str, &str, &[&str])) -> Answer {
    let method = call.method.as_str();
    let result = rest.first().map(|name| name.to_lowercase());
    match (kind, method, result.as_deref(), rest.len()) {
        (_, "GET", None, 0) => show(state, id),
        (_, "PATCH", None, 0) => change(org, state, call, id),
        (_, "DELETE", None, 0) => delete(state, id),
        ("ingest", "PUT", Some("batches"), 1) => ingest::upload(state, call, id),
        ("ingest", "GET", Some(name @ ("successfulresults" | "failedresults" | "unprocessedrecords")), 1) => {
            ingest::results(state, id, name)
        }
        ("query", "GET", Some("results"), 1) => query_jobs::results(state, call, id),
        _ => Answer::not_found(),
    }
}

/// `PATCH` with a state: `UploadComplete` closes, `Aborted` aborts.
fn change(org: &Org, state: &mut OrgState, call: &Call, id: &str) -> Answer {
    let body = match call.object() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let wanted = body.get("state").and_then(Value::as_str).unwrap_or_default();
    let Some(job) = state.jobs.get_mut(id) else { return Answer::not_found() };
    let invalid = |message: &str| Answer::error(400, "INVALIDJOBSTATE", message);
    match (wanted, job.state) {
        ("UploadComplete", JobState::Open) if !job.is_query() => {
            job.state = JobState::UploadComplete;
            job.changed_ms = org.clock.wall_ms();
            Answer::json(200, &job.brief()).followed_by(FollowUp::Job(id.to_owned()))
        }
        ("UploadComplete", _) => invalid("Closing already Completed Job not allowed"),
        ("Aborted", JobState::Open | JobState::UploadComplete | JobState::InProgress) => {
            job.changed_ms = org.clock.wall_ms();
            job.abort();
            Answer::json(200, &job.brief())
        }
        ("Aborted", _) => invalid("Aborting already Completed Job not allowed"),
        _ => Answer::error(400, "INVALIDJOB", "The job's state can be set to UploadComplete or Aborted"),
    }
}

fn show(state: &OrgState, id: &str) -> Answer {
    state.jobs.get(id).map_or_else(Answer::not_found, |job| Answer::json(200, &job.full()))
}

fn list(state: &OrgState, query: bool) -> Answer {
    let records: Vec<Value> = state.jobs.of_kind(query).map(Job::full).collect();
    Answer::json(200, &json!({"done": true, "records": records, "nextRecordsUrl": null}))
}

fn delete(state: &mut OrgState, id: &str) -> Answer {
    let Some(job) = state.jobs.get(id) else { return Answer::not_found() };
    let deletable = job.state.has_ended() || (job.state == JobState::UploadComplete && !job.is_query());
    if !deletable {
        let message = "Error encountered when deleting the job because the job is not terminated";
        return Answer::error(400, "API_ERROR", message);
    }
    state.jobs.remove(id);
    Answer::empty(204)
}

/// Takes a closed job to its end: a while in `UploadComplete`, a while in `InProgress`, then its rows, one transaction
/// after the other so that others are served in between. Ends early when the job is aborted or deleted.
pub(crate) async fn advance(org: Arc<Org>, id: String) {
    let step = org.facts.bulk_step;
    org.clock.sleep(step).await;
    let Some(rows) = begin(&org, &id) else { return };
    org.clock.sleep(step + ROW_TIME.saturating_mul(rows)).await;
    while org.state().jobs.held {
        org.clock.sleep(step.max(Duration::from_millis(50))).await;
    }
    match work_of(&org, &id) {
        PendingWork::Ingest { csv } => ingest(&org, &id, &csv).await,
        PendingWork::Query { soql } => {
            let mut state = org.state();
            let user = state.jobs.get(&id).map(|job| job.user.clone()).unwrap_or_default();
            let cut = state.jobs.end_next.take();
            let done = match cut {
                None => query_jobs::run(&mut state, &user, &soql),
                Some(cut) => {
                    if let Some(job) = state.jobs.get_mut(&id).filter(|_| cut.aborted) {
                        job.state = JobState::Aborted;
                    }
                    JobResult::Failed { message: cut.message, unprocessed: String::new() }
                }
            };
            end(&org, &mut state, &id, done);
        }
        PendingWork::None => {}
    }
}

async fn ingest(org: &Org, id: &str, csv: &[u8]) {
    let started = ingest::IngestRun::start(&mut org.state(), id, csv);
    let mut run = match started {
        Ok(run) => run,
        Err(done) => return end(org, &mut org.state(), id, done),
    };
    loop {
        let goes_on = {
            let mut state = org.state();
            let wanted = state.jobs.get(id).is_some_and(|job| job.state == JobState::InProgress);
            wanted && run.step(org, &mut state)
        };
        if !goes_on {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut state = org.state();
    let done = run.finish(&mut state);
    end(org, &mut state, id, done);
}

/// Takes what the job has to do, if it is still wanted.
fn work_of(org: &Org, id: &str) -> PendingWork {
    let mut state = org.state();
    let job = state.jobs.get_mut(id).filter(|job| job.state == JobState::InProgress);
    job.map_or(PendingWork::None, |job| std::mem::replace(&mut job.work, PendingWork::None))
}

fn end(org: &Org, state: &mut OrgState, id: &str, done: JobResult) {
    let now = org.clock.wall_ms();
    if let Some(job) = state.jobs.get_mut(id) {
        job.finish(done, now);
    }
}

/// Starts the job; the answer is about how many rows it has.
fn begin(org: &Org, id: &str) -> Option<u32> {
    let mut state = org.state();
    let now = org.clock.wall_ms();
    let job: &mut Job = state.jobs.get_mut(id).filter(|job| job.state == JobState::UploadComplete)?;
    job.state = JobState::InProgress;
    job.changed_ms = now;
    match &job.work {
        PendingWork::Ingest { csv } => {
            Some(u32::try_from(csv.split(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX))
        }
        _ => Some(0),
    }
}
