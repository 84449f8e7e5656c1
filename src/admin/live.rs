//! The stream by which a page learns that what it shows has changed (server-sent events).
//!
//! Here: who may listen, how many at a time, and when something is said. Not here: what is shown; a page asks for it anew.
//!
//! A stream says `hello` with the build of the pages, `changed` at most once a second, `beat` when nothing was said for a while,
//! and `out` when whoever listens may look no more: each second it is asked again who they are. It ends with the service, so
//! that a stop never waits for it.

use std::{
    collections::hash_map::DefaultHasher,
    convert::Infallible,
    hash::{Hash, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web::{Bytes, Data, Query},
};
use futures_util::stream;
use orgpipe_actors::{Alert, Fleet, FleetRow, Service};
use orgpipe_store::UnixMs;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use utoipa::IntoParams;

use super::{access::Access, problem::ApiError, tokens::Role};
use crate::dashboard::assets::ASSETS;

/// Streams at a time; each page that is seen has one.
const STREAMS_MAX: usize = 100;
/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_secs(1);
/// Looks after which something is said in any case, so that both sides know that the other is there.
const SILENT_LOOKS_MAX: u32 = 10;
/// What a browser asks for when it opens a stream.
const EVENT_STREAM: &str = "text/event-stream";
/// After how many seconds it is worth to ask again.
const RETRY_AFTER_SECS: u32 = 10;

/// `?org=ID`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveQuery {
    /// Only of this org.
    org: Option<String>,
}

/// All streams of this process.
#[derive(Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    /// True once the service stops.
    stop: watch::Receiver<bool>,
    /// What the whole fleet looked like, and when: it is the same for all that listen.
    fleet: Mutex<(UnixMs, u64)>,
}

impl Streams {
    /// None is open yet; they end when `stop` becomes true.
    pub(super) fn new(stop: watch::Receiver<bool>) -> Self {
        let places = Arc::new(Semaphore::new(STREAMS_MAX));
        Self { places, stop, fleet: Mutex::new((UnixMs(0), 0)) }
    }

    /// A number that changes with what a page shows of an org, or of all.
    fn shown(&self, fleet: &Fleet, wrong: &[Alert], org: Option<&str>) -> u64 {
        if let Some(org) = org {
            let wrong = wrong.iter().filter(|alert| alert.org.as_deref() == Some(org));
            let row = fleet.rows.binary_search_by(|row| row.id.as_str().cmp(org)).ok();
            return row.map_or(0, |at| hashed(&fleet.rows[at..=at], wrong));
        }
        let mut last = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != fleet.at_ms {
            *last = (fleet.at_ms, hashed(&fleet.rows, wrong.iter()));
        }
        last.1
    }
}

/// What pages show of these orgs, but for what changes with time alone.
fn hashed<'a>(rows: &[FleetRow], wrong: impl Iterator<Item = &'a Alert>) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.len().hash(&mut hasher);
    for row in rows {
        let records = row.records.unwrap_or_default();
        (&row.id, row.state as u8, &row.note, row.open, row.dead_letters_kept, row.restarts)
            .hash(&mut hasher);
        (row.lag_ms, row.last_written_ms.map(|at| at.0), row.events, row.channels_deaf).hash(&mut hasher);
        (row.last_event_ms.map(|at| at.0), row.api_used, row.ours, row.calls).hash(&mut hasher);
        (records.records_in, records.written, records.unchanged, records.dead_letters).hash(&mut hasher);
        (row.waits.len(), row.quarantined.len(), row.open_gaps, row.warnings.len()).hash(&mut hasher);
        (row.position_age_secs.map(|secs| secs / 60), row.refreshes.len()).hash(&mut hasher);
        for refresh in &row.refreshes {
            (&refresh.sync, refresh.reading.records, &refresh.reading.waits).hash(&mut hasher);
        }
    }
    for alert in wrong {
        (alert.kind, alert.severity, &alert.org, &alert.subject, &alert.summary).hash(&mut hasher);
    }
    hasher.finish()
}

