//! Writing records: insert, update, upsert, delete and merge, and what Salesforce fills in by itself.
//!
//! Here: the order of checks and changes. Not here: the checks (`checks`), where records are kept (the parent module).

use serde_json::Value;

use super::checks::{WriteKind, require};
use super::{KeyMatch, Tables, Writer, WrittenRecord};
use crate::data::id;
use crate::data::kind::FieldKind;
use crate::data::object::{Field, Object};
use crate::data::refusal::Refusal;
use crate::data::times::{instant_text, parse_instant, zulu_text};
use crate::row::Row;

/// Records one org holds at most.
const ROWS_MAX: usize = 4_000_000;

impl Tables {
    /// Writes a record that clients may not write, such as a user. Panics if it is not valid: it is the
    /// simulator's own.
    pub(crate) fn seed(&mut self, object: &str, fields: Row, writer: &Writer) -> String {
        let object = self.schema.shared(object).expect("a standard object");
        let id = self.ids.make(&object.prefix);
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

    pub(crate) fn insert(
        &mut self,
        object: &str,
        input: &Row,
        writer: &Writer,
    ) -> Result<WrittenRecord, Refusal> {
        let (object, seen) = self.opened(object, &WriteKind::Create, writer)?;
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
        let id = self.ids.make(&object.prefix);
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
        Ok(WrittenRecord { object: object.name.clone(), id, created: true, changed })
    }

    pub(crate) fn update(
        &mut self,
        object: &str,
        id: &str,
        input: &Row,
        writer: &Writer,
    ) -> Result<WrittenRecord, Refusal> {
        let (object, seen) = self.opened(object, &WriteKind::Edit, writer)?;
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
        Ok(WrittenRecord { object: object.name.clone(), id, created: false, changed })
    }

    /// Salesforce's own change of a record: fields that clients may not write.
    pub(crate) fn set(
        &mut self,
        object: &str,
        id: &str,
        fields: Row,
        writer: &Writer,
    ) -> Result<WrittenRecord, Refusal> {
        let (object, _) = self.opened(object, &WriteKind::Edit, writer)?;
        let id = self.existing(&object, id)?;
        let mut row = self.row(&object.name, &id).cloned().unwrap_or_default();
        let changed = fields.keys().cloned().collect();
        row.extend(fields);
        stamp(&mut row, writer, false);
        self.put(&object, &id, Some(row));
        Ok(WrittenRecord { object: object.name.clone(), id, created: false, changed })
    }

    /// Writes by the value the record has in this field; with `Id` it only updates.
    /// `Err(Ok(ids))`: more than one record matches.
    pub(crate) fn upsert(
        &mut self,
        object: &str,
        by: &str,
        input: &Row,
        writer: &Writer,
    ) -> Result<WrittenRecord, Result<Vec<String>, Refusal>> {
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
            KeyMatch::One(id) => self.update(object, &id, &others, writer).map_err(Err),
            KeyMatch::None => self.insert(object, input, writer).map_err(Err),
            KeyMatch::Many(ids) => Err(Ok(ids)),
        }
    }

    /// Takes out a record that nothing points to.
    pub(crate) fn remove(&mut self, object: &str, id: &str) {
        if let Some(object) = self.schema.shared(object) {
            self.put(&object, id, None);
        }
    }

    pub(crate) fn delete(&mut self, object: &str, id: &str, writer: &Writer) -> Result<(), Refusal> {
        let (object, seen) = self.opened(object, &WriteKind::Delete, writer)?;
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
        let (object, seen) = self.opened(object, &WriteKind::Delete, writer)?;
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

    /// The payload of an event: checked, every field present, instants as events print them.
    pub(crate) fn event(&self, object: &str, input: &Row) -> Result<Row, Refusal> {
        let object = self.schema.object(object).ok_or_else(|| Refusal::no_object(object))?;
        let mut payload = self.prepare(object, input)?;
        require(object.fields.iter().filter(|field| field.required), &payload)?;
        for field in object.fields.iter().filter(|field| field.is_writable()) {
            let value = payload
                .entry(field.name.clone())
                .or_insert_with(|| field.default.clone().unwrap_or_default());
            if let (FieldKind::DateTime, Some(ms)) = (&field.kind, value.as_str().and_then(parse_instant)) {
                *value = Value::from(zulu_text(ms));
            }
        }
        Ok(payload)
    }
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
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
