//! The history as it is told: evenly spaced points, whatever they were kept as.
//!
//! Here: pure. Not here: reading the samples (`service/history.rs`).
//!
//! Invariant: a point in which the service did not run has no numbers, and one in which an org did nothing has zeros.

use std::collections::BTreeMap;

use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Sample, api_share, lag_ms, levels::Level};

const MINUTE_MS: u64 = 60_000;

/// How far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub enum HistorySpan {
    /// The last hour, minute by minute.
    #[serde(rename = "1h")]
    Hour,
    /// The last 24 hours, by 5 minutes.
    #[serde(rename = "24h")]
    Day,
    /// The last 7 days, by half hours.
    #[serde(rename = "7d")]
    Week,
    /// The last 30 days, by 2 hours.
    #[serde(rename = "30d")]
    Month,
}

impl HistorySpan {
    /// All there are, shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// As it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }

    /// Minutes in all, and from one point to the next.
    pub(crate) fn mins(self) -> (u32, u32) {
        match self {
            Self::Hour => (60, 1),
            Self::Day => (24 * 60, 5),
            Self::Week => (7 * 24 * 60, 30),
            Self::Month => (30 * 24 * 60, 120),
        }
    }
}

/// What one org, or all of them, did.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct History {
    /// The org; none: the whole service.
    pub org: Option<String>,
    /// How far back.
    pub span: HistorySpan,
    /// Seconds from one point to the next.
    pub step_secs: u64,
    /// Oldest first.
    pub points: Vec<HistoryPoint>,
}

/// One point. No number is there where the service did not run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct HistoryPoint {
    /// When it begins.
    pub at_ms: UnixMs,
    /// Events stored.
    pub events: Option<u64>,
    /// Records asked for.
    pub records_in: Option<u64>,
    /// Records written.
    pub written: Option<u64>,
    /// Records that ended as dead letters.
    pub failed: Option<u64>,
    /// API calls of ours.
    pub calls: Option<u64>,
    /// The 95th percentile of the time from event to write, of the worst minute, to about 5 %; none if nothing was written.
    pub lag_p95_ms: Option<u64>,
    /// Records under way at the end.
    pub open: Option<u64>,
    /// Part of the API calls of the org's day that was used at the end, by everybody; none until known.
    pub api_used_share: Option<f64>,
}

/// Samples of one org as they are kept, the finest of each moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// By first minute, with the minutes of each.
    samples: BTreeMap<u32, (u32, Sample)>,
    /// Hours that a finer level covers, however little is in them.
    covered: Vec<(u32, u32)>,
}

impl Timeline {
    /// Samples of a value; to be called with finer levels first, but with minutes before the journal.
    pub(crate) fn add(&mut self, level: Level, start: u32, series: &[(u32, Sample)]) {
        for (slot, sample) in series {
            let minute = start + slot * level.sample_mins();
            if !self.covered.iter().any(|(from, until)| (*from..*until).contains(&minute)) {
                self.samples.insert(minute, (level.sample_mins(), *sample));
            }
        }
    }

    /// A finer level has this; what coarser ones say of it is the same once more.
    pub(crate) fn cover(&mut self, start: u32, mins: u32) {
        self.covered.push((start, start + mins));
    }

    /// What there was by steps of `step` minutes from `from`, spread evenly where samples are longer than a step.
    fn steps(&self, from: u32, step: u32, count: u32) -> BTreeMap<u32, Sample> {
        let mut steps: BTreeMap<u32, Sample> = BTreeMap::new();
        for (minute, (mins, sample)) in &self.samples {
            let parts = mins.div_ceil(step).max(1);
            for part in 0..parts {
                let Some(behind) = (minute + part * step).checked_sub(from) else { continue };
                let at = behind / step;
                if at < count {
                    let sample = sample.part(u64::from(part), u64::from(parts));
                    steps.entry(at).and_modify(|known| *known = known.then(sample)).or_insert(sample);
                }
            }
        }
        steps
    }

    /// The last sample that began before a minute.
    fn before(&self, minute: u32) -> Option<Sample> {
        self.samples.range(..minute).next_back().map(|(_, (_, sample))| *sample)
    }
}

