//! Traces: which work belongs together, from an event to its write, over the store and over restarts. Pure.
//!
//! Here: the IDs, which follow from what asked for the work, so that nothing has to be stored for them; which traces are told;
//! `traceparent`. Not here: the steps of a trace (`steps`), how spans are sent (`src/telemetry`).
//!
//! Invariant: the trace of an event is told as a whole or not at all, as whether it is follows from its ID alone.

pub(crate) mod spans;
pub(crate) mod steps;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::{clock::Clock, queue_entry::Origin};

/// Distinguishes these hashes from any others.
const DOMAIN: &str = "orgpipe trace 1";

/// How many of all traces are told.
///
/// As other programs decide it that sample by trace ID (OpenTelemetry, "TraceIdRatioBased"), so that a trace which your own
/// services share is told by all of them or by none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    /// Those are told whose number is below.
    below: u64,
}

impl Sampling {
    /// None is told.
    pub const NONE: Self = Self { below: 0 };

    /// This part of all, 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 2^63 is a whole number of 63 bits"
    )]
    pub fn ratio(ratio: f64) -> Self {
        const ALL: f64 = 9_223_372_036_854_775_808.0;
        Self { below: if ratio >= 1.0 { u64::MAX } else { (ratio.max(0.0) * ALL) as u64 } }
    }

    /// Whether any trace is told.
    pub fn is_on(self) -> bool {
        self.below > 0
    }

    fn tells(self, trace: u128) -> bool {
        // The last eight bytes without their lowest bit.
        let last = u64::try_from(trace & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        last >> 1 < self.below
    }
}

/// What asked for work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause<'a> {
    /// Why.
    pub origin: Origin,
    /// ID of the event, run, gap or push.
    pub event_id: &'a str,
    /// The event's own correlation ID, if it has one.
    pub correlation_id: Option<&'a str>,
}

/// A place in a trace (W3C Trace Context): what begins there has it as its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// Never 0.
    pub trace: TraceId,
    /// Never 0.
    pub span: SpanId,
    /// Whether the trace is told.
    pub sampled: bool,
}

/// As 32 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TraceId(pub u128);

/// As 16 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TraceContext {
    /// The root of the trace of what was asked for in this org: the same ones whenever and wherever it is worked on.
    pub(crate) fn root(org: &str, cause: Cause<'_>, sampling: Sampling) -> Self {
        // Pushes have numbers, as have events that bring no UUID.
        let kind = if cause.origin == Origin::Push { "push" } else { "event" };
        let hash = digest(&SHA256, [DOMAIN, org, kind, cause.event_id].join("\0").as_bytes());
        let mut bytes = hash.as_ref().iter().copied();
        let mut number = |count: usize| {
            bytes.by_ref().take(count).fold(0_u128, |number, byte| number << 8 | u128::from(byte))
        };
        let (trace, span) = (number(16).max(1), number(8).max(1));
        Self {
            trace: TraceId(trace),
            span: SpanId(u64::try_from(span).unwrap_or(u64::MAX)),
            sampled: sampling.tells(trace),
        }
    }

    /// Of work that belongs to no other.
    pub(crate) fn of_nobody(clock: Clock) -> Self {
        let (trace, span) =
            (u128::from_be_bytes(clock.random_bytes()), u64::from_be_bytes(clock.random_bytes()));
        Self { trace: TraceId(trace.max(1)), span: SpanId(span.max(1)), sampled: false }
    }

    /// A new place in the same trace.
    pub(crate) fn child(self, clock: Clock) -> Self {
        Self { span: SpanId(u64::from_be_bytes(clock.random_bytes()).max(1)), ..self }
    }

    /// As a header (W3C Trace Context, "traceparent Header").
    pub(crate) fn traceparent(self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn root(org: &str, origin: Origin, event_id: &str) -> TraceContext {
        TraceContext::root(org, Cause { origin, event_id, correlation_id: None }, Sampling::ratio(1.0))
    }

    #[test]
    fn a_trace_follows_from_org_and_event_alone() {
        let event = root("acme", Origin::Live, "uuid-1");
        assert_eq!(event, root("acme", Origin::Live, "uuid-1"), "before and after a restart");
        assert_eq!(event.trace, root("acme", Origin::Retry, "uuid-1").trace, "a retry goes on with it");
        let others = [
            root("acme", Origin::Live, "uuid-2"),
            root("globex", Origin::Live, "uuid-1"),
            root("acme", Origin::Live, "7"),
            root("acme", Origin::Push, "7"),
        ];
        let traces: BTreeSet<TraceId> = others.iter().chain([&event]).map(|one| one.trace).collect();
        assert_eq!(traces.len(), 5);
        // What runs now must not tell other IDs than what ran before it did.
        assert_eq!(event.trace.to_string(), "03b4ee48ee586429954a9222db430a92");
    }

    #[test]
    fn a_header_has_the_form_that_the_standard_gives_it() {
        let context = TraceContext { trace: TraceId(0xab), span: SpanId(0xc), sampled: true };
        assert_eq!(context.traceparent(), "00-000000000000000000000000000000ab-000000000000000c-01");
        let untold = TraceContext { sampled: false, ..context };
        assert!(untold.traceparent().ends_with("-00"));
        let child = context.child(Clock::start());
        assert_eq!((child.trace, child.sampled), (context.trace, true));
        assert_ne!(child.span, context.span);
    }

    #[test]
    fn about_as_many_traces_are_told_as_were_asked_for() {
        let told = |ratio: f64| {
            let sampling = Sampling::ratio(ratio);
            let ids = (0..10_000).map(|n: u32| n.to_string());
            let sampled = |id: &String| {
                let cause = Cause { origin: Origin::Live, event_id: id, correlation_id: None };
                TraceContext::root("acme", cause, sampling).sampled
            };
            ids.filter(sampled).count()
        };
        assert_eq!((told(0.0), told(-1.0), told(1.0), told(2.0)), (0, 0, 10_000, 10_000));
        for ratio in [0.01, 0.1, 0.5] {
            let expected = 10_000.0 * ratio;
            let told = f64::from(u32::try_from(told(ratio)).expect("few"));
            assert!((told - expected).abs() < 5.0 * expected.sqrt(), "{told} of {expected}");
        }
        assert!(!Sampling::ratio(0.0).is_on() && Sampling::ratio(0.01).is_on() && !Sampling::NONE.is_on());
    }

    #[test]
    fn the_last_eight_bytes_decide_without_their_lowest_bit() {
        let half = Sampling::ratio(0.5);
        assert!(half.tells(u128::MAX << 64 | 0x7fff_ffff_ffff_ffff));
        assert!(!half.tells(0x8000_0000_0000_0000));
        assert!(Sampling::ratio(1.0).tells(u128::MAX));
    }
}
