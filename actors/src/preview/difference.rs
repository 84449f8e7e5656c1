//! What a new mapping would do otherwise than the one that runs, for the same records. Pure.
//!
//! Here: putting two outlooks side by side, record by record. Not here: each of them alone (`report`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::report::{EXAMPLES_MAX, cut, told_value};
use crate::decide::outlook::{Outlook, PlannedNothing, PlannedWrite};

/// Fields told of one record, and fields that are counted.
const FIELDS_MAX: usize = 100;
/// Characters told of a key and of a reason.
const TEXT_CHARS_MAX: usize = 200;

/// How two mappings differ for the records of a sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct PreviewDifference {
    /// Records that end alike, with the same values.
    pub same: u64,
    /// Records that do not.
    pub different: u64,
    /// Fields that would be written otherwise, or by one of the two only, and of how many records. Those that `$meta` sets are
    /// not compared: they are no reason to write.
    pub fields: BTreeMap<String, u64>,
    /// Some of the records that do not end alike.
    pub records: Vec<DifferentRecord>,
}

/// One record that two mappings would treat differently.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DifferentRecord {
    /// By ID.
    pub record: String,
    /// What the mapping that runs would do.
    pub running: RecordOutlook,
    /// What the new one would do.
    pub proposed: RecordOutlook,
    /// The fields that would be written otherwise.
    pub fields: Vec<DifferentField>,
}

/// What would become of one record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct RecordOutlook {
    /// `create`, `update`, `behind`, `unchanged`, `absent`, `no_data` or `dead_letter`; several if the answer has several
    /// records of the target.
    pub ends: BTreeSet<&'static str>,
    /// The external IDs that would be written.
    pub keys: BTreeSet<String>,
    /// Why it would be a dead letter.
    pub reason: Option<String>,
}

/// A field that two mappings would write differently.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DifferentField {
    /// Its name.
    pub field: String,
    /// What the mapping that runs would write, null to empty it; none if it would not write the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Value>,
    /// What the new one would write, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Value>,
}

/// All that would become of one record, with its values.
#[derive(Clone, Debug, Default, PartialEq)]
struct Whole<'o> {
    outlook: RecordOutlook,
    /// By external ID and field.
    fields: BTreeMap<(&'o str, &'o str), &'o Value>,
}

impl PreviewDifference {
    /// Between two outlooks for the same records.
    pub(super) fn between(running: &Outlook, proposed: &Outlook) -> Self {
        let (running, proposed) = (by_record(running), by_record(proposed));
        let records: BTreeSet<&str> = running.keys().chain(proposed.keys()).copied().collect();
        let (none, mut difference) = (Whole::default(), Self::default());
        for record in records {
            let one = running.get(record).unwrap_or(&none);
            let other = proposed.get(record).unwrap_or(&none);
            if one == other {
                difference.same += 1;
                continue;
            }
            difference.different += 1;
            let fields = fields(one, other);
            let names: BTreeSet<&String> = fields.iter().map(|field| &field.field).collect();
            for name in names {
                *difference.fields.entry(name.clone()).or_default() += 1;
            }
            if difference.records.len() < EXAMPLES_MAX {
                let fields = fields.into_iter().take(FIELDS_MAX).collect();
                let (running, proposed) = (one.outlook.clone(), other.outlook.clone());
                difference.records.push(DifferentRecord {
                    record: record.to_owned(),
                    running,
                    proposed,
                    fields,
                });
            }
        }
        difference.fields = difference.fields.into_iter().take(FIELDS_MAX).collect();
        difference
    }
}

fn fields(one: &Whole<'_>, other: &Whole<'_>) -> Vec<DifferentField> {
    let places: BTreeSet<&(&str, &str)> = one.fields.keys().chain(other.fields.keys()).collect();
    let different = places.into_iter().filter_map(|place| {
        let (running, proposed) = (one.fields.get(place), other.fields.get(place));
        (running != proposed).then(|| DifferentField {
            field: place.1.to_owned(),
            running: running.map(|value| told_value(value)),
            proposed: proposed.map(|value| told_value(value)),
        })
    });
    different.collect()
}

fn by_record(outlook: &Outlook) -> BTreeMap<&str, Whole<'_>> {
    let mut records: BTreeMap<&str, Whole<'_>> = BTreeMap::new();
    for change in &outlook.changes {
        let end = match change.write {
            PlannedWrite::Create => "create",
            PlannedWrite::Update => "update",
            PlannedWrite::Behind => "behind",
        };
        for record in &change.records {
            let whole = records.entry(record).or_default();
            whole.outlook.ends.insert(end);
            whole.outlook.keys.insert(cut(&change.key, TEXT_CHARS_MAX));
            let fields = change.fields.iter().filter(|field| !field.set_when_written);
            whole
                .fields
                .extend(fields.map(|field| ((change.key.as_str(), field.field.as_str()), &field.after)));
        }
    }
    for planned in &outlook.ends {
        let whole = records.entry(&planned.record).or_default();
        whole.outlook.ends.insert(match &planned.end {
            PlannedNothing::Unchanged => "unchanged",
            PlannedNothing::Absent => "absent",
            PlannedNothing::NoData(_) => "no_data",
            PlannedNothing::Dead { reason, .. } => {
                whole.outlook.reason = Some(cut(reason, TEXT_CHARS_MAX));
                "dead_letter"
            }
        });
    }
    records
}
