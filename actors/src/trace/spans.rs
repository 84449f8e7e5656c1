//! The spans, as `tracing` has them.
//!
//! Here: their names and fields. Not here: when they begin and end (`steps`, and who makes calls), which of them are told
//! and how (`src/telemetry`).
//!
//! What stands in the fields `otel.*`, `trace_id`, `span_id`, `parent_id`, `sampled`, `links` and `start_ms` is for whoever sends
//! spans; `org`, `channel`, `sync`, `correlation_id` and `trace_id` stand in each line of the log that is written within; the
//! rest are attributes by OpenTelemetry's conventions. No value of a record is in any of them.
//!
//! All are of the level `error`: a span is there wherever a line may be written that belongs to it.

use orgpipe_salesforce::call::{Call, Method};
use orgpipe_store::UnixMs;
use tracing::{Span, field::Empty};

use super::TraceContext;

/// All that one part of an org does.
pub(crate) fn part(org: &str, part: &'static str) -> Span {
    tracing::error_span!("part", org, part)
}

/// What a step is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// The org.
    pub org: &'a str,
    /// What is done, and to what.
    pub name: (&'static str, &'a str),
    /// The sync, if it is one's.
    pub sync: Option<&'a str>,
    /// Records or changes, if that is known.
    pub records: Option<u64>,
}

/// A step of the work, at `own`, of what was asked for by `root`.
pub(crate) fn step(
    about: About<'_>,
    root: TraceContext,
    own: TraceContext,
    correlation_id: Option<&str>,
    links: Option<&str>,
) -> Span {
    let About { org, name: (what, to), sync, records } = about;
    tracing::error_span!(
        "step",
        otel.name = %format_args!("{what} {to}"),
        otel.kind = "internal",
        org,
        sync,
        correlation_id,
        trace_id = %own.trace,
        span_id = %own.span,
        parent_id = %root.span,
        sampled = own.sampled,
        links,
        orgpipe.records = records,
        "error.type" = Empty,
    )
}

/// Where a trace begins: an event that was delivered.
pub(crate) fn event(
    org: &str,
    channel: &str,
    event_id: &str,
    root: TraceContext,
    correlation_id: Option<&str>,
) -> Span {
    tracing::error_span!(
        "event",
        otel.name = %format_args!("receive {channel}"),
        otel.kind = "consumer",
        org,
        channel,
        correlation_id,
        trace_id = %root.trace,
        span_id = %root.span,
        sampled = root.sampled,
        messaging.system = "salesforce",
        messaging.operation.name = "receive",
        messaging.operation.type = "receive",
        messaging.message.id = event_id,
        "error.type" = Empty,
    )
}

/// Where a trace begins that nobody published: told once that has ended which began at `since_ms`.
pub(crate) fn run(org: &str, name: (&str, &str), root: TraceContext, since_ms: UnixMs, records: u64) -> Span {
    let (what, to) = name;
    tracing::error_span!(
        "run",
        otel.name = %format_args!("{what} {to}"),
        otel.kind = "internal",
        org,
        trace_id = %root.trace,
        span_id = %root.span,
        sampled = root.sampled,
        start_ms = since_ms.0,
        orgpipe.records = records,
    )
}

/// A call to an org's API, of which the path may name records, within the step that makes it.
pub(crate) fn salesforce(call: &Call, host: Option<&str>) -> Span {
    let (method, kind) = (method(call.method), call.kind.name());
    tracing::error_span!(
        "salesforce",
        otel.name = %format_args!("salesforce {kind}"),
        otel.kind = "client",
        peer.service = "salesforce",
        http.request.method = method,
        http.response.status_code = Empty,
        server.address = host,
        orgpipe.call = kind,
        "error.type" = Empty,
    )
}

/// A call to the vendor's API, at `own` within the step at `parent`.
pub(crate) fn vendor(
    host: &str,
    path: &'static str,
    own: TraceContext,
    parent: TraceContext,
    records: Option<u64>,
) -> Span {
    tracing::error_span!(
        "vendor",
        otel.name = %format_args!("POST {path}"),
        otel.kind = "client",
        trace_id = %own.trace,
        span_id = %own.span,
        parent_id = %parent.span,
        sampled = own.sampled,
        http.request.method = "POST",
        http.response.status_code = Empty,
        server.address = host,
        orgpipe.records = records,
        "error.type" = Empty,
    )
}

/// The HTTP status that a call was answered with; from 400 on it is an error.
pub(crate) fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 400 {
        span.record("error.type", tracing::field::display(status));
    }
}

/// What kind of error a span ended with.
pub(crate) fn failed(span: &Span, class: &str) {
    span.record("error.type", class);
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    }
}
