//! What would become of records, as a verdict says that nobody commits. Pure.
//!
//! Here: each change with what the org holds now and what it would hold, and each record without one. The values are for a
//! person who asks for them, and go into no log. Not here: coming to the verdict (`prepared`), how much of it is told
//! (`preview` above the flow).

use std::collections::BTreeMap;

use orgpipe_reconcile::{Mapping, row};
use orgpipe_store::{NewChange, Subject, units};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{batch::id_of, prepared::Verdict};
use crate::{
    audit_trail::{AuditTrail, Found, Nothing, SharedWith},
    queue_entry::{ChangeEntry, Row, unpack},
};

/// What would become of the records of a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outlook {
    /// Records of the target that would be written.
    pub changes: Vec<PlannedChange>,
    /// Records for which nothing would be written.
    pub ends: Vec<PlannedEnd>,
    /// Records of the target that were looked for by queries; none if none was wanted.
    pub looked_for: Option<usize>,
}

/// How a record of the target would be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlannedWrite {
    /// There is none yet.
    Create,
    /// It differs.
    Update,
    /// A change of it waits to be written already, so that all its fields are written.
    Behind,
}

/// A record of the target that would be written.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlannedChange {
    /// How.
    pub write: PlannedWrite,
    /// Its external ID.
    pub key: String,
    /// Its ID, if it is there.
    pub target_id: Option<String>,
    /// The customer's records for which it would be written.
    pub records: Vec<String>,
    /// What would be written.
    pub fields: Vec<PlannedField>,
    /// Fields whose values are longer than they are, written or not.
    #[serde(skip)]
    pub(crate) cut: Vec<String>,
    /// How many of the records end with it.
    #[serde(skip)]
    pub(crate) units: u64,
    /// To which of them it belongs, where others were answered with the same key.
    #[serde(skip)]
    pub(crate) shared: Vec<SharedKeyOf>,
}

/// A field that would be written.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlannedField {
    /// Its name.
    pub field: String,
    /// What the org holds; null if nothing, or if there is no record.
    pub before: Value,
    /// What would be written; null empties it.
    pub after: Value,
    /// How much of the value is cut off, if it is longer than the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Whether it is set along with the others when they are written, so that `after` is what it would be set to now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub set_when_written: bool,
}

/// A record for which nothing would be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedEnd {
    /// By ID.
    pub record: String,
    /// How often it counts: not at all where another of its targets does.
    pub units: u64,
    pub end: PlannedNothing,
    /// The key that belongs to another record.
    pub shared: Option<SharedKeyOf>,
    /// Fields whose values are longer than they are.
    pub cut: Vec<String>,
    /// Fields that the org keeps in a form of its own.
    pub kept: Vec<String>,
}

/// Why nothing would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlannedNothing {
    /// The org holds all of it.
    Unchanged,
    /// There is no record of the target, and the sync makes none.
    Absent,
    /// There is nothing to write.
    NoData(Option<Nothing>),
    /// It would be a dead letter.
    Dead {
        /// What is wrong.
        reason: String,
        /// What to do.
        hint: String,
    },
}

/// A record that was answered with the key of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SharedKeyOf {
    /// By ID.
    pub record: String,
    /// The record to which the target's record belongs; it may be the same.
    pub holder: String,
}

impl Outlook {
    /// Of a verdict about records of this mapping.
    pub(super) fn of(mapping: &Mapping, verdict: &Verdict) -> Self {
        let Verdict { settle, existing, looked_for, .. } = verdict;
        let existing: BTreeMap<String, &Row> =
            existing.iter().filter_map(|row| Some((id_of(row)?, row))).collect();
        let changes = settle.changes.iter().filter_map(|change| planned(mapping, change, &existing));
        let unchanged = settle.unchanged.iter().map(|subject| {
            ended(subject, |trail| match trail.and_then(|trail| trail.found.as_ref()) {
                Some(Found::None) => PlannedNothing::Absent,
                Some(Found::One(_) | Found::Open) | None => PlannedNothing::Unchanged,
            })
        });
        let no_data = settle.no_data.iter().map(|subject| {
            ended(subject, |trail| PlannedNothing::NoData(trail.and_then(|trail| trail.nothing)))
        });
        let dead = settle.dead.iter().map(|dead| {
            let (reason, hint) = (dead.reason.clone(), dead.hint.clone());
            ended(&dead.subject, |_| PlannedNothing::Dead { reason, hint })
        });
        Self {
            changes: changes.collect(),
            ends: unchanged.chain(no_data).chain(dead).collect(),
            looked_for: *looked_for,
        }
    }

