//! Which records a text may mean: a record's own ID, that of the record written for it, or the key by which the two belong
//! together.
//!
//! Here: what is looked for, in the ledger's rows and in what is still open, and the records that it leads to. Not here: the
//! story of one of them (`explain`).
//!
//! Invariant: nothing is looked for but IDs and keys, which the store keeps anyway; no value of a record is found by.

use std::collections::BTreeMap;

use orgpipe_reconcile::id;
use orgpipe_store::{Change, LedgerRow, StoreError, Subject, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Fate, Story, story};
use crate::{
    audit_trail::AuditTrail,
    org::context::OrgContext,
    queue_entry::{ChangeEntry, RequestEntry, unpack},
};

/// Characters of a text that is looked for: Salesforce's external IDs have up to 255.
pub const FIND_CHARS_MAX: usize = 300;
/// Rows of the ledger that are looked at, of those that fit; a record may have very many.
const ROWS_MAX: usize = 2_000;
/// Changes that are looked at, of those that fit.
const CHANGES_MAX: usize = 500;
/// Records that are told of.
const CANDIDATES_MAX: usize = 50;

/// What a text leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordSearch {
    /// The operator's name for the org.
    pub org: String,
    /// What was looked for; 18 characters if it is a record ID.
    pub find: String,
    /// The customer's records that it may mean, the one with that ID first, then by what is known last.
    pub candidates: Vec<Candidate>,
    /// Whether older rows of the ledger, or further records, were left out because there are so many.
    pub more: bool,
    /// Records that wait for their look-up, and so many of them that were searched for this one as a record's own ID: the
    /// oldest. Their target is not known yet.
    pub waiting: u64,
    /// See `waiting`.
    pub searched: u64,
    /// The story of the record that is meant: the only one, or the one whose own ID it is. Null if there are several.
    pub story: Option<Story>,
}

/// A customer's record that a text may mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Candidate {
    /// Its ID.
    pub record: String,
    /// What the text is to it.
    pub found_by: FoundBy,
    /// Names of the syncs in which that is so, in alphabetical order.
    pub syncs: Vec<String>,
    /// What it came to last, of those times.
    pub fate: Fate,
    /// When that was: when it ended, or was asked for if it is open.
    pub last_ms: UnixMs,
}

/// What a text is to a record; the first that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Its own ID.
    SourceId,
    /// The ID of the record that was written for it.
    TargetId,
    /// The external ID of that record, or what a dead letter names it by.
    Key,
}

/// What is looked for.
#[derive(Clone, Debug)]
struct Needle {
    /// As an ID in its long form, else as it was given.
    text: String,
    /// Whether it is a record ID.
    is_id: bool,
    /// As keys are queued: as it was given for fields that tell case apart, and in lower case for the others.
    keys: [String; 2],
    /// What of these stands in a trail that names one of them.
    marks: Vec<Vec<u8>>,
}

impl Needle {
    fn new(text: &str) -> Self {
        let text = text.trim();
        let keys = [text.to_owned(), text.to_lowercase()];
        let id = id::canonical(text);
        let mut marks: Vec<Vec<u8>> = keys.iter().map(|key| AuditTrail::mark_of(key)).collect();
        marks.extend(id.iter().map(|id| AuditTrail::mark_of(id)));
        let (is_id, text) = (id.is_some(), id.unwrap_or_else(|| text.to_owned()));
        Self { text, is_id, keys, marks }
    }

    fn is_key(&self, key: &str) -> bool {
        !key.is_empty() && self.keys.iter().any(|known| known == key)
    }

    fn is_target(&self, target_id: &str) -> bool {
        self.is_id && target_id == self.text
    }

