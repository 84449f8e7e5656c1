//! Query jobs: a SOQL query whose rows come as CSV pages.
//!
//! Here: creating, running, reading pages. Not here: SOQL itself (`soql`).
//! Without ORDER BY rows come in no order: a client must not resume after the last one that it has read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::seq::SliceRandom as _;
use serde_json::Value;

use crate::answer::{Answer, FollowUp};
use crate::api::call::Call;
use crate::csv::write;
use crate::data::{FieldKind, java_text, parse_instant, zulu_text};
use crate::org::jobs::{Job, JobResult, JobState};
use crate::org::{Org, OrgState};
use crate::soql;

/// Rows of a page if the client sets no bound.
const PAGE: usize = 50_000;

pub(crate) fn create(org: &Org, state: &mut OrgState, call: &Call, user: &str) -> Answer {
    let body = match call.object() {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let operation = text("operation");
    if !["query", "queryAll"].contains(&operation) {
        return Answer::error(400, "INVALIDJOB", &format!("Unknown operation '{operation}'"));
    }
    let plan = match soql::plan(&state.views.seen(user), text("query")) {
        Ok(plan) => plan,
        Err(error) => return Answer::soql(&error),
    };
    let unsupported = if plan.count_only || !plan.children.is_empty() {
        Some("Aggregate Relationships not supported in Bulk Query")
    } else if plan.offset > 0 {
        Some("OFFSET not supported in Bulk Query")
    } else {
        None
    };
    if let Some(message) = unsupported {
        return Answer::error(400, "API_ERROR", message);
    }
    if state.jobs.is_full() {
        return Answer::error(400, "LIMIT_EXCEEDED", "Max open jobs has been reached.");
    }
    let id = state.tables.new_id("750");
    let now = org.clock.wall_ms();
    let mut job = Job::query(
        id.clone(),
        plan.object.name.clone(),
        operation.to_owned(),
        user,
        now,
        text("query").to_owned(),
    );
    job.version = call.version();
    let answer = Answer::json(200, &job.created()).followed_by(FollowUp::Job(id));
    state.jobs.add(job);
    answer
}

pub(crate) fn run(state: &mut OrgState, user: &str, text: &str) -> JobResult {
    let plan = match soql::plan(&state.views.seen(user), text) {
        Ok(plan) => plan,
        Err(error) => return JobResult::Failed { message: error.message, unprocessed: String::new() },
    };
    let columns: Vec<String> = plan.fields.iter().map(soql::ResolvedField::column).collect();
    let kinds: Vec<&FieldKind> = plan.fields.iter().map(|resolved| &resolved.field.kind).collect();
    let mut rows: Vec<String> = soql::cells(&state.tables, &plan)
        .iter()
        .map(|cells| {
            let texts: Vec<String> =
                cells.iter().zip(&kinds).map(|(value, kind)| cell(kind, value)).collect();
            write::line(texts.iter().map(String::as_str))
        })
        .collect();
    if plan.order.is_empty() {
        rows.shuffle(&mut state.rng);
    }
    JobResult::Query { header: write::line(columns.iter().map(String::as_str)), rows }
}

/// A page: `Sforce-Locator` leads to the next, or is the text `null`.
pub(crate) fn results(state: &OrgState, call: &Call, id: &str) -> Answer {
    let Some(job) = state.jobs.get(id) else { return Answer::not_found() };
    if job.version != call.version() {
        let message = format!("The job was created with API version {}.0", job.version);
        return Answer::error(409, "API_ERROR", &message);
    }
    let (JobState::JobComplete, Some(JobResult::Query { header, rows })) = (job.state, &job.done) else {
        return Answer::error(400, "INVALIDJOBSTATE", "The job is not complete");
    };
    let Some(from) = call.parameter("locator").map_or(Some(0), offset).filter(|from| *from <= rows.len())
    else {
        return Answer::error(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    };
    let page = call.parameter("maxRecords").and_then(|text| text.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    // An upper bound: Salesforce cuts pages at a size of its own as well.
    let page = page.min(state.cursors.records_max).max(1);
    let to = (from + page).min(rows.len());
    let locator = if to < rows.len() { STANDARD_NO_PAD.encode(to.to_string()) } else { "null".to_owned() };
    let body = header.clone() + &rows[from..to].concat();
    Answer::text(200, "text/csv", body.into_bytes())
        .with("Sforce-Locator", locator)
        .with("Sforce-NumberOfRecords", (to - from).to_string())
}

fn offset(locator: &str) -> Option<usize> {
    let bytes = STANDARD_NO_PAD.decode(locator.trim_end_matches('=')).ok()?;
    std::str::from_utf8(&bytes).ok()?.parse().ok()
}

/// A value as text: nothing for null, instants with `Z`.
fn cell(kind: &FieldKind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (FieldKind::DateTime, Value::String(text)) => {
            parse_instant(text).map_or_else(|| text.clone(), zulu_text)
        }
        (_, Value::String(text)) => text.clone(),
        (FieldKind::Integer { .. }, other) => other.to_string(),
        (_, Value::Number(number)) => number.as_f64().map_or_else(|| number.to_string(), java_text),
        (_, other) => other.to_string(),
    }
}
