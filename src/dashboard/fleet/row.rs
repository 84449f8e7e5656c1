//! One org as a row of the fleet's table.
//!
//! Here: its texts, and what is a reason to look; pure. Not here: which rows are shown (`query`).

use orgpipe_actors::{FleetRow, State};
use orgpipe_store::UnixMs;

use super::query::{budget_share, position_share};
use crate::{
    admin::names,
    dashboard::{marked::Marked, words},
};

/// From which lag on somebody may want to look, and should: milliseconds.
const LAG_MS: (u64, u64) = (60_000, 600_000);
/// The same of a share that is used up, such as that of the time for which Salesforce keeps events.
const SHARE: (f64, f64) = (0.5, 0.8);

/// A share with its text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Meter {
    /// 0 to 100.
    pub(crate) percent: u8,
    /// The class that colours it.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    /// The numbers behind it.
    pub(crate) title: String,
}

/// A row of the table.
pub(crate) struct RowView {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    /// Why it is in that state; empty if there is nothing to say.
    pub(crate) note: Marked,
    /// The same as plain text.
    pub(crate) note_title: String,
    pub(crate) lag: String,
    pub(crate) lag_kind: &'static str,
    pub(crate) queue: String,
    pub(crate) position: Option<Meter>,
    pub(crate) budget: Option<Meter>,
    pub(crate) letters: u64,
    /// When the last event came: for machines, and for people.
    pub(crate) event: Option<(String, String)>,
}

impl RowView {
    pub(crate) fn new(row: &FleetRow, now: UnixMs) -> Self {
        let lag_kind = match row.lag_ms.unwrap_or_default() {
            lag if lag >= LAG_MS.1 => "bad",
            lag if lag >= LAG_MS.0 => "some",
            _ => "",
        };
        let said = note(row);
        Self {
            id: row.id.clone(),
            state: names::state(row.state),
            note: Marked::of(&said),
            note_title: said,
            lag: row.lag_ms.map(words::millis).unwrap_or_default(),
            lag_kind,
            queue: words::count(row.open),
            position: position(row),
            budget: budget(row),
            letters: row.dead_letters_kept,
            event: row.last_event_ms.map(|at| (words::machine_time(at), words::ago(at, now))),
        }
    }
}

/// The first thing that there is to say about it.
fn note(row: &FleetRow) -> String {
    if !row.note.is_empty() && row.state != State::Paused {
        let part = row.part.map(names::part).unwrap_or_default();
        return if row.note.contains(part) { row.note.clone() } else { format!("{part}: {}", row.note) };
    }
    if let Some(wait) = row.waits.first() {
        return format!("{} waits: {}", names::priority(wait.work), wait.why);
    }
    if let Some(warning) = row.warnings.first() {
        return warning.note.clone();
    }
    match (row.quarantined.len(), row.open_gaps, row.refreshes.first()) {
        (0, 0, None) => String::new(),
        (0, 0, Some(refresh)) => match refresh.reading.total {
            Some(total) if total > 0 => {
                let percent = refresh.reading.records.saturating_mul(100) / total;
                format!("refresh of {}: {percent} % read", refresh.sync)
            }
            _ => format!("refresh of {}: {} read", refresh.sync, words::count(refresh.reading.records)),
        },
        (0, gaps, _) => format!("gaps in the events that are being healed: {gaps}"),
        (1, _, _) => "a field is in quarantine".to_owned(),
        (fields, _, _) => format!("{fields} fields are in quarantine"),
    }
}

fn position(row: &FleetRow) -> Option<Meter> {
    let age = row.position_age_secs?;
    let (age, kept) = (short_seconds(age), short_seconds(row.retention_secs));
    let title = format!("{}: {age} old; Salesforce keeps events for {kept}", row.position_channel);
    // An old position is no trouble by itself: nothing may have happened. It is once events are about to be lost.
    Some(meter(position_share(row), age, title))
}

fn budget(row: &FleetRow) -> Option<Meter> {
    let share = budget_share(row);
    if share < 0.0 {
        return None;
    }
    let mut title =
        format!("{} of {} calls that may be ours", words::count(row.ours), words::count(row.share));
    if let (Some(used), Some(allowed)) = (row.api_used, row.api_allowed) {
        title = format!("{title}; all of the org: {} of {}", words::count(used), words::count(allowed));
    }
    Some(meter(share, words::percent(share), title))
}

fn meter(share: f64, text: String, title: String) -> Meter {
    let kind = if share >= SHARE.1 {
        "bad"
    } else if share >= SHARE.0 {
        "some"
    } else {
        ""
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 100")]
    let percent = (share.clamp(0.0, 1.0) * 100.0).round() as u8;
    Meter { percent, kind, text, title }
}

/// In one unit, so that a column is read at a glance.
fn short_seconds(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs} s"),
        60..3_600 => format!("{} min", secs / 60),
        3_600..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_actors::{Part, Warning};

    use super::*;
    use crate::dashboard::fleet::samples::row;

    const NOW: UnixMs = UnixMs(1_772_373_731_000);

    #[test]
    fn a_row_says_what_matters_most_and_colours_what_is_a_reason_to_look() {
        let mut org = row("acme");
        let view = RowView::new(&org, NOW);
        assert_eq!((view.note_title.as_str(), view.lag.as_str(), view.lag_kind), ("", "", ""));
        assert!(view.position.is_none() && view.budget.is_none() && view.event.is_none());

        org.warnings = vec![Warning { note: "a row is locked".into(), hint: "Wait.".into() }];
        (org.position_age_secs, org.lag_ms) = (Some(216_000), Some(75_000));
        (org.ours, org.share) = (40, 100);
        let view = RowView::new(&org, NOW);
        assert_eq!(
            (view.note_title.as_str(), view.lag.as_str(), view.lag_kind),
            ("a row is locked", "1 min 15 s", "some")
        );
        let position = view.position.expect("known");
        assert_eq!((position.percent, position.kind, position.text.as_str()), (83, "bad", "2 d"));
        let budget = view.budget.expect("known");
        assert_eq!((budget.percent, budget.kind, budget.text.as_str()), (40, "", "40 %"));

        (org.state, org.part, org.note) = (State::Parked, Some(Part::Login), "the key is refused".into());
        assert_eq!(RowView::new(&org, NOW).note_title, "login: the key is refused");
    }
}