    /// Looks at the trail's bytes before it reads them, as hardly any trail is of the record that is looked for.
    fn in_trail(&self, subject: &Subject) -> Option<FoundBy> {
        let holds = |mark: &Vec<u8>| subject.trail.windows(mark.len()).any(|part| part == mark);
        if !self.marks.iter().any(holds) {
            return None;
        }
        let trail = unpack::<AuditTrail>(&subject.trail).ok()?;
        if trail.found_id().is_some_and(|id| self.is_target(id)) {
            return Some(FoundBy::TargetId);
        }
        self.keys.iter().any(|key| trail.names(key)).then_some(FoundBy::Key)
    }

    /// What it is to a record of which this is known.
    fn fits(&self, subject: &Subject, target_id: &str, key: &str) -> Option<FoundBy> {
        if subject.record == self.text {
            return Some(FoundBy::SourceId);
        }
        if self.is_target(target_id) {
            return Some(FoundBy::TargetId);
        }
        let by_key = self.is_key(key).then_some(FoundBy::Key);
        self.in_trail(subject).into_iter().chain(by_key).min()
    }

    fn fits_row(&self, row: &LedgerRow) -> Option<FoundBy> {
        self.fits(&row.subject, &row.target_id, &row.key)
    }

    /// What it is to each of the records that a change is for.
    fn fits_change<'a>(&'a self, change: &'a Change) -> impl Iterator<Item = (&'a Subject, FoundBy)> {
        // It says which record it is for if that was there already.
        let target_id = self.is_id.then(|| unpack::<ChangeEntry>(&change.body).ok()?.target_id).flatten();
        let fits = move |subject: &'a Subject| {
            let target_id = target_id.as_deref().unwrap_or_default();
            Some((subject, self.fits(subject, target_id, &change.key)?))
        };
        change.subjects.iter().filter_map(fits)
    }
}

/// The records that were found, by ID.
#[derive(Debug, Default)]
struct Candidates(BTreeMap<String, Candidate>);

impl Candidates {
    /// Something is known of a record, from then.
    fn add(&mut self, record: &str, found_by: FoundBy, sync: &str, (fate, last_ms): (Fate, UnixMs)) {
        let new = || Candidate { record: record.to_owned(), found_by, syncs: Vec::new(), fate, last_ms };
        let known = self.0.entry(record.to_owned()).or_insert_with(new);
        known.found_by = known.found_by.min(found_by);
        if last_ms > known.last_ms {
            (known.fate, known.last_ms) = (fate, last_ms);
        }
        if !sync.is_empty()
            && let Err(place) = known.syncs.binary_search_by(|one| one.as_str().cmp(sync))
        {
            known.syncs.insert(place, sync.to_owned());
        }
    }

    fn add_subject(&mut self, subject: &Subject, found_by: FoundBy, last: (Fate, UnixMs)) {
        // Rows about what could not even be read have no trail.
        let sync = unpack::<AuditTrail>(&subject.trail).map(|trail| trail.sync).unwrap_or_default();
        self.add(&subject.record, found_by, &sync, last);
    }

    /// In order, and whether some were left out.
    fn listed(self) -> (Vec<Candidate>, bool) {
        let mut all: Vec<Candidate> = self.0.into_values().collect();
        let is_other = |one: &Candidate| one.found_by != FoundBy::SourceId;
        all.sort_by_key(|one| (is_other(one), std::cmp::Reverse(one.last_ms)));
        let more = all.len() > CANDIDATES_MAX;
        all.truncate(CANDIDATES_MAX);
        (all, more)
    }
}

