//! Your API as orgpipe sees it: how it answers, and what waits for it.
//!
//! Here: the page. Not here: the numbers (`Service::lookup_view`).

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, ReqData},
};
use askama::Template;
use orgpipe_actors::{BreakerState, LookupView, Service};

use super::{
    shell::{self, Place, Shell, Viewer},
    words,
};

#[derive(Template)]
#[template(path = "lookup.html")]
struct LookupPage {
    shell: Shell,
    host: String,
    breaker: (&'static str, &'static str, &'static str),
    tiles: Vec<(&'static str, String, String, &'static str)>,
    latencies: Vec<(&'static str, String)>,
    /// How look-ups ended: its name, number, and part of all in percent.
    ends: Vec<(String, String, u8)>,
}

/// The page of your API
#[utoipa::path(
    get,
    path = "/lookup",
    operation_id = "lookupPage",
    tag = "pages",
    responses(
        (status = 200, description = "The page of your API.", content_type = "text/html", body = String),
    )
)]
pub(crate) async fn show(service: Data<Service>, viewer: ReqData<Viewer>) -> HttpResponse {
    let view = service.lookup_view().await;
    shell::page(StatusCode::OK, &LookupPage::new(&view, &viewer))
}

impl LookupPage {
    fn new(view: &LookupView, viewer: &Viewer) -> Self {
        let count = words::count;
        let secs = |secs: Option<f64>| secs.map_or_else(|| "–".to_owned(), words::duration);
        let failed = percent(view.failed, view.calls);
        let tiles = vec![
            ("Look-ups", count(view.calls), "since the service started".to_owned(), ""),
            (
                "Failed",
                count(view.failed),
                format!("{failed} % of them"),
                if failed >= 5 { "bad" } else { "" },
            ),
            ("Latency", secs(view.latency.p95_secs), "19 of 20 take no longer".to_owned(), ""),
            (
                "Under way",
                count(view.in_flight),
                format!("of {} at a time, {} a second", count(view.concurrent_max), view.requests_per_second),
                "",
            ),
            (
                "Waiting",
                count(view.waiting),
                "for their turn".to_owned(),
                if view.waiting > 0 { "some" } else { "" },
            ),
        ];
        let ends = view
            .ends
            .iter()
            .map(|(end, number)| (end.replace('_', " "), count(*number), percent(*number, view.calls)));
        Self {
            shell: Shell::new(viewer, Place::Lookup),
            host: view.host.clone(),
            breaker: breaker(view.breaker),
            tiles,
            latencies: vec![
                ("Half take no longer than", secs(view.latency.p50_secs)),
                ("19 of 20", secs(view.latency.p95_secs)),
                ("99 of 100", secs(view.latency.p99_secs)),
                ("On average", secs(view.latency.mean_secs)),
                ("Measured", count(view.latency.count)),
            ],
            ends: ends.collect(),
        }
    }
}

fn percent(part: u64, whole: u64) -> u8 {
    let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(0);
    u8::try_from(percent).unwrap_or(100).min(100)
}

/// Its badge, its word and what it means.
fn breaker(state: BreakerState) -> (&'static str, &'static str, &'static str) {
    match state {
        BreakerState::Closed => ("ok", "asked", "It answers, so it is asked."),
        BreakerState::HalfOpen => (
            "waiting",
            "tried",
            "It did not answer for a while. One look-up is sent to see whether it does again.",
        ),
        BreakerState::Open => (
            "error",
            "not asked",
            "It failed several times in a row, so it is left alone for a while. Records wait, and nothing is lost. Look whether it is up, and whether its token is right.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_nothing_is_nothing() {
        assert_eq!([percent(0, 0), percent(1, 3), percent(5, 5), percent(9, 5)], [0, 33, 100, 100]);
    }
}
