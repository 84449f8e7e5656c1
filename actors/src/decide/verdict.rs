//! What becomes of each record of a batch. Pure: everything read is an argument, the answer is commit B.
//!
//! Here: from the vendor's answer to what is wanted, and from what the org holds to what is written. Not here: records
//! that have lost their own (`orphans`).

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_reconcile::{
    Desired, Operation, RecordProblem, Row,
    describe::Describe,
    diff::{Diff, all_fields, check_external_id, cut_fields, diff, receipts},
    identity::Identity,
    lookup,
    matching::{Existing, Match},
    plan::Decision,
    row, stored,
    system::{CREATED_AT, ID},
};
use orgpipe_store::{Lane, LetterError, Mended, NewChange, NewDead, OpenChanges, Settle, Subject, UnixMs};
use serde_json::Value;

use super::{
    batch::Answer,
    batch::{Asked, Batch, id_of, text},
    own_form::{OwnForm, Remembered, RememberedOne},
};
use crate::{
    audit_trail::{Answered, FieldDiff, Found, Hasher, Nothing},
    clock::{instant_ms, time},
    fingerprint::Fingerprint,
    queue_entry::{ChangeEntry, Origin, RequestEntry, pack, unpack},
    settings::OnSharedKey,
};

/// One wanted record of the target and the records of the batch that stand behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// What the org should hold.
    pub desired: Desired,
    /// For whom it is written: one record, which may have been asked for several times.
    pub records: Vec<Asked>,
    /// When that record was created, Unix milliseconds; none if it was read without that.
    pub created_ms: Option<UnixMs>,
    /// What others of the batch would have of it: they were answered with the same key.
    pub rivals: Vec<Wanted>,
}

/// What became of a wanted record.
#[derive(Debug)]
pub(super) struct Given {
    /// As the queue spells it.
    pub key: String,
    /// Whose it is.
    pub owner: String,
    /// What is to be compared and written; none if it is another's, who is not in the batch.
    pub own: Option<Wanted>,
    /// The others of the batch, for whom nothing is written.
    pub yielding: Vec<Asked>,
    /// Those of whom it was known before that it is not theirs but this owner's.
    pub told: BTreeSet<String>,
}

impl Wanted {
    /// Takes in what was answered with the same key: a rival, unless it is for a record that is known here.
    fn join(&mut self, other: Self) {
        let is_same = |known: &Self| known.desired.source_id == other.desired.source_id;
        if is_same(self) {
            self.again(other);
        } else if let Some(place) = self.rivals.iter().position(is_same) {
            self.rivals[place].again(other);
        } else {
            self.rivals.push(other);
        }
    }

    fn again(&mut self, later: Self) {
        self.desired = later.desired;
        self.records.extend(later.records);
    }

    /// The records of all who want it.
    fn everybody(self) -> impl Iterator<Item = Asked> {
        self.records.into_iter().chain(self.rivals.into_iter().flat_map(|rival| rival.records))
    }
}

/// Applies the mapping to records and answers. Records without data or with problems are settled at once.
pub(super) fn wanted(
    batch: Batch<'_>,
    asked: Vec<Asked>,
    answers: &BTreeMap<String, Answer>,
    settle: &mut Settle,
) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for mut record in asked {
        let answer = answers.get(&record.id);
        record.trail.answer = answer.map(|answer| answered(batch.hasher, answer));
        let data = answer.map(|answer| answer.data.as_slice()).unwrap_or_default();
        let row = record.row.take();
        record.trail.nothing = match (&row, answer) {
            (None, _) => Some(Nothing::Gone),
            (Some(row), _) if lookup::is_converted(batch.mapping, row) => Some(Nothing::Converted),
            (_, None) => Some(Nothing::NoKeys),
            _ => data.is_empty().then_some(Nothing::Unknown),
        };
        if record.trail.nothing == Some(Nothing::NoKeys) && !batch.hidden_keys.is_empty() {
            settle.dead.push(dead(batch, record.subject(), &hidden(batch)));
            continue;
        }
        let Some(row) = row.filter(|_| record.trail.nothing.is_none()) else {
            nothing_to_write(batch, record, settle);
            continue;
        };
        if batch.mapping.is_record_itself() && data.len() > 1 {
            settle.dead.push(dead(batch, record.subject(), &several(data.len())));
            continue;
        }
        for item in data {
            let trail = &record.trail;
            let decision = Decision {
                org: batch.org,
                now: time(batch.now_ms),
                correlation_id: trail.correlation_id.as_deref().unwrap_or(&trail.event_id),
            };
            match batch.mapping.desired(&row, item, decision) {
                Ok(desired) => {
                    let (records, created_ms) = (vec![record.clone()], created_ms(&row));
                    wanted.push(Wanted { desired, records, created_ms, rivals: Vec::new() });
                }
                Err(problem) => settle.dead.push(dead(batch, record.clone().subject(), &problem)),
            }
            // The units are counted once, however many target records the data names.
            record.units = 0;
            record.pushes.clear();
        }
    }
    wanted
}

