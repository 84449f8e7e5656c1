//! Which record of the target belongs to an external ID.
//!
//! Here: records that were read, sorted by their external ID, and the children that came with a record. Not here: what is
//! written to them (`diff`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    identity::Identity,
    row::{self, Row},
};

/// External IDs in one query: few enough for a short answer, and for the URL of most.
pub const KEYS_MAX: usize = 200;

/// What was found for one external ID.
#[derive(Clone, Debug, PartialEq)]
pub enum Match<'rows> {
    /// No record has it, so one is created.
    None,
    /// One record has it, and is compared.
    One(&'rows Row),
    /// Several have it, which Salesforce refuses to upsert (`DUPLICATE_EXTERNAL_ID`, status 300).
    Many(Vec<&'rows Row>),
}

/// Records read from the target, by external ID.
#[derive(Clone, Debug)]
pub struct Existing<'rows> {
    by_key: BTreeMap<String, Vec<&'rows Row>>,
    identity: Identity,
}

impl<'rows> Existing<'rows> {
    /// Sorts the records by their external ID; one without is left out.
    pub fn new(rows: &'rows [Row], external_id_field: &str, identity: Identity) -> Self {
        let mut by_key: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for record in rows {
            if let Some(key) = external_id(record, external_id_field) {
                by_key.entry(identity.key(&key)).or_default().push(record);
            }
        }
        Self { by_key, identity }
    }

    /// The record with this external ID.
    pub fn find(&self, external_id: &str) -> Match<'rows> {
        match self.by_key.get(&self.identity.key(external_id)).map(Vec::as_slice) {
            None | Some([]) => Match::None,
            Some([one]) => Match::One(one),
            Some(many) => Match::Many(many.to_vec()),
        }
    }
}

/// Takes the children that were read with the records out of them. `None` if some were left out of an answer, as of a
/// record with very many: then nothing follows from what is missing.
pub fn take_children(rows: &mut [Row], relationship: &str) -> Option<Vec<Row>> {
    let (mut children, mut complete) = (Vec::new(), true);
    for row in rows {
        let Some(Value::Object(mut read)) = row.remove(relationship) else { continue };
        complete &= read.get("done").and_then(Value::as_bool) != Some(false);
        if let Some(Value::Array(records)) = read.remove("records") {
            children.extend(records.into_iter().filter_map(|record| match record {
                Value::Object(record) => Some(record),
                _ => None,
            }));
        }
    }
    complete.then_some(children)
}

/// A record's external ID as text; `None` if it has none. A number comes back from Salesforce as `42.0`.
pub fn external_id(record: &Row, field: &str) -> Option<String> {
    match row::get(record, field)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Number(number) => {
            let text = number.to_string();
            Some(text.strip_suffix(".0").map_or(text.clone(), str::to_owned))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
