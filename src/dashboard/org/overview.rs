//! An org at this moment: what is wrong, its actors and channels, its records, calls, refreshes, gaps and fields.
//!
//! Here: the page, and answering it. Not here: the numbers (`Service`), what stands in each section (`parts`, `work`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path, Query, ReqData},
};
use askama::Template;
use orgpipe_actors::{Alert, Fleet, OrgError, OrgView, Quarantined, Service, Warning};
use orgpipe_store::UnixMs;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    absent,
    parts::{self, Channel, Node, moment},
    top::{Tab, Top},
    work::{self, BudgetLines, NumberTile, ReceiptLine, RefreshLine},
};
use crate::dashboard::{
    charts::{self, Chart, SpanLink},
    fleet::wrong::{self, Line},
    marked::Marked,
    shell::{self, Shell, Viewer},
    words,
};

/// Receipts that are shown; the API has all.
const RECEIPTS_MAX: usize = 10;
/// Fields in quarantine, and warnings, that are shown.
const NOTES_MAX: usize = 20;

/// `?span=1h|24h|7d`
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChartSpan {
    #[serde(default)]
    span: String,
}

#[derive(Template)]
#[template(path = "org.html")]
struct Overview {
    shell: Shell,
    top: Top,
    here: String,
    at: (String, String),
    wrong: Vec<Line>,
    /// What is odd although all parts run, with what to do.
    warnings: Vec<(Marked, Marked)>,
    tiles: Vec<NumberTile>,
    root: Node,
    nodes: Vec<Node>,
    channels: Vec<Channel>,
    handshakes: String,
    spans: Vec<SpanLink>,
    charts: Vec<Chart>,
    budget: BudgetLines,
    refreshes: Vec<RefreshLine>,
    may_operate: bool,
    jobs: Vec<(String, String, String, String)>,
    open_gaps: usize,
    receipts: Vec<ReceiptLine>,
    quarantined: Vec<QuarantinedLine>,
}

struct QuarantinedLine {
    field: String,
    /// What is not done with it.
    done: &'static str,
    why: String,
    hint: &'static str,
    since: (String, String),
}

/// The page of an org
#[utoipa::path(
    get,
    path = "/orgs/{org}",
    operation_id = "orgPage",
    tag = "pages",
    params(ChartSpan),
    responses(
        (status = 200, description = "The page of the org.", content_type = "text/html", body = String),
        (status = 404, description = "There is no such org.", content_type = "text/html", body = String),
        (status = 500, description = "The store does not answer.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    org: Path<String>,
    query: Query<ChartSpan>,
) -> HttpResponse {
    let Some(view) = service.org(&org).await else {
        return absent(&viewer, &OrgError::Unknown(org.into_inner()));
    };
    let receipts = match service.receipts(&org).await {
        Ok(receipts) => receipts,
        Err(error) => return absent(&viewer, &error),
    };
    let plans = service.refreshes(&org).await.unwrap_or_default();
    let fleet = service.fleet().await;
    let span = charts::span(&query.span);
    let charts = service
        .history(Some(&org), span)
        .await
        .map(|history| charts::of_history(&history))
        .unwrap_or_default();
    let (now, wrong) = (fleet.at_ms, service.wrong_now());
    let of_this: Vec<&Alert> = wrong.iter().filter(|alert| alert.org.as_deref() == Some(&view.id)).collect();
    // What an alert tells with the same next step is not told twice.
    let untold = |warning: &&Warning| !of_this.iter().any(|alert| alert.hint == warning.hint);
    let warnings = view.status.warnings.iter().filter(untold).take(NOTES_MAX);
    let warnings = warnings.map(warning).collect();
    let top = Top::new(&view, letters(&fleet, &view.id), Tab::Overview, &viewer);
    let (root, nodes) = parts::tree(&view, now);
    let page = Overview {
        shell: Shell::of_org(&viewer, &view.id),
        here: format!("/orgs/{}?span={}", view.id, span.name()),
        at: (words::machine_time(now), words::moment(now)),
        wrong: wrong::lines_of_org(&of_this, now),
        warnings,
        tiles: work::tiles(&view, letters(&fleet, &view.id)),
        root,
        nodes,
        channels: parts::channels(&view, now),
        handshakes: words::count(view.status.subscription.handshakes),
        spans: charts::links(&format!("/orgs/{}", view.id), span),
        charts,
        budget: work::budget(&view.budget),
        refreshes: work::refreshes(&plans, now),
        may_operate: viewer.may_operate,
        jobs: jobs(&view, now),
        open_gaps: view.status.open_gaps,
        receipts: work::receipts(&receipts, RECEIPTS_MAX, now),
        quarantined: quarantined(&view.status.quarantined, now),
        top,
    };
    shell::page(StatusCode::OK, &page)
}

/// Dead letters that are kept of an org.
pub(super) fn letters(fleet: &Fleet, id: &str) -> u64 {
    let row = fleet.rows.binary_search_by(|row| row.id.as_str().cmp(id));
    row.map_or(0, |at| fleet.rows[at].dead_letters_kept)
}

/// Bulk jobs: ID and object, state, how far, since when.
fn jobs(org: &OrgView, now: UnixMs) -> Vec<(String, String, String, String)> {
    let line = |job: &orgpipe_actors::BulkJobStatus| {
        let state = if job.hangs { format!("{} (stands for long)", job.state) } else { job.state.to_owned() };
        let far = format!("{} of {}", words::count(job.processed), words::count(job.records));
        (format!("{} {}", job.target, job.id), state, far, words::ago(job.since_ms, now))
    };
    org.status.bulk_jobs.iter().take(NOTES_MAX).map(line).collect()
}

fn warning(warning: &Warning) -> (Marked, Marked) {
    (Marked::of(&words::sentence(&warning.note)), Marked::of(&warning.hint))
}

fn quarantined(fields: &[Quarantined], now: UnixMs) -> Vec<QuarantinedLine> {
    let line = |one: &Quarantined| QuarantinedLine {
        field: format!("{}.{}", one.object, one.field),
        done: one.access.done(),
        why: format!("{}.", one.why),
        hint: one.hint,
        since: moment(one.since_ms, now),
    };
    fields.iter().take(NOTES_MAX).map(line).collect()
}