/// The points of `span` that end with minute `end`, by what the whole service and the org did.
pub(crate) fn points(span: HistorySpan, end: u32, all: &Timeline, org: &Timeline) -> Vec<HistoryPoint> {
    let (mins, step) = span.mins();
    let (from, count) = (end.saturating_sub(mins), mins / step);
    let (ran, did) = (all.steps(from, step, count), org.steps(from, step, count));
    let mut stood = org.before(from).unwrap_or_default();
    let mut points = Vec::new();
    for at in 0..count {
        let at_ms = UnixMs(u64::from(from + at * step) * MINUTE_MS);
        let sample = did.get(&at).copied();
        stood = sample.map_or(stood, |sample| Sample::default().then(stood).then(sample));
        points.push(if ran.contains_key(&at) || sample.is_some() {
            point(at_ms, sample.unwrap_or_default(), stood)
        } else {
            HistoryPoint { at_ms, ..HistoryPoint::default() }
        });
    }
    points
}

fn point(at_ms: UnixMs, sample: Sample, stood: Sample) -> HistoryPoint {
    HistoryPoint {
        at_ms,
        events: Some(sample.events),
        records_in: Some(sample.records_in),
        written: Some(sample.written),
        failed: Some(sample.failed),
        calls: Some(sample.calls),
        lag_p95_ms: lag_ms(sample.lag),
        open: Some(stood.open),
        api_used_share: api_share(stood.api),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(events: u64, open: u64) -> Sample {
        Sample { events, open, api: 11, ..Sample::default() }
    }

    #[test]
    fn a_minute_in_which_nothing_ran_has_no_numbers_and_one_in_which_an_org_rested_has_zeros() {
        let (mut all, mut one) = (Timeline::default(), Timeline::default());
        all.add(Level::Minutes, 1_000, &[(0, sample(9, 9)), (50, sample(9, 9)), (52, sample(9, 9))]);
        one.add(Level::Minutes, 1_000, &[(0, sample(5, 2)), (52, sample(3, 0))]);
        let points = points(HistorySpan::Hour, 1_060, &all, &one);
        assert_eq!((points.len(), points[0].at_ms), (60, UnixMs(1_000 * 60_000)));
        assert_eq!(
            (points[0].events, points[0].open, points[0].api_used_share),
            (Some(5), Some(2), Some(0.01))
        );
        assert_eq!(points[1], HistoryPoint { at_ms: UnixMs(1_001 * 60_000), ..HistoryPoint::default() });
        assert_eq!((points[50].events, points[50].open), (Some(0), Some(2)), "it stands as it stood");
        assert_eq!((points[52].events, points[52].open), (Some(3), Some(0)));
        assert_eq!(points[52].lag_p95_ms, None, "nothing was written");
    }

    #[test]
    fn what_several_levels_tell_counts_once_and_what_is_coarser_than_a_point_is_spread() {
        let (mut all, begin) = (Timeline::default(), 24_000 * 60);
        let minutes: Vec<(u32, Sample)> = (0..60).map(|slot| (slot, sample(1, 0))).collect();
        all.add(Level::Minutes, begin + 300, &minutes);
        all.cover(begin + 300, 60);
        all.add(Level::Journal, begin + 360, &[(0, sample(7, 0))]);
        let quarters: Vec<(u32, Sample)> = (0..24).map(|slot| (slot, sample(15, 0))).collect();
        all.add(Level::Quarters, begin, &quarters);
        all.cover(begin, 360);
        all.add(Level::Hours, begin, &[(0, sample(60, 0)), (5, sample(60, 0))]);
        let sum = |span: HistorySpan| {
            let points = points(span, begin + 361, &all, &all);
            assert_eq!(points.len(), (span.mins().0 / span.mins().1) as usize);
            assert!(points.len() <= 400, "{span:?}");
            points.iter().filter_map(|point| point.events).sum::<u64>()
        };
        assert_eq!(sum(HistorySpan::Hour), 59 + 7);
        for span in [HistorySpan::Day, HistorySpan::Week, HistorySpan::Month] {
            assert_eq!(sum(span), 360 + 7, "{span:?}");
        }
        let day = points(HistorySpan::Day, begin + 361, &all, &all);
        let told: Vec<u64> = day.iter().filter_map(|point| point.events).take(6).collect();
        assert_eq!(told, [5; 6], "a quarter is three points");
    }

    #[test]
    fn spans_are_known_by_name() {
        for span in HistorySpan::ALL {
            assert_eq!(HistorySpan::named(span.name()), Some(span));
        }
        assert_eq!(HistorySpan::named("2h"), None);
    }
}
