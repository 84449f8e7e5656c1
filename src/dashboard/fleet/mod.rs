//! The page of all orgs: what is wrong now, the totals, and a table of them.
//!
//! In reading order: `query` (which orgs, in which order), `row`, `wrong`, `tiles`. Here: the page, and answering it. Not here:
//! the numbers (`Service::fleet`), one org's page.

mod query;
mod row;
mod tiles;
pub(super) mod wrong;

#[cfg(test)]
pub(crate) mod samples;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::{Data, Query, ReqData},
};
use askama::Template;
use orgpipe_actors::{Alert, Fleet, History, Left, Service};

use self::{
    query::{Column, FleetAddress, FleetQuery, Kept},
    row::RowView,
    tiles::Tile,
    wrong::Line,
};
use super::{
    shell::{self, Place, Shell, Viewer},
    words,
};

/// Orgs that are gone from the settings and told by name.
const LEFT_MAX: usize = 10;
/// The element that asked, as htmx tells it, and the address that a browser is to show.
const ASKED_BY: &str = "hx-trigger";
const SHOW_ADDRESS: HeaderName = HeaderName::from_static("hx-replace-url");
/// The form of the search; it asks while somebody types.
const SEARCH_FORM: &str = "search";

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    shell: Shell,
    /// The address of what is shown.
    here: String,
    at: (String, String),
    orgs: u64,
    wrong: Vec<Line>,
    /// Lines behind a click.
    wrong_more: Vec<Line>,
    tiles: Vec<Tile>,
    /// State, number, address, and whether it is chosen.
    chips: Vec<Chip>,
    search: String,
    /// Only orgs of one state, or with dead letters, are shown.
    is_of_state: bool,
    /// What a form of the search keeps besides.
    kept: Vec<(&'static str, String)>,
    columns: Vec<ColumnView>,
    rows: Vec<RowView>,
    told: String,
    pager: Option<Pager>,
    /// Where all orgs are shown again.
    all: String,
    left: String,
}

struct Chip {
    /// As the address has it.
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    number: String,
    href: String,
    is_chosen: bool,
}

struct ColumnView {
    heading: &'static str,
    title: &'static str,
    href: String,
    /// As `aria-sort` has it; empty if it is not by this one.
    sort: &'static str,
    is_number: bool,
}

struct Pager {
    page: usize,
    pages: usize,
    before: Option<String>,
    after: Option<String>,
}

/// The dashboard
#[utoipa::path(
    get,
    path = "/",
    operation_id = "dashboard",
    tag = "pages",
    params(FleetAddress),
    responses(
        (
            status = 200,
            description = "The page of all orgs.",
            content_type = "text/html",
            body = String,
            headers(("HX-Replace-Url" = String, description = "The address of what is shown, for a search."))
        ),
    )
)]
pub(crate) async fn show(
    request: HttpRequest,
    service: Data<Service>,
    viewer: ReqData<Viewer>,
    address: Query<FleetAddress>,
) -> HttpResponse {
    let query = FleetQuery::of(&address);
    let fleet = service.fleet().await;
    let left = service.left().await.unwrap_or_default();
    let (wrong, day) = (service.wrong_now(), service.last_day().await.ok());
    let page = FleetPage::new(&fleet, &wrong, &left, day.as_deref(), &query, &viewer);
    let href = page.here.clone();
    let mut answer = shell::page(StatusCode::OK, &page);
    let by = request.headers().get(ASKED_BY).map(HeaderValue::as_bytes);
    if by == Some(SEARCH_FORM.as_bytes())
        && let Ok(href) = HeaderValue::from_str(&href)
    {
        answer.headers_mut().insert(SHOW_ADDRESS, href);
    }
    answer
}

impl FleetPage {
    fn new(
        fleet: &Fleet,
        wrong: &[Alert],
        left: &[Left],
        day: Option<&History>,
        query: &FleetQuery,
        viewer: &Viewer,
    ) -> Self {
        let chosen = query.choose(fleet);
        let mut lines = wrong::lines(wrong, fleet.at_ms);
        let wrong_more = lines.split_off(lines.len().min(wrong::LINES_MAX));
        let now = fleet.at_ms;
        let on_page = |page: usize| query.on_page(page).href();
        let pager = (chosen.pages > 1).then(|| Pager {
            page: chosen.page,
            pages: chosen.pages,
            before: (chosen.page > 1).then(|| on_page(chosen.page - 1)),
            after: (chosen.page < chosen.pages).then(|| on_page(chosen.page + 1)),
        });
        Self {
            shell: Shell::new(viewer, Place::Fleet),
            here: query.href(),
            at: (words::machine_time(now), words::moment(now)),
            orgs: fleet.totals.orgs,
            wrong: lines,
            wrong_more,
            tiles: tiles::tiles(fleet, day),
            chips: chips(fleet, query),
            search: query.search.clone(),
            is_of_state: query.kept != Kept::All,
            kept: query.fields_beside_search(),
            columns: columns(query),
            told: told(chosen.rows.len(), chosen.fitting, chosen.page),
            rows: chosen.rows.into_iter().map(|row| RowView::new(row, now)).collect(),
            pager,
            all: query.keeping(Kept::All).unsearched().href(),
            left: told_left(left),
        }
    }
}

