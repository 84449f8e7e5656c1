//! What is wrong, from what is known. Pure.
//!
//! Here: one rule per kind, its words, and when something that was wrong is known not to be any more. Not here: for how long it
//! has to hold (`tracker`).
//!
//! One cause is one alert: an org whose login is refused is not also told of as one whose channels are down.

use std::{fmt::Write as _, time::Duration};

use orgpipe_store::UnixMs;

use super::{
    alert::Alert,
    facts::{FailingReceiver, OrgFacts, ProcessFacts},
};
use crate::{
    alert_kind::{AlertKind, AlertSeverity},
    org::{
        desired::DesiredState,
        part::{Part, State},
        status::{PartStatus, RefusedLogin},
        subscription::ChannelStatus,
    },
    priority::Priority,
    settings::AlertSettings,
    severity::Severity,
};

/// What is not seen again so long after a start is over, where nothing says so itself.
pub(super) const SETTLED: Duration = Duration::from_mins(10);
/// Alerts of one org and kind at most; more would be the same one.
const SUBJECTS_MAX: usize = 20;
/// Bytes of a subject, which is stored with each alert that was told.
const SUBJECT_BYTES_MAX: usize = 200;

/// What is wrong with one org.
pub(super) fn of_org(facts: &OrgFacts<'_>, lookup_down: bool, settings: &AlertSettings) -> Vec<Alert> {
    let mut found = FoundAlert { org: Some(facts.id), alerts: Vec::new() };
    if facts.status.desired == DesiredState::Run {
        let excused = login(facts, &mut found);
        parked(facts, &mut found);
        if !excused {
            budget(facts, &mut found);
            // What is more urgent goes on without what waits, so only live changes that wait excuse all parts.
            let live_waits = facts.budget.waits.iter().any(|wait| wait.work == Priority::Live);
            channels(facts, live_waits, settings, &mut found);
            waiting(facts, live_waits, lookup_down, &mut found);
            writes(facts, &mut found);
        }
    }
    gaps(facts, &mut found);
    dead_letters(facts, settings, &mut found);
    quarantined(facts, &mut found);
    doctor(facts, &mut found);
    found.alerts
}

/// What is wrong with the process.
pub(super) fn of_process(facts: &ProcessFacts) -> Vec<Alert> {
    let mut found = FoundAlert { org: None, alerts: Vec::new() };
    if let Some(since_ms) = facts.lookup.down_since_ms {
        let summary = format!("your API at {} does not answer: {}", facts.lookup.host, facts.lookup.what);
        let hint = "Look at the API's own log, and at `source.url`. Nothing is lost meanwhile: what asks for it waits.";
        found.add(AlertKind::LookupDown, "", AlertSeverity::Critical, summary, hint, since_ms);
    }
    if let Some(warning) = &facts.disk.warning {
        let severity = if facts.disk.is_full { AlertSeverity::Critical } else { AlertSeverity::Warning };
        let (summary, hint) = warning.split_once(". ").unwrap_or((warning, ""));
        found.add(AlertKind::DiskLow, "", severity, summary.to_owned(), hint, facts.now_ms);
    }
    for thread in facts.threads.iter().filter(|thread| !thread.note.is_empty()) {
        let summary = format!("thread {}: {}", thread.name, thread.note);
        let hint = "If it does not go on, orgpipe ends and is to be started again. Report this as a bug.";
        found.add(
            AlertKind::ThreadStalled,
            &thread.name,
            AlertSeverity::Critical,
            summary,
            hint,
            facts.now_ms,
        );
    }
    for FailingReceiver { name, why, for_good, since_ms } in &facts.receivers {
        let (severity, hint) = if *for_good {
            let hint = format!("Look at `[[notify]]` of that name, then: orgpipe notify test {name}");
            (AlertSeverity::Critical, hint)
        } else {
            (AlertSeverity::Warning, "It is tried again by itself; what it is to be told is kept.".to_owned())
        };
        let summary = format!("alerts do not reach `{name}`: {why}");
        found.add(AlertKind::NotifyFailing, name, severity, summary, &hint, *since_ms);
    }
    found.alerts
}

