//! What becomes of each record of a batch. Pure: everything read is an argument, the answer is commit B.

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_reconcile::{
    Desired, Mapping, Operation, RecordProblem, Row,
    describe::Describe,
    diff::{Diff, all_fields, check_external_id, diff},
    id,
    matching::{Existing, Match, fold},
    row,
};
use orgpipe_store::{Lane, NewChange, NewDead, Settle, Subject};
use serde_json::Value;

use crate::parcel::{ChangeParcel, Origin, RequestParcel, pack};

/// A record of the batch, before the look-up's answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// 18 characters.
    pub id: String,
    /// How many requests asked for it.
    pub units: u32,
    /// As read from the org; `None` when it is not there any more or not visible.
    pub row: Option<Row>,
    /// When it was first asked for, Unix milliseconds.
    pub since_ms: u64,
    /// By what it was first asked for, packed.
    pub trail: Vec<u8>,
}

impl Asked {
    /// As the ledger names it.
    pub(super) fn subject(self) -> Subject {
        let Self { id: record, units, since_ms: asked_ms, trail, .. } = self;
        Subject { record, units, asked_ms, trail }
    }
}

/// What the batch was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    /// Name of the sync.
    pub mapping: &'a Mapping,
    /// Why.
    pub origin: Origin,
    /// The gap that is healed.
    pub gap: Option<&'a str>,
    /// When its oldest request came, Unix milliseconds.
    pub received_ms: u64,
    /// When it is decided, Unix milliseconds.
    pub now_ms: u64,
}

/// One wanted record of the target and the records of the batch that stand behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// What the org should hold.
    pub desired: Desired,
    /// For whom it is written.
    pub subjects: Vec<Subject>,
}

/// Applies the mapping to records and answers. Records without data or with problems are settled at once.
///
/// Two records that want the same target record: the later one counts, with the units of both.
pub(super) fn wanted(
    batch: Batch<'_>,
    asked: Vec<Asked>,
    answers: &BTreeMap<String, Vec<Value>>,
    settle: &mut Settle,
) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for mut record in asked {
        let data = answers.get(&record.id).map(Vec::as_slice).unwrap_or_default();
        let (Some(row), false) = (record.row.take(), data.is_empty()) else {
            settle.no_data.push(record.subject());
            continue;
        };
        // The units are counted once, however many target records the data names.
        let mut subject = record.subject();
        for item in data {
            match batch.mapping.desired(&row, item) {
                Ok(desired) => {
                    let key = fold(&desired.external_id);
                    if let Some(place) = places.get(&key) {
                        let known = &mut wanted[*place];
                        known.desired = desired;
                        known.subjects.push(subject.clone());
                    } else {
                        places.insert(key, wanted.len());
                        wanted.push(Wanted { desired, subjects: vec![subject.clone()] });
                    }
                }
                Err(problem) => settle.dead.push(dead(batch, subject.clone(), &problem)),
            }
            subject.units = 0;
        }
    }
    wanted
}

/// Compares with what the org holds. `open` are folded external IDs that have a change on egress already: for those
/// what the org holds is about to change, so all fields are written.
pub(super) fn compare(
    batch: Batch<'_>,
    wanted: Vec<Wanted>,
    existing: &Existing<'_>,
    open: &BTreeSet<String>,
    describe: &Describe,
    settle: &mut Settle,
) {
    for Wanted { desired, subjects } in wanted {
        match write(batch.mapping, &desired, existing, open, describe) {
            Ok(Some(write)) => settle.changes.push(change(batch, desired, write, subjects)),
            Ok(None) => settle.unchanged.extend(subjects),
            Err(problem) => {
                settle.dead.extend(subjects.into_iter().map(|subject| dead(batch, subject, &problem)));
            }
        }
    }
}

/// Fields to write, and the record's ID where it is written by that.
type Write = (Row, Option<String>);

fn write(
    mapping: &Mapping,
    desired: &Desired,
    existing: &Existing<'_>,
    open: &BTreeSet<String>,
    describe: &Describe,
) -> Result<Option<Write>, RecordProblem> {
    check_external_id(desired, mapping.external_id_field(), describe)?;
    let existing = match existing.find(&desired.external_id) {
        Match::None => None,
        Match::One(row) => Some(row),
        Match::Many(rows) => {
            let message = format!("{} records have this external ID", rows.len());
            let hint = "Delete or merge all but one of them, and mark the field unique.";
            return Err(RecordProblem::new(mapping.external_id_field(), message, hint));
        }
    };
    let by_id = mapping.operation() != Operation::Upsert;
    let id = existing.filter(|_| by_id).and_then(id_of);
    if by_id && id.is_none() {
        // Nothing to change, and none is made.
        return Ok(None);
    }
    if open.contains(&fold(&desired.external_id)) {
        return Ok(Some((all_fields(desired, describe)?, id)));
    }
    Ok(match diff(desired, existing, describe)? {
        Diff::Unchanged => None,
        Diff::Create(fields) | Diff::Update(fields) => Some((fields, id)),
    })
}

