//! What becomes of records of a target that have lost the record they were made for. Pure.
//!
//! Here: the decision about each, by what the org holds of it now. Not here: finding them (`capture::orphans`), reading
//! them once more (`fetch`).

use std::collections::BTreeMap;

use orgpipe_reconcile::{
    Desired, Mapping, Operation, Row, describe::Kind, identity::Identity, matching::external_id, row, stored,
};
use orgpipe_store::{OpenChanges, Settle};
use serde_json::Value;

use super::{
    batch::{Asked, Batch, text},
    verdict::{Write, change, differing, nothing_to_write},
};
use crate::{
    audit_trail::{Found, Nothing},
    org::schemas::Target,
    settings::OnDeleted,
};

/// What an org holds of records of a target that have lost the record they were made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Orphans<'a> {
    /// What becomes of them.
    pub on_deleted: OnDeleted,
    /// The target's rows, by ID, as they are now.
    pub rows: &'a BTreeMap<String, Row>,
    /// The fields that hold the ID of the record they were made for.
    pub links: &'a [String],
    /// What is on egress, by folded external ID.
    pub open: &'a OpenChanges,
}

/// Deletes or empties what a refresh has found. One that has its own record again, or is about to, is left alone.
pub(super) fn handle_deleted(
    batch: Batch<'_>,
    asked: Vec<Asked>,
    orphans: Orphans<'_>,
    target: &Target,
    settle: &mut Settle,
) {
    let mapping = batch.mapping;
    let identity = Identity::of(&target.describe, mapping.key_field());
    for mut record in asked {
        let Some(row) = orphans.rows.get(&record.id) else {
            record.trail.nothing = Some(Nothing::Gone);
            nothing_to_write(batch, record, settle);
            continue;
        };
        let own = external_id(row, mapping.key_field()).unwrap_or_default();
        let key = identity.key(&own);
        record.trail.found = Some(Found::One(record.id.clone()));
        let linked = orphans.links.iter().any(|link| text(row, link).is_some_and(|id| !id.is_empty()));
        // `open` was asked by the key that it had when it was found.
        let found = record.row.as_ref().and_then(|row| external_id(row, mapping.key_field()));
        let same = found.is_some_and(|found| !key.is_empty() && identity.key(&found) == key);
        let fields = match orphans.on_deleted {
            _ if linked || !same || orphans.open.contains_key(&key) => None,
            OnDeleted::Keep => None,
            OnDeleted::Delete => Some((Operation::Delete, Row::new())),
            OnDeleted::Clear => {
                emptied(mapping, orphans.links, row, target).map(|fields| (Operation::Update, fields))
            }
        };
        let Some((operation, fields)) = fields else {
            record.trail.target(&key);
            settle.unchanged.push(record.subject());
            continue;
        };
        record.trail.fields = differing(batch.hasher, &fields, Some(row), &target.describe);
        let source_id = record.id.clone();
        let desired = Desired {
            key: own,
            fields: Row::new(),
            receipts: BTreeMap::new(),
            overlong: BTreeMap::new(),
            source_id,
        };
        let target_id = Some(record.id.clone());
        let subjects = vec![record.subject()];
        // Nobody looked at its other fields, so nothing is remembered of them any more.
        let write = Write { operation, fields, target_id, ..Write::default() };
        settle.changes.push(change(batch, identity, desired, write, subjects));
    }
}

/// The mapped fields that hold something and may be emptied; none if there are none.
fn emptied(mapping: &Mapping, links: &[String], row: &Row, target: &Target) -> Option<Row> {
    let mut fields = Row::new();
    for (name, _) in mapping.fields().iter().filter(|(name, _)| target.writes(name) && !links.contains(name))
    {
        let Some(field) = target.describe.field(name).filter(|field| field.updateable) else { continue };
        let nothing = if field.kind == Kind::Checkbox { Value::Bool(false) } else { Value::Null };
        let held = row::get(row, name).unwrap_or(&Value::Null);
        let holds = stored::key(field, held) != stored::key(field, &nothing);
        if holds && (field.nillable || field.kind == Kind::Checkbox) {
            fields.insert(field.name.clone(), nothing);
        }
    }
    (!fields.is_empty()).then_some(fields)
}
