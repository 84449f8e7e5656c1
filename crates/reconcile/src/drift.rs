//! What an org has changed about the fields that a mapping writes, and about those that it reads.
//!
//! Here: which of them cannot be written or read at all, and what is left of the mapping then. Not here: values that a
//! field cannot keep (`stored`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    describe::Describe,
    mapping::{Mapping, TargetKey},
    row::Row,
};

/// Why a field cannot be written, whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// It does not exist, or the integration user may not see it.
    Gone,
    /// It may be neither set nor changed by the integration user.
    ReadOnly,
}

/// The mapping's fields that cannot be written in this org. The external ID is not among them: without it nothing can be.
pub fn drifted(mapping: &Mapping, describe: &Describe) -> Vec<(String, Drift)> {
    let drift = |name: &str| match describe.field(name) {
        None => Some(Drift::Gone),
        Some(field) if !field.createable && !field.updateable => Some(Drift::ReadOnly),
        Some(_) => None,
    };
    mapping.fields().iter().filter_map(|(name, _)| Some((name.clone(), drift(name)?))).collect()
}

/// What one object's describe says about reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readable {
    /// Names of the fields that may be read, in lower case.
    fields: BTreeSet<String>,
    /// Name of a relationship in lower case to the objects it may lead to.
    parents: BTreeMap<String, Vec<String>>,
}

impl Readable {
    /// Reads the JSON that Salesforce answers; fields that the user may not see are not in it.
    pub fn from_json(describe: &Row) -> Self {
        let mut readable = Self::default();
        for field in describe.get("fields").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| field.get(key).and_then(Value::as_str).map(str::to_ascii_lowercase);
            readable.fields.extend(text("name"));
            if let Some(relationship) = text("relationshipName") {
                let objects = field.get("referenceTo").and_then(Value::as_array).into_iter().flatten();
                let objects = objects.filter_map(Value::as_str).map(str::to_owned).collect();
                readable.parents.insert(relationship, objects);
            }
        }
        readable
    }
}

/// Whether a path of a record can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every field and object on it can be read.
    Readable,
    /// A field or object on it is not there, or not visible.
    Gone,
    /// This object has to be described first.
    Describe(String),
}

/// Follows a dotted path from an object. `known`: the objects described so far; none = not visible. Behind a lookup to
/// more than one object nothing can be told, so it counts as readable.
pub fn reach(object: &str, path: &str, known: &BTreeMap<String, Option<Readable>>) -> Reach {
    let readable = match known.get(object) {
        Some(Some(readable)) => readable,
        Some(None) => return Reach::Gone,
        None => return Reach::Describe(object.to_owned()),
    };
    let Some((parent, rest)) = path.split_once('.') else {
        let there = readable.fields.contains(&path.to_ascii_lowercase());
        return if there { Reach::Readable } else { Reach::Gone };
    };
    match readable.parents.get(&parent.to_ascii_lowercase()).map(Vec::as_slice) {
        None => Reach::Gone,
        Some([parent]) => reach(parent, rest, known),
        Some(_) => Reach::Readable,
    }
}

/// Why nothing can be done for a sync while fields of its object cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is nothing to ask with.
    #[error("no key is left to look up with, as {object} has no {fields} that can be read")]
    NoKeys {
        /// The sync's object.
        object: String,
        /// The fields that the keys are made from.
        fields: String,
    },
    /// There is nothing to match with.
    #[error("the external ID is made from {object}.{field}, which cannot be read")]
    ExternalId {
        /// The sync's object.
        object: String,
        /// The field of it that cannot be read.
        field: String,
    },
}

impl Unfit {
    /// What to do about it.
    pub fn hint(&self) -> String {
        "Bring the field back, or let the integration user read it; or take it out of the sync. It goes on by itself."
            .to_owned()
    }
}

/// What is left of a mapping while these paths of the record cannot be read: they are neither asked with nor written.
pub fn remaining(mapping: &Mapping, unread: &BTreeSet<String>) -> Result<Mapping, Unfit> {
    let object = mapping.object().to_owned();
    if let TargetKey::ExternalId { from, .. } = mapping.key()
        && let Some(field) =
            from.record_paths().iter().find(|path| unread.iter().any(|gone| gone.eq_ignore_ascii_case(path)))
    {
        return Err(Unfit::ExternalId { object, field: field.clone() });
    }
    let left = mapping.without(unread);
    if left.keys().is_empty() {
        let fields: Vec<&str> = mapping.keys().iter().map(|(_, field)| field.as_str()).collect();
        return Err(Unfit::NoKeys { object, fields: fields.join(", ") });
    }
    Ok(left)
}

#[cfg(test)]
mod tests;
