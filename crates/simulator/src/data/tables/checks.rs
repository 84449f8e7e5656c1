//! The checks of a record that need the schema or other records.
//!
//! Here: what a write is refused for. Not here: single values (`value`), the write itself (`write`).

use std::sync::Arc;

use serde_json::Value;

use super::{KeyMatch, Tables, Writer, index_text};
use crate::data::id;
use crate::data::object::{Field, Object};
use crate::data::refusal::Refusal;
use crate::data::value;
use crate::row::Row;

/// What is done to a record.
pub(super) enum WriteKind {
    Create,
    Edit,
    Delete,
}

impl Tables {
    /// The object as it is, and as the writer sees it, if it is open to the writer.
    pub(super) fn opened(
        &self,
        object: &str,
        kind: &WriteKind,
        writer: &Writer,
    ) -> Result<(Arc<Object>, Arc<Object>), Refusal> {
        let no_object = || Refusal::no_object(object);
        let whole = self.schema.shared(object).ok_or_else(no_object)?;
        let seen = match &writer.sees {
            None => Arc::clone(&whole),
            Some(sees) => sees.shared(object).ok_or_else(no_object)?,
        };
        let (is_open, done) = match kind {
            WriteKind::Create => (seen.open_for.create, "inserted"),
            WriteKind::Edit => (seen.open_for.edit, "updated"),
            WriteKind::Delete => (seen.open_for.delete, "deleted"),
        };
        if is_open {
            return Ok((whole, seen));
        }
        let message = format!("entity type cannot be {done}: {}", seen.label());
        Err(Refusal::new("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", message))
    }

    /// The canonical id of a record that is there.
    pub(super) fn existing(&self, object: &Object, id: &str) -> Result<String, Refusal> {
        let Some(long) = id::canonical(id) else {
            return Err(Refusal::new("MALFORMED_ID", format!("malformed id {id}")).on("Id"));
        };
        if let Some(row) = self.row(&object.name, &long) {
            if object.shows(row) {
                return Ok(long);
            }
            let message = "insufficient access rights on object id";
            return Err(Refusal::new("INSUFFICIENT_ACCESS_OR_READONLY", message));
        }
        if self.is_deleted(&object.name, &long) {
            return Err(Refusal::new("ENTITY_IS_DELETED", "entity is deleted"));
        }
        Err(Refusal::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"))
    }

    /// The fields of an input under their right names, as they will be stored.
    pub(super) fn prepare(&self, object: &Object, input: &Row) -> Result<Row, Refusal> {
        let mut changes = Row::new();
        for (name, input) in input.iter().filter(|(name, _)| *name != "attributes") {
            let Some(field) = object.field(name) else {
                let (field, parent) = self.parent(object, name, input)?;
                changes.insert(field, parent);
                continue;
            };
            if !field.is_writable() {
                let message = format!(
                    "Unable to create/update fields: {}. Please check the security settings of this field and verify \
                     that it is read/write for your profile or permission set.",
                    field.name
                );
                return Err(Refusal::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).on(&field.name));
            }
            let value = value::stored(field, input)?;
            self.check_reference(field, &value)?;
            let rewritten = self.rewrites.get(&(object.name.clone(), field.name.clone()));
            changes.insert(field.name.clone(), rewritten.cloned().unwrap_or(value));
        }
        Ok(changes)
    }

    /// `"Account__r": {"Key__c": "x"}`: a lookup given by the other record's external id.
    fn parent(&self, object: &Object, name: &str, input: &Value) -> Result<(String, Value), Refusal> {
        let (field, to) = object.relationship(name).ok_or_else(|| Refusal::no_column(name, &object.name))?;
        let given = match input {
            Value::Null => return Ok((field.name.clone(), Value::Null)),
            Value::Object(given) => given,
            _ => return Err(Refusal::no_column(name, &object.name)),
        };
        let mut keys = given.iter().filter(|(name, _)| *name != "attributes");
        let (Some((by, key)), None) = (keys.next(), keys.next()) else {
            return Err(Refusal::new(
                "INVALID_FIELD",
                format!("{name} must name one external ID field of {to}"),
            ));
        };
        let shown = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        match self.find(to, by, key)? {
            KeyMatch::One(id) => Ok((field.name.clone(), Value::from(id))),
            KeyMatch::None => {
                let message =
                    format!("Foreign key external ID: {shown} not found for field {by} in entity {to}");
                Err(Refusal::new("INVALID_FIELD", message).on(by))
            }
            KeyMatch::Many(_) => {
                let message =
                    format!("More than one record found for external id field: {by} in entity {to}");
                Err(Refusal::new("INVALID_FIELD", message).on(by))
            }
        }
    }

    fn check_reference(&self, field: &Field, value: &Value) -> Result<(), Refusal> {
        let (Some(reference), Some(id)) = (field.reference(), value.as_str()) else { return Ok(()) };
        let right = self.schema.object(reference.to).is_some_and(|object| id.starts_with(&object.prefix));
        if !right {
            let message = format!("{}: id value of incorrect type: {id}", field.label());
            return Err(Refusal::new("FIELD_INTEGRITY_EXCEPTION", message).on(&field.name));
        }
        if self.is_deleted(reference.to, id) {
            return Err(Refusal::new("ENTITY_IS_DELETED", "entity is deleted").on(&field.name));
        }
        let Some(row) = self.row(reference.to, id) else {
            return Err(
                Refusal::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id").on(&field.name)
            );
        };
        if row.get("IsConverted") == Some(&Value::Bool(true)) {
            return Err(Refusal::new("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"));
        }
        Ok(())
    }

    pub(super) fn check_unique(&self, object: &Object, row: &Row, own: Option<&str>) -> Result<(), Refusal> {
        let Some(table) = self.by_object.get(&object.name) else { return Ok(()) };
        for field in object.fields.iter().filter(|field| field.unique) {
            let Some(value) = row.get(&field.name).filter(|value| !value.is_null()) else { continue };
            let there = table.index.get(&field.name).and_then(|index| index.get(&index_text(field, value)));
            if let Some(other) = there.into_iter().flatten().find(|id| Some(id.as_str()) != own) {
                let message = format!(
                    "duplicate value found: {} duplicates value on record with id: {other}",
                    field.name
                );
                return Err(Refusal::new("DUPLICATE_VALUE", message));
            }
        }
        Ok(())
    }
}

/// All that is missing at once, as Salesforce names it.
pub(super) fn require<'a>(fields: impl Iterator<Item = &'a Field>, row: &Row) -> Result<(), Refusal> {
    let missing: Vec<String> = fields
        .filter(|field| row.get(&field.name).is_none_or(Value::is_null))
        .map(|field| field.name.clone())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    Err(Refusal { fields: missing, ..Refusal::new("REQUIRED_FIELD_MISSING", message) })
}
