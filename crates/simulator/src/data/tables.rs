//! The records of an org.
//!
//! Here: insert, update, upsert, delete, look-up by id and by external id, with every check that needs other
//! records; undoing a failed all-or-none request. Not here: single values (`value`), who is told (`org`).
//!
//! Invariant: a refused record leaves nothing behind.

mod checks;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::id::{self, Mint};
use super::number::java_text;
use super::refusal::Refusal;
use super::schema::{Field, FieldKind, Object, Schema};
use super::times::{instant_text, zulu_text};
use super::value;
use crate::row::Row;
use checks::{Doing, require};

/// Records one org holds at most.
const ROWS_MAX: usize = 4_000_000;

static NULL: Value = Value::Null;
static FALSE: Value = Value::Bool(false);

/// Who writes, when (Unix milliseconds), and what the writer sees of the org; none = all of it.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) user: String,
    pub(crate) now_ms: i64,
    pub(crate) sees: Option<Arc<Schema>>,
}

/// A record that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) object: String,
    pub(crate) id: String,
    pub(crate) created: bool,
    /// Fields whose value is another one now.
    pub(crate) changed: Vec<String>,
}

/// What an external ID leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
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
    /// Field name, then value in lower case, to ids.
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
    mint: Mint,
    rows: usize,
    journal: Option<Vec<Undo>>,
}

impl Tables {
    pub(crate) fn new(schema: Schema, mint: Mint) -> Self {
        Self { schema, by_object: HashMap::new(), mint, rows: 0, journal: None }
    }

