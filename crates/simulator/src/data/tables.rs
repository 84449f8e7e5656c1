//! The records of an org.
//!
//! Here: keeping them, finding them by id and by external id, undoing a failed all-or-none request. In `write`: insert,
//! update, upsert, delete, merge. In `checks`: what a write is refused for.
//! Not here: single values (`value`), who is told (`org`).
//!
//! Invariant: a refused record leaves nothing behind.

mod checks;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::id::IdGenerator;
use super::kind::FieldKind;
use super::number::java_text;
use super::object::{Field, Object};
use super::refusal::Refusal;
use super::schema::Schema;
use super::times::instant_text;
use super::value;
use crate::row::Row;

static NULL: Value = Value::Null;
static FALSE: Value = Value::Bool(false);
/// What is shown of an encrypted text, however long it is.
static MASK: LazyLock<Value> = LazyLock::new(|| Value::from("********"));

/// Who writes, when (Unix milliseconds), what the writer sees of the org (none = all of it), and by which client of which
/// API; empty if by none.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) user: String,
    pub(crate) now_ms: i64,
    pub(crate) sees: Option<Arc<Schema>>,
    pub(crate) origin: String,
}

/// A record that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenRecord {
    pub(crate) object: String,
    pub(crate) id: String,
    pub(crate) created: bool,
    /// Fields whose value is another one now.
    pub(crate) changed: Vec<String>,
}

/// What an external ID leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyMatch {
    None,
    One(String),
    /// More than one record has it: nothing may be written.
    Many(Vec<String>),
}

#[derive(Debug, Default)]
struct Table {
    /// By id; a field that is null is not there.
    rows: BTreeMap<String, Row>,
    /// Those in the recycle bin, as they were last.
    deleted: BTreeMap<String, Row>,
    /// Field name, then value (in lower case, unless the field tells case apart), to ids.
    index: HashMap<String, HashMap<String, BTreeSet<String>>>,
}

/// What a record was before a step of the open transaction.
#[derive(Debug)]
struct Undo {
    object: String,
    id: String,
    before: Option<Row>,
}

#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) schema: Schema,
    by_object: HashMap<String, Table>,
    ids: IdGenerator,
    rows: usize,
    journal: Option<Vec<Undo>>,
    /// By object and field, what a flow of the customer's makes of whatever is written there.
    rewrites: HashMap<(String, String), Value>,
}

impl Tables {
    pub(crate) fn new(schema: Schema, ids: IdGenerator) -> Self {
        Self { schema, by_object: HashMap::new(), ids, rows: 0, journal: None, rewrites: HashMap::new() }
    }

