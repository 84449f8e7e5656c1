//! The look-up in the vendor's API: one call for up to 100 records.
//!
//! Here: HTTP, the rate over all orgs, the circuit breaker. Not here: the bodies (`reconcile::lookup`), splitting a
//! refused batch (`decide/lookup.rs`).
//!
//! Slots are handed out first come first served, and an org asks for more than one only while some are free, so orgs take
//! turns. A quarter of them is for live requests only.

use std::{
    fmt::Debug,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::DateTime;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use orgpipe_salesforce::http::body::{BodyBudget, BodyTooLarge};
use orgpipe_store::UnixMs;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use url::Url;
use utoipa::ToSchema;

use crate::{
    clock::{Clock, moment},
    measure::{LookupEnd, Measures},
    priority::Priority,
    retry::Delays,
    settings::SourceSettings,
    trace::{TraceContext, spans},
};

/// Bytes of an answer that are read at most.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of all its answers that are held at a time, beside those of small ones.
const BODIES_BYTES_MAX: usize = 4 * ANSWER_BYTES_MAX;
/// Failures in a row that open the breaker.
const FAILURES_MAX: u32 = 5;
/// First and longest wait after a failure. Short, since of all orgs only one call finds out whether the API is back.
const OPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// Shortest wait after a failure.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// Where the trace is told that a call belongs to (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";
/// Where the correlation IDs are told of the events that a call is made for.
const CORRELATION_ID: &str = "x-correlation-id";
/// Longest wait the API may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
/// An API that asks for so long a pause is down; a shorter one is a limit of its rate.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    /// It may work later; nothing is wrong with the records.
    #[error("your API at {host} is not answering: {what}")]
    Down {
        /// Host and port, without path or query.
        host: String,
        /// What happened.
        what: String,
        /// When to try again.
        retry_in: Duration,
    },
    /// It failed on this call, which one of the records may be the cause of.
    #[error("your API at {host} failed: {what}")]
    Failed {
        /// Host and port, without path or query.
        host: String,
        /// What happened.
        what: String,
        /// When to try again.
        retry_in: Duration,
    },
    /// It refused this batch, and would again.
    #[error("your API at {host} refused the look-up with status {status}")]
    Refused {
        /// Host and port.
        host: String,
        /// HTTP status, 4xx.
        status: u16,
    },
}

impl LookupError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "Look into the API's log for the exception; nothing is lost meanwhile.",
            Self::Down { .. } => "Look at `source.url` and at the API's own log; nothing is lost meanwhile.",
            Self::Refused { .. } => "Look into the API's log for the reason.",
        }
    }
}

/// How the API does, as all orgs see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LookupStand {
    /// Host and port, without path or query.
    pub host: String,
    /// It has answered since the client was made.
    pub is_known: bool,
    /// It is left alone since then, as it failed several times in a row.
    pub down_since_ms: Option<UnixMs>,
    /// What happened the last time that it failed, as a clause.
    pub what: String,
}

/// A batch to be looked up.
#[derive(Clone, Debug)]
pub(crate) struct LookupCall {
    /// As JSON.
    pub body: String,
    /// In it.
    pub records: usize,
    /// The step that asks.
    pub trace: TraceContext,
    /// Of the events that are the reason, with commas between.
    pub correlation_id: Option<String>,
}

/// A 200 answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LookupAnswer {
    /// Its body.
    pub body: Bytes,
    /// `parent-id` of the call's `traceparent`.
    pub parent: String,
}

/// Who asks the API now, and who may.
#[derive(Clone, Debug)]
pub(crate) struct LookupTurns {
    /// Host and port.
    pub host: String,
    /// Look-ups that have a slot.
    pub in_flight: u64,
    /// Those that wait for a slot or for the rate.
    pub waiting: u64,
    /// Slots.
    pub concurrent_max: u64,
    /// Look-ups a second at most.
    pub requests_per_second: u32,
}

