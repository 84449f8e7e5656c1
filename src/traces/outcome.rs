//! What became of the spans: how many were told, and why none can be.
//!
//! Here: the counters and the errors. Not here: who counts (`collector`).

use std::sync::atomic::{AtomicU64, Ordering};

/// Spans that a collector has taken.
pub(super) static SENT: AtomicU64 = AtomicU64::new(0);
/// Spans that found no room, or that it did not take.
pub(super) static LOST: AtomicU64 = AtomicU64::new(0);

/// How many spans were told since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanCounts {
    /// A collector has taken them.
    pub(crate) sent: u64,
    /// They found no room, or it did not take them.
    pub(crate) lost: u64,
}

/// What became of the spans so far.
pub(crate) fn counts() -> SpanCounts {
    SpanCounts { sent: SENT.load(Ordering::Relaxed), lost: LOST.load(Ordering::Relaxed) }
}

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// The exporter cannot be made of the settings.
    #[cfg(feature = "otlp")]
    #[error("traces cannot be sent to the collector")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The TLS library cannot start.
    #[cfg(feature = "otlp")]
    #[error("traces cannot be sent to the collector")]
    Http(#[from] reqwest::Error),
    /// There can be no further thread.
    #[cfg(feature = "otlp")]
    #[error("the thread that sends traces cannot be started")]
    Thread(#[from] std::io::Error),
    /// It is begun already.
    #[cfg(feature = "otlp")]
    #[error("traces are sent already")]
    Twice,
    /// This program cannot.
    #[cfg(not(feature = "otlp"))]
    #[error("this orgpipe was built without the feature `otlp`, so it sends no traces")]
    NotBuilt,
}
