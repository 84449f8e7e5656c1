//! Traces: the spans that are told to an OpenTelemetry collector.
//!
//! Here: when that begins and ends. Not here: how many were told (`outcome`), which spans there are and how they hang together
//! (`orgpipe_actors`), from a span of `tracing` to one of OpenTelemetry (`layer`), sending (`collector`).
//!
//! Invariant: nobody waits for the collector. What finds no room in the queue is lost, and counted.

#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
pub(crate) mod layer;
pub(crate) mod outcome;

use self::outcome::TraceError;
use crate::config::TraceSettings;

/// From now on spans that are told go to this collector.
#[cfg(feature = "otlp")]
pub(crate) fn begin(settings: &TraceSettings) -> Result<(), TraceError> {
    collector::start(settings)
}

/// From now on spans that are told go to this collector.
#[cfg(not(feature = "otlp"))]
pub(crate) fn begin(_: &TraceSettings) -> Result<(), TraceError> {
    Err(TraceError::NotBuilt)
}

/// Sends what waits, as much as can be sent in a moment.
pub(crate) fn end() {
    #[cfg(feature = "otlp")]
    collector::end();
}