/// Finds the records that a text may mean, and tells the story of the one that is meant, with at most `limit` of what has
/// ended.
pub(crate) async fn find(org: &OrgContext, text: &str, limit: usize) -> Result<RecordSearch, StoreError> {
    let needle = Needle::new(text);
    let mut candidates = Candidates::default();
    // In the order of the flow: what moves on meanwhile is found twice rather than not at all.
    let waiting = org.store.counts().await?.open_ingress;
    let head = org.store.ingress_head(u64::MAX).await?;
    let searched: u64 = head.iter().map(|request| u64::from(request.records)).sum();
    let waiting = waiting.max(searched);
    for entry in head.iter().filter_map(|request| unpack::<RequestEntry>(&request.body).ok()) {
        let same = |id: &String| id::canonical(id).as_deref().unwrap_or(id) == needle.text;
        if entry.ids.iter().any(same) {
            let last = (Fate::Waiting, entry.received_ms);
            candidates.add(&needle.text, FoundBy::SourceId, &entry.sync, last);
        }
    }
    let wanted = needle.clone();
    let is_wanted = move |change: &Change| wanted.fits_change(change).next().is_some();
    let changes = org.store.changes_that(CHANGES_MAX, is_wanted).await?;
    for change in &changes {
        for (subject, found_by) in needle.fits_change(change) {
            candidates.add_subject(subject, found_by, (Fate::Writing, subject.asked_ms));
        }
    }
    let wanted = needle.clone();
    let is_wanted = move |row: &LedgerRow| wanted.fits_row(row).is_some();
    let rows = org.store.rows_that(ROWS_MAX, UnixMs::EPOCH, is_wanted).await?;
    for row in &rows {
        if let Some(found_by) = needle.fits_row(row) {
            candidates.add_subject(&row.subject, found_by, (row.end.into(), row.ended_ms));
        }
    }
    let (candidates, cut) = candidates.listed();
    let more = cut || rows.len() >= ROWS_MAX || changes.len() >= CHANGES_MAX;
    let meant = match candidates.as_slice() {
        [only] => Some(only),
        [first, ..] if first.found_by == FoundBy::SourceId => Some(first),
        _ => None,
    };
    let story = match meant {
        Some(meant) => Some(story(org, &meant.record, limit).await?),
        None => None,
    };
    let (org, find) = (org.id().to_owned(), needle.text);
    Ok(RecordSearch { org, find, candidates, more, waiting, searched, story })
}

#[cfg(test)]
mod tests {
    use orgpipe_store::{End, Lane, Seq};

    use super::*;
    use crate::{
        audit_trail::Found,
        queue_entry::{Origin, pack},
    };

    const SOURCE: &str = "001000000000001AAA";
    const TARGET: &str = "a0X00000000000QEAQ";

    fn subject(record: &str, change: impl FnOnce(&mut AuditTrail)) -> Subject {
        let mut trail = AuditTrail::new("accounts", Origin::Live, "event", None);
        change(&mut trail);
        Subject {
            record: record.into(),
            units: 1,
            asked_ms: UnixMs(1),
            trail: trail.pack(),
            pushes: Vec::new(),
        }
    }

    fn row(subject: Subject, target_id: &str, key: &str) -> LedgerRow {
        let (target, by, reason) = ("Enrichment__c".to_owned(), String::new(), String::new());
        let (target_id, key) = (target_id.to_owned(), key.to_owned());
        let (end, ended_ms, seq, tries) = (End::Written, UnixMs(5), Some(Seq(1)), 1);
        LedgerRow { subject, end, ended_ms, seq, tries, target, key, target_id, reason, by }
    }