/// An answer of which nobody can tell what is to be written onto the record.
fn several(objects: usize) -> RecordProblem {
    let message =
        format!("your API answered {objects} objects for the record, and one alone can be written onto it");
    let hint = "Answer one object for it, or write them to records of their own (`match = \"external_id\"`); then retry the \
                letter.";
    RecordProblem::new(ID, message, hint)
}

/// When a record was created, if it was read with that.
pub(super) fn created_ms(row: &Row) -> Option<UnixMs> {
    text(row, CREATED_AT).and_then(instant_ms)
}

/// A record that has no value in any key that can be read, while others cannot be: whether those have one nobody knows.
fn hidden(batch: Batch<'_>) -> RecordProblem {
    let (object, fields) = (batch.mapping.object(), batch.hidden_keys.join("`, `"));
    let message = format!(
        "{object} has no such field, or the integration user may not read it; the other keys are empty"
    );
    let hint = format!(
        "Let the integration user read `{fields}` of {object}, or take it out of the sync; then retry the letter."
    );
    RecordProblem::new(&fields, message, hint)
}

/// Those whose external ID the field takes, so that one that it does not take spoils no query; the others are settled.
///
/// Several records that want the same target record are one, with the first to be asked about before its rivals, until
/// `shared_keys` says whose it is.
pub(super) fn fitting(
    batch: Batch<'_>,
    wanted: Vec<Wanted>,
    describe: &Describe,
    settle: &mut Settle,
) -> Vec<Wanted> {
    let field = batch.mapping.key_field();
    let identity = Identity::of(describe, field);
    let mut fitting: Vec<Wanted> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for one in wanted {
        if !batch.mapping.is_record_itself()
            && let Err(problem) = check_external_id(&one.desired, field, describe)
        {
            settle.dead.extend(one.records.into_iter().map(|record| dead(batch, record.subject(), &problem)));
            continue;
        }
        let key = identity.key(&one.desired.key);
        if let Some(known) = places.get(&key).and_then(|place| fitting.get_mut(*place)) {
            known.join(one);
        } else {
            places.insert(key, fitting.len());
            fitting.push(one);
        }
    }
    fitting
}

/// Records about which a call is refused for good are dead letters, each with the reason.
pub(super) fn dead_letters(
    batch: Batch<'_>,
    refused: &BTreeMap<String, RecordProblem>,
    asked: &mut Vec<Asked>,
    settle: &mut Settle,
) {
    for record in asked.extract_if(.., |asked| refused.contains_key(&asked.id)) {
        let problem = &refused[&record.id];
        settle.dead.push(dead(batch, record.subject(), problem));
    }
}

/// Those whose external ID the org lets us ask about; the records of the others are dead letters.
pub(super) fn without(
    batch: Batch<'_>,
    mut wanted: Vec<Wanted>,
    refused: &BTreeMap<String, RecordProblem>,
    settle: &mut Settle,
) -> Vec<Wanted> {
    for one in wanted.extract_if(.., |one| refused.contains_key(&one.desired.key)) {
        let problem = &refused[&one.desired.key];
        settle.dead.extend(one.everybody().map(|record| dead(batch, record.subject(), problem)));
    }
    wanted
}

