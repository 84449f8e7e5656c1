//! What is wrong now, in one line each with the next step; what is wrong in many orgs alike is one line.
//!
//! Here: lines of the page from what is wrong; pure. Not here: when something is wrong (`orgpipe_actors`).

use std::collections::BTreeMap;

use orgpipe_actors::{Fleet, FleetRow, State};
use orgpipe_store::UnixMs;

use crate::{
    admin::names,
    dashboard::{marked::Marked, words},
};

/// Lines of one kind that are told by themselves; of more, one line tells of all.
const ALIKE_MAX: usize = 3;
/// Orgs named in a line about many.
const NAMED_MAX: usize = 20;
/// Lines that are seen at once; the others are behind a click.
pub(crate) const LINES_MAX: usize = 8;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// How much it matters: `critical` or `warning`.
    pub(crate) severity: Weight,
    /// What those that are alike have in common: what is wrong, behind their number.
    pub(crate) of_many: &'static str,
    /// Where all of them are.
    pub(crate) all: &'static str,
    pub(crate) org: Option<String>,
    /// A sentence without a final stop.
    pub(crate) summary: String,
    pub(crate) hint: String,
    pub(crate) since_ms: Option<UnixMs>,
    /// Where the next step is taken: its name and address.
    pub(crate) next: (&'static str, String),
}

/// How much something matters, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Critical,
    Warning,
}

/// A line of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) severity: &'static str,
    pub(crate) org: String,
    pub(crate) summary: Marked,
    pub(crate) hint: Marked,
    /// Since when: for machines, and for people.
    pub(crate) since: Option<(String, String)>,
    pub(crate) next: (&'static str, String),
    /// The first orgs of a line about many.
    pub(crate) named: Vec<String>,
    /// Orgs that are not named.
    pub(crate) more: usize,
}

impl Weight {
    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// The lines, worst first.
pub(crate) fn lines(wrong: &[Wrong], now: UnixMs) -> Vec<Line> {
    let mut groups: BTreeMap<(Weight, &str), Vec<&Wrong>> = BTreeMap::new();
    for one in wrong {
        groups.entry((one.severity, one.of_many)).or_default().push(one);
    }
    let mut lines = Vec::new();
    for ((weight, of_many), alike) in groups {
        if alike.len() <= ALIKE_MAX {
            lines.extend(alike.into_iter().map(|one| line(one, now)));
            continue;
        }
        let since = alike.iter().filter_map(|one| one.since_ms).min();
        let mut named: Vec<String> = alike.iter().filter_map(|one| one.org.clone()).collect();
        named.dedup();
        let more = named.len().saturating_sub(NAMED_MAX);
        named.truncate(NAMED_MAX);
        lines.push(Line {
            severity: weight.name(),
            org: String::new(),
            summary: Marked::of(&format!("{} {of_many}.", words::count(alike.len() as u64))),
            hint: common_hint(&alike),
            since: since.map(|at| (words::machine_time(at), words::ago(at, now))),
            next: ("Show them", alike[0].all.to_owned()),
            named,
            more,
        });
    }
    lines
}

/// What to do, if it is the same for all.
fn common_hint(alike: &[&Wrong]) -> Marked {
    let first = &alike[0].hint;
    if alike.iter().all(|one| one.hint == *first) { Marked::of(first) } else { Marked::default() }
}

fn line(wrong: &Wrong, now: UnixMs) -> Line {
    Line {
        severity: wrong.severity.name(),
        org: wrong.org.clone().unwrap_or_default(),
        summary: Marked::of(&words::sentence(&wrong.summary)),
        hint: Marked::of(&wrong.hint),
        since: wrong.since_ms.map(|at| (words::machine_time(at), words::ago(at, now))),
        next: wrong.next.clone(),
        named: Vec::new(),
        more: 0,
    }
}

/// What is wrong in these orgs, and with the disk.
pub(crate) fn of_fleet(fleet: &Fleet) -> Vec<Wrong> {
    let disk = fleet.room.warning.clone().map(|warning| Wrong {
        severity: Weight::Critical,
        of_many: "disks get full",
        all: "/process",
        org: None,
        summary: warning,
        hint: String::new(),
        since_ms: None,
        next: ("Look at the disk", "/process".to_owned()),
    });
    disk.into_iter().chain(fleet.rows.iter().flat_map(of_row)).collect()
}

/// What is wrong in one of them.
pub(crate) fn of_org(fleet: &Fleet, id: &str) -> Vec<Wrong> {
    let row = fleet.rows.binary_search_by(|row| row.id.as_str().cmp(id));
    row.map(|at| of_row(&fleet.rows[at])).unwrap_or_default()
}

fn of_row(row: &FleetRow) -> Vec<Wrong> {
    let wrong = |severity, of_many, all, summary: String, hint: &str| Wrong {
        severity,
        of_many,
        all,
        org: Some(row.id.clone()),
        summary,
        hint: hint.to_owned(),
        since_ms: None,
        next: ("Open the org", format!("/orgs/{}", row.id)),
    };
    let part = row.part.map(names::part).unwrap_or_default();
    let said = if row.note.contains(part) { row.note.clone() } else { format!("{part}: {}", row.note) };
    let state = match row.state {
        State::Parked => Some((Weight::Critical, "orgs are parked", "/?state=parked")),
        State::Waiting => Some((Weight::Warning, "orgs try something again", "/?state=waiting")),
        _ => None,
    };
    let state = state.map(|(severity, of_many, all)| Wrong {
        since_ms: row.since_ms,
        ..wrong(severity, of_many, all, said, &row.hint)
    });
    let waits = row.waits.first().map(|wait| {
        let what = format!("{} waits: {}", names::priority(wait.work), wait.why);
        wrong(Weight::Warning, "orgs have work that waits for API calls", "/?sort=budget", what, "")
    });
    let fields = (!row.quarantined.is_empty()).then(|| {
        let what = format!("{} fields are in quarantine", row.quarantined.len());
        wrong(
            Weight::Warning,
            "orgs have fields in quarantine",
            "/",
            what,
            "Give the integration user the fields.",
        )
    });
    state.into_iter().chain(waits).chain(fields).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::fleet::samples::{fleet, row};

    #[test]
    fn what_is_wrong_in_many_orgs_alike_is_one_line_and_the_worst_comes_first() {
        let mut rows: Vec<FleetRow> = (0..30).map(|n| row(&format!("org-{n:02}"))).collect();
        for org in &mut rows[..25] {
            (org.state, org.note) = (State::Waiting, "no answer".to_owned());
            org.hint = "Wait.".to_owned();
        }
        (rows[27].state, rows[27].note) = (State::Parked, "the key is refused".to_owned());
        let fleet = fleet(&rows);
        let lines = lines(&of_fleet(&fleet), fleet.at_ms);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].severity, lines[0].org.as_str()), ("critical", "org-27"));
        assert_eq!(lines[1].summary, Marked::of("25 orgs try something again."));
        assert_eq!(
            (lines[1].hint.clone(), lines[1].named.len(), lines[1].more),
            (Marked::of("Wait."), 20, 5)
        );
        assert_eq!(lines[1].next.1, "/?state=waiting");
    }
}