/// Counts among those that wait until it is dropped.
#[derive(Debug)]
struct LookupWait<'a>(&'a AtomicU64);

impl<'a> LookupWait<'a> {
    fn new(waiting: &'a AtomicU64) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for LookupWait<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The vendor's API as all orgs share it.
#[derive(Debug)]
pub(crate) struct LookupClient {
    settings: SourceSettings,
    transport: Arc<dyn LookupTransport>,
    slots: Semaphore,
    /// Fewer, for all but live requests: so that those find a slot.
    slots_of_others: Semaphore,
    /// Look-ups that wait for their turn.
    waiting: AtomicU64,
    rate: RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>,
    breaker: Mutex<Breaker>,
    measures: Arc<Measures>,
    clock: Clock,
}

impl LookupClient {
    /// A way to the API over HTTP; nothing is sent yet. Fails only if the TLS library cannot start.
    pub(crate) fn new(
        settings: SourceSettings,
        measures: Arc<Measures>,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let transport = Arc::new(HttpLookup::new(&settings, clock)?);
        Ok(Self::over(transport, settings, measures, clock))
    }

    /// A way to the API over this transport.
    pub(crate) fn over(
        transport: Arc<dyn LookupTransport>,
        settings: SourceSettings,
        measures: Arc<Measures>,
        clock: Clock,
    ) -> Self {
        let per_second = NonZeroU32::new(settings.requests_per_second).unwrap_or(NonZeroU32::MIN);
        let slots = settings.concurrent_max.max(1) as usize;
        Self {
            slots: Semaphore::new(slots),
            slots_of_others: Semaphore::new((slots - slots / 4).max(1)),
            waiting: AtomicU64::new(0),
            rate: RateLimiter::direct_with_clock(Quota::per_second(per_second), clock),
            breaker: Mutex::new(Breaker::closed()),
            settings,
            transport,
            measures,
            clock,
        }
    }

    /// Whether the API is asked now.
    pub(crate) fn breaker_state(&self) -> BreakerState {
        let now = self.clock.monotonic();
        self.breaker().state(now)
    }

    /// Calls that would find a slot at once, also if they are not for live requests.
    pub(crate) fn free(&self) -> usize {
        self.slots_of_others.available_permits().min(self.slots.available_permits())
    }

    /// How many have their turn, and how many wait for it.
    pub(crate) fn turns(&self) -> LookupTurns {
        let slots = self.settings.concurrent_max.max(1) as usize;
        LookupTurns {
            host: self.host(),
            in_flight: (slots - self.slots.available_permits().min(slots)) as u64,
            waiting: self.waiting.load(Ordering::Relaxed),
            concurrent_max: slots as u64,
            requests_per_second: self.settings.requests_per_second,
        }
    }

    /// Posts a batch and gives back the 200 answer.
    pub(crate) async fn ask(
        &self,
        priority: Priority,
        call: LookupCall,
    ) -> Result<LookupAnswer, LookupError> {
        let stopping = |_| self.down("the service is stopping", OPEN.1);
        let waits = LookupWait::new(&self.waiting);
        let _other = match priority {
            Priority::Live => None,
            Priority::Heal | Priority::Refresh => {
                Some(self.slots_of_others.acquire().await.map_err(stopping)?)
            }
        };
        let _slot = self.slots.acquire().await.map_err(stopping)?;
        let begun = self.clock.monotonic();
        if let Err(wait) = self.breaker().admit(begun, self.settings.timeout) {
            self.measures.lookups.held_back();
            return Err(self.down("it failed several times in a row, so it is left alone for a while", wait));
        }
        while let Err(refused) = self.rate.check() {
            tokio::time::sleep(refused.wait_time_from(self.clock.monotonic())).await;
        }
        drop(waits);
        let LookupCall { body, records, trace, correlation_id } = call;
        let own = trace.child(self.clock);
        let span = spans::vendor(&self.host(), "look-up", own, trace, Some(records as u64));
        let headers = TraceHeaders { traceparent: own.traceparent(), correlation_id };
        let sent = self.clock.monotonic();
        let answer = self.transport.post(body, headers).instrument(span.clone()).await;
        let end = answer.as_ref().map_or_else(Miss::end, |_| LookupEnd::Ok);
        match &answer {
            Ok(_) => spans::answered(&span, 200),
            Err(Miss::Refused(status)) => spans::answered(&span, *status),
            Err(Miss::Failed { .. } | Miss::Down { .. }) => spans::failed(&span, end.name()),
        }
        self.measures.lookups.ended(end, self.clock.monotonic().saturating_sub(sent));
        let jitter = self.clock.jitter();
        match answer {
            Ok(body) => {
                self.breaker().worked();
                Ok(LookupAnswer { body, parent: own.span.to_string() })
            }
            Err(Miss::Refused(status)) => {
                self.breaker().worked();
                Err(LookupError::Refused { host: self.host(), status })
            }
            Err(Miss::Failed { what, .. }) => {
                let times = Times { begun, now: self.clock.monotonic() };
                let mut breaker = self.breaker();
                breaker.what.clone_from(&what);
                let retry_in = breaker.failed_on_a_call(times, jitter);
                Err(LookupError::Failed { host: self.host(), what, retry_in })
            }
            Err(Miss::Down { what, asked, .. }) => {
                let times = Times { begun, now: self.clock.monotonic() };
                let mut breaker = self.breaker();
                breaker.what.clone_from(&what);
                let wait = breaker.failed(times, asked, jitter);
                drop(breaker);
                Err(self.down(&what, wait))
            }
        }
    }

    /// The answer could be read as HTTP but not as a look-up's answer: the API failed on this call.
    pub(crate) fn answered_rubbish(&self, what: String) -> LookupError {
        self.measures.lookups.unusable();
        let jitter = self.clock.jitter();
        // It began and ended at the same time as far as anybody can tell, so it is an outage's next step.
        let now = self.clock.monotonic();
        let mut breaker = self.breaker();
        breaker.what.clone_from(&what);
        let retry_in = breaker.failed_on_a_call(Times { begun: now, now }, jitter);
        LookupError::Failed { host: self.host(), what, retry_in }
    }

    /// How it does.
    pub(crate) fn stand(&self) -> LookupStand {
        let breaker = self.breaker();
        let ago = |since: Duration| self.clock.monotonic().saturating_sub(since);
        LookupStand {
            host: self.host(),
            is_known: breaker.is_known,
            down_since_ms: breaker.down_since().map(|since| self.clock.now_ms().saturating_sub(ago(since))),
            what: breaker.what.clone(),
        }
    }

    fn down(&self, what: &str, retry_in: Duration) -> LookupError {
        LookupError::Down { host: self.host(), what: what.to_owned(), retry_in }
    }

    fn host(&self) -> String {
        let url = &self.settings.url;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", url.host_str().unwrap_or_default())
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why one post brought nothing.
#[derive(Debug)]
pub(crate) enum Miss {
    /// The API refused the batch with this status, and would again.
    Refused(u16),
    /// The API failed on this call, and what happened: that may be one record's fault.
    Failed {
        /// What happened.
        what: String,
        /// The same as a class.
        end: LookupEnd,
    },
    /// It may work later.
    Down {
        /// What happened.
        what: String,
        /// The same as a class.
        end: LookupEnd,
        /// How long the API asks to be left alone.
        asked: Option<Duration>,
    },
}

/// What a call tells of where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceHeaders {
    /// The call itself.
    pub traceparent: String,
    /// Of the events that are its reason; not sent where a header cannot carry it.
    pub correlation_id: Option<String>,
}

impl Miss {
    fn end(&self) -> LookupEnd {
        match self {
            Self::Refused(_) => LookupEnd::Refused,
            Self::Failed { end, .. } | Self::Down { end, .. } => *end,
        }
    }
}

/// How look-ups reach the API: over HTTP, or in tests to one that is made up.
pub(crate) trait LookupTransport: Debug + Send + Sync {
    /// Posts a batch and gives back the body of the 200 answer.
    fn post(&self, body: String, headers: TraceHeaders) -> LocalBoxFuture<'_, Result<Bytes, Miss>>;
}

/// Over HTTP.
#[derive(Debug)]
struct HttpLookup {
    http: reqwest::Client,
    /// Apart from the orgs', so that their large answers and the API's do not wait for each other.
    bodies: BodyBudget,
    url: Url,
    clock: Clock,
}

impl HttpLookup {
    fn new(settings: &SourceSettings, clock: Clock) -> Result<Self, reqwest::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &settings.token
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("orgpipe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout)
            .build()?;
        let bodies = BodyBudget::of(BODIES_BYTES_MAX);
        Ok(Self { http, bodies, url: settings.url.clone(), clock })
    }

    async fn exchange(&self, body: String, headers: TraceHeaders) -> Result<Bytes, Miss> {
        let mut request =
            self.http.post(self.url.clone()).header(TRACEPARENT, headers.traceparent).body(body);
        let correlation_id = headers.correlation_id.and_then(|id| HeaderValue::from_str(&id).ok());
        if let Some(id) = correlation_id {
            request = request.header(CORRELATION_ID, id);
        }
        let broken = |cause: reqwest::Error| {
            let end = match () {
                () if cause.is_connect() => LookupEnd::Unreachable,
                () if cause.is_timeout() => LookupEnd::Timeout,
                () => LookupEnd::Broken,
            };
            let what = sentence(&cause.without_url());
            // What ends in mid-call may have met a record that stops the API.
            match end {
                LookupEnd::Unreachable => Miss::Down { what, end, asked: None },
                _ => Miss::Failed { what, end },
            }
        };
        let mut reply = request.send().await.map_err(broken)?;
        let status = reply.status().as_u16();
        let asked = reply.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|text| wait_in(text, self.clock.now_ms()));
        let end = LookupEnd::of_status(status);
        match status {
            200 => {}
            401 | 403 => {
                let what = format!(
                    "it answered status {status}, so look at the token that `source.token_env` names"
                );
                return Err(Miss::Down { what, end, asked });
            }
            // Not the records' fault, whatever they are.
            404 | 405 | 410 => {
                let what = format!("it answered status {status}, so look at `source.url`");
                return Err(Miss::Down { what, end, asked });
            }
            // The API's own failure, and how a proxy tells of a process that ended or hung (RFC 9110, section 15.6).
            500 | 502 | 504 if asked.is_none() => {
                return Err(Miss::Failed { what: format!("it answered status {status}"), end });
            }
            408 | 429 | 300..=399 | 500.. => {
                return Err(Miss::Down { what: format!("it answered status {status}"), end, asked });
            }
            400..=499 => return Err(Miss::Refused(status)),
            _ => {
                return Err(Miss::Down { what: format!("it answered status {status}, not 200"), end, asked });
            }
        }
        let mut body = self.bodies.body(ANSWER_BYTES_MAX);
        while let Some(part) = reply.chunk().await.map_err(broken)? {
            body.push(&part).await.map_err(|limit| {
                let what = match limit {
                    BodyTooLarge::Bytes(most) => format!("its answer is larger than {most} bytes"),
                    BodyTooLarge::Values(most) => format!("its answer has more than {most} values"),
                };
                Miss::Failed { what, end: LookupEnd::Broken }
            })?;
        }
        Ok(body.done())
    }
}

impl LookupTransport for HttpLookup {
    fn post(&self, body: String, headers: TraceHeaders) -> LocalBoxFuture<'_, Result<Bytes, Miss>> {
        self.exchange(body, headers).boxed_local()
    }
}

/// The innermost cause says what happened; the outer ones that a request failed.
fn sentence(cause: &dyn std::error::Error) -> String {
    let mut innermost = cause;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    innermost.to_string()
}

/// `Retry-After` as seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn wait_in(retry_after: &str, now_ms: UnixMs) -> Option<Duration> {
    let text = retry_after.trim();
    let wait = text.parse().ok().map(Duration::from_secs).or_else(|| {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        Some(moment(&date)?.since(now_ms))
    });
    wait.map(|wait| wait.min(RETRY_AFTER_MAX))
}

