//! How long things took, in classes with fixed bounds.
//!
//! Here: counting into classes, what came between two looks, and a quantile of it. Not here: how a metric is written.
//!
//! Invariant: two views of one histogram have the same bounds, and no count of a later one is smaller.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Counts durations, or other values that are not negative, by class. Shared by reference; no lock.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One class more than there are bounds: what is larger than all of them.
    counts: Box<[AtomicU64]>,
    /// Millionths, so that a sum is added without a lock: good for half a million years.
    sum_millionths: AtomicU64,
}

impl Histogram {
    /// Classes up to and including each of these bounds, which grow, and one for what is larger.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_millionths: AtomicU64::new(0) }
    }

    /// Something took so long.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.add(took.as_secs_f64(), micros);
    }

    /// Something had this size.
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^52")]
    pub fn record_size(&self, size: u64) {
        self.add(size as f64, size.saturating_mul(1_000_000));
    }

    fn add(&self, value: f64, millionths: u64) {
        let class = self.bounds.partition_point(|bound| *bound < value);
        self.counts[class].fetch_add(1, Ordering::Relaxed);
        self.sum_millionths.fetch_add(millionths, Ordering::Relaxed);
    }

    /// What was counted so far. Taken while others count, it may lack the sum of what has just been counted.
    #[expect(clippy::cast_precision_loss, reason = "a sum is not exact anyway")]
    pub fn view(&self) -> HistogramView {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        HistogramView {
            bounds: self.bounds,
            count: counts.iter().sum(),
            counts,
            sum_secs: self.sum_millionths.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

/// A histogram at one moment, or what came between two.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramView {
    /// The upper bounds of all classes but the last, which has none; seconds, if durations were counted.
    pub bounds: &'static [f64],
    /// How much fell in each class; one more than there are bounds, or none if nothing was ever looked at.
    pub counts: Vec<u64>,
    /// The sum of all that was counted; seconds, if durations were counted.
    pub sum_secs: f64,
    /// How much was counted.
    pub count: u64,
}

impl HistogramView {
    /// What has come since an earlier view of the same histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |class: usize| earlier.counts.get(class).copied().unwrap_or_default();
        let counts: Vec<u64> = self
            .counts
            .iter()
            .enumerate()
            .map(|(class, count)| count.saturating_sub(before(class)))
            .collect();
        Self {
            bounds: self.bounds,
            count: counts.iter().sum(),
            counts,
            sum_secs: (self.sum_secs - earlier.sum_secs).max(0.0),
        }
    }

    /// This and another of the same bounds together.
    pub fn plus(mut self, other: &Self) -> Self {
        if self.counts.is_empty() {
            return other.clone();
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum_secs += other.sum_secs;
        self.count += other.count;
        self
    }

    /// The value that this part (0 to 1) of all stays below, as evenly spread within a class as Prometheus takes it to be;
    /// none if nothing was counted. Beyond the last bound nothing can be told, so it is the answer then.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let (wanted, last) = (part.clamp(0.0, 1.0) * self.count as f64, *self.bounds.last()?);
        let (mut below, mut lower) = (0_u64, 0.0);
        for (count, upper) in self.counts.iter().zip(self.bounds) {
            if *count > 0 && (below + count) as f64 >= wanted {
                let within = (wanted - below as f64) / *count as f64;
                return Some(lower + (upper - lower) * within);
            }
            (below, lower) = (below + count, *upper);
        }
        (self.count > 0).then_some(last)
    }

    /// The mean; none if nothing was counted.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_secs / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: &[f64] = &[0.1, 1.0, 10.0];

    fn of(millis: &[u64]) -> Histogram {
        let histogram = Histogram::new(BOUNDS);
        for millis in millis {
            histogram.record(Duration::from_millis(*millis));
        }
        histogram
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it_and_what_is_larger_than_all_is_counted_too() {
        let view = of(&[0, 100, 101, 1_000, 10_000, 10_001]).view();
        assert_eq!((view.counts, view.count), (vec![2, 2, 1, 1], 6));
        assert!((view.sum_secs - 21.202).abs() < 1e-9, "{}", view.sum_secs);
        let sizes = Histogram::new(BOUNDS);
        sizes.record_size(3);
        assert_eq!((sizes.view().counts, sizes.view().sum_secs), (vec![0, 0, 1, 0], 3.0));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let histogram = of(&[50, 500]);
        let earlier = histogram.view();
        histogram.record(Duration::from_millis(500));
        let since = histogram.view().since(&earlier);
        assert_eq!((since.counts.clone(), since.count), (vec![0, 1, 0, 0], 1));
        assert_eq!(since.plus(&earlier).counts, histogram.view().counts);
        assert_eq!(histogram.view().since(&HistogramView::default()), histogram.view());
        assert_eq!(HistogramView::default().plus(&earlier), earlier);
    }

    #[test]
    fn a_quantile_lies_in_its_class_and_of_nothing_there_is_none() {
        for (millis, part, quantile) in [
            (&[][..], 0.5, None),
            (&[50, 50], 0.5, Some(0.05)),
            (&[50, 500], 1.0, Some(1.0)),
            (&[500, 500, 500, 500], 0.5, Some(0.55)),
            (&[60_000], 0.5, Some(10.0)),
        ] {
            let found = of(millis).view().quantile(part);
            match (found, quantile) {
                (Some(found), Some(quantile)) => {
                    assert!((found - quantile).abs() < 1e-9, "{found} {quantile}");
                }
                _ => assert_eq!(found, quantile, "{millis:?}"),
            }
        }
        assert_eq!(HistogramView::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_no_more_than_a_class_away_from_the_value(
            mut millis in prop::collection::vec(0_u64..9_999, 1..50),
            part in 0.0..=1.0_f64,
        ) {
            let found = of(&millis).view().quantile(part).expect("there are some");
            millis.sort_unstable();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let at = ((part * millis.len() as f64).ceil() as usize).clamp(1, millis.len()) - 1;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let exact = millis[at] as f64 / 1000.0;
            let class = |value: f64| BOUNDS.partition_point(|bound| *bound < value);
            prop_assert!(class(exact).abs_diff(class(found)) <= 1, "{found} for {exact}");
        }
    }
}
