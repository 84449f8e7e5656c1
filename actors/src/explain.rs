//! The whole story of one record: who asked for it, what was answered, what differed, what was written or why nothing.
//!
//! Here: reading the ledger and what is still open, and telling it in sentences. Not here: what leaves the trail
//! (`decide`, `deliver`), its form (`audit_trail`), which record is meant (`explain/find.rs`), how it is printed
//! (`src/commands/explain.rs`).

pub(crate) mod find;

use orgpipe_reconcile::id;
use orgpipe_store::{Change, DeadLetter, End, Lane, LedgerRow, Request, Seq, StoreError, Subject, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    audit_trail::{Answered, AuditTrail, FieldDiff, Found, Nothing, SharedWith},
    clock::time,
    org::{context::OrgContext, writes::BulkJobStatus},
    queue_entry::{Origin, RequestEntry, unpack},
};

/// Changes of one record that are told; more than two wait only where it stands behind several target records.
const CHANGES_MAX: usize = 100;

/// All that is known of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Story {
    /// The operator's name for the org.
    pub org: String,
    /// The record's ID; 18 characters if it is one.
    pub record: String,
    /// What is still under way, oldest first.
    pub open: Vec<Chapter>,
    /// What has ended, newest first.
    pub ended: Vec<Chapter>,
    /// Records that wait for their look-up, and so many of them that were searched for this one: the oldest.
    pub waiting: u64,
    /// See `waiting`.
    pub searched: u64,
}

/// One time that the record was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Chapter {
    /// What it came to.
    pub fate: Fate,
    /// When it was asked for.
    pub asked_ms: UnixMs,
    /// When it ended; none while it is open.
    pub ended_ms: Option<UnixMs>,
    /// How often it was asked for; 0 if that is counted in another chapter of the same time.
    pub records: u32,
    /// Name of the sync.
    pub sync: String,
    /// Of the event, the refresh run or the gap.
    pub event_id: String,
    /// The object written to; empty if it ended before that was known.
    pub target: String,
    /// External ID of the record of the target; as `target`.
    pub key: String,
    /// Number of the request, the change or the dead letter; 0 if there was none of them.
    pub number: Seq,
    /// The story, in sentences.
    pub story: Vec<String>,
}

/// What became of a request for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It waits for its look-up.
    Waiting,
    /// A change for it waits or is being written.
    Writing,
    /// It is in the org.
    Written,
    /// The org held it already.
    Unchanged,
    /// There is nothing to write.
    NoData,
    /// A newer change took its place.
    Superseded,
    /// It cannot be written.
    DeadLetter,
    /// An operator had the dead letter tried again.
    Retried,
    /// An operator threw the dead letter away.
    Discarded,
    /// The dead letter was needed no more.
    Closed,
}

impl From<End> for Fate {
    fn from(end: End) -> Self {
        match end {
            End::Written => Self::Written,
            End::Unchanged => Self::Unchanged,
            End::NoData => Self::NoData,
            End::Superseded => Self::Superseded,
            End::Dead => Self::DeadLetter,
            End::Retried => Self::Retried,
            End::Discarded => Self::Discarded,
            End::Closed => Self::Closed,
        }
    }
}

/// Tells the story of a record, with at most `limit` of what has ended.
pub(crate) async fn story(org: &OrgContext, record: &str, limit: usize) -> Result<Story, StoreError> {
    let record = id::canonical(record).unwrap_or_else(|| record.trim().to_owned());
    // In the order of the flow: what moves on meanwhile is told twice rather than not at all.
    let waiting = org.store.counts().await?.open_ingress;
    let head = org.store.ingress_head(u64::MAX).await?;
    let searched: u64 = head.iter().map(|request| u64::from(request.records)).sum();
    // Some may have come in since they were counted.
    let waiting = waiting.max(searched);
    let changes = org.store.changes_of(&record, CHANGES_MAX).await?;
    let rows = org.store.rows(&record, limit).await?;
    let jobs = org.board.status().bulk_jobs;
    let mut open: Vec<Chapter> =
        changes.iter().flat_map(|change| written_later(change, &record, &jobs)).collect();
    open.extend(head.iter().filter_map(|request| asked_later(request, &record)));
    let mut ended = Vec::with_capacity(rows.len());
    for row in &rows {
        let hint = match row.seq {
            // Letters make room for newer ones; the row then stands alone.
            Some(seq) if row.end == End::Dead => {
                org.store.dead_letter(seq).await.map(|letter| said(&letter)).ok()
            }
            _ => None,
        };
        ended.push(told(row, hint.as_deref().unwrap_or_default()));
    }
    Ok(Story { org: org.id().to_owned(), record, open, ended, waiting, searched })
}