    /// Records about which the vendor's API would be asked: those that are there and have keys.
    pub(crate) fn looked_up(&self) -> u64 {
        let never = |end: &PlannedEnd| match end.end {
            PlannedNothing::NoData(Some(Nothing::Gone | Nothing::Converted | Nothing::NoKeys)) => end.units,
            PlannedNothing::NoData(Some(Nothing::Unknown) | None)
            | PlannedNothing::Unchanged
            | PlannedNothing::Absent
            | PlannedNothing::Dead { .. } => 0,
        };
        self.records() - self.ends.iter().map(never).sum::<u64>()
    }

    /// All records.
    pub(crate) fn records(&self) -> u64 {
        let written: u64 = self.changes.iter().map(|change| change.units).sum();
        written + self.ends.iter().map(|end| end.units).sum::<u64>()
    }
}

fn planned(
    mapping: &Mapping,
    change: &NewChange,
    existing: &BTreeMap<String, &Row>,
) -> Option<PlannedChange> {
    let entry: ChangeEntry = unpack(&change.body).ok()?;
    let trails: Vec<(String, AuditTrail)> = change
        .subjects
        .iter()
        .filter_map(|subject| Some((subject.record.clone(), trail(subject)?)))
        .collect();
    let before = entry.target_id.as_ref().and_then(|id| existing.get(id));
    let open = trails.iter().any(|(_, trail)| trail.found == Some(Found::Open));
    let write = match before {
        _ if open => PlannedWrite::Behind,
        Some(_) => PlannedWrite::Update,
        None => PlannedWrite::Create,
    };
    let mapped = |name: &String| !name.eq_ignore_ascii_case(mapping.key_field());
    let cut = trails.first().map(|(_, trail)| cuts(&trail.cut)).unwrap_or_default();
    let fields = entry.fields.into_iter().filter(|(name, _)| mapped(name)).map(|(field, after)| {
        let before = before.and_then(|row| row::get(row, &field)).cloned().unwrap_or(Value::Null);
        let cut = cut.get(&field).cloned();
        let set_when_written = is_receipt(mapping, &field);
        PlannedField { field, before, after, cut, set_when_written }
    });
    Some(PlannedChange {
        write,
        key: entry.external_id,
        target_id: entry.target_id,
        records: change.subjects.iter().map(|subject| subject.record.clone()).collect(),
        fields: fields.collect(),
        cut: cut.into_keys().collect(),
        units: units(&change.subjects),
        shared: trails.iter().filter_map(|(record, trail)| shared(record, trail)).collect(),
    })
}

/// Whether the mapping sets a field by `$meta`.
fn is_receipt(mapping: &Mapping, field: &str) -> bool {
    let mut fields = mapping.fields().iter();
    fields.any(|(name, source)| source.meta().is_some() && name.eq_ignore_ascii_case(field))
}

fn ended(subject: &Subject, end: impl FnOnce(Option<&AuditTrail>) -> PlannedNothing) -> PlannedEnd {
    let trail = trail(subject);
    let end = end(trail.as_ref());
    let shared = trail.as_ref().and_then(|trail| shared(&subject.record, trail));
    let (cut, kept) = trail.map(|trail| (trail.cut, trail.kept)).unwrap_or_default();
    let cut = cuts(&cut).into_keys().collect();
    PlannedEnd { record: subject.record.clone(), units: subject.units.into(), end, shared, cut, kept }
}

/// By field, how much is cut off: a trail has `Field (how much)`.
fn cuts(told: &[String]) -> BTreeMap<String, String> {
    let cut = |told: &String| {
        let (field, how) = told.split_once(" (").unwrap_or((told, ""));
        (field.to_owned(), how.trim_end_matches(')').to_owned())
    };
    told.iter().map(cut).collect()
}

fn trail(subject: &Subject) -> Option<AuditTrail> {
    unpack(&subject.trail).ok()
}

