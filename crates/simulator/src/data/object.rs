//! One object of an org, and its fields.
//!
//! Here: their types, how a field is found by name (without regard to case), what a page calls them.
//! Not here: which objects there are (`schema`), what a field holds (`kind`) and accepts (`value`).

use std::collections::HashMap;

use serde_json::Value;

use super::kind::FieldKind;
use crate::row::Row;

/// Who may set a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Clients,
    /// Clients with more rights than the one who looks.
    OtherClients,
    SalesforceOnly,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are Salesforce's own flags")]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: FieldKind,
    pub(crate) required: bool,
    pub(crate) access: Access,
    pub(crate) external_id: bool,
    pub(crate) unique: bool,
    /// Texts that differ in case are different.
    pub(crate) case_sensitive: bool,
    pub(crate) default: Option<Value>,
}

/// Where a lookup field points: the object, and the name its record goes by in a query path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    pub(crate) to: &'a str,
    pub(crate) relationship: String,
}

impl Field {
    pub(crate) fn new(name: &str, kind: FieldKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            access: Access::Clients,
            external_id: false,
            unique: false,
            case_sensitive: false,
            default: None,
        }
    }

    pub(crate) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.access = Access::SalesforceOnly;
        self
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.access == Access::Clients
    }

    pub(crate) fn default_to(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether field-level security can hide it or close it: not what every record has, nor what one must have.
    pub(crate) fn is_permissionable(&self) -> bool {
        let always = ["Name", "OwnerId", "SetupOwnerId"];
        self.access != Access::SalesforceOnly && !self.required && !always.contains(&self.name.as_str())
    }

    /// Long text can be neither filtered nor sorted by.
    pub(crate) fn filterable(&self) -> bool {
        !matches!(
            self.kind,
            FieldKind::LongText { .. } | FieldKind::RichText { .. } | FieldKind::Encrypted { .. }
        )
    }

    /// Where it points, if it is a lookup: `OwnerId` is `Owner`, `Account__c` is `Account__r`.
    pub(crate) fn reference(&self) -> Option<Reference<'_>> {
        let FieldKind::Lookup { to, .. } = &self.kind else { return None };
        let relationship = match self.name.strip_suffix("__c") {
            Some(stem) => format!("{stem}__r"),
            None => self.name.strip_suffix("Id").unwrap_or(&self.name).to_owned(),
        };
        Some(Reference { to, relationship })
    }

    /// What a page would call it: API name without namespace and suffix, in words.
    pub(crate) fn label(&self) -> String {
        label(&self.name)
    }
}

/// Which writes of an object's records are open to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFor {
    pub(crate) create: bool,
    pub(crate) edit: bool,
    pub(crate) delete: bool,
}

impl OpenFor {
    pub(crate) const ALL: Self = Self { create: true, edit: true, delete: true };
    pub(crate) const NOTHING: Self = Self { create: false, edit: false, delete: false };
}

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    /// First three characters of its ids.
    pub(crate) prefix: String,
    pub(crate) fields: Vec<Field>,
    /// What clients may do with its records.
    pub(crate) open_for: OpenFor,
    /// Whether it is a custom setting.
    pub(crate) setting: bool,
    /// Set if only this user's records are shown.
    pub(crate) owned_by: Option<String>,
    index: HashMap<String, usize>,
}

impl Object {
    pub(crate) fn new(name: &str, prefix: &str, fields: Vec<Field>) -> Self {
        let index = fields.iter().enumerate().map(|(at, field)| (field.name.to_lowercase(), at)).collect();
        Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            fields,
            open_for: OpenFor::ALL,
            setting: false,
            owned_by: None,
            index,
        }
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.open_for = OpenFor::NOTHING;
        self
    }

    pub(crate) fn setting(mut self) -> Self {
        self.setting = true;
        self
    }

    /// The same object with these fields only.
    pub(crate) fn with_fields(&self, fields: Vec<Field>) -> Self {
        let Self { open_for, setting, owned_by, .. } = self.clone();
        Self { open_for, setting, owned_by, ..Self::new(&self.name, &self.prefix, fields) }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.index.get(&name.to_lowercase()).map(|at| &self.fields[*at])
    }

    pub(crate) fn is_event(&self) -> bool {
        self.name.ends_with("__e")
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c") || self.is_event()
    }

    /// Whether a record is one of those that are shown.
    pub(crate) fn shows(&self, row: &Row) -> bool {
        let owner = row.get("OwnerId").and_then(Value::as_str);
        owner.is_none() || self.owned_by.as_deref().is_none_or(|user| owner == Some(user))
    }

    /// The lookup field whose record a query path calls by this name.
    pub(crate) fn relationship(&self, name: &str) -> Option<(&Field, &str)> {
        self.fields.iter().find_map(|field| {
            let reference = field.reference()?;
            reference.relationship.eq_ignore_ascii_case(name).then_some((field, reference.to))
        })
    }

    pub(crate) fn label(&self) -> String {
        label(&self.name)
    }

    /// From now on this field tells case apart.
    pub(super) fn tell_case_apart(&mut self, name: &str) {
        if let Some(at) = self.index.get(&name.to_lowercase()) {
            self.fields[*at].case_sensitive = true;
        }
    }

    pub(super) fn add(&mut self, field: Field) {
        self.index.insert(field.name.to_lowercase(), self.fields.len());
        self.fields.push(field);
    }
}

fn label(name: &str) -> String {
    let stem = name.strip_suffix("__c").or_else(|| name.strip_suffix("__e")).unwrap_or(name);
    let stem = stem.split_once("__").map_or(stem, |(_, stem)| stem);
    let mut words = String::new();
    let mut before = ' ';
    for letter in stem.chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.push(if letter == '_' { ' ' } else { letter });
        before = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words() {
        for (name, words) in [
            ("Country_Code__c", "Country Code"),
            ("acmeco__Is_Listed__c", "Is Listed"),
            ("BillingCity", "Billing City"),
        ] {
            assert_eq!(label(name), words);
        }
    }
}
