//! The numbers above the fleet's table, each with how it went in the last day.
//!
//! Here: which numbers, and when one is a reason to look; pure. Not here: where they come from (`orgpipe_actors`).

use orgpipe_actors::{Fleet, History, HistoryPoint};

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
    let letters = totals.dead_letters_kept;
    let used = share(totals.ours, totals.share);
    vec![
        tile("Events", words::short(totals.events), "since the start".to_owned(), |point| point.events),
        tile("Written", words::short(totals.records.written), "ever".to_owned(), |point| point.written),
        Tile {
            kind: if letters > 0 { "some" } else { "" },
            ..tile("Dead letters", words::short(letters), in_orgs(totals.orgs_with_dead_letters), |point| {
                point.failed
            })
        },
        tile("Under way", words::short(totals.records.open), "records".to_owned(), |point| point.open),
        tile(
            "Longest lag",
            totals.lag_ms_max.map_or_else(|| "–".to_owned(), words::millis),
            "of the last ones".to_owned(),
            |point| point.lag_p95_ms,
        ),
        Tile {
            kind: if used >= 0.8 { "some" } else { "" },
            ..tile("API budget", words::percent(used), budget(fleet), |point| point.calls)
        },
    ]
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
