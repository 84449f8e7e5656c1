//! What is wrong now, in one line each with the next step; what is wrong in many orgs alike is one line.
//!
//! Here: lines of the page from what is wrong; pure. Not here: when something is wrong (`orgpipe_actors`).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use orgpipe_actors::{Alert, AlertKind};
use orgpipe_store::UnixMs;

use crate::dashboard::{marked::Marked, words};

/// Lines of one kind that are told by themselves; of more, one line tells of all.
const ALIKE_MAX: usize = 3;
/// Orgs named in a line about many.
const NAMED_MAX: usize = 20;
/// Lines that are seen at once; the others are behind a click.
pub(crate) const LINES_MAX: usize = 8;

/// A line of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The same for as long as it is about the same thing.
    pub(crate) id: String,
    pub(crate) severity: &'static str,
    pub(crate) org: String,
    pub(crate) summary: Marked,
    pub(crate) hint: Marked,
    /// Since when: for machines, and for people.
    pub(crate) since: (String, String),
    /// Where the next step is taken: its name and address.
    pub(crate) next: Option<(&'static str, String)>,
    /// The first orgs of a line about many.
    pub(crate) named: Vec<String>,
    /// Orgs that are not named.
    pub(crate) more: usize,
}

/// The lines about one org: what is wrong is told one by one.
pub(crate) fn lines_of_org(wrong: &[&Alert], now: UnixMs) -> Vec<Line> {
    wrong.iter().map(|one| line(one, now)).collect()
}

/// The lines about these, which are given worst first and those of a kind together.
pub(crate) fn lines(wrong: &[Alert], now: UnixMs) -> Vec<Line> {
    let wrong: Vec<&Alert> = wrong.iter().collect();
    let groups = wrong.chunk_by(|one, other| (one.severity, one.kind) == (other.severity, other.kind));
    let mut lines = Vec::new();
    for alike in groups {
        if alike.len() > ALIKE_MAX {
            lines.push(about_many(alike, now));
        } else {
            lines.extend(alike.iter().map(|one| line(one, now)));
        }
    }
    lines
}

fn about_many(alike: &[&Alert], now: UnixMs) -> Line {
    let (kind, severity) = (alike[0].kind, alike[0].severity);
    let mut named: Vec<String> = alike.iter().filter_map(|one| one.org.clone()).collect();
    named.dedup();
    let more = named.len().saturating_sub(NAMED_MAX);
    named.truncate(NAMED_MAX);
    let since = alike.iter().map(|one| one.since_ms).min().unwrap_or(now);
    let hint = &alike[0].hint;
    let is_common = alike.iter().all(|one| one.hint == *hint);
    Line {
        id: format!("wrong-{}-{}", kind.name(), severity.name()),
        severity: severity.name(),
        org: String::new(),
        summary: Marked::of(&format!("{} {}.", words::count(alike.len() as u64), kind.of_many())),
        hint: if is_common { Marked::of(hint) } else { Marked::default() },
        since: (words::machine_time(since), words::ago(since, now)),
        next: all_of(kind).map(|address| ("Show them", address.to_owned())),
        named,
        more,
    }
}

fn line(alert: &Alert, now: UnixMs) -> Line {
    let org = alert.org.clone().unwrap_or_default();
    // Behind the org's name the sentence goes on; without one it begins.
    let summary = if org.is_empty() {
        words::sentence(&alert.summary)
    } else {
        format!("{}.", alert.summary.trim_end_matches('.'))
    };
    let mut subject = DefaultHasher::new();
    alert.subject.hash(&mut subject);
    Line {
        id: format!("wrong-{}-{org}-{:x}", alert.kind.name(), subject.finish()),
        severity: alert.severity.name(),
        summary: Marked::of(&summary),
        hint: Marked::of(&alert.hint),
        since: (words::machine_time(alert.since_ms), words::ago(alert.since_ms, now)),
        next: next_of(alert.kind, &org),
        org,
        named: Vec::new(),
        more: 0,
    }
}

/// Where the next step about one is taken.
fn next_of(kind: AlertKind, org: &str) -> Option<(&'static str, String)> {
    let step = match kind {
        AlertKind::DeadLetters => ("Look at them", format!("/orgs/{org}/dead-letters")),
        AlertKind::DoctorError => ("Look at the findings", format!("/orgs/{org}/doctor")),
        AlertKind::LookupDown => ("Look at the API", "/lookup".to_owned()),
        AlertKind::DiskLow => ("Look at the disk", "/process".to_owned()),
        AlertKind::ThreadStalled => ("Look at the threads", "/process".to_owned()),
        AlertKind::NotifyFailing => return None,
        _ => ("Open the org", format!("/orgs/{org}")),
    };
    Some(step)
}

/// Where all orgs of which this is so stand together.
fn all_of(kind: AlertKind) -> Option<&'static str> {
    match kind {
        AlertKind::OrgParked | AlertKind::ReauthorizationNeeded => Some("/?state=parked"),
        AlertKind::LoginRefused | AlertKind::OrgWaiting | AlertKind::EventChannelDown => {
            Some("/?state=waiting")
        }
        AlertKind::RefreshStuck => Some("/?state=waiting"),
        AlertKind::BudgetPaused => Some("/?sort=budget"),
        AlertKind::DeadLetters => Some("/?state=dead-letters"),
        AlertKind::ThreadStalled | AlertKind::DiskLow => Some("/process"),
        AlertKind::LookupDown => Some("/lookup"),
        AlertKind::NoEvent
        | AlertKind::GapOpen
        | AlertKind::WritesWaiting
        | AlertKind::FieldQuarantined
        | AlertKind::DoctorError
        | AlertKind::NotifyFailing => None,
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_actors::AlertSeverity;

    use super::*;

    fn alert(kind: AlertKind, severity: AlertSeverity, org: &str) -> Alert {
        Alert {
            kind,
            org: Some(org.to_owned()),
            subject: String::new(),
            severity,
            summary: "the key is refused".to_owned(),
            hint: "Wait.".to_owned(),
            since_ms: UnixMs(1_000),
        }
    }

    #[test]
    fn what_is_wrong_in_many_orgs_alike_is_one_line() {
        let parked = alert(AlertKind::OrgParked, AlertSeverity::Critical, "org-27");
        let waiting = |n| alert(AlertKind::OrgWaiting, AlertSeverity::Warning, &format!("org-{n:02}"));
        let wrong: Vec<Alert> = [parked].into_iter().chain((0..25).map(waiting)).collect();
        let lines = lines(&wrong, UnixMs(61_000));
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].severity, lines[0].org.as_str()), ("critical", "org-27"));
        assert_eq!(lines[0].summary, Marked::of("the key is refused."));
        assert_eq!(lines[1].summary, Marked::of("25 parts of orgs fail and are tried again."));
        assert_eq!(
            (lines[1].hint.clone(), lines[1].named.len(), lines[1].more),
            (Marked::of("Wait."), 20, 5)
        );
        assert_eq!(lines[1].since.1, "1 min ago");
        assert_eq!(lines[1].next.as_ref().map(|next| next.1.as_str()), Some("/?state=waiting"));
    }

    #[test]
    fn the_next_step_of_each_kind_leads_somewhere() {
        for kind in AlertKind::ALL {
            let next = next_of(kind, "acme");
            assert_eq!(next.is_none(), kind == AlertKind::NotifyFailing, "{kind:?}");
            if kind.is_of_org() {
                assert!(next.is_some_and(|next| next.1.starts_with("/orgs/acme")), "{kind:?}");
            }
        }
    }
}