fn answered(hasher: &Hasher, answer: &Answer) -> Answered {
    let text: String = answer.data.iter().map(ToString::to_string).collect();
    Answered {
        hash: hasher.answer(&text),
        at_ms: answer.at_ms,
        parent: answer.parent.clone(),
        push: answer.push,
    }
}

/// Those whose record of the target is there; where that is the record itself, it may have been deleted since it was read.
pub(super) fn still_there(
    batch: Batch<'_>,
    mut wanted: Vec<Wanted>,
    existing: &Existing<'_>,
    settle: &mut Settle,
) -> Vec<Wanted> {
    let is_gone =
        |one: &Wanted| batch.mapping.is_record_itself() && existing.find(&one.desired.key) == Match::None;
    for one in wanted.extract_if(.., |one| is_gone(one)) {
        for mut record in one.everybody() {
            record.trail.nothing = Some(Nothing::Gone);
            nothing_to_write(batch, record, settle);
        }
    }
    wanted
}

/// The keys of records that are there and differ from what is wanted: of those it matters what was sent last.
pub(super) fn differing_keys(
    batch: Batch<'_>,
    wanted: &[Wanted],
    existing: &Existing<'_>,
    open: &OpenChanges,
    describe: &Describe,
) -> Vec<String> {
    let identity = Identity::of(describe, batch.mapping.key_field());
    let differs = |one: &&Wanted| match existing.find(&one.desired.key) {
        Match::One(row) => !matches!(diff(&one.desired, Some(row), describe), Ok(Diff::Unchanged)),
        Match::None | Match::Many(_) => false,
    };
    let keys = wanted.iter().filter(differs).map(|one| identity.key(&one.desired.key));
    keys.filter(|key| !open.contains_key(key)).collect()
}

/// Compares with what the org holds. `open` has what is on egress already, by the external ID's key: what the org holds of
/// those is about to change, so all fields are written.
pub(super) fn compare(
    batch: Batch<'_>,
    wanted: Vec<Wanted>,
    existing: &Existing<'_>,
    (open, remembered): (&OpenChanges, &Remembered),
    describe: &Describe,
    settle: &mut Settle,
) {
    let identity = Identity::of(describe, batch.mapping.key_field());
    for Wanted { desired, mut records, .. } in wanted {
        let key = identity.key(&desired.key);
        let compared = fields(batch, &desired, existing, (open.get(&key), &remembered.of(&key)), describe);
        let cut = cut_fields(&desired, describe);
        for record in &mut records {
            record.trail.cut = cut.iter().map(|cut| cut.field.clone()).collect();
            record.trail.cut_chars = cut.iter().map(|cut| (cut.from_chars, cut.to_chars)).collect();
            match &compared {
                Ok(Compared { found, differing, own_form, .. }) => {
                    record.trail.found = Some(found.clone());
                    record.trail.fields.clone_from(differing);
                    record.trail.kept.clone_from(&own_form.fields);
                }
                Err(_) => record.trail.target(&key),
            }
            if matches!(&compared, Ok(Compared { fields: None, .. })) {
                record.trail.target(&key);
            }
        }
        let subjects = records.into_iter().map(Asked::subject);
        match compared {
            Ok(Compared { fields: Some(fields), target_id, own_form, .. }) => {
                let fingerprint = own_form.fingerprint.without(batch.hasher, &fields);
                let operation = batch.mapping.operation();
                let write = Write { operation, fields, target_id, fingerprint };
                settle.changes.push(change(batch, identity, desired, write, subjects.collect()));
            }
            Ok(Compared { fields: None, own_form, .. }) => {
                settle.fingerprints.extend(own_form.news(batch.mapping.target(), &key));
                as_wanted(batch, &key, subjects, settle);
            }
            Err(problem) => settle.dead.extend(subjects.map(|subject| dead(batch, subject, &problem))),
        }
    }
}