    /// A new id of this prefix, for things that are no records.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.mint.make(prefix)
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
        row.get(&field.name).unwrap_or(if field.kind == FieldKind::Checkbox { &FALSE } else { &NULL })
    }

    /// A record with every field of its object.
    pub(crate) fn whole(object: &Object, row: &Row) -> Row {
        object.fields.iter().map(|field| (field.name.clone(), Self::cell(field, row).clone())).collect()
    }

    /// Writes a record that clients may not write, such as a user. Panics if it is not valid: it is the
    /// simulator's own.
    pub(crate) fn seed(&mut self, object: &str, fields: Row, writer: &Writer) -> String {
        let object = self.schema.shared(object).expect("a standard object");
        let id = self.mint.make(&object.prefix);
        let mut row = fields;
        for field in object.fields.iter().filter(|field| field.default.is_some()) {
            row.entry(field.name.clone()).or_insert_with(|| field.default.clone().unwrap_or_default());
        }
        stamp(&mut row, writer, true);
        row.insert("Id".to_owned(), Value::from(id.clone()));
        compose_name(&object, &mut row);
        self.put(&object, &id, Some(row));
        id
    }

    pub(crate) fn insert(&mut self, object: &str, input: &Row, writer: &Writer) -> Result<Written, Refusal> {
        let (object, seen) = self.opened(object, &Doing::Create, writer)?;
        if input.keys().any(|name| name.eq_ignore_ascii_case("Id")) {
            let message = "cannot specify Id in an insert call";
            return Err(Refusal::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).on("Id"));
        }
        let given = self.prepare(&seen, input)?;
        let mut row = Row::new();
        for field in &object.fields {
            let value = given.get(&field.name).filter(|value| !value.is_null());
            if let Some(value) = value.or(field.default.as_ref().filter(|_| !given.contains_key(&field.name)))
            {
                row.insert(field.name.clone(), value.clone());
            }
        }
        require(object.fields.iter().filter(|field| field.required), &row)?;
        if self.rows >= ROWS_MAX {
            return Err(Refusal::new("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"));
        }
        self.check_unique(&object, &row, None)?;
        let id = self.mint.make(&object.prefix);
        let changed = row.keys().cloned().collect();
        if object.field("OwnerId").is_some() {
            row.entry("OwnerId").or_insert_with(|| Value::from(writer.user.clone()));
        }
        if object.is_custom() && object.field("Name").is_some() {
            // Salesforce names a custom record that got no name after its id.
            row.entry("Name").or_insert_with(|| Value::from(&id[..id::SHORT]));
        }
        row.insert("Id".to_owned(), Value::from(id.clone()));
        stamp(&mut row, writer, true);
        compose_name(&object, &mut row);
        self.put(&object, &id, Some(row));
        Ok(Written { object: object.name.clone(), id, created: true, changed })
    }

    pub(crate) fn update(
        &mut self,
        object: &str,
        id: &str,
        input: &Row,
        writer: &Writer,
    ) -> Result<Written, Refusal> {
        let (object, seen) = self.opened(object, &Doing::Edit, writer)?;
        let id = self.existing(&seen, id)?;
        let given = self.prepare(&seen, input)?;
        let named = |field: &&Field| field.required && given.contains_key(&field.name);
        require(object.fields.iter().filter(named), &given)?;
        self.check_unique(&object, &given, Some(&id))?;
        let mut row = self.row(&object.name, &id).cloned().unwrap_or_default();
        let mut changed = Vec::new();
        for (name, value) in given {
            let before =
                if value.is_null() { row.remove(&name) } else { row.insert(name.clone(), value.clone()) };
            if before.unwrap_or_default() != value {
                changed.push(name);
            }
        }
        stamp(&mut row, writer, false);
        compose_name(&object, &mut row);
        self.put(&object, &id, Some(row));
        Ok(Written { object: object.name.clone(), id, created: false, changed })
    }

    /// Salesforce's own change of a record: fields that clients may not write.
    pub(crate) fn set(
        &mut self,
        object: &str,
        id: &str,
        fields: Row,
        writer: &Writer,
    ) -> Result<Written, Refusal> {
        let (object, _) = self.opened(object, &Doing::Edit, writer)?;
        let id = self.existing(&object, id)?;
        let mut row = self.row(&object.name, &id).cloned().unwrap_or_default();
        let changed = fields.keys().cloned().collect();
        row.extend(fields);
        stamp(&mut row, writer, false);
        self.put(&object, &id, Some(row));
        Ok(Written { object: object.name.clone(), id, created: false, changed })
    }

    /// Writes by the value the record has in this field; with `Id` it only updates.
    /// `Err(Ok(ids))`: more than one record matches.
    pub(crate) fn upsert(
        &mut self,
        object: &str,
        by: &str,
        input: &Row,
        writer: &Writer,
    ) -> Result<Written, Result<Vec<String>, Refusal>> {
        let key =
            input.iter().find(|(name, _)| name.eq_ignore_ascii_case(by)).map(|(_, value)| value.clone());
        let others: Row = input.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(by)).map(own).collect();
        if by.eq_ignore_ascii_case("Id") {
            return match key.as_ref().and_then(Value::as_str) {
                Some(id) => self.update(object, id, &others, writer).map_err(Err),
                None => self.insert(object, &others, writer).map_err(Err),
            };
        }
        let key = key.filter(|key| !key.is_null() && key.as_str() != Some(""));
        let key =
            key.ok_or_else(|| Err(Refusal::new("MISSING_ARGUMENT", format!("{by} not specified")).on(by)))?;
        match self.find(object, by, &key).map_err(Err)? {
            Key::One(id) => self.update(object, &id, &others, writer).map_err(Err),
            Key::None => self.insert(object, input, writer).map_err(Err),
            Key::Many(ids) => Err(Ok(ids)),
        }
    }

    /// Takes out a record that nothing points to.
    pub(crate) fn remove(&mut self, object: &str, id: &str) {
        if let Some(object) = self.schema.shared(object) {
            self.put(&object, id, None);
        }
    }

    pub(crate) fn delete(&mut self, object: &str, id: &str, writer: &Writer) -> Result<(), Refusal> {
        let (object, seen) = self.opened(object, &Doing::Delete, writer)?;
        let id = self.existing(&seen, id)?;
        self.put(&object, &id, None);
        self.repoint(&object.name, &id, None);
        Ok(())
    }

    /// The losers go to the recycle bin and tell who took their place; what points to them points to the master then.
    /// The answer is their canonical ids, and the master's.
    pub(crate) fn merge(
        &mut self,
        object: &str,
        master: &str,
        losers: &[&str],
        writer: &Writer,
    ) -> Result<(Vec<String>, String), Refusal> {
        let (object, seen) = self.opened(object, &Doing::Delete, writer)?;
        let master = self.existing(&seen, master)?;
        let mut gone = Vec::new();
        for loser in losers {
            let loser = self.existing(&seen, loser)?;
            if loser == master {
                let message = "the master record cannot be merged into itself";
                return Err(Refusal::new("INVALID_ID_FIELD", message).on("Id"));
            }
            self.put(&object, &loser, None);
            let bin = self.by_object.get_mut(&object.name).and_then(|table| table.deleted.get_mut(&loser));
            if let Some(row) = bin {
                row.insert("MasterRecordId".to_owned(), Value::from(master.clone()));
            }
            self.repoint(&object.name, &loser, Some(&master));
            gone.push(loser);
        }
        Ok((gone, master))
    }

    /// Every lookup that leads to a record leads to another one now, or nowhere; never from that one to itself.
    fn repoint(&mut self, object: &str, from: &str, to: Option<&str>) {
        let lookups: Vec<(String, String)> = self
            .schema
            .objects()
            .flat_map(|child| child.fields.iter().map(move |field| (child, field)))
            .filter(|(_, field)| field.reference().is_some_and(|reference| reference.to == object))
            .map(|(child, field)| (child.name.clone(), field.name.clone()))
            .collect();
        for (child, field) in lookups {
            let Some(child) = self.schema.shared(&child) else { continue };
            let points = |row: &&Row| row.get(&field).and_then(Value::as_str) == Some(from);
            let orphans: Vec<Row> = self.rows(&child.name).filter(points).cloned().collect();
            for mut orphan in orphans {
                orphan.remove(&field);
                let orphan_id = orphan.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
                if let Some(to) = to.filter(|to| *to != orphan_id) {
                    orphan.insert(field.clone(), Value::from(to));
                }
                self.put(&child, &orphan_id, Some(orphan));
            }
        }
    }

    /// The records with this value in an external ID field, or in `Id`.
    pub(crate) fn find(&self, object: &str, by: &str, key: &Value) -> Result<Key, Refusal> {
        let object = self.schema.object(object).ok_or_else(|| Refusal::no_object(object))?;
        let Some(field) = object.field(by).filter(|field| field.external_id || field.kind == FieldKind::Id)
        else {
            let message = format!("Provided external ID field does not exist or is not accessible: {by}");
            return Err(Refusal::new("NOT_FOUND", message));
        };
        let key = value::stored(field, key)?;
        if field.kind == FieldKind::Id {
            let id = key.as_str().filter(|id| self.row(&object.name, id).is_some());
            return Ok(id.map_or(Key::None, |id| Key::One(id.to_owned())));
        }
        let ids = self
            .by_object
            .get(&object.name)
            .and_then(|table| table.index.get(&field.name)?.get(&index_text(&key)));
        let mut ids: Vec<String> = ids.into_iter().flatten().cloned().collect();
        Ok(match ids.len() {
            0 => Key::None,
            1 => Key::One(ids.remove(0)),
            _ => Key::Many(ids),
        })
    }

    /// The payload of an event: checked, every field present, instants as events print them.
    pub(crate) fn event(&self, object: &str, input: &Row) -> Result<Row, Refusal> {
        let object = self.schema.object(object).ok_or_else(|| Refusal::no_object(object))?;
        let mut payload = self.prepare(object, input)?;
        require(object.fields.iter().filter(|field| field.required), &payload)?;
        for field in object.fields.iter().filter(|field| field.is_writable()) {
            let value = payload
                .entry(field.name.clone())
                .or_insert_with(|| field.default.clone().unwrap_or_default());
            if let (FieldKind::DateTime, Some(ms)) =
                (&field.kind, value.as_str().and_then(super::times::parse_instant))
            {
                *value = Value::from(zulu_text(ms));
            }
        }
        Ok(payload)
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
                let text = index_text(value);
                if let Some(ids) = index.get_mut(&text) {
                    ids.remove(id);
                    if ids.is_empty() {
                        index.remove(&text);
                    }
                }
            }
            if let Some(value) = row.as_ref().and_then(|row| row.get(&field.name)) {
                index.entry(index_text(value)).or_default().insert(id.to_owned());
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

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// The text two values share if a unique field takes them for the same.
fn index_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), java_text),
        other => other.to_string(),
    }
}

/// Salesforce keeps these times to the second.
fn stamp(row: &mut Row, writer: &Writer, created: bool) {
    let now = Value::from(instant_text(writer.now_ms.div_euclid(1_000) * 1_000));
    let user = Value::from(writer.user.clone());
    if created {
        row.insert("CreatedDate".to_owned(), now.clone());
        row.insert("CreatedById".to_owned(), user.clone());
    }
    row.insert("LastModifiedDate".to_owned(), now.clone());
    row.insert("LastModifiedById".to_owned(), user);
    row.insert("SystemModstamp".to_owned(), now);
}

/// People's full name is put together by Salesforce.
fn compose_name(object: &Object, row: &mut Row) {
    if object.field("LastName").is_none() {
        return;
    }
    let parts: Vec<&str> =
        ["FirstName", "LastName"].iter().filter_map(|name| row.get(*name)?.as_str()).collect();
    let name = parts.join(" ");
    row.insert("Name".to_owned(), Value::from(name));
}

#[cfg(test)]
mod tests;
