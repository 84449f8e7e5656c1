//! Charts of the history, each with its numbers as a table for those who do not see it.
//!
//! Here: which numbers make a chart; pure. Not here: drawing (`assets/app.js`), the history (`Service::history`).

use orgpipe_actors::{History, HistoryPoint, HistorySpan};
use serde_json::json;

use super::words;

/// Rows of a chart's table at most; points between are added up or their largest is taken.
const ROWS_MAX: usize = 24;

/// Numbers over time.
pub(crate) struct Chart {
    pub(crate) name: &'static str,
    /// What is counted.
    pub(crate) told: &'static str,
    /// For those who do not see it.
    pub(crate) label: String,
    /// As `app.js` takes it.
    pub(crate) data: String,
    pub(crate) names: Vec<&'static str>,
    /// When, and the value of each line then.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// Another length of time.
pub(crate) struct SpanLink {
    pub(crate) name: &'static str,
    pub(crate) href: String,
    pub(crate) is_chosen: bool,
}

/// The span of this name; a day for any other.
pub(crate) fn span(name: &str) -> HistorySpan {
    HistorySpan::named(name).unwrap_or(HistorySpan::Day)
}

/// Links to all of them.
pub(crate) fn links(page: &str, chosen: HistorySpan) -> Vec<SpanLink> {
    let link = |span: HistorySpan| SpanLink {
        name: span.name(),
        href: format!("{page}?span={}", span.name()),
        is_chosen: span == chosen,
    };
    HistorySpan::ALL.into_iter().map(link).collect()
}

/// How points become one.
#[derive(Clone, Copy)]
enum Together {
    Sum,
    Largest,
}

/// A line of a chart.
type Series = (&'static str, fn(&HistoryPoint) -> Option<f64>, Together);

struct ChartKind {
    name: &'static str,
    told: &'static str,
    unit: &'static str,
    shown: fn(f64) -> String,
    series: &'static [Series],
}

#[expect(clippy::cast_precision_loss, reason = "a chart shows three digits")]
fn number(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

const KINDS: &[ChartKind] = &[
    ChartKind {
        name: "Throughput",
        told: "records in each step of time",
        unit: "count",
        shown: counted,
        series: &[
            ("asked for", |point| number(point.records_in), Together::Sum),
            ("written", |point| number(point.written), Together::Sum),
            ("dead letters", |point| number(point.failed), Together::Sum),
        ],
    },
    ChartKind {
        name: "Lag",
        told: "from event to write, 95th percentile",
        unit: "ms",
        shown: |value| words::millis(whole(value)),
        series: &[("lag", |point| number(point.lag_p95_ms), Together::Largest)],
    },
    ChartKind {
        name: "API calls",
        told: "of ours in each step of time",
        unit: "count",
        shown: counted,
        series: &[("calls", |point| number(point.calls), Together::Sum)],
    },
    ChartKind {
        name: "Under way",
        told: "records at the end of each step of time",
        unit: "count",
        shown: counted,
        series: &[("under way", |point| number(point.open), Together::Largest)],
    },
];

fn counted(value: f64) -> String {
    words::count(whole(value))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are not negative, and small"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

/// All charts of a history; none as long as nothing is known.
pub(crate) fn of_history(history: &History) -> Vec<Chart> {
    if history.points.iter().all(|point| point.records_in.is_none()) {
        return Vec::new();
    }
    KINDS.iter().map(|kind| chart(kind, &history.points)).collect()
}

fn chart(kind: &ChartKind, points: &[HistoryPoint]) -> Chart {
    let xs: Vec<u64> = points.iter().map(|point| point.at_ms.0 / 1_000).collect();
    let series: Vec<_> = kind
        .series
        .iter()
        .map(|(name, value, _)| json!({ "name": name, "ys": points.iter().map(value).collect::<Vec<_>>() }))
        .collect();
    let last = points.iter().rev().find_map(|point| kind.series[0].1(point));
    let label = match last {
        Some(last) => format!("{}, {}; the last is {}", kind.name, kind.told, (kind.shown)(last)),
        None => format!("{}, {}; nothing is known", kind.name, kind.told),
    };
    Chart {
        name: kind.name,
        told: kind.told,
        label,
        data: json!({ "unit": kind.unit, "xs": xs, "series": series }).to_string(),
        names: kind.series.iter().map(|(name, _, _)| *name).collect(),
        rows: rows(kind, points),
    }
}

/// Newest first.
fn rows(kind: &ChartKind, points: &[HistoryPoint]) -> Vec<(String, Vec<String>)> {
    let some = points.len().div_ceil(ROWS_MAX).max(1);
    let row = |points: &[HistoryPoint]| {
        let values = kind.series.iter().map(|(_, value, together)| {
            let known: Vec<f64> = points.iter().filter_map(value).collect();
            if known.is_empty() {
                return "–".to_owned();
            }
            (kind.shown)(match together {
                Together::Sum => known.iter().sum(),
                Together::Largest => known.iter().copied().fold(0.0, f64::max),
            })
        });
        (words::moment(points[0].at_ms), values.collect())
    };
    points.chunks(some).rev().map(row).collect()
}

#[cfg(test)]
mod tests {
    use orgpipe_store::UnixMs;

    use super::*;

    fn history(points: usize) -> History {
        let point = |n: usize| HistoryPoint {
            at_ms: UnixMs(60_000 * n as u64),
            records_in: (!n.is_multiple_of(10)).then_some(2),
            written: (!n.is_multiple_of(10)).then_some(1),
            lag_p95_ms: (n == 5).then_some(1_500),
            ..HistoryPoint::default()
        };
        History {
            org: None,
            span: HistorySpan::Hour,
            step_secs: 60,
            points: (0..points).map(point).collect(),
        }
    }

    #[test]
    fn a_chart_has_gaps_where_nothing_is_known_and_a_table_that_adds_up() {
        let charts = of_history(&history(60));
        let throughput = &charts[0];
        assert!(throughput.data.contains("\"ys\":[null,2.0,2.0"), "{}", throughput.data);
        assert_eq!(throughput.rows.len(), 20);
        let asked: u64 = throughput.rows.iter().filter_map(|row| row.1[0].parse::<u64>().ok()).sum();
        assert_eq!(asked, 54 * 2);
        assert_eq!(throughput.label, "Throughput, records in each step of time; the last is 2");
        let lag = &charts[1];
        assert!(lag.rows.iter().any(|row| row.1[0] == "1.5 s"), "{:?}", lag.rows);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let mut nothing = history(3);
        nothing.points.iter_mut().for_each(|point| point.records_in = None);
        assert!(of_history(&nothing).is_empty());
        assert_eq!(span("fortnight"), HistorySpan::Day);
    }
}