fn id_of(record: &Row) -> Option<String> {
    row::get(record, "Id").and_then(Value::as_str).and_then(id::canonical)
}

fn change(batch: Batch<'_>, desired: Desired, write: Write, subjects: Vec<Subject>) -> NewChange {
    let (fields, target_id) = write;
    let lane = lane(batch.origin);
    let key = fold(&desired.external_id);
    let target = batch.mapping.target().to_owned();
    let parcel = ChangeParcel {
        v: 1,
        sync: batch.mapping.sync().to_owned(),
        target: target.clone(),
        external_id_field: batch.mapping.external_id_field().to_owned(),
        external_id: desired.external_id,
        operation: batch.mapping.operation(),
        target_id,
        fields,
        source_id: desired.source_id,
        origin: batch.origin,
        gap: batch.gap.map(str::to_owned),
        received_ms: batch.received_ms,
    };
    NewChange { lane, target, key, subjects, body: pack(&parcel) }
}

/// A record that cannot be written. What is kept of it is a request for it, to be tried again.
pub(super) fn dead(batch: Batch<'_>, subject: Subject, problem: &RecordProblem) -> NewDead {
    let request = RequestParcel {
        v: 1,
        sync: batch.mapping.sync().to_owned(),
        origin: batch.origin,
        ids: vec![subject.record.clone()],
        rows: None,
        event_id: String::new(),
        correlation_id: None,
        received_ms: subject.asked_ms,
    };
    NewDead {
        key: format!("{} {}", batch.mapping.object(), subject.record),
        subject,
        reason: problem.to_string(),
        hint: problem.hint.clone(),
        body: pack(&request),
        at_ms: batch.now_ms,
    }
}

/// Live goes first; what heals a gap can wait like a refresh.
pub(super) fn lane(origin: Origin) -> Lane {
    match origin {
        Origin::Live | Origin::Retry => Lane::Live,
        Origin::Refresh | Origin::Heal => Lane::Refresh,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::tests::org;

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
        Asked { id: id(n), units, row, since_ms: 1, trail: b"why".to_vec() }
    }

    /// Runs both steps.
    fn decide(asked: Vec<Asked>, answers: &[(u32, Value)], existing: &[Row], open: &[&str]) -> Settle {
        let org = org();
        let mapping = &org.syncs[0].mapping;
        let batch = Batch { mapping, origin: Origin::Live, gap: None, received_ms: 1, now_ms: 2 };
        let answers: BTreeMap<String, Vec<Value>> = answers
            .iter()
            .map(|(n, data)| (id(*n), data.as_array().cloned().unwrap_or_else(|| vec![data.clone()])))
            .collect();
        let mut settle = Settle::default();
        let wanted = wanted(batch, asked, &answers, &mut settle);
        let existing = Existing::new(existing, "External_Id__c");
        let open = open.iter().map(|key| (*key).to_owned()).collect();
        compare(batch, wanted, &existing, &open, &describe(), &mut settle);
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
        crate::parcel::unpack::<ChangeParcel>(&settle.changes[place].body).expect("readable").fields
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
        let again: RequestParcel = crate::parcel::unpack(&settle.dead[0].body).expect("readable");
        assert_eq!((again.ids, again.received_ms), (vec![id(4)], 1));
        assert!(reasons[0].contains("External_Id__c") && reasons[1].contains("2 records"), "{reasons:?}");
    }

    #[test]
    fn two_records_for_one_target_are_one_change_with_the_later_values() {
        let data = |employees| json!({ "key": "K", "employees": employees });
        let settle = decide(vec![asked(1, 1), asked(2, 2)], &[(1, data(5)), (2, data(6))], &[], &[]);
        assert_eq!(numbers(&settle), (0, 0, 0, 3));
        let named: Vec<_> = settle.changes[0].subjects.iter().map(|subject| subject.record.clone()).collect();
        assert_eq!(named, [id(1), id(2)]);
        assert_eq!(written(&settle, 0)["Employee_Count__c"], 6);
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
}