/// What to do about a dead letter, behind what the org says of it.
fn said(letter: &DeadLetter) -> String {
    let words = letter.errors.iter().filter(|error| !error.code.is_empty() && !error.message.is_empty());
    let words = words.map(|error| format!("The org says: \u{201c}{}\u{201d}.", error.message));
    words.chain([letter.hint.clone()]).collect::<Vec<_>>().join(" ")
}

/// What waits for its look-up.
fn asked_later(request: &Request, record: &str) -> Option<Chapter> {
    let entry: RequestEntry = unpack(&request.body).ok()?;
    let same = |id: &&String| id::canonical(id).as_deref().unwrap_or(id) == record;
    let units = |at: usize| entry.pushed.get(at).map_or(1, |pushed| pushed.by.len().max(1));
    let asked_for = entry.ids.iter().enumerate().filter(|(_, id)| same(id)).map(|(at, _)| units(at));
    let records = u32::try_from(asked_for.sum::<usize>()).unwrap_or(u32::MAX);
    let trail = AuditTrail::new(&entry.sync, entry.origin, &entry.event_id, entry.correlation_id.as_deref());
    let mut story = vec![asked(&trail, entry.received_ms)];
    story.push("It waits for its look-up.".to_owned());
    (records > 0).then_some(Chapter {
        fate: Fate::Waiting,
        asked_ms: entry.received_ms,
        ended_ms: None,
        records,
        sync: entry.sync,
        event_id: entry.event_id,
        target: String::new(),
        key: String::new(),
        number: request.seq,
        story,
    })
}

/// What waits to be written, or is being written.
fn written_later(change: &Change, record: &str, jobs: &[BulkJobStatus]) -> Vec<Chapter> {
    let of_record = change.subjects.iter().filter(|subject| subject.record == record);
    let chapter = |subject: &Subject| {
        let mut chapter = begun(subject, Fate::Writing, &change.target, &change.key, change.seq);
        let lane = match change.lane {
            Lane::Live => "live",
            Lane::Refresh => "refresh",
        };
        chapter.story.push(format!("Change {} waits in the {lane} lane or is being written.", change.seq));
        let (tries, why) = (times(change.attempts), &change.last_reason);
        match change.attempts {
            _ if why.is_empty() => {}
            // What others have to mend is no try of its own.
            0 => chapter.story.push(format!("It waits, and no try is counted: {why}.")),
            _ => chapter.story.push(format!("It was tried {tries}, the last time in vain: {why}.")),
        }
        chapter.story.extend(jobs.iter().filter(|job| job.changes.contains(&change.seq)).filter_map(in_job));
        chapter
    };
    of_record.map(chapter).collect()
}

/// Of a change in a Bulk job that hangs.
fn in_job(job: &BulkJobStatus) -> Option<String> {
    let problem = job.problem()?;
    Some(format!("It is in {}. {}", problem.reason, problem.hint.unwrap_or_default()))
}