    #[test]
    fn a_row_is_found_by_each_id_and_key_and_by_nothing_else() {
        use FoundBy::{Key, SourceId, TargetId};

        let long_key = "k".repeat(300);
        let created = row(subject(SOURCE, |_| {}), TARGET, "k1");
        let unchanged = subject(SOURCE, |trail| {
            trail.target("k1");
            trail.found = Some(Found::One(TARGET.into()));
        });
        let unchanged = row(unchanged, "", "");
        let quoted = row(subject(SOURCE, |trail| trail.target("a \"b\" ü\\")), "", "");
        let long = row(subject(SOURCE, |trail| trail.target(&long_key)), "", "");
        let exact = row(subject(SOURCE, |_| {}), "", "K1");
        let letter = row(subject(SOURCE, |_| {}), "", &format!("Account {SOURCE}"));
        let unreadable = row(Subject { record: SOURCE.into(), ..Subject::default() }, "", "");
        for (row, text, expected) in [
            (&created, SOURCE, Some(SourceId)),
            (&created, &SOURCE[..15], Some(SourceId)),
            (&created, TARGET, Some(TargetId)),
            (&created, &TARGET[..15], Some(TargetId)),
            (&created, &TARGET.to_lowercase(), Some(TargetId)),
            (&created, " K1 ", Some(Key)),
            (&created, "k", None),
            (&created, "a0X00000000000R", None),
            (&unchanged, &TARGET[..15], Some(TargetId)),
            (&unchanged, "K1", Some(Key)),
            (&unchanged, "accounts", None),
            (&unchanged, "event", None),
            (&unchanged, "", None),
            (&quoted, "A \"B\" Ü\\", Some(Key)),
            (&quoted, "a", None),
            (&long, &long_key, Some(Key)),
            (&exact, "K1", Some(Key)),
            // The field tells case apart.
            (&exact, "k1", None),
            (&letter, &format!("Account {SOURCE}"), Some(Key)),
            (&unreadable, SOURCE, Some(SourceId)),
            (&unreadable, "", None),
        ] {
            assert_eq!(Needle::new(text).fits_row(row), expected, "{text} in {row:?}");
        }
    }

    #[test]
    fn an_open_change_is_found_by_the_id_in_it() {
        let entry = serde_json::json!({
            "v": 1, "sync": "accounts", "target": "Account", "external_id_field": "Id", "external_id": "k1",
            "operation": "update", "target_id": TARGET, "fields": { "Phone": "the secret" }, "source_id": SOURCE,
            "origin": "live", "received_ms": 1,
        });
        let change = Change {
            seq: Seq(1),
            lane: Lane::Live,
            target: "Account".into(),
            key: "k1".into(),
            subjects: vec![subject(SOURCE, |_| {}), subject("001B", |_| {})],
            attempts: 0,
            last_reason: String::new(),
            resend: 0,
            body: pack(&entry),
        };
        for (text, expected) in [
            (SOURCE, vec![(SOURCE, FoundBy::SourceId)]),
            (TARGET, vec![(SOURCE, FoundBy::TargetId), ("001B", FoundBy::TargetId)]),
            ("K1", vec![(SOURCE, FoundBy::Key), ("001B", FoundBy::Key)]),
            ("the secret", Vec::new()),
        ] {
            let needle = Needle::new(text);
            let found: Vec<_> =
                needle.fits_change(&change).map(|(subject, by)| (subject.record.as_str(), by)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn candidates_are_told_once_the_newest_first_and_not_without_end() {
        let mut candidates = Candidates::default();
        let at = UnixMs;
        candidates.add("001B", FoundBy::Key, "leads", (Fate::Written, at(5)));
        candidates.add("001B", FoundBy::TargetId, "accounts", (Fate::Unchanged, at(3)));
        candidates.add("001B", FoundBy::Key, "leads", (Fate::NoData, at(4)));
        candidates.add("001C", FoundBy::Key, "", (Fate::DeadLetter, at(9)));
        candidates.add("001A", FoundBy::SourceId, "leads", (Fate::Waiting, at(1)));
        let (all, more) = candidates.listed();
        let records: Vec<&str> = all.iter().map(|one| one.record.as_str()).collect();
        assert_eq!((records, more), (vec!["001A", "001C", "001B"], false));
        let one = &all[2];
        assert_eq!((one.found_by, one.fate, one.last_ms), (FoundBy::TargetId, Fate::Written, at(5)));
        assert_eq!(one.syncs, ["accounts", "leads"]);
        let mut many = Candidates::default();
        for n in 0..=CANDIDATES_MAX as u64 {
            many.add(&format!("001{n}"), FoundBy::Key, "leads", (Fate::Written, at(n)));
        }
        let (all, more) = many.listed();
        assert_eq!((all.len(), all[0].record.as_str(), more), (CANDIDATES_MAX, "00150", true));
    }
}