/// Whether it is known that an alert of the org which is not found any more is over: nothing is right because nobody has
/// looked yet.
pub(super) fn org_is_known(alert: &Alert, facts: &OrgFacts<'_>) -> bool {
    let settled = facts.up >= SETTLED;
    if facts.status.desired == DesiredState::Pause {
        return true;
    }
    let runs = |part: Part| {
        let state = facts.status.parts.get(&part).map(|part| part.state);
        matches!(state, Some(State::Running | State::Waiting | State::Parked))
    };
    let login = facts.status.parts.get(&Part::Login).is_some_and(|part| part.state == State::Running);
    match alert.kind {
        AlertKind::ReauthorizationNeeded | AlertKind::LoginRefused => login,
        AlertKind::OrgParked | AlertKind::OrgWaiting | AlertKind::RefreshStuck => {
            of_name(&alert.subject).is_none_or(runs)
        }
        AlertKind::EventChannelDown => {
            let channel = facts.status.subscription.channels.get(&alert.subject);
            runs(Part::Events) && channel.is_none_or(|channel| channel.state != State::Starting)
        }
        // One that connects anew is as silent as before.
        AlertKind::NoEvent => {
            let channel = facts.status.subscription.channels.get(&alert.subject);
            runs(Part::Events) && channel.is_none_or(|channel| channel.state == State::Running)
        }
        AlertKind::GapOpen => runs(Part::Refresh),
        AlertKind::BudgetPaused => facts.budget.is_known || settled,
        AlertKind::WritesWaiting => login && settled || facts.status.last_written_ms.is_some(),
        AlertKind::FieldQuarantined => {
            let object = alert.subject.split_once('.').map_or("", |(object, _)| object);
            (facts.is_described)(object) || settled
        }
        AlertKind::DoctorError => facts.status.doctor.is_some(),
        AlertKind::DeadLetters
        | AlertKind::LookupDown
        | AlertKind::DiskLow
        | AlertKind::ThreadStalled
        | AlertKind::NotifyFailing => true,
    }
}

/// Whether one of this kind may be wrong with the org that nobody has looked at yet. Only for a while after a start: with many
/// orgs there is always one of which something is not known.
pub(super) fn is_unsure(any: &Alert, facts: &OrgFacts<'_>) -> bool {
    facts.up < SETTLED && !org_is_known(any, facts)
}

/// The same of an alert of the process.
pub(super) fn process_is_known(alert: &Alert, facts: &ProcessFacts) -> bool {
    match alert.kind {
        AlertKind::LookupDown => facts.lookup.is_known || facts.up >= SETTLED,
        AlertKind::DiskLow => facts.disk.is_known,
        _ => true,
    }
}

/// The alerts found so far.
struct FoundAlert<'a> {
    org: Option<&'a str>,
    alerts: Vec<Alert>,
}

impl FoundAlert<'_> {
    fn add(
        &mut self,
        kind: AlertKind,
        subject: &str,
        severity: AlertSeverity,
        summary: String,
        hint: &str,
        since_ms: UnixMs,
    ) {
        if self.alerts.iter().filter(|alert| alert.kind == kind).count() < SUBJECTS_MAX {
            let (org, hint) = (self.org.map(str::to_owned), hint.to_owned());
            let subject = subject[..subject.floor_char_boundary(SUBJECT_BYTES_MAX)].to_owned();
            self.alerts.push(Alert { kind, org, subject, severity, summary, hint, since_ms });
        }
    }
}

/// Whether the login is refused, so that it excuses whatever else does not go on.
fn login(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) -> bool {
    let Some(part) = facts.status.parts.get(&Part::Login) else { return false };
    let kind = match facts.status.refused {
        _ if !is_in_trouble(part) => return false,
        Some(RefusedLogin::ByCustomer) => AlertKind::ReauthorizationNeeded,
        Some(RefusedLogin::Otherwise) => AlertKind::LoginRefused,
        None if part.state == State::Parked => AlertKind::ReauthorizationNeeded,
        // It passes by itself, or is told of after a while.
        None => return false,
    };
    found.add(kind, "", AlertSeverity::Critical, part.note.clone(), &part.hint, part.since_ms);
    true
}