/// The states that there are, and the chosen one.
fn chips(fleet: &Fleet, query: &FleetQuery) -> Vec<Chip> {
    let chip = |kept: Kept| {
        let (number, is_chosen) = (kept.count(fleet), kept == query.kept);
        (number > 0 || is_chosen || kept == Kept::All).then(|| Chip {
            name: if kept == Kept::All { "all" } else { kept.name() },
            label: match kept {
                Kept::All => "all",
                Kept::Letters => "with dead letters",
                Kept::State(_) => kept.name(),
            },
            kind: kept.kind(),
            number: words::count(number),
            href: query.keeping(kept).href(),
            is_chosen,
        })
    };
    Kept::ALL.into_iter().filter_map(chip).collect()
}

fn columns(query: &FleetQuery) -> Vec<ColumnView> {
    let view = |column: Column| {
        let (heading, title) = column.heading();
        let sort = match (query.sort == column, query.descending) {
            (false, _) => "",
            (true, true) => "descending",
            (true, false) => "ascending",
        };
        let is_number = !matches!(column, Column::Org | Column::State);
        ColumnView { heading, title, href: query.sorted(column).href(), sort, is_number }
    };
    Column::ALL.into_iter().map(view).collect()
}

/// Which of the rows are shown, such as `51–100 of 5 000`.
fn told(shown: usize, fitting: usize, page: usize) -> String {
    let first = (page - 1) * query::PAGE_ROWS + 1;
    let count = |number: usize| words::count(number as u64);
    match (shown, fitting) {
        (0, _) => "no org".to_owned(),
        (1, 1) => "1 org".to_owned(),
        (shown, fitting) if shown == fitting => format!("{} orgs", count(fitting)),
        (shown, fitting) => {
            format!("{}–{} of {} orgs", count(first), count(first + shown - 1), count(fitting))
        }
    }
}

/// The first of those that are gone from the settings, with what is open.
fn told_left(orgs: &[Left]) -> String {
    let told = orgs.iter().take(LEFT_MAX).map(|org| format!("{} ({} open)", org.id, org.records.open));
    let mut told: Vec<String> = told.collect();
    if orgs.len() > told.len() {
        told.push(format!("{} more", orgs.len() - told.len()));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use orgpipe_actors::State;

    use super::{
        samples::{fleet, row},
        *,
    };

    fn page(fleet: &Fleet) -> String {
        let query = FleetQuery::of(&FleetAddress::default());
        FleetPage::new(fleet, &[], &[], None, &query, &Viewer::default()).render().expect("a page")
    }

    #[test]
    fn what_an_org_says_is_text_not_markup() {
        let mut org = row("<script>");
        (org.state, org.note, org.hint) = (State::Waiting, "<b>refused</b>".into(), "<i>wait</i>".into());
        org.position_channel = "\"><u>".into();
        org.position_age_secs = Some(5);
        let html = page(&fleet(&[org]));
        for markup in ["<script>", "<b>", "<i>", "<u>", "style=", "onclick"] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
    }

    #[test]
    fn a_page_of_very_many_orgs_stays_small() {
        let mut rows: Vec<_> =
            (0..5_000).map(|n| row(&format!("customer-with-a-long-name-{n:05}"))).collect();
        for org in &mut rows {
            (org.state, org.note) =
                (State::Waiting, "the login was refused and is tried again in 5 min".into());
            (org.position_age_secs, org.share, org.lag_ms) = (Some(7_000), 100, Some(1_234));
            org.last_event_ms = Some(orgpipe_store::UnixMs(1_772_373_000_000));
        }
        let html = page(&fleet(&rows));
        assert!(html.len() < 300_000, "{} bytes", html.len());
        assert_eq!(html.matches("<tr").count(), 51);
    }

    #[test]
    fn a_fleet_without_an_org_says_how_to_add_one() {
        let html = page(&fleet(&[]));
        assert!(html.contains("orgpipe orgs invite") && !html.contains("<table"), "{html}");
    }
}