/// What has ended.
fn told(row: &LedgerRow, hint: &str) -> Chapter {
    let fate = Fate::from(row.end);
    let number = row.seq.unwrap_or(Seq::MIN);
    let mut chapter = begun(&row.subject, fate, &row.target, &row.key, number);
    chapter.ended_ms = Some(row.ended_ms);
    let (tries, at) = (times(row.tries), time_text(row.ended_ms));
    let last = match row.end {
        End::Written if row.tries > 1 => {
            format!("Written at {at} by {}, change {number}, after {tries}: {}.", row.by, row.reason)
        }
        // It had to wait, or a field was left out.
        End::Written if !row.reason.is_empty() => {
            format!("Written at {at} by {}, change {number}: {}.", row.by, row.reason)
        }
        End::Written => format!("Written at {at} by {}, change {number}.", row.by),
        End::Unchanged => format!("Nothing was written at {at}."),
        End::NoData => format!("There was nothing to write at {at}."),
        End::Superseded => {
            format!("Not written by itself, as by {at} {}.", row.reason)
        }
        End::Dead => {
            let after = if row.tries > 0 { format!(" after {tries}") } else { String::new() };
            format!("Dead letter {number} since {at}{after}: {}. {hint}", row.reason).trim().to_owned()
        }
        End::Retried => format!("{} had dead letter {number} tried again at {at}.", row.by),
        End::Discarded => format!("{} threw dead letter {number} away at {at}.", row.by),
        End::Closed => format!("Dead letter {number} went at {at}, as {}.", row.reason),
    };
    chapter.story.push(last);
    let target_id = &row.target_id;
    if !target_id.is_empty() && chapter.story.iter().all(|told| !told.contains(target_id)) {
        chapter.story.push(format!("The record of the target is {target_id}."));
    }
    chapter
}

/// Why there was nothing to compare, where the answer does not say it.
fn nothing(nothing: Nothing) -> Option<&'static str> {
    match nothing {
        Nothing::Gone => Some(
            "The record is not in the org (deleted, or merged into another one), or the integration user may not see it.",
        ),
        Nothing::Converted => Some(
            "The lead has been converted: the account it became is asked for by itself, and nothing may refer to the lead \
             any more.",
        ),
        Nothing::NoKeys => Some("None of the sync's keys had a value, so your API was not asked."),
        Nothing::Unknown => None,
    }
}

/// The fields that were cut; how much of them is not known of trails of earlier versions.
fn cut(trail: &AuditTrail) -> Vec<String> {
    let told = |(place, field): (usize, &String)| match trail.cut_chars.get(place) {
        Some((from, to)) => format!("{field} (from {from} to {to} characters)"),
        None => field.clone(),
    };
    trail.cut.iter().enumerate().map(told).collect()
}

/// What the trail tells, up to what is to be written.
fn begun(subject: &Subject, fate: Fate, target: &str, key: &str, number: Seq) -> Chapter {
    let mut chapter = Chapter {
        fate,
        asked_ms: subject.asked_ms,
        ended_ms: None,
        records: subject.units,
        sync: String::new(),
        event_id: String::new(),
        target: target.to_owned(),
        key: key.to_owned(),
        number,
        story: Vec::new(),
    };
    // Rows about what could not even be read have none.
    let Ok(trail) = unpack::<AuditTrail>(&subject.trail) else { return chapter };
    let story = &mut chapter.story;
    story.push(asked(&trail, subject.asked_ms));
    story.extend(trail.nothing.and_then(nothing).map(str::to_owned));
    if let Some(answer) = &trail.answer {
        story.push(answered(answer, trail.nothing));
    }
    let key = trail.key.as_deref().unwrap_or(key);
    story.extend(matched(&trail, fate, key));
    story.extend(trail.shared.as_ref().map(|shared| shared_key(shared, fate)));
    if trail.origin == Origin::Orphan
        && trail.fields.is_empty()
        && trail.key.is_none()
        && trail.found.is_some()
    {
        story.push("To be deleted, as `on_deleted` says.".to_owned());
    }
    if !trail.fields.is_empty() || trail.more_fields > 0 {
        let mut fields: Vec<String> = trail.fields.iter().map(field).collect();
        if trail.more_fields > 0 {
            fields.push(format!("and {} more", trail.more_fields));
        }
        story.push(format!("To be written: {}.", fields.join(", ")));
    }
    if !trail.kept.is_empty() {
        let fields = trail.kept.join(", ");
        story.push(format!(
            "Not written again: {fields}. The org keeps what was sent there last in a form of its own, and that is unchanged \
             since."
        ));
    }
    if !trail.cut.is_empty() {
        story.push(format!("Cut to the field's length: {}.", cut(&trail).join(", ")));
    }
    (chapter.sync, chapter.event_id) = (trail.sync, trail.event_id);
    if chapter.target.is_empty() {
        chapter.key = trail.key.unwrap_or_default();
    }
    chapter
}

