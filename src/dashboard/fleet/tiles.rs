//! The numbers above the fleet's table, each with how it went in the last day.
//!
//! Here: which numbers, and when one is a reason to look; pure. Not here: where they come from (`orgpipe_actors`).

use orgpipe_actors::Fleet;

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

/// All of them.
pub(crate) fn tiles(fleet: &Fleet) -> Vec<Tile> {
    let totals = &fleet.totals;
    let tile = |name, value, unit, under| Tile { name, value, unit, under, kind: "", spark: None };
    let letters = totals.dead_letters_kept;
    let used = share(totals.ours, totals.share);
    vec![
        tile("Events", words::short(totals.events), "", "since the start".to_owned()),
        tile("Written", words::short(totals.records.written), "", "ever".to_owned()),
        Tile {
            kind: if letters > 0 { "some" } else { "" },
            ..tile("Dead letters", words::short(letters), "", in_orgs(totals.orgs_with_dead_letters))
        },
        tile("Under way", words::short(totals.records.open), "", "records".to_owned()),
        tile(
            "Longest lag",
            totals.lag_ms_max.map_or_else(|| "–".to_owned(), words::millis),
            "",
            "of the last ones".to_owned(),
        ),
        Tile {
            kind: if used >= 0.8 { "some" } else { "" },
            ..tile("API budget", words::percent(used), "", budget(fleet))
        },
    ]
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