/// Settles the records whose key belongs to another one, by what the sync says of those; gives back what is to be compared.
pub(super) fn given(
    batch: Batch<'_>,
    given: Given,
    found: &Match<'_>,
    settle: &mut Settle,
) -> Option<Wanted> {
    let Given { key, owner, own, yielding, told } = given;
    for mut record in yielding {
        record.trail.target(&key);
        record.trail.found = match found {
            Match::One(row) => id_of(row).map(Found::One),
            Match::None | Match::Many(_) => Some(Found::Open),
        };
        // There is a letter already, or there was until somebody discarded it; a refresh makes no other one.
        let again = lane(batch.origin) == Lane::Refresh && told.contains(&record.id);
        if batch.on_shared_key == OnSharedKey::DeadLetter && !again {
            let problem = not_the_owner(batch, &record.id, &owner);
            settle.dead.push(dead(batch, record.subject(), &problem));
        } else {
            settle.no_data.push(record.subject());
        }
    }
    own
}

fn not_the_owner(batch: Batch<'_>, record: &str, owner: &str) -> RecordProblem {
    let object = batch.mapping.object();
    let message = format!(
        "{object} {record} was answered with the external ID that {owner} has, to which the record of the target belongs"
    );
    let hint = "Merge the two records, or let your API answer a key of its own for each, and retry the letter; or set \
                `on_shared_key` of the sync to \"first\" or \"newest\".";
    RecordProblem::new(batch.mapping.key_field(), message, hint)
}

/// What a comparison came to.
struct Compared {
    found: Found,
    differing: Vec<FieldDiff>,
    /// To be written; none if the org holds all of it.
    fields: Option<Row>,
    /// The record's ID where it is written by that.
    target_id: Option<String>,
    /// What the org keeps in a form of its own.
    own_form: OwnForm,
}

/// What is done to a record of the target.
#[derive(Debug, Default)]
pub(super) struct Write {
    pub operation: Operation,
    pub fields: Row,
    /// Its ID where it is written by that.
    pub target_id: Option<String>,
    /// What is remembered of its other fields.
    pub fingerprint: Fingerprint,
}