/// What the org held of the wanted record.
fn matched(trail: &AuditTrail, fate: Fate, key: &str) -> Option<String> {
    let is_anothers = matches!(trail.shared, Some(SharedWith::Yields(_)));
    let found = |id: &String| {
        if id == key {
            "It is written onto the record itself".to_owned()
        } else {
            format!("The record with the key `{key}` is {id}")
        }
    };
    match &trail.found {
        Some(Found::None) if trail.fields.is_empty() => {
            Some(format!("No record of the target has the key `{key}`, and none is made."))
        }
        Some(Found::None) => Some(format!("No record of the target has the key `{key}`: it is created.")),
        Some(Found::One(id)) if fate == Fate::Unchanged && trail.origin == Origin::Orphan => Some(format!(
            "The record with the key `{key}` is {id}: it has its own record again, or nothing is left."
        )),
        Some(Found::One(id)) if fate == Fate::Unchanged => {
            let all = "which held all of it";
            let how = if trail.kept.is_empty() {
                String::new()
            } else {
                ", as far as the org keeps it as it was sent".to_owned()
            };
            Some(format!("{}, {all}{how}.", found(id)))
        }
        Some(Found::One(id)) => Some(format!("{}.", found(id))),
        // Nothing is written for a record that yields to another one.
        Some(Found::Open) if fate == Fate::NoData || is_anothers => None,
        Some(Found::Open) => Some(format!(
            "An earlier change of `{key}` was still under way, so all fields are written without comparing."
        )),
        None => None,
    }
}

/// What was answered about the record, and by whom.
fn answered(answer: &Answered, nothing: Option<Nothing>) -> String {
    let known = if nothing == Some(Nothing::Unknown) { "that it knows nothing about it" } else { "data" };
    let Answered { hash, at_ms, parent, push } = answer;
    let at = time_text(*at_ms);
    match push {
        Some(push) => {
            format!("Push {push} brought {known} at {at} (hash {hash}), so your API was not asked.")
        }
        None => format!("Your API answered {known} at {at} (hash {hash}, traceparent …-{parent}-01)."),
    }
}

fn shared_key(shared: &SharedWith, fate: Fate) -> String {
    let hint = "Merge the two, or let your API answer a key of its own for each.";
    match shared {
        SharedWith::Holds(other) => format!(
            "Record {other} was answered with the same key; the record of the target belongs to this one. {hint}"
        ),
        SharedWith::Yields(other) => {
            let so = if matches!(fate, Fate::NoData | Fate::DeadLetter) {
                ", so nothing was written for this one"
            } else {
                ""
            };
            format!("It belongs to record {other}, which was answered with the same key{so}. {hint}")
        }
    }
}

fn asked(trail: &AuditTrail, asked_ms: UnixMs) -> String {
    let AuditTrail { sync, origin, event_id, correlation_id, .. } = trail;
    let by = match origin {
        Origin::Live => "event",
        Origin::Refresh => "refresh",
        Origin::Heal => "the healing of gap",
        Origin::Retry => "an operator, once more after",
        Origin::Push => "push",
        Origin::Orphan => {
            return format!(
                "Found at {} by refresh {event_id}: the record it was made for is gone; sync `{sync}`.",
                time_text(asked_ms)
            );
        }
    };
    let joined = correlation_id.as_ref().map(|id| format!(", correlation ID {id}")).unwrap_or_default();
    format!("Asked for at {} by {by} {event_id}{joined}, sync `{sync}`.", time_text(asked_ms))
}

fn field(FieldDiff(name, before, after): &FieldDiff) -> String {
    let shown = |hash: &String| if hash.is_empty() { "empty".to_owned() } else { format!("#{hash}") };
    match before {
        Some(before) => format!("{name} ({} → {})", shown(before), shown(after)),
        None => format!("{name} ({})", shown(after)),
    }
}

