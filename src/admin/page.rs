//! The status page: every org in one table, the ones in trouble with the reason.
//!
//! Here: what stands in which cell. Not here: how it looks (the template), where the numbers come from (`Service`).

use std::fmt::Write as _;

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query, ReqData},
};
use askama::Template;
use chrono::{DateTime, Utc};
use orgpipe_actors::{
    ChannelStatus, Left, OrgView, Part, Quarantined, Reading, Receipt, Service, State, Warning,
};
use orgpipe_store::UnixMs;

use super::{access::Caller, names, orgs::problem, query::NoQuery, tokens::Role};

/// Rows of the table; an API call gives all of them.
const ROWS_MAX: usize = 500;
/// Channels of one org whose trouble is told, and orgs that are gone from the settings.
const NOTES_MAX: usize = 10;

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>orgpipe</title>
<style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
header { display: flex; gap: .8rem; align-items: baseline }
header span { margin-left: auto; opacity: .75 }
h1 { font-size: 1.3rem; margin: 0 0 .2rem }
p { margin: 0 0 1.2rem; opacity: .75 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid #8884; white-space: nowrap }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
td { font-variant-numeric: tabular-nums }
td.note { text-align: left; white-space: normal; opacity: .85; border-bottom: 1px solid #8884 }
@media (max-width: 56rem) {
  thead { display: none } table, tbody, tr { display: block } tr { border-bottom: 1px solid #8884; padding: .4rem 0 }
  td, td.note { display: inline-block; border: 0; padding: .1rem .8rem .1rem 0 } td:empty { display: none }
  td[data-name]::before { content: attr(data-name) " "; opacity: .6 } td:first-child { font-weight: 600 }
}
.running { color: #1a7f37 } .waiting, .starting, .draining, .paused { color: #b25e00 } .parked { color: #c92a2a; font-weight: 600 }
</style>
</head>
<body>
<header><h1>orgpipe</h1><span>{{ who }}</span>{% if by_cookie %}<form method="post" action="/logout"><button>log out</button></form>{% endif %}</header>
<p>{{ total }} org{% if total != 1 %}s{% endif %}{% if hidden > 0 %}, the first {{ rows.len() }} shown; GET /api/v1/orgs has them all{% endif %}</p>
{% for warning in warnings %}<p class="parked">{{ warning }}</p>
{% endfor %}{% if !left.is_empty() %}<p>Not in the settings any more, and what is stored of them stays: {{ left }}</p>
{% endif %}<table>
<thead><tr><th>org</th><th>state</th><th>in</th><th>written</th><th>unchanged</th><th>no data</th><th>superseded</th><th>dead</th><th>open</th><th>lag</th><th>API calls</th><th></th></tr></thead>
<tbody>
{% for row in rows %}<tr><td>{{ row.id }}</td><td class="{{ row.state }}">{{ row.state }}</td><td data-name="in">{{ row.records_in }}</td><td data-name="written">{{ row.written }}</td><td data-name="unchanged">{{ row.unchanged }}</td><td data-name="no data">{{ row.no_data }}</td><td data-name="superseded">{{ row.superseded }}</td><td data-name="dead">{{ row.dead }}</td><td data-name="open">{{ row.open }}</td><td{% if !row.lag.is_empty() %} data-name="lag"{% endif %}>{{ row.lag }}</td><td{% if !row.calls.is_empty() %} data-name="API calls"{% endif %}>{{ row.calls }}</td><td>{% if may_operate %}<form method="post" action="/orgs/{{ row.id }}/doctor"><button>examine</button></form> <a href="/orgs/{{ row.id }}/preview">preview</a>{% endif %}</td></tr>
{% for note in row.notes %}<tr><td></td><td class="note" colspan="11">{{ note }}</td></tr>
{% endfor %}{% endfor %}</tbody>
</table>
</body>
</html>
"#
)]
struct Page {
    /// The token's name and role.
    who: String,
    /// Whether a session can be ended.
    by_cookie: bool,
    /// Whether the caller may give commands.
    may_operate: bool,
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

pub(super) async fn show(service: Data<Service>, caller: ReqData<Caller>, _: Query<NoQuery>) -> HttpResponse {
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
    let who = format!("{} ({})", caller.name, caller.role.name());
    let (may_operate, hidden) = (caller.check(Role::Operate).is_ok(), total - orgs.len());
    let page = Page { who, by_cookie: caller.by_cookie, may_operate, total, hidden, warnings, left, rows };
    match page.render() {
        Ok(html) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
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
            who: "<u>jo</u>".into(),
            by_cookie: true,
            may_operate: true,
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