fn fields(
    batch: Batch<'_>,
    desired: &Desired,
    existing: &Existing<'_>,
    (open, remembered): (Option<&Vec<Vec<u8>>>, &RememberedOne<'_>),
    describe: &Describe,
) -> Result<Compared, RecordProblem> {
    let field = batch.mapping.key_field();
    let existing = match existing.find(&desired.key) {
        Match::None => None,
        Match::One(row) => Some(row),
        Match::Many(rows) => {
            let message = format!("{} records have this external ID", rows.len());
            let hint = "Delete or merge all but one of them, and mark the field unique.";
            return Err(RecordProblem::new(field, message, hint));
        }
    };
    let hasher = batch.hasher;
    let by_id = batch.mapping.operation() != Operation::Upsert;
    let target_id = existing.and_then(id_of);
    let own_form = OwnForm::default();
    if by_id && target_id.is_none() {
        // Nothing to change, and none is made.
        return Ok(Compared { found: Found::None, differing: Vec::new(), fields: None, target_id, own_form });
    }
    if let Some(open) = open {
        let mut fields = all_fields(desired, describe)?;
        fields.extend(receipts(desired, false, describe)?);
        let differing = differing(hasher, &fields, None, describe);
        let fields = Some(over(open, fields));
        return Ok(Compared { found: Found::Open, differing, fields, target_id, own_form });
    }
    let found = existing.map_or(Found::None, |row| Found::One(id_of(row).unwrap_or_default()));
    Ok(match diff(desired, existing, describe)? {
        Diff::Unchanged => Compared { found, differing: Vec::new(), fields: None, target_id, own_form },
        Diff::Create(mut fields) | Diff::Update(mut fields) => {
            let own_form = existing.map(|row| remembered.take(hasher, row, &mut fields)).unwrap_or_default();
            if existing.is_none() || !fields.is_empty() {
                fields.extend(receipts(desired, existing.is_none(), describe)?);
            }
            let differing = differing(hasher, &fields, existing, describe);
            let fields = Some(fields).filter(|fields| existing.is_none() || !fields.is_empty());
            Compared { found, differing, fields, target_id, own_form }
        }
    })
}

/// These fields, and those that only the open changes have: another sync's, which are lost if it takes their place.
fn over(open: &[Vec<u8>], mut fields: Row) -> Row {
    for body in open.iter().rev() {
        let older = unpack::<ChangeEntry>(body).map(|entry| entry.fields).unwrap_or_default();
        for (name, value) in older {
            if row::get(&fields, &name).is_none() {
                fields.insert(name, value);
            }
        }
    }
    fields
}

/// The fields to be written, for the ledger.
pub(super) fn differing(
    hasher: &Hasher,
    fields: &Row,
    existing: Option<&Row>,
    describe: &Describe,
) -> Vec<FieldDiff> {
    let hash = |name: &str, value: &Value| match describe.field(name).map(|field| stored::key(field, value)) {
        None | Some(stored::Key::Null) => String::new(),
        Some(key) => hasher.value(&format!("{key:?}")),
    };
    let one = |(name, value): (&String, &Value)| {
        let before = existing.map(|row| hash(name, row::get(row, name).unwrap_or(&Value::Null)));
        FieldDiff(name.clone(), before, hash(name, value))
    };
    fields.iter().map(one).collect()
}

/// What is written, and the records for which it is.
pub(super) fn change(
    batch: Batch<'_>,
    identity: Identity,
    desired: Desired,
    write: Write,
    subjects: Vec<Subject>,
) -> NewChange {
    let Write { operation, mut fields, target_id, fingerprint } = write;
    let lane = lane(batch.origin);
    let key = identity.key(&desired.key);
    let target = batch.mapping.target().to_owned();
    let is_receipt = |field: &&String| desired.receipts.keys().any(|name| name.eq_ignore_ascii_case(field));
    let receipts = fields.keys().filter(is_receipt).cloned().collect();
    // A number is named as one in the requests that carry the external ID in their body.
    if let Some(number) = identity.number(&desired.key).filter(|_| operation == Operation::Upsert) {
        fields.insert(batch.mapping.key_field().to_owned(), Value::Number(number));
    }
    let entry = ChangeEntry {
        v: 1,
        sync: batch.mapping.sync().to_owned(),
        target: target.clone(),
        external_id_field: batch.mapping.key_field().to_owned(),
        external_id: desired.key,
        operation,
        target_id,
        fields,
        receipts,
        fingerprint: fingerprint.to_text(),
        source_id: desired.source_id,
        origin: batch.origin,
        gap: batch.gap.map(str::to_owned),
        received_ms: batch.received_ms,
    };
    NewChange { lane, target, key, subjects, body: pack(&entry) }
}

/// A record for which nothing is to be written, so that letters about it are needed no more.
pub(super) fn nothing_to_write(batch: Batch<'_>, record: Asked, settle: &mut Settle) {
    let (sync, subject) = (batch.mapping.sync().to_owned(), record.subject());
    settle.mended.push(Mended { sync, record: subject.record.clone(), key: None });
    settle.no_data.push(subject);
}

/// Records whose record of the target holds what is wanted.
pub(super) fn as_wanted(
    batch: Batch<'_>,
    key: &str,
    subjects: impl IntoIterator<Item = Subject>,
    settle: &mut Settle,
) {
    for subject in subjects {
        let (sync, target) = (batch.mapping.sync().to_owned(), batch.mapping.target().to_owned());
        let (record, key) = (subject.record.clone(), Some((target, key.to_owned())));
        settle.mended.push(Mended { sync, record, key });
        settle.unchanged.push(subject);
    }
}

/// What is wrong, field by field.
fn errors(problem: &RecordProblem) -> Vec<LetterError> {
    let one = |problem: &RecordProblem| LetterError {
        code: String::new(),
        message: problem.message.clone(),
        fields: vec![problem.field.clone()],
    };
    problem.all().map(one).collect()
}

/// A record that cannot be written. What is kept of it is a request for it, to be tried again.
pub(super) fn dead(batch: Batch<'_>, subject: Subject, problem: &RecordProblem) -> NewDead {
    let request = RequestEntry {
        v: 1,
        sync: batch.mapping.sync().to_owned(),
        origin: batch.origin,
        ids: vec![subject.record.clone()],
        rows: None,
        pushed: Vec::new(),
        event_id: String::new(),
        correlation_id: None,
        received_ms: subject.asked_ms,
    };
    NewDead {
        key: format!("{} {}", batch.mapping.object(), subject.record),
        subject,
        sync: batch.mapping.sync().to_owned(),
        reason: problem.to_string(),
        hint: problem.hints(),
        errors: errors(problem),
        body: pack(&request),
        at_ms: batch.now_ms,
    }
}

/// Live goes first; what recovers a gap can wait like a refresh.
fn lane(origin: Origin) -> Lane {
    match origin {
        Origin::Live | Origin::Retry | Origin::Push => Lane::Live,
        Origin::Refresh | Origin::Heal | Origin::Orphan => Lane::Refresh,
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_store::UnixMs;
    use serde_json::json;

    use super::{
        super::shared_keys::{SharedKeys, Sharing},
        *,
    };
    use crate::{audit_trail::AuditTrail, settings::tests::org};

    fn row(value: Value) -> Row {
        let Value::Object(row) = value else { unreachable!() };
        row
    }

    fn describe() -> Describe {
        let json = json!({ "name": "Enrichment__c", "fields": [
            { "name": "External_Id__c", "type": "string", "length": 80, "externalId": true },
            { "name": "Account__c", "type": "reference" },
            { "name": "Employee_Count__c", "type": "double", "precision": 10, "scale": 0 }] });
        Describe::from_json(&row(json)).expect("a describe")
    }

    fn id(n: u32) -> String {
        format!("001{n:012}AAA")
    }

    fn asked(n: u32, units: u32) -> Asked {
        let row = Some(row(json!({ "Id": id(n), "Website": "a.example" })));
        let trail = AuditTrail::new("accounts", Origin::Live, "event", None);
        let (pushes, given) = (Vec::new(), None);
        Asked { id: id(n), units, row, pushes, given, since_ms: UnixMs(1), trail }
    }

    /// Runs both steps.
    fn decide(asked: Vec<Asked>, answers: &[(u32, Value)], existing: &[Row], open: &[&str]) -> Settle {
        let open = open.iter().map(|key| ((*key).to_owned(), Vec::new())).collect();
        decide_behind(asked, answers, existing, &open)
    }

    fn decide_behind(
        asked: Vec<Asked>,
        answers: &[(u32, Value)],
        existing: &[Row],
        open: &OpenChanges,
    ) -> Settle {
        let org = org();
        let mapping = &org.syncs[0].mapping;
        let hasher = &Hasher::new(b"secret");
        let (origin, gap, hidden_keys) = (Origin::Live, None, &[][..]);
        let batch = Batch {
            org: "acme",
            mapping,
            origin,
            gap,
            received_ms: UnixMs(1),
            now_ms: UnixMs(2),
            hasher,
            hidden_keys,
            on_shared_key: OnSharedKey::DeadLetter,
        };
        let answers: BTreeMap<String, Answer> = answers
            .iter()
            .map(|(n, data)| (id(*n), data.as_array().cloned().unwrap_or_else(|| vec![data.clone()])))
            .map(|(id, data)| (id, Answer { data, at_ms: UnixMs(2), parent: "call".into(), push: None }))
            .collect();
        let mut settle = Settle::default();
        let wanted = wanted(batch, asked, &answers, &mut settle);
        let wanted = fitting(batch, wanted, &describe(), &mut settle);
        let mut sharing = Sharing::new(SharedKeys::default(), "accounts", &settle);
        let mut own = Vec::new();
        for wanted in wanted {
            let one = sharing.give(batch.on_shared_key, wanted, None);
            own.extend(given(batch, one, &Match::None, &mut settle));
        }
        let wanted = own;
        let existing = Existing::new(existing, "External_Id__c", Identity::default());
        compare(batch, wanted, &existing, (open, &Remembered::default()), &describe(), &mut settle);
        settle
    }

    fn units<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> u32 {
        subjects.into_iter().map(|subject| subject.units).sum()
    }

    fn numbers(settle: &Settle) -> (u32, u32, u32, u32) {
        let dead = settle.dead.iter().map(|dead| &dead.subject);
        let changes = settle.changes.iter().flat_map(|change| &change.subjects);
        (units(&settle.unchanged), units(&settle.no_data), units(dead), units(changes))
    }

    fn written(settle: &Settle, place: usize) -> Row {
        crate::queue_entry::unpack::<ChangeEntry>(&settle.changes[place].body).expect("readable").fields
    }

    fn stored(key: &str, employees: &Value, account: u32) -> Row {
        row(json!({ "External_Id__c": key, "Employee_Count__c": employees, "Account__c": id(account) }))
    }

    #[test]
    fn every_record_ends_in_exactly_one_place() {
        let answers = [
            (1, json!({ "key": "new", "employees": 5 })),
            (2, json!({ "key": "same", "employees": 7 })),
            (4, json!({ "employees": 5 })),
            (5, json!({ "key": "twice", "employees": 1 })),
        ];
        let existing =
            [stored("SAME", &json!(7.0), 2), stored("twice", &json!(1), 5), stored("Twice", &json!(1), 5)];
        let gone = Asked { row: None, ..asked(6, 1) };
        let all = vec![asked(1, 2), asked(2, 1), asked(3, 3), asked(4, 1), asked(5, 1), gone];
        let settle = decide(all, &answers, &existing, &[]);
        assert_eq!(numbers(&settle), (1, 4, 2, 2), "{settle:?}");
        let reasons: Vec<_> = settle.dead.iter().map(|dead| dead.reason.as_str()).collect();
        let again: RequestEntry = crate::queue_entry::unpack(&settle.dead[0].body).expect("readable");
        assert_eq!((again.ids, again.received_ms), (vec![id(4)], UnixMs(1)));
        assert!(reasons[0].contains("External_Id__c") && reasons[1].contains("2 records"), "{reasons:?}");
    }

    #[test]
    fn of_two_records_for_one_target_the_first_is_written_and_the_other_a_letter_that_names_both() {
        let data = |employees| json!({ "key": "K", "employees": employees });
        let settle = decide(vec![asked(1, 1), asked(2, 2)], &[(1, data(5)), (2, data(6))], &[], &[]);
        assert_eq!(numbers(&settle), (0, 0, 2, 1));
        let named: Vec<_> = settle.changes[0].subjects.iter().map(|subject| subject.record.clone()).collect();
        assert_eq!(named, [id(1)]);
        assert_eq!(written(&settle, 0)["Employee_Count__c"], 5);
        let reason = &settle.dead[0].reason;
        assert!(
            [id(1), id(2), "External_Id__c".to_owned()].iter().all(|part| reason.contains(part)),
            "{reason}"
        );
    }

    #[test]
    fn one_record_with_several_target_records_counts_once() {
        let data = json!([{ "key": "A", "employees": 1 }, { "key": "B", "employees": 2 }]);
        let settle = decide(vec![asked(1, 1)], &[(1, data)], &[], &[]);
        assert_eq!((settle.changes.len(), numbers(&settle)), (2, (0, 0, 0, 1)));
    }

    #[test]
    fn behind_an_open_change_all_fields_are_written_even_if_the_org_holds_them() {
        let answers = [(1, json!({ "key": "K", "employees": 7 }))];
        let existing = [stored("K", &json!(7), 1)];
        assert_eq!(numbers(&decide(vec![asked(1, 1)], &answers, &existing, &[])), (1, 0, 0, 0));
        let settle = decide(vec![asked(1, 1)], &answers, &existing, &["k"]);
        assert_eq!(written(&settle, 0).len(), 2);
    }
    #[test]
    fn a_change_in_the_place_of_another_syncs_takes_that_ones_fields_along() {
        let answers = [(1, json!({ "key": "K", "employees": 7 }))];
        let change = decide(vec![asked(1, 1)], &answers, &[], &[]).changes.remove(0);
        let other = |fields| {
            let entry: ChangeEntry = unpack(&change.body).expect("a entry");
            pack(&ChangeEntry { sync: "leads".into(), fields: row(fields), ..entry })
        };
        let older = other(json!({ "Lead__c": "older", "Phone__c": "1", "employee_count__c": 3 }));
        let newer = other(json!({ "Lead__c": "newer" }));
        let open = OpenChanges::from([("k".to_owned(), vec![older, newer])]);
        let settle = decide_behind(vec![asked(1, 1)], &answers, &[], &open);
        let expected =
            json!({ "Account__c": id(1), "Employee_Count__c": 7, "Lead__c": "newer", "Phone__c": "1" });
        assert_eq!(written(&settle, 0), row(expected));
    }
}