/// Tell when what a page shows has changed
///
/// A stream of server-sent events, for requests that accept `text/event-stream`: `hello` with the build of the pages, `changed` at
/// most once a second, `beat` when nothing was said for 10 s, `out` when the caller may look no more. It ends with the service.
#[utoipa::path(
    get,
    path = "/live",
    operation_id = "live",
    tag = "pages",
    params(LiveQuery),
    responses(
        (status = 200, description = "The stream.", content_type = "text/event-stream", body = String),
        (status = 406, description = "The request does not accept a stream of events.", body = ApiError),
        (
            status = 503,
            description = "As many pages are open as are kept up to date.",
            body = ApiError,
            headers(("Retry-After" = u64, description = "Seconds."))
        ),
    )
)]
pub(super) async fn open(
    request: HttpRequest,
    query: Query<LiveQuery>,
    service: Data<Service>,
    access: Data<Access>,
    streams: Data<Streams>,
) -> HttpResponse {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    if !accepts.is_some_and(|accepts| accepts.contains(EVENT_STREAM)) {
        let hint = "GET /api/v1/orgs tells once what this tells for as long as somebody listens.";
        let error = "this is a stream of events, and the request does not accept `text/event-stream`";
        return HttpResponse::NotAcceptable().json(json!({ "error": error, "hint": hint }));
    }
    let Ok(place) = Arc::clone(&streams.places).try_acquire_owned() else {
        let error = format!("{STREAMS_MAX} pages are open already, which is as many as are kept up to date");
        let hint = "Close pages that nobody looks at. Meanwhile this one asks by itself every 10 s.";
        return HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, RETRY_AFTER_SECS))
            .json(json!({ "error": error, "hint": hint }));
    };
    let listener = Listener {
        headers: request.headers().clone(),
        org: query.into_inner().org,
        service,
        access,
        stop: streams.stop.clone(),
        streams,
        shown: None,
        silent: 0,
        over: false,
        _place: place,
    };
    HttpResponse::Ok()
        .content_type(EVENT_STREAM)
        // A proxy that collects answers would keep it for itself.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(listener, Listener::next))
}

/// Somebody who listens.
struct Listener {
    headers: HeaderMap,
    org: Option<String>,
    service: Data<Service>,
    access: Data<Access>,
    streams: Data<Streams>,
    stop: watch::Receiver<bool>,
    /// What they have been told of; none before `hello`.
    shown: Option<u64>,
    /// Looks since something was said.
    silent: u32,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event, when there is one; none when the stream ends.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.over {
            return None;
        }
        let event = self.event().await?;
        Some((Ok(Bytes::from(event)), self))
    }

    async fn event(&mut self) -> Option<String> {
        if self.shown.is_none() {
            self.shown = Some(self.look().await);
            return Some(format!("event: hello\ndata: {}\n\n", ASSETS.build()));
        }
        loop {
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return None,
                () = actix_rt::time::sleep(LOOK) => {}
            }
            let caller = self.access.caller(&self.headers);
            if !caller.is_ok_and(|caller| caller.check(Role::Read).is_ok()) {
                self.over = true;
                return Some("event: out\ndata:\n\n".to_owned());
            }
            let shown = Some(self.look().await);
            if shown != self.shown {
                (self.shown, self.silent) = (shown, 0);
                return Some("event: changed\ndata:\n\n".to_owned());
            }
            self.silent += 1;
            if self.silent >= SILENT_LOOKS_MAX {
                self.silent = 0;
                return Some("event: beat\ndata:\n\n".to_owned());
            }
        }
    }

    async fn look(&self) -> u64 {
        let fleet = self.service.fleet().await;
        self.streams.shown(&fleet, &self.service.wrong_now(), self.org.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_actors::{FleetTotals, RoomView};

    use super::*;

    #[test]
    fn rows_are_hashed_once_for_all_who_listen_and_again_with_the_next_look() {
        let (_stop, stopped) = watch::channel(false);
        let streams = Streams::new(stopped);
        let fleet = |at_ms| Fleet {
            at_ms: UnixMs(at_ms),
            started_ms: UnixMs(0),
            rows: Vec::new(),
            totals: FleetTotals::default(),
            stored: None,
            room: RoomView::default(),
        };
        let shown = streams.shown(&fleet(1), &[], None);
        let kept = shown.wrapping_add(1);
        streams.fleet.lock().expect("nobody has panicked").1 = kept;
        assert_eq!(streams.shown(&fleet(1), &[], None), kept, "it is not hashed again");
        assert_eq!(streams.shown(&fleet(2), &[], None), shown);
    }
}