fn time_text(at: UnixMs) -> String {
    time(at).format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

fn times(tries: u32) -> String {
    if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail() -> AuditTrail {
        let mut trail = AuditTrail::new("accounts", Origin::Live, "uuid-1", Some("join"));
        trail.answer = Some(Answered {
            hash: "abcdef012345".into(),
            at_ms: UnixMs(2_000),
            parent: "00f0".into(),
            push: None,
        });
        trail
    }

    fn row(end: End, trail: AuditTrail, reason: &str, tries: u32) -> LedgerRow {
        let target = if tries > 0 { "Enrichment__c" } else { "" };
        LedgerRow {
            subject: Subject {
                record: "001".into(),
                units: 1,
                asked_ms: UnixMs(1_000),
                trail: trail.pack(),
                pushes: Vec::new(),
            },
            end,
            ended_ms: UnixMs(3_000),
            seq: Some(Seq(7)),
            tries,
            target: target.into(),
            key: if tries > 0 { "k1".into() } else { String::new() },
            target_id: String::new(),
            reason: reason.into(),
            by: "REST".into(),
        }
    }

    fn text(row: &LedgerRow, hint: &str) -> String {
        told(row, hint).story.join(" ")
    }

    #[test]
    fn each_end_is_told_with_what_led_to_it() {
        let mut differs = trail();
        differs.found = Some(Found::One("a0X".into()));
        differs.fields = vec![
            FieldDiff("A__c".into(), Some("11".into()), "22".into()),
            FieldDiff("B__c".into(), Some(String::new()), "33".into()),
            FieldDiff("C__c".into(), None, String::new()),
        ];
        differs.more_fields = 2;
        let mut same = trail();
        same.target("k1");
        same.found = Some(Found::One("a0X".into()));
        let mut unknown = trail();
        unknown.nothing = Some(Nothing::Unknown);
        let mut gone = AuditTrail::new("accounts", Origin::Refresh, "run-1", None);
        gone.nothing = Some(Nothing::Gone);
        let mut converted = AuditTrail::new("leads", Origin::Live, "event", None);
        converted.nothing = Some(Nothing::Converted);
        let mut open = trail();
        open.found = Some(Found::Open);
        let mut new = trail();
        new.found = Some(Found::None);
        new.fields = vec![FieldDiff("A__c".into(), None, "22".into())];
        let cases = [
            (
                row(End::Written, differs, "", 1),
                "",
                vec![
                    "Asked for at 1970-01-01 00:00:01.000 UTC by event uuid-1, correlation ID join, sync `accounts`.",
                    "Your API answered data at 1970-01-01 00:00:02.000 UTC (hash abcdef012345, traceparent …-00f0-01).",
                    "The record with the key `k1` is a0X.",
                    "To be written: A__c (#11 → #22), B__c (empty → #33), C__c (empty), and 2 more.",
                    "Written at 1970-01-01 00:00:03.000 UTC by REST, change 7.",
                ],
            ),
            (
                row(End::Unchanged, same, "", 0),
                "",
                vec!["key `k1` is a0X, which held all of it", "Nothing was written"],
            ),
            (row(End::NoData, unknown, "", 0), "", vec!["answered that it knows nothing about it"]),
            (
                row(End::NoData, gone, "", 0),
                "",
                vec!["by refresh run-1", "not in the org", "nothing to write"],
            ),
            (row(End::NoData, converted, "", 0), "", vec!["The lead has been converted", "nothing to write"]),
            (
                row(End::Written, open, "UNABLE_TO_LOCK_ROW", 3),
                "",
                vec!["still under way", "after 3 tries: UNABLE_TO_LOCK_ROW"],
            ),
            (
                row(End::Superseded, new, "change 9 came after it", 1),
                "",
                vec!["it is created", "as by 1970-01-01 00:00:03.000 UTC change 9 came after it"],
            ),
            (
                row(End::Dead, trail(), "refused with `X`", 1),
                "Do this.",
                vec!["Dead letter 7 since", "after 1 try: refused with `X`. Do this."],
            ),
        ];
        for (row, hint, parts) in cases {
            let text = text(&row, hint);
            for part in parts {
                assert!(text.contains(part), "{:?}: {part} is not in {text}", row.end);
            }
        }
        let named = |found: Option<Found>| {
            let mut trail = trail();
            trail.found = found;
            let row = LedgerRow { target_id: "a0X".into(), ..row(End::Written, trail, "", 1) };
            text(&row, "").matches("a0X").count()
        };
        for found in [None, Some(Found::None), Some(Found::Open), Some(Found::One("a0X".into()))] {
            assert_eq!(named(found.clone()), 1, "{found:?}");
        }
        let mut bare = row(End::Dead, trail(), "unreadable", 0);
        bare.subject.trail = Vec::new();
        assert_eq!(told(&bare, "").story.len(), 1);
    }
}