/// Whether the vendor's API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It has failed several times in a row, or asked for it: it is left alone for a while.
    Open,
    /// The next call, or the one that is under way, finds out whether it is back.
    HalfOpen,
}

/// When a call began, and when it failed (times since the start).
#[derive(Clone, Copy, Debug)]
struct Times {
    begun: Duration,
    now: Duration,
}

/// Leaves an API that is down alone. Pure: time and chance are arguments.
///
/// An outage is one trouble, however many calls of however many orgs it meets: the wait grows by one step for each try
/// that began after the step before, not for each call that failed.
#[derive(Debug)]
struct Breaker {
    failures: u32,
    /// Nobody may ask before then (time since start).
    open_until: Option<Duration>,
    /// One call is finding out, until `open_until` at most.
    probing: bool,
    /// When the last step of the outage began, and until when it waits.
    step: Option<(Duration, Duration)>,
    delays: Delays,
    /// When the first of these failures was (time since start).
    first: Option<Duration>,
    /// It has asked for a long pause since it worked last.
    asked_for_long: bool,
    /// It has answered: one that fails may be down, and has only not failed often enough to say so.
    is_known: bool,
    /// What happened the last time that it failed.
    what: String,
}

impl Breaker {
    fn closed() -> Self {
        let delays = Delays::new(OPEN.0, OPEN.1);
        let (first, asked_for_long, is_known, what) = (None, false, false, String::new());
        let (failures, open_until, probing, step) = (0, None, false, None);
        Self { failures, open_until, probing, step, delays, first, asked_for_long, is_known, what }
    }