    /// A new id of this prefix, for things that are no records.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.ids.make(prefix)
    }

    /// Records in order of creation.
    pub(crate) fn rows(&self, object: &str) -> impl Iterator<Item = &Row> {
        self.by_object.get(object).into_iter().flat_map(|table| table.rows.values())
    }

    /// The same from an id on.
    pub(crate) fn rows_from(&self, object: &str, id: &str) -> impl Iterator<Item = &Row> {
        let from = (Bound::Included(id), Bound::Unbounded);
        self.by_object
            .get(object)
            .into_iter()
            .flat_map(move |table| table.rows.range::<str, _>(from))
            .map(|(_, row)| row)
    }

    pub(crate) fn row(&self, object: &str, id: &str) -> Option<&Row> {
        self.by_object.get(object)?.rows.get(id)
    }

    /// When a record was last changed is another time now.
    pub(crate) fn set_stamp(&mut self, object: &str, id: &str, unix_ms: i64) {
        if let Some(row) = self.by_object.get_mut(object).and_then(|table| table.rows.get_mut(id)) {
            row.insert("SystemModstamp".to_owned(), instant_text(unix_ms).into());
        }
    }

    /// The record with this id, of whichever object.
    pub(crate) fn any_row(&self, id: &str) -> Option<(&Object, &Row)> {
        let object = self.schema.by_prefix(id.get(..3)?)?;
        Some((object, self.row(&object.name, id)?))
    }

    pub(crate) fn is_deleted(&self, object: &str, id: &str) -> bool {
        self.by_object.get(object).is_some_and(|table| table.deleted.contains_key(id))
    }

    /// Records in the recycle bin.
    pub(crate) fn deleted(&self, object: &str) -> impl Iterator<Item = &Row> {
        self.by_object.get(object).into_iter().flat_map(|table| table.deleted.values())
    }

    /// What a field of a record holds; a checkbox holds false rather than nothing.
    pub(crate) fn cell<'a>(field: &Field, row: &'a Row) -> &'a Value {
        let held = row.get(&field.name);
        if matches!(field.kind, FieldKind::Encrypted { .. }) && held.is_some() {
            return &MASK;
        }
        held.unwrap_or(if field.kind == FieldKind::Checkbox { &FALSE } else { &NULL })
    }

    /// A record with every field of its object.
    pub(crate) fn whole(object: &Object, row: &Row) -> Row {
        object.fields.iter().map(|field| (field.name.clone(), Self::cell(field, row).clone())).collect()
    }

    /// The records with this value in an external ID field, or in `Id`.
    pub(crate) fn find(&self, object: &str, by: &str, key: &Value) -> Result<KeyMatch, Refusal> {
        let object = self.schema.object(object).ok_or_else(|| Refusal::no_object(object))?;
        let Some(field) = object.field(by).filter(|field| field.external_id || field.kind == FieldKind::Id)
        else {
            let message = format!("Provided external ID field does not exist or is not accessible: {by}");
            return Err(Refusal::new("NOT_FOUND", message));
        };
        let key = value::stored(field, key)?;
        if field.kind == FieldKind::Id {
            let id = key.as_str().filter(|id| self.row(&object.name, id).is_some());
            return Ok(id.map_or(KeyMatch::None, |id| KeyMatch::One(id.to_owned())));
        }
        let ids = self
            .by_object
            .get(&object.name)
            .and_then(|table| table.index.get(&field.name)?.get(&index_text(field, &key)));
        let mut ids: Vec<String> = ids.into_iter().flatten().cloned().collect();
        Ok(match ids.len() {
            0 => KeyMatch::None,
            1 => KeyMatch::One(ids.remove(0)),
            _ => KeyMatch::Many(ids),
        })
    }

    /// From then on a flow keeps this in a field, whatever is written there; null ends it.
    pub(crate) fn rewrite(&mut self, object: &str, field: &str, value: Value) {
        let name = (object.to_owned(), field.to_owned());
        if value.is_null() {
            self.rewrites.remove(&name);
        } else {
            self.rewrites.insert(name, value);
        }
    }

    /// From here on `rollback` undoes what is written.
    pub(crate) fn begin(&mut self) {
        self.journal = Some(Vec::new());
    }

    pub(crate) fn commit(&mut self) {
        self.journal = None;
    }

    pub(crate) fn rollback(&mut self) {
        for undo in self.journal.take().unwrap_or_default().into_iter().rev() {
            let Some(object) = self.schema.shared(&undo.object) else { continue };
            let fresh = undo.before.is_none();
            self.put(&object, &undo.id, undo.before);
            if let Some(table) = self.by_object.get_mut(&object.name).filter(|_| fresh) {
                table.deleted.remove(&undo.id);
            }
        }
    }

    /// The one place where records change: keeps the indexes and the journal.
    fn put(&mut self, object: &Object, id: &str, row: Option<Row>) {
        let table = self.by_object.entry(object.name.clone()).or_default();
        let before = table.rows.remove(id);
        for field in object.fields.iter().filter(|field| field.external_id || field.unique) {
            let index = table.index.entry(field.name.clone()).or_default();
            if let Some(value) = before.as_ref().and_then(|row| row.get(&field.name)) {
                let text = index_text(field, value);
                if let Some(ids) = index.get_mut(&text) {
                    ids.remove(id);
                    if ids.is_empty() {
                        index.remove(&text);
                    }
                }
            }
            if let Some(value) = row.as_ref().and_then(|row| row.get(&field.name)) {
                index.entry(index_text(field, value)).or_default().insert(id.to_owned());
            }
        }
        if let Some(row) = row {
            table.deleted.remove(id);
            table.rows.insert(id.to_owned(), row);
            self.rows += usize::from(before.is_none());
        } else {
            self.rows -= usize::from(before.is_some());
            let mut gone = before.clone().unwrap_or_default();
            gone.insert("IsDeleted".to_owned(), Value::Bool(true));
            table.deleted.insert(id.to_owned(), gone);
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Undo { object: object.name.clone(), id: id.to_owned(), before });
        }
    }
}

/// The text two values share if a unique field takes them for the same.
fn index_text(field: &Field, value: &Value) -> String {
    match value {
        Value::String(text) if field.case_sensitive => text.clone(),
        Value::String(text) => text.to_lowercase(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), java_text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