fn parked(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) {
    let parts = facts.status.parts.iter();
    for (name, part) in parts.filter(|(name, part)| **name != Part::Login && part.state == State::Parked) {
        let summary = format!("its part {} is parked: {}", part_name(*name), part.note);
        found.add(
            AlertKind::OrgParked,
            part_name(*name),
            AlertSeverity::Critical,
            summary,
            &part.hint,
            part.since_ms,
        );
    }
}

/// The most urgent of what stands still says how bad it is.
fn budget(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) {
    let Some(worst) = facts.budget.waits.first() else { return };
    let (what, severity) = match worst.work {
        Priority::Live => ("live changes stand still", AlertSeverity::Critical),
        Priority::Heal => ("reading gaps again stands still", AlertSeverity::Warning),
        Priority::Refresh => ("refreshes stand still", AlertSeverity::Warning),
    };
    let summary = format!("{what}: {}", worst.why);
    let hint = "It goes on by itself once calls are free. `daily_share` and `reserve` of the org say how many orgpipe may \
                use.";
    found.add(AlertKind::BudgetPaused, "", severity, summary, hint, facts.now_ms);
}

fn channels(facts: &OrgFacts<'_>, excused: bool, settings: &AlertSettings, found: &mut FoundAlert<'_>) {
    for (name, channel) in &facts.status.subscription.channels {
        match channel.state {
            State::Waiting if !excused => down(name, channel, facts.now_ms, found),
            State::Running => silent(name, channel, facts.now_ms, settings, found),
            _ => {}
        }
    }
}

fn down(name: &str, channel: &ChannelStatus, now_ms: UnixMs, found: &mut FoundAlert<'_>) {
    let age_secs = channel.position_ms.map_or(0, |at| now_ms.since(at).as_secs());
    let late = age_secs * 2 > channel.retention_secs;
    let severity = if late { AlertSeverity::Critical } else { AlertSeverity::Warning };
    let mut summary = format!("{name} {}", channel.note);
    if late {
        let (age, kept) = (age_secs / 3_600, channel.retention_secs / 3_600);
        let _ = write!(summary, "; its position is {age} h old, and Salesforce keeps events for {kept} h");
    }
    found.add(AlertKind::EventChannelDown, name, severity, summary, &channel.hint, channel.since_ms);
}

fn silent(
    name: &str,
    channel: &ChannelStatus,
    now_ms: UnixMs,
    settings: &AlertSettings,
    found: &mut FoundAlert<'_>,
) {
    let Some(longest) = settings.no_event else { return };
    let heard_ms = channel.last_event_ms.max(channel.position_ms).unwrap_or(channel.since_ms);
    let silence = now_ms.since(heard_ms);
    if silence < longest {
        return;
    }
    let summary = format!("nothing was heard on {name} for {} h", silence.as_secs() / 3_600);
    let hint = "See whether records are changed in the org at all, whether its flow publishes the event, and whether the \
                integration user may read it (orgpipe doctor tells). `no_event_hours` says for how long a channel may be \
                silent.";
    found.add(AlertKind::NoEvent, name, AlertSeverity::Warning, summary, hint, heard_ms);
}

/// Parts that fail and try again; channels have their own alert.
fn waiting(facts: &OrgFacts<'_>, live_waits: bool, lookup_down: bool, found: &mut FoundAlert<'_>) {
    for (name, part) in facts.status.parts.iter().filter(|(_, part)| part.state == State::Waiting) {
        let kind = match name {
            Part::Events => continue,
            _ if live_waits => continue,
            Part::Refresh if !facts.budget.waits.is_empty() => continue,
            Part::Ingest if lookup_down => continue,
            Part::Refresh => AlertKind::RefreshStuck,
            Part::Login | Part::Push | Part::Ingest | Part::Writer => AlertKind::OrgWaiting,
        };
        let severity = if *name == Part::Refresh { AlertSeverity::Warning } else { AlertSeverity::Critical };
        let summary = format!("its part {} waits: {}", part_name(*name), part.note);
        found.add(kind, part_name(*name), severity, summary, &part.hint, part.since_ms);
    }
}