    /// Since when it fails, once it has failed so often that it is left alone, or asked to be for long.
    fn down_since(&self) -> Option<Duration> {
        self.first.filter(|_| self.failures >= FAILURES_MAX || self.asked_for_long)
    }

    /// Once the time has passed one caller may probe, for `probe` at most; the others ask soon what it has found.
    fn admit(&mut self, now: Duration, probe: Duration) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if now < until => {
                let left = until.saturating_sub(now);
                Err(if self.probing { left.min(OPEN.0) } else { left })
            }
            Some(_) if self.failures >= FAILURES_MAX => {
                (self.open_until, self.probing) = (Some(now + probe), true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a caller would meet now.
    fn state(&self, now: Duration) -> BreakerState {
        match self.open_until {
            Some(until) if now < until && !self.probing => BreakerState::Open,
            Some(_) if self.failures >= FAILURES_MAX => BreakerState::HalfOpen,
            _ => BreakerState::Closed,
        }
    }

    fn worked(&mut self) {
        (self.failures, self.open_until, self.probing, self.step) = (0, None, false, None);
        (self.first, self.asked_for_long, self.is_known) = (None, false, true);
        self.delays.reset();
    }

    /// The API failed on a call. Calls that were under way together count once, as one org's batch may have some odd records.
    fn failed_on_a_call(&mut self, times: Times, jitter: f64) -> Duration {
        if self.step.is_some_and(|(at, _)| times.begun <= at) {
            self.failures = self.failures.saturating_sub(1);
        }
        self.failed(times, None, jitter)
    }

    /// How long the caller should wait. What the API itself asks for holds for everybody.
    fn failed(&mut self, Times { begun, now }: Times, asked: Option<Duration>, jitter: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.probing = false;
        self.asked_for_long |= asked.is_some_and(|asked| asked >= LONG_PAUSE);
        self.first.get_or_insert(now);
        let until = match self.step {
            Some((at, until)) if begun <= at => until,
            _ => {
                let until = now + self.delays.next(jitter);
                self.step = Some((now, until));
                until
            }
        };
        let wait = until.saturating_sub(now).max(WAIT_MIN).max(asked.unwrap_or_default());
        if self.failures >= FAILURES_MAX || asked.is_some() {
            self.open_until = Some(now + wait);
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Duration = Duration::from_secs(10);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn at(second: u64) -> Times {
        Times { begun: secs(second), now: secs(second) }
    }

    #[test]
    fn five_failures_open_it_and_one_probe_closes_it() {
        let mut breaker = Breaker::closed();
        for second in 1..5 {
            breaker.failed(at(second), None, 1.0);
            assert_eq!(breaker.admit(secs(second), PROBE), Ok(()));
        }
        assert_eq!(breaker.state(secs(4)), BreakerState::Closed);
        assert_eq!(breaker.failed(at(5), None, 1.0), secs(2));
        assert_eq!(breaker.state(secs(6)), BreakerState::Open);
        assert_eq!(breaker.state(secs(7)), BreakerState::HalfOpen, "nobody has asked yet");
        assert_eq!(breaker.admit(secs(6), PROBE), Err(secs(1)));
        assert_eq!(breaker.admit(secs(7), PROBE), Ok(()), "the probe");
        assert_eq!(breaker.admit(secs(7), PROBE), Err(secs(1)), "only one");
        assert_eq!(breaker.state(secs(7)), BreakerState::HalfOpen, "it is under way");
        breaker.worked();
        assert_eq!(breaker.state(secs(7)), BreakerState::Closed);
        assert_eq!(breaker.admit(secs(7), PROBE), Ok(()));
    }

    /// Ten orgs ask while the API is down for a second: it is one outage, not ten.
    #[test]
    fn an_outage_takes_one_step_however_many_calls_it_meets() {
        let mut breaker = Breaker::closed();
        let began = |begun_ms, now_ms| Times {
            begun: Duration::from_millis(begun_ms),
            now: Duration::from_millis(now_ms),
        };
        assert_eq!(breaker.failed(began(0, 100), None, 1.0), secs(1));
        for org in 1..10 {
            let wait = breaker.failed(began(org, 100 + org), None, 1.0);
            assert_eq!(wait, Duration::from_millis(1_000 - org), "until the same moment");
        }
        assert_eq!(breaker.admit(secs(2), PROBE), Ok(()), "back after a second, it is asked");
        // It is still down: the next step, and no org waits for longer than the cap.
        for step in 2..50 {
            let now = secs(2 * step);
            assert!(breaker.failed(Times { begun: now, now }, None, 1.0) <= secs(2));
        }
    }

    #[test]
    fn the_apis_own_wish_holds_for_everybody() {
        let mut breaker = Breaker::closed();
        assert_eq!(breaker.failed(at(0), Some(secs(30)), 1.0), secs(30));
        assert_eq!(breaker.admit(secs(10), PROBE), Err(secs(20)));
        assert_eq!(breaker.down_since(), Some(secs(0)), "nobody can ask often enough to find that out");
        assert_eq!(breaker.failed(at(31), None, 1.0), secs(2));
        assert_eq!(breaker.down_since(), Some(secs(0)), "it is down until it answers");
        breaker.worked();
        assert_eq!(breaker.down_since(), None);
        breaker.failed(at(40), Some(secs(29)), 1.0);
        assert_eq!(breaker.down_since(), None, "a limit of its rate");
        let date = "Thu, 01 Jan 1970 00:01:40 GMT";
        for (text, now_ms, wait) in [
            (" 30 ", 0, Some(secs(30))),
            (" 99999999 ", 0, Some(RETRY_AFTER_MAX)),
            (date, 40_000, Some(secs(60))),
            (date, 200_000, Some(secs(0))),
            ("soon", 0, None),
        ] {
            assert_eq!(wait_in(text, UnixMs(now_ms)), wait, "{text} at {now_ms}");
        }
    }
}