/// Told of those that do not get the record, each once.
fn shared(record: &str, trail: &AuditTrail) -> Option<SharedKeyOf> {
    match &trail.shared {
        Some(SharedWith::Yields(holder)) => {
            Some(SharedKeyOf { record: record.to_owned(), holder: holder.clone() })
        }
        Some(SharedWith::Holds(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_store::{Lane, NewDead, Settle, UnixMs};
    use serde_json::json;

    use super::*;
    use crate::{
        queue_entry::{Origin, pack},
        settings::tests::org,
    };

    fn subject(record: &str, edit: impl FnOnce(&mut AuditTrail)) -> Subject {
        let mut trail = AuditTrail::new("accounts", Origin::Refresh, "preview", None);
        edit(&mut trail);
        Subject {
            record: record.to_owned(),
            units: 1,
            asked_ms: UnixMs(1),
            trail: trail.pack(),
            pushes: Vec::new(),
        }
    }

    fn change(target_id: Option<&str>, found: Found, fields: Value) -> NewChange {
        let Value::Object(fields) = fields else { unreachable!() };
        let entry = ChangeEntry {
            v: 1,
            sync: "accounts".into(),
            target: "Enrichment__c".into(),
            external_id_field: "External_Id__c".into(),
            external_id: "K1".into(),
            operation: orgpipe_reconcile::Operation::Upsert,
            target_id: target_id.map(str::to_owned),
            fields,
            receipts: Vec::new(),
            fingerprint: String::new(),
            source_id: "001A".into(),
            origin: Origin::Refresh,
            gap: None,
            received_ms: UnixMs(1),
        };
        let subjects = vec![subject("001A", |trail| {
            trail.found = Some(found);
            trail.cut = vec!["Industry__c (from 2 to 1 characters)".to_owned()];
        })];
        let (target, key) = ("Enrichment__c".to_owned(), "k1".to_owned());
        NewChange { lane: Lane::Refresh, target, key, subjects, body: pack(&entry) }
    }

    fn outlook(settle: Settle, existing: Vec<Row>) -> Outlook {
        let verdict = Verdict { settle, again: Vec::new(), existing, looked_for: Some(1) };
        Outlook::of(&org().syncs[0].mapping, &verdict)
    }

    #[test]
    fn a_change_is_told_with_what_the_org_holds_now() {
        let id = "a01000000000001AAA";
        let Value::Object(row) = json!({ "Id": id, "External_Id__c": "K1", "employee_count__c": 7 }) else {
            unreachable!()
        };
        let fields = || json!({ "Employee_Count__c": 9, "Industry__c": "x", "External_Id__c": 1 });
        for (target_id, found, write, before) in [
            (None, Found::None, PlannedWrite::Create, Value::Null),
            (Some(id), Found::One(id.to_owned()), PlannedWrite::Update, json!(7)),
            (Some(id), Found::Open, PlannedWrite::Behind, json!(7)),
        ] {
            let settle = Settle { changes: vec![change(target_id, found, fields())], ..Settle::default() };
            let told = outlook(settle, vec![row.clone()]).changes.remove(0);
            assert_eq!((told.write, told.units, &*told.key), (write, 1, "K1"));
            let field = |field: &str, before, after| PlannedField {
                field: field.to_owned(),
                before,
                after,
                cut: (field == "Industry__c").then(|| "from 2 to 1 characters".to_owned()),
                set_when_written: false,
            };
            let expected =
                [field("Employee_Count__c", before, json!(9)), field("Industry__c", Value::Null, json!("x"))];
            assert_eq!(told.fields, expected, "the external ID is none of them");
        }
    }

    #[test]
    fn each_record_without_a_change_is_told_with_its_reason() {
        let nothing = |record: &str, why: Option<Nothing>| subject(record, |trail| trail.nothing = why);
        let yields = subject("001E", |trail| trail.shared = Some(SharedWith::Yields("001A".to_owned())));
        let dead = NewDead {
            subject: subject("001F", |_| {}),
            sync: String::new(),
            errors: Vec::new(),
            key: "Account 001F".into(),
            reason: "it is empty".into(),
            hint: "Mend it.".into(),
            body: Vec::new(),
            at_ms: UnixMs(1),
        };
        let settle = Settle {
            unchanged: vec![
                subject("001B", |trail| trail.found = Some(Found::One("a01".to_owned()))),
                subject("001C", |trail| trail.found = Some(Found::None)),
            ],
            no_data: vec![nothing("001D", Some(Nothing::Gone)), yields],
            dead: vec![dead],
            ..Settle::default()
        };
        let told = outlook(settle, Vec::new());
        let ends: Vec<(&str, &PlannedNothing)> =
            told.ends.iter().map(|end| (end.record.as_str(), &end.end)).collect();
        let letter = PlannedNothing::Dead { reason: "it is empty".to_owned(), hint: "Mend it.".to_owned() };
        assert_eq!(
            ends,
            [
                ("001B", &PlannedNothing::Unchanged),
                ("001C", &PlannedNothing::Absent),
                ("001D", &PlannedNothing::NoData(Some(Nothing::Gone))),
                ("001E", &PlannedNothing::NoData(None)),
                ("001F", &letter),
            ]
        );
        assert_eq!((told.records(), told.looked_up()), (5, 4));
        let shared = SharedKeyOf { record: "001E".to_owned(), holder: "001A".to_owned() };
        assert_eq!(told.ends[3].shared, Some(shared));
    }
}