fn writes(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) {
    for wait in &facts.status.write_waits {
        let summary = format!("records for {} wait: {}", wait.target, wait.code);
        let subject = format!("{} {}", wait.target, wait.code);
        found.add(
            AlertKind::WritesWaiting,
            &subject,
            AlertSeverity::Critical,
            summary,
            &wait.hint,
            wait.since_ms,
        );
    }
    let standing = facts.status.bulk_jobs.iter().filter_map(|job| Some((job.problem()?, job)));
    for (problem, job) in standing {
        let hint = problem.hint.unwrap_or_default();
        found.add(
            AlertKind::WritesWaiting,
            &job.id,
            AlertSeverity::Warning,
            problem.reason,
            &hint,
            job.since_ms,
        );
    }
    // They are told of as one: each lasts for minutes only.
    if let Some(write) = facts.status.unanswered_writes.iter().min_by_key(|write| write.since_ms) {
        let problem = write.problem();
        let hint = problem.hint.unwrap_or_default();
        let (kind, severity) = (AlertKind::WritesWaiting, AlertSeverity::Warning);
        found.add(kind, "unanswered", severity, problem.reason, &hint, write.since_ms);
    }
}

fn gaps(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) {
    if facts.status.open_gaps == 0 {
        return;
    }
    let summary = match facts.status.open_gaps {
        1 => "events may have been missed; their records are being read again".to_owned(),
        gaps => format!("events may have been missed, {gaps} times; their records are being read again"),
    };
    let hint = "Nothing has to be done: it ends with a receipt that says what was checked and changed.";
    found.add(AlertKind::GapOpen, "", AlertSeverity::Warning, summary, hint, facts.now_ms);
}

fn dead_letters(facts: &OrgFacts<'_>, settings: &AlertSettings, found: &mut FoundAlert<'_>) {
    let kept = facts.dead_letters;
    if kept <= settings.dead_letters_max {
        return;
    }
    let summary = format!("{kept} dead letters are kept, more than {}", settings.dead_letters_max);
    let hint = format!(
        "See why: orgpipe dead-letters list {}. Mend it in the org or in your data, then retry or discard them.",
        facts.id
    );
    found.add(AlertKind::DeadLetters, "", AlertSeverity::Warning, summary, &hint, facts.now_ms);
}

fn quarantined(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) {
    for field in &facts.status.quarantined {
        let subject = format!("{}.{}", field.object, field.field);
        let summary = format!("{subject} is not {}: {}", field.access.done(), field.why);
        let (kind, severity) = (AlertKind::FieldQuarantined, AlertSeverity::Warning);
        found.add(kind, &subject, severity, summary, field.hint, field.since_ms);
    }
}

fn doctor(facts: &OrgFacts<'_>, found: &mut FoundAlert<'_>) {
    let Some(examined) = facts.status.doctor.as_ref().filter(|one| one.worst == Some(Severity::Error)) else {
        return;
    };
    let summary = format!("the doctor found what does not work: {}", examined.note);
    let hint = format!(
        "See it with where to click: orgpipe doctor {}. It is over once an examination finds no error.",
        facts.id
    );
    found.add(AlertKind::DoctorError, "", AlertSeverity::Warning, summary, &hint, examined.at_ms);
}

fn is_in_trouble(part: &PartStatus) -> bool {
    matches!(part.state, State::Waiting | State::Parked)
}

/// The word for a part.
fn part_name(part: Part) -> &'static str {
    match part {
        Part::Login => "login",
        Part::Events => "events",
        Part::Refresh => "refresh",
        Part::Push => "push",
        Part::Ingest => "ingest",
        Part::Writer => "writer",
    }
}

fn of_name(name: &str) -> Option<Part> {
    [Part::Login, Part::Events, Part::Refresh, Part::Push, Part::Ingest, Part::Writer]
        .into_iter()
        .find(|part| part_name(*part) == name)
}

#[cfg(test)]
mod tests;
