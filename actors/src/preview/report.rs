//! How much of an outlook is told. Pure.
//!
//! Here: counts of all, and some of each kind with their values, cut to what a person reads. Not here: the outlook itself
//! (`decide/outlook.rs`), what two of them differ in (`difference`).
//!
//! Invariant: however large the records are, a report is of a few megabytes at most.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::cost::WholeRun;
use crate::{
    audit_trail::Nothing,
    decide::outlook::{Outlook, PlannedChange, PlannedField, PlannedNothing, PlannedWrite, SharedKeyOf},
    org::schemas::Quarantined,
};

/// Of each kind so many are told.
pub(super) const EXAMPLES_MAX: usize = 10;
/// Fields told of one record.
const FIELDS_MAX: usize = 50;
/// Fields of which it is told how often they are cut or kept.
const FIELD_NAMES_MAX: usize = 100;
/// Characters told of one value.
const VALUE_CHARS_MAX: usize = 200;
/// Characters told of a reason, and of a hint.
const REASON_CHARS_MAX: usize = 1_000;

/// What one mapping would do with the records of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PreviewSide {
    /// How many of each.
    pub counts: PreviewCounts,
    /// Some of the records of the target that would be made.
    pub creates: Vec<PlannedChange>,
    /// Some of those that would be changed.
    pub updates: Vec<PlannedChange>,
    /// What would be dead letters, by reason.
    pub dead_letters: Vec<PlannedLetters>,
    /// Why there is no data, and of how many records: `gone`, `converted`, `no_keys`, `unknown`, `shared_key`.
    pub no_data: BTreeMap<&'static str, u64>,
    /// Fields whose values are longer than they are, and of how many records.
    pub cut: BTreeMap<String, u64>,
    /// Fields that differ only as the org keeps them in a form of its own, and of how many records.
    pub kept: BTreeMap<String, u64>,
    /// Some of the records that were answered with the key of another one.
    pub shared_keys: Vec<SharedKeyOf>,
    /// Fields that cannot be read or written, so that they are left out.
    pub quarantined: Vec<Quarantined>,
    /// What a refresh of all would take; none if the sync has none, or if the records could not be counted.
    pub whole: Option<WholeRun>,
}

/// How many records of each kind. `records` is the sum of `written`, `unchanged`, `no_data` and `dead_letters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewCounts {
    /// Records of the sample.
    pub records: u64,
    /// Records for which something would be written.
    pub written: u64,
    /// Records of which the org holds all.
    pub unchanged: u64,
    /// Of those, records for which there is no record of the target and the sync makes none.
    pub absent: u64,
    /// Records for which there is nothing to write.
    pub no_data: u64,
    /// Records that cannot be written.
    pub dead_letters: u64,
    /// Letters that would come of it: of each object that a record was answered, where one cannot be written.
    pub letters: u64,
    /// Records of the target that would be made.
    pub creates: u64,
    /// Records of the target that would be changed.
    pub updates: u64,
    /// Of those, records of which a change waits to be written already.
    pub behind: u64,
    /// Records that were answered with the key of another one.
    pub shared_keys: u64,
}

/// Records that would be dead letters for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedLetters {
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// How many.
    pub count: u64,
    /// Some of them, by ID.
    pub records: Vec<String>,
}

impl PreviewSide {
    /// What is told of an outlook.
    pub(super) fn of(outlook: &Outlook, quarantined: Vec<Quarantined>, whole: Option<WholeRun>) -> Self {
        let is_create = |change: &&PlannedChange| change.write == PlannedWrite::Create;
        let some = |changes: &mut dyn Iterator<Item = &PlannedChange>| {
            changes.take(EXAMPLES_MAX).map(told_change).collect()
        };
        let ends = || outlook.ends.iter();
        let cuts = outlook.changes.iter().map(|change| &change.cut).chain(ends().map(|end| &end.cut));
        let no_data = ends().filter_map(|end| match &end.end {
            PlannedNothing::NoData(nothing) => Some((nothing_name(*nothing), end.units)),
            PlannedNothing::Unchanged | PlannedNothing::Absent | PlannedNothing::Dead { .. } => None,
        });
        Self {
            counts: counts(outlook),
            creates: some(&mut outlook.changes.iter().filter(is_create)),
            updates: some(&mut outlook.changes.iter().filter(|change| !is_create(change))),
            dead_letters: letters(outlook),
            no_data: sums(no_data),
            cut: field_names(cuts),
            kept: field_names(ends().map(|end| &end.kept)),
            shared_keys: shared(outlook).take(EXAMPLES_MAX).cloned().collect(),
            quarantined: quarantined.into_iter().take(FIELD_NAMES_MAX).collect(),
            whole,
        }
    }
}

