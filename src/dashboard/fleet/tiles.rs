//! The numbers above the fleet's table, each with how it went in the last day.
//!
//! Here: which numbers, and when one is a reason to look; pure. Not here: where they come from (`orgpipe_actors`).

use orgpipe_actors::{Fleet, History, HistoryPoint};
use orgpipe_store::UnixMs;

use super::query::share;
use crate::dashboard::{spark::Spark, words};

/// One number.
pub(crate) struct Tile {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) unit: &'static str,
    /// What else there is to say.
    pub(crate) under: String,
    /// `bad` or `some` where it is a reason to look.
    pub(crate) kind: &'static str,
    pub(crate) spark: Option<Spark>,
}

impl Tile {
    fn at_rate(self, per_sec: Option<f64>) -> Self {
        let unit = if per_sec.is_some() { "/s" } else { "" };
        Self { value: per_sec.map_or_else(|| "–".to_owned(), words::rate), unit, ..self }
    }
}

/// All of them; `day` has the last 24 hours.
pub(crate) fn tiles(fleet: &Fleet, day: Option<&History>) -> Vec<Tile> {
    let totals = &fleet.totals;
    let tile = |name, value, under, number: fn(&HistoryPoint) -> Option<u64>| Tile {
        name,
        value,
        unit: "",
        under,
        kind: "",
        spark: day.and_then(|day| spark(day, number)),
    };
    let lately = day.map(|day| Lately::of(day, fleet.at_ms)).unwrap_or_default();
    let letters = totals.dead_letters_kept;
    let used = share(totals.ours, totals.share);
    let events = format!("{} since the start", words::short(totals.events));
    let written = format!("{} ever", words::short(totals.records.written));
    vec![
        tile("Events", String::new(), events, |point| point.events).at_rate(lately.events_per_sec),
        tile("Written", String::new(), written, |point| point.written).at_rate(lately.written_per_sec),
        Tile {
            kind: if letters > 0 { "some" } else { "" },
            ..tile("Dead letters", words::short(letters), in_orgs(totals.orgs_with_dead_letters), |point| {
                point.failed
            })
        },
        tile("Under way", words::short(totals.records.open), "records".to_owned(), |point| point.open),
        tile(
            "Lag, p95",
            lately.lag_p95_ms.map_or_else(|| "–".to_owned(), words::millis),
            totals.lag_ms_max.map_or_else(
                || "nothing written yet".to_owned(),
                |last| format!("longest of the last: {}", words::millis(last)),
            ),
            |point| point.lag_p95_ms,
        ),
        Tile {
            kind: if used >= 0.8 { "some" } else { "" },
            ..tile("API budget", words::percent(used), budget(fleet), |point| point.calls)
        },
    ]
}

/// What was done in the last 5 to 10 minutes; nothing is known of it until a minute was counted.
#[derive(Debug, Default, PartialEq)]
struct Lately {
    events_per_sec: Option<f64>,
    written_per_sec: Option<f64>,
    /// Of the worst minute.
    lag_p95_ms: Option<u64>,
}

impl Lately {
    /// From the last two points, of which the later is still under way.
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    fn of(day: &History, now: UnixMs) -> Self {
        let points = &day.points[day.points.len().saturating_sub(2)..];
        let known: Vec<&HistoryPoint> = points.iter().filter(|point| point.events.is_some()).collect();
        let Some(first) = known.first() else { return Self::default() };
        let secs = now.since(first.at_ms).as_secs_f64().max(1.0);
        let rate = |number: fn(&HistoryPoint) -> Option<u64>| {
            Some(known.iter().filter_map(|point| number(point)).sum::<u64>() as f64 / secs)
        };
        Self {
            events_per_sec: rate(|point| point.events),
            written_per_sec: rate(|point| point.written),
            lag_p95_ms: known.iter().filter_map(|point| point.lag_p95_ms).max(),
        }
    }
}

/// How a number went.
#[expect(clippy::cast_precision_loss, reason = "it is drawn in 32 pixels")]
fn spark(day: &History, number: fn(&HistoryPoint) -> Option<u64>) -> Option<Spark> {
    let values: Vec<_> = day.points.iter().map(|point| number(point).map(|number| number as f64)).collect();
    Spark::of(&values)
}

fn budget(fleet: &Fleet) -> String {
    match fleet.totals.share {
        0 => "not known yet".to_owned(),
        share => format!("{} of {} calls", words::short(fleet.totals.ours), words::short(share)),
    }
}

fn in_orgs(orgs: u64) -> String {
    match orgs {
        0 => "none kept".to_owned(),
        1 => "in one org".to_owned(),
        orgs => format!("in {} orgs", words::count(orgs)),
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_actors::HistorySpan;

    use super::*;

    fn day(points: &[(u64, Option<u64>)]) -> History {
        let point = |(at, count): &(u64, Option<u64>)| HistoryPoint {
            at_ms: UnixMs(at * 60_000),
            events: *count,
            written: count.map(|count| count / 2),
            lag_p95_ms: count.map(|_| 340),
            ..HistoryPoint::default()
        };
        let points = points.iter().map(point).collect();
        History { org: None, span: HistorySpan::Day, step_secs: 300, points }
    }

    #[test]
    fn rates_are_of_the_last_minutes_in_which_the_service_ran() {
        let lately = |points: &[_], minute: u64| Lately::of(&day(points), UnixMs(minute * 60_000));
        assert_eq!(lately(&[], 10), Lately::default());
        assert_eq!(lately(&[(0, Some(9)), (5, None), (10, None)], 12), Lately::default());
        let seen = lately(&[(0, Some(7_000)), (5, Some(400)), (10, Some(80))], 13);
        assert_eq!((seen.events_per_sec, seen.written_per_sec), (Some(1.0), Some(0.5)));
        assert_eq!(seen.lag_p95_ms, Some(340));
        // The service was started in the last of them.
        let seen = lately(&[(5, None), (10, Some(60))], 11);
        assert_eq!(seen.events_per_sec, Some(1.0));
    }
}
