//! Metrics as Prometheus reads them: what the service says of itself and its orgs, in numbers.
//!
//! In reading order: `catalogue` (every metric, with what it means), `service` and `orgs` (their values), `process` (what the
//! system says), `writer` (the text). Here: the format that is asked for, and asking the service. Not here: counting; every
//! scrape asks the service and forgets.

mod catalogue;
mod orgs;
mod process;
mod service;
mod writer;

use std::fmt;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{Accept, Header as _, VARY},
    web::{Data, Query},
};
use orgpipe_actors::Service;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};

use self::{
    orgs::{ScrapedOrgs, chosen},
    process::Process,
    service::Whole,
    writer::Writer,
};
use super::query::NoQuery;
use crate::in_force::SettingsFile;

/// A text that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Prometheus's own.
    Prometheus,
    /// The standard that came of it.
    OpenMetrics,
}

impl Format {
    /// The one that is asked for; Prometheus's own where nothing is said.
    fn of(accept: Option<Accept>) -> Self {
        let ranked = accept.map(|accept| accept.ranked()).unwrap_or_default();
        let known = ranked.iter().find_map(|mime| match mime.essence_str() {
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            "text/plain" | "text/*" | "*/*" => Some(Self::Prometheus),
            _ => None,
        });
        known.unwrap_or(Self::Prometheus)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    fn encode(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut written = String::new();
        match self {
            Self::Prometheus => prometheus_text::encode(&mut written, registry)?,
            Self::OpenMetrics => text::encode(&mut written, registry)?,
        }
        Ok(written)
    }
}

/// All that one scrape tells.
#[derive(Debug)]
struct Scrape {
    whole: Whole,
    orgs: ScrapedOrgs,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let left_out = self.orgs.fleet.rows.len() - self.orgs.places.len();
        self.whole.write(&self.orgs.fleet, left_out, &mut writer)?;
        self.orgs.write(&mut writer)
    }
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "service",
    responses(
        (
            status = 200,
            description = "As `Accept` prefers. config/METRICS.md describes every metric.",
            content((String = "text/plain"), (String = "application/openmetrics-text"))
        ),
    )
)]
pub(super) async fn show(
    request: HttpRequest,
    service: Data<Service>,
    settings: Data<SettingsFile>,
    _: Query<NoQuery>,
) -> HttpResponse {
    let format = Format::of(Accept::parse(&request).ok());
    let fleet = service.fleet().await;
    let places = chosen(&fleet.rows, settings.metrics());
    // One that has gone since has no numbers any more.
    let numbers = places.iter().filter_map(|place| service.org_numbers(&fleet.rows[*place].id)).collect();
    let whole = Whole {
        ready: service.not_ready().await.is_empty(),
        measures: service.measures(),
        breaker: service.breaker_state().await,
        threads: service.threads(),
        reads: service.store_reads(),
        commits: service.store_commits(),
        pushes: service.push_numbers(),
        process: Process::now(),
        alerts: service.alerts(),
        receivers: service.receivers(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { whole, orgs: ScrapedOrgs { fleet, places, numbers } }));
    match format.encode(&registry) {
        Ok(text) => {
            HttpResponse::Ok().insert_header((VARY, "accept")).content_type(format.content_type()).body(text)
        }
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_preferred_and_prometheuss_own_where_nothing_is_said() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/html"), Format::Prometheus),
            (Some("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.1"), Format::Prometheus),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some(prometheus), Format::OpenMetrics),
        ] {
            let request = accept.map_or_else(TestRequest::default, |accept| {
                TestRequest::default().insert_header(("accept", accept))
            });
            assert_eq!(Format::of(Accept::parse(&request.to_http_request()).ok()), format, "{accept:?}");
        }
    }
}
