//! The status page: every org in one table, the ones in trouble with the reason.
//!
//! Here: what stands in which cell. Not here: how it looks (the template), where the numbers come from (`Service`).

use std::fmt::Write as _;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query, ReqData},
};
use askama::Template;
use chrono::{DateTime, Utc};
use orgpipe_actors::{
    ChannelStatus, Left, OrgView, Part, Quarantined, Reading, Receipt, Service, State, Warning,
};
use orgpipe_store::UnixMs;

use super::{names, orgs::problem, query::NoQuery};
use crate::dashboard::shell::{self, Place, Shell, Viewer};

/// Rows of the table; an API call gives all of them.
const ROWS_MAX: usize = 500;
/// Channels of one org whose trouble is told, and orgs that are gone from the settings.
const NOTES_MAX: usize = 10;

#[derive(Template)]
#[template(path = "fleet.html")]
struct Page {
    shell: Shell,
    total: usize,
    hidden: usize,
    /// What is wrong with threads and the disk.
    warnings: Vec<String>,
    /// Orgs that are gone from the settings, in one text.
    left: String,
    rows: Vec<PageRow>,
}

struct PageRow {
    id: String,
    state: &'static str,
    records_in: u64,
    written: u64,
    unchanged: u64,
    no_data: u64,
    superseded: u64,
    dead: u64,
    open: u64,
    lag: String,
    calls: String,
    notes: Vec<String>,
}

pub(super) async fn show(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let mut orgs = service.orgs().await;
    let total = orgs.len();
    // Trouble first, so that it is seen even among thousands.
    orgs.sort_by_key(|org| std::cmp::Reverse(urgency(org.state)));
    orgs.truncate(ROWS_MAX);
    let rows = orgs.iter().map(row).collect();
    let threads = service.threads().into_iter().filter(|thread| !thread.note.is_empty());
    let threads = threads.map(|thread| format!("thread {}: {}", thread.name, thread.note));
    let warnings = threads.chain(service.room().await.warning).collect();
    let left = left(&service.left().await.unwrap_or_default());
    let shell = Shell::new(&viewer, Place::Fleet);
    let page = Page { shell, total, hidden: total - orgs.len(), warnings, left, rows };
    shell::page(StatusCode::OK, &page)
}

/// Examines an org and shows the page again, with what was found.
pub(super) async fn examine(service: Data<Service>, org: Path<String>, _: Query<NoQuery>) -> HttpResponse {
    match service.doctor(&org).await {
        Ok(_) => HttpResponse::SeeOther().insert_header(("Location", "/")).finish(),
        Err(error) => problem(&error),
    }
}

/// The first of them, with what is open.
fn left(orgs: &[Left]) -> String {
    let told = orgs.iter().take(NOTES_MAX).map(|org| format!("{} ({} open)", org.id, org.records.open));
    let mut told: Vec<String> = told.collect();
    if orgs.len() > told.len() {
        told.push(format!("{} more", orgs.len() - told.len()));
    }
    told.join(", ")
}

fn urgency(state: State) -> u8 {
    match state {
        State::Parked => 2,
        State::Waiting | State::Draining | State::Paused => 1,
        State::Starting | State::Running | State::Stopped => 0,
    }
}

fn row(org: &OrgView) -> PageRow {
    let records = org.records.unwrap_or_default();
    PageRow {
        id: org.id.clone(),
        state: names::state(org.state),
        records_in: records.records_in,
        written: records.written,
        unchanged: records.unchanged,
        no_data: records.no_data,
        superseded: records.superseded,
        dead: records.dead_letters,
        open: records.open,
        lag: org.status.last_lag_ms.map(|millis| format!("{millis} ms")).unwrap_or_default(),
        calls: org.status.api_usage.map(|(used, max)| format!("{used} / {max}")).unwrap_or_default(),
        notes: [
            notes(org),
            budget_notes(org),
            refresh_notes(org),
            gap_notes(org),
            warning_notes(org),
            quarantine_notes(org),
            doctor_note(org),
        ]
        .concat(),
    }
}

