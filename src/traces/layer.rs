//! From spans of `tracing` to spans of OpenTelemetry.
//!
//! Here: which are told, and what their fields become. Not here: which spans there are (`orgpipe_actors`), where they go
//! (`collector`).
//!
//! A span that names its trace is told if it says `sampled`; one that does not belongs to the closest one around it that is told,
//! if any. So IDs are those that stand in `traceparent` and in the log, and are the same after a restart, for which
//! `tracing-opentelemetry` has no way.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use orgpipe_actors::clock::Clock;
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::collector;

/// Where the spans are made that may be told.
const TARGET: &str = "orgpipe_actors::trace";

/// The spans that may be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OurSpans;

impl<S> Filter<S> for OurSpans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_span() && metadata.target().starts_with(TARGET)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        if metadata.is_span() && metadata.target().starts_with(TARGET) {
            tracing::subscriber::Interest::always()
        } else {
            tracing::subscriber::Interest::never()
        }
    }
}

/// Hands spans to the collector once there is one.
#[derive(Debug)]
pub(crate) struct SpanLayer {
    clock: Clock,
    /// Makes span IDs that nobody else makes.
    seed: u64,
    made: AtomicU64,
}

impl SpanLayer {
    /// Nothing is told before there is a collector.
    pub(crate) fn new() -> Self {
        let clock = Clock::start();
        Self { clock, seed: u64::from_be_bytes(clock.random_bytes()), made: AtomicU64::new(0) }
    }

    /// An ID of a span that names none.
    fn span_id(&self) -> SpanId {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        SpanId::from_bytes(mixed(self.seed.wrapping_add(number.wrapping_mul(GOLDEN))).max(1).to_be_bytes())
    }
}

/// Odd, so that all numbers come before one comes again; with [`mixed`] it is SplitMix64 (Steele et al., 2014).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A span that is told, before its end.
#[derive(Debug)]
struct OpenSpan {
    context: SpanContext,
    parent: SpanId,
    start: SystemTime,
    fields: SentFields,
}

impl<S> Layer<S> for SpanLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !collector::is_open() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let mut fields = SentFields::default();
        attributes.record(&mut fields);
        let place = match fields.trace {
            Some(trace) if fields.sampled => {
                Some((trace, fields.span.unwrap_or_else(|| self.span_id()), fields.parent))
            }
            Some(_) => None,
            None => span.parent().and_then(|parent| {
                let told = |span: &tracing_subscriber::registry::SpanRef<'_, S>| {
                    let extensions = span.extensions();
                    let open = extensions.get::<OpenSpan>()?;
                    Some((open.context.trace_id(), open.context.span_id()))
                };
                let (trace, parent) = told(&parent)?;
                Some((trace, self.span_id(), Some(parent)))
            }),
        };
        let Some((trace, span_id, parent)) = place else { return };
        let start = fields.start.unwrap_or_else(|| self.clock.wall());
        let context = SpanContext::new(trace, span_id, TraceFlags::SAMPLED, false, TraceState::NONE);
        let parent = parent.unwrap_or(SpanId::INVALID);
        span.extensions_mut().insert(OpenSpan { context, parent, start, fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<OpenSpan>() {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<OpenSpan>() else { return };
        collector::offer(told(span.name(), open, self.clock.wall()));
    }
}

fn told(name: &'static str, open: OpenSpan, end_time: SystemTime) -> SpanData {
    let OpenSpan { context, parent, start, fields } = open;
    let mut links = SpanLinks::default();
    links.links = fields.links;
    SpanData {
        span_context: context,
        parent_span_id: parent,
        parent_span_is_remote: false,
        span_kind: fields.kind,
        name: fields.name.map_or(name.into(), Into::into),
        start_time: start,
        end_time: end_time.max(start),
        attributes: fields.attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: fields.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("orgpipe")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

/// What the fields of a span say.
#[derive(Debug)]
struct SentFields {
    name: Option<String>,
    kind: SpanKind,
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    sampled: bool,
    start: Option<SystemTime>,
    links: Vec<Link>,
    error: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Default for SentFields {
    fn default() -> Self {
        Self {
            name: None,
            kind: SpanKind::Internal,
            trace: None,
            span: None,
            parent: None,
            sampled: false,
            start: None,
            links: Vec::new(),
            error: None,
            attributes: Vec::new(),
        }
    }
}

impl SentFields {
    /// OpenTelemetry's names for those that have others in the log.
    fn attribute(&mut self, name: &'static str, value: impl Into<Value>) {
        let name = match name {
            "org" => "orgpipe.org",
            "sync" => "orgpipe.sync",
            "channel" => "messaging.destination.name",
            "correlation_id" => "messaging.message.conversation_id",
            name => name,
        };
        self.attributes.push(KeyValue::new(name, value));
    }

    fn text(&mut self, name: &'static str, text: &str) {
        match name {
            "otel.name" => self.name = Some(text.to_owned()),
            "otel.kind" => {
                self.kind = match text {
                    "client" => SpanKind::Client,
                    "consumer" => SpanKind::Consumer,
                    _ => SpanKind::Internal,
                }
            }
            "trace_id" => self.trace = TraceId::from_hex(text).ok(),
            "span_id" => self.span = SpanId::from_hex(text).ok(),
            "parent_id" => self.parent = SpanId::from_hex(text).ok(),
            "links" => self.links = text.split(',').filter_map(link).collect(),
            "error.type" => {
                self.error = Some(text.to_owned());
                self.attribute(name, text.to_owned());
            }
            _ => self.attribute(name, text.to_owned()),
        }
    }
}

/// A link as a trace's and a span's ID with a dash between.
fn link(text: &str) -> Option<Link> {
    let (trace, span) = text.split_once('-')?;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
    Some(Link::new(context, Vec::new(), 0))
}

impl Visit for SentFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "sampled" => self.sampled = value,
            name => self.attribute(name, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "start_ms" => self.start = Some(UNIX_EPOCH + Duration::from_millis(value)),
            name => self.attribute(name, i64::try_from(value).unwrap_or(i64::MAX)),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field.name(), value);
    }
}
