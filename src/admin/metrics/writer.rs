//! Writes metrics with their samples in the text that was asked for.
//!
//! Here: from a metric and its samples to the library's encoder. Not here: which metrics there are (`catalogue`), the formats
//! themselves (prometheus-client).

use std::fmt::Result;

use orgpipe_actors::measure::HistogramView;
use orgpipe_store::UnixMs;
use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use super::catalogue::{Metric, MetricKind};

/// The labels of a sample, in the order of the metric's.
pub(super) type Labels<'s, const N: usize> = [(&'static str, &'s str); N];

/// Where metrics are written.
pub(super) struct Writer<'w>(pub(super) DescriptorEncoder<'w>);

impl Writer<'_> {
    /// A counter.
    pub(super) fn counters<'s, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (Labels<'s, N>, u64)>,
    ) -> Result {
        self.each(metric, samples, |encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// A counter of something that is not counted one by one.
    pub(super) fn counters_of_parts<'s, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (Labels<'s, N>, f64)>,
    ) -> Result {
        self.each(metric, samples, |encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// A gauge.
    pub(super) fn gauges<'s, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (Labels<'s, N>, f64)>,
    ) -> Result {
        self.each(metric, samples, |encoder, value| encoder.encode_gauge(&value))
    }

    /// A histogram.
    pub(super) fn histograms<'s, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (Labels<'s, N>, &'s HistogramView)>,
    ) -> Result {
        self.each(metric, samples, |encoder, view| {
            // The library takes the largest number there is for infinity.
            let bounds = view.bounds.iter().copied().chain([f64::MAX]);
            let classes: Vec<(f64, u64)> = bounds.zip(view.counts.iter().copied()).collect();
            encoder.encode_histogram::<NoLabelSet>(view.sum_secs, view.count, &classes, None)
        })
    }

    fn each<'s, T, const N: usize>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (Labels<'s, N>, T)>,
        write: impl Fn(&mut MetricEncoder<'_>, T) -> Result,
    ) -> Result {
        debug_assert_eq!(N, metric.labels.len(), "{}", metric.name);
        let kind = match metric.kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
            MetricKind::Histogram => MetricType::Histogram,
        };
        let mut encoder = self.0.encode_descriptor(metric.name, metric.help, None, kind)?;
        for (labels, value) in samples {
            if N == 0 {
                write(&mut encoder, value)?;
            } else {
                write(&mut encoder.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}

/// Exact up to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// Milliseconds, or a moment in them, in seconds.
pub(super) fn secs(millis: u64) -> f64 {
    number(millis) / 1000.0
}

/// A moment, Unix seconds.
pub(super) fn moment(at: UnixMs) -> f64 {
    secs(at.0)
}