/// Why the org is in trouble: the first part of it, or each of its deaf channels.
fn notes(org: &OrgView) -> Vec<String> {
    match org.status.trouble() {
        Some((Part::Events, why)) if why.state == State::Waiting => {
            let channels = org.status.subscription.channels.iter();
            let deaf = channels.filter(|(_, channel)| channel.state == State::Waiting);
            deaf.take(NOTES_MAX).map(|(name, channel)| channel_note(name, channel)).collect()
        }
        Some((part, why)) => vec![format!("{}: {}. {}", names::part(part), why.note, why.hint)],
        None => Vec::new(),
    }
}

/// What waits for API calls, and how many are ours.
fn budget_notes(org: &OrgView) -> Vec<String> {
    let budget = &org.budget;
    let waits: Vec<String> = budget
        .waits
        .iter()
        .map(|wait| format!("{} waits: {}", names::priority(wait.work), wait.why))
        .collect();
    if waits.is_empty() {
        return Vec::new();
    }
    vec![format!("{} (ours: {} of {}).", waits.join("; "), budget.ours, budget.share)]
}

fn refresh_notes(org: &OrgView) -> Vec<String> {
    org.status.refreshes.iter().map(|(sync, reading)| refresh(sync, reading)).collect()
}

/// Gaps that are open, and what was done about the last one.
fn gap_notes(org: &OrgView) -> Vec<String> {
    let open = match org.status.open_gaps {
        0 => None,
        gaps => Some(format!("Gaps in the events that are being healed: {gaps}.")),
    };
    [open, org.status.last_receipt.as_ref().map(Receipt::sentence)].into_iter().flatten().collect()
}

/// What the doctor said the last time.
fn doctor_note(org: &OrgView) -> Vec<String> {
    let note = org.status.doctor.as_ref().map(|examined| {
        let at = utc(examined.at_ms);
        let at = at.map(|at| at.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        format!("examined {at} UTC: {}. POST /api/v1/orgs/{}/doctor tells all.", examined.note, org.id)
    });
    note.into_iter().collect()
}

/// What is wrong although every part runs.
fn warning_notes(org: &OrgView) -> Vec<String> {
    let note = |warning: &Warning| format!("{}. {}", sentence(&warning.note), warning.hint);
    org.status.warnings.iter().map(note).collect()
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Fields that records are read or written without.
fn quarantine_notes(org: &OrgView) -> Vec<String> {
    org.status.quarantined.iter().take(NOTES_MAX).map(Quarantined::sentence).collect()
}

fn channel_note(name: &str, channel: &ChannelStatus) -> String {
    let mut note = format!("{name} {}. {}", channel.note, channel.hint);
    if let Some(age) = channel.position_age_secs {
        let (hours, kept) = (age / 3600, channel.retention_secs / 3600);
        let _ = write!(note, " Its position is {hours} h old; Salesforce keeps events for {kept} h.");
    }
    note
}

fn utc(at: UnixMs) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(at.0).ok()?)
}

/// How far a refresh is, in a sentence.
fn refresh(sync: &str, reading: &Reading) -> String {
    let kind = if reading.changed { "changes" } else { "all records" };
    let total = reading.total.map(|total| format!(" of {total}")).unwrap_or_default();
    let waits =
        if reading.waits.is_empty() { String::new() } else { format!(", waits for {}", reading.waits) };
    let ends = reading
        .ends_ms
        .and_then(utc)
        .map(|ends| format!(", read until about {} UTC", ends.format("%Y-%m-%d %H:%M")))
        .unwrap_or_default();
    format!("refresh of {sync} ({kind}): {}{total} read{waits}{ends}", reading.records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_org_says_is_text_not_markup() {
        let row = PageRow {
            id: "<script>".into(),
            state: "waiting",
            records_in: 7,
            written: 0,
            unchanged: 0,
            no_data: 0,
            superseded: 0,
            dead: 0,
            open: 7,
            lag: String::new(),
            calls: "5 / 100".into(),
            notes: vec!["login: <b>refused</b>".into()],
        };
        let html = Page {
            shell: Shell::new(&Viewer { name: "<u>jo</u>".into(), ..Viewer::default() }, Place::Fleet),
            total: 1,
            hidden: 0,
            warnings: vec!["<i>full</i>".into()],
            left: String::new(),
            rows: vec![row],
        }
        .render()
        .expect("a page");
        assert!(!["<script>", "<b>", "<i>", "<u>"].iter().any(|markup| html.contains(markup)), "{html}");
        assert!(html.contains("5 / 100") && html.contains("1 org<"), "{html}");
    }
}