fn shared(outlook: &Outlook) -> impl Iterator<Item = &SharedKeyOf> {
    let written = outlook.changes.iter().flat_map(|change| &change.shared);
    written.chain(outlook.ends.iter().filter_map(|end| end.shared.as_ref()))
}

fn counts(outlook: &Outlook) -> PreviewCounts {
    let mut counts = PreviewCounts {
        records: outlook.records(),
        shared_keys: shared(outlook).count() as u64,
        ..PreviewCounts::default()
    };
    for change in &outlook.changes {
        counts.written += change.units;
        match change.write {
            PlannedWrite::Create => counts.creates += 1,
            PlannedWrite::Update => counts.updates += 1,
            PlannedWrite::Behind => {
                counts.updates += 1;
                counts.behind += 1;
            }
        }
    }
    for end in &outlook.ends {
        match end.end {
            PlannedNothing::Unchanged => counts.unchanged += end.units,
            PlannedNothing::Absent => {
                counts.unchanged += end.units;
                counts.absent += end.units;
            }
            PlannedNothing::NoData(_) => counts.no_data += end.units,
            PlannedNothing::Dead { .. } => {
                counts.dead_letters += end.units;
                counts.letters += 1;
            }
        }
    }
    counts
}

fn nothing_name(nothing: Option<Nothing>) -> &'static str {
    match nothing {
        Some(Nothing::Gone) => "gone",
        Some(Nothing::Converted) => "converted",
        Some(Nothing::NoKeys) => "no_keys",
        Some(Nothing::Unknown) => "unknown",
        None => "shared_key",
    }
}

/// By reason, the most frequent first.
fn letters(outlook: &Outlook) -> Vec<PlannedLetters> {
    let mut by_reason: BTreeMap<(&str, &str), (u64, Vec<String>)> = BTreeMap::new();
    for end in &outlook.ends {
        if let PlannedNothing::Dead { reason, hint } = &end.end {
            let (count, records) = by_reason.entry((reason, hint)).or_default();
            *count += 1;
            if records.len() < EXAMPLES_MAX {
                records.push(end.record.clone());
            }
        }
    }
    let letters = by_reason.into_iter().map(|((reason, hint), (count, records))| {
        let [reason, hint] = [reason, hint].map(|text| cut(text, REASON_CHARS_MAX));
        PlannedLetters { reason, hint, count, records }
    });
    let mut letters: Vec<PlannedLetters> = letters.collect();
    letters.sort_by_key(|letters| std::cmp::Reverse(letters.count));
    letters.truncate(EXAMPLES_MAX);
    letters
}

fn sums<K: Ord>(pairs: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    let mut sums = BTreeMap::new();
    for (key, count) in pairs.filter(|(_, count)| *count > 0) {
        *sums.entry(key).or_default() += count;
    }
    sums
}

fn field_names<'o>(lists: impl Iterator<Item = &'o Vec<String>>) -> BTreeMap<String, u64> {
    let sums = sums(lists.flatten().map(|field| (field.clone(), 1)));
    sums.into_iter().take(FIELD_NAMES_MAX).collect()
}

/// As it is told.
fn told_change(change: &PlannedChange) -> PlannedChange {
    let told = |field: &PlannedField| PlannedField {
        field: field.field.clone(),
        before: told_value(&field.before),
        after: told_value(&field.after),
        cut: field.cut.clone(),
        set_when_written: field.set_when_written,
    };
    PlannedChange {
        key: cut(&change.key, VALUE_CHARS_MAX),
        records: change.records.iter().take(EXAMPLES_MAX).cloned().collect(),
        fields: change.fields.iter().take(FIELDS_MAX).map(told).collect(),
        cut: Vec::new(),
        shared: Vec::new(),
        ..change.clone()
    }
}

/// A value, or its beginning. Salesforce spells whole numbers with a point, which nobody wants to compare.
pub(super) fn told_value(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text.strip_suffix(".0").and_then(|whole| whole.parse::<i64>().ok());
            whole.map_or_else(|| value.clone(), Value::from)
        }
        Value::Null | Value::Bool(_) => value.clone(),
        Value::String(text) => Value::String(cut(text, VALUE_CHARS_MAX)),
        Value::Array(_) | Value::Object(_) => Value::String(cut(&value.to_string(), VALUE_CHARS_MAX)),
    }
}

pub(super) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
