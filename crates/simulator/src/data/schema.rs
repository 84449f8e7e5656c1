//! Objects and fields of an org.
//!
//! Here: their types, how names are found (without regard to case), custom objects from options.
//! Not here: which there are (`standard`, `package`), what a field holds (`kind`) and accepts (`value`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

pub use super::kind::{CustomField, FieldKind};
use super::{package, standard};
use crate::row::Row;

/// Who sets a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Clients,
    /// Clients with more rights than the one who looks.
    OtherClients,
    SalesforceOnly,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: FieldKind,
    pub(crate) required: bool,
    pub(crate) access: Access,
    pub(crate) external_id: bool,
    pub(crate) unique: bool,
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
        !matches!(self.kind, FieldKind::LongText { .. })
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

    fn add(&mut self, field: Field) {
        self.index.insert(field.name.to_lowercase(), self.fields.len());
        self.fields.push(field);
    }
}

/// All objects of an org.
#[derive(Debug)]
pub(crate) struct Schema {
    objects: BTreeMap<String, Arc<Object>>,
}

impl Schema {
    /// The standard objects, the package's under its namespace, and what the options add.
    pub(crate) fn new(namespace: &str, custom: &[CustomField]) -> Self {
        let all = standard::objects().into_iter().chain(package::objects(namespace));
        let mut objects: BTreeMap<_, _> = all.map(|object| (object.name.to_lowercase(), object)).collect();
        for extra in custom {
            let number = objects.len();
            let object = objects
                .entry(extra.object.to_lowercase())
                .or_insert_with(|| new_object(&extra.object, number));
            let mut field = Field::new(&extra.name, extra.kind.clone());
            (field.required, field.external_id, field.unique) =
                (extra.required, extra.external_id, extra.unique);
            object.add(field);
        }
        Self { objects: objects.into_iter().map(|(name, object)| (name, Arc::new(object))).collect() }
    }

    /// The same with other objects, or without them.
    pub(crate) fn filtered(&self, keep: impl Fn(&Arc<Object>) -> Option<Arc<Object>>) -> Self {
        let kept = self.objects.iter().filter_map(|(name, object)| Some((name.clone(), keep(object)?)));
        Self { objects: kept.collect() }
    }

    pub(crate) fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(&name.to_lowercase()).map(Arc::as_ref)
    }

    /// The same, to keep.
    pub(crate) fn shared(&self, name: &str) -> Option<Arc<Object>> {
        self.objects.get(&name.to_lowercase()).cloned()
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().map(Arc::as_ref)
    }

    pub(crate) fn by_prefix(&self, prefix: &str) -> Option<&Object> {
        self.objects().find(|object| object.prefix == prefix)
    }

    /// The child object and its lookup field that this object calls by this name in a child subquery.
    pub(crate) fn children(&self, parent: &str, name: &str) -> Option<(&Object, &Field)> {
        self.objects().find_map(|object| {
            let field = object.fields.iter().find(|field| match &field.kind {
                FieldKind::Lookup { to, children } => {
                    to == parent && child_name(field, children).eq_ignore_ascii_case(name)
                }
                _ => false,
            })?;
            Some((object, field))
        })
    }

    /// All (child object, lookup field, name of the list) of an object.
    pub(crate) fn all_children(&self, parent: &str) -> Vec<(&Object, &Field, String)> {
        let fields = self.objects().flat_map(|object| object.fields.iter().map(move |field| (object, field)));
        fields
            .filter_map(|(object, field)| match &field.kind {
                FieldKind::Lookup { to, children } if to == parent && !children.is_empty() => {
                    Some((object, field, child_name(field, children)))
                }
                _ => None,
            })
            .collect()
    }
}

/// A custom lookup's list is called with `__r`.
fn child_name(field: &Field, children: &str) -> String {
    if field.is_custom() && !children.is_empty() { format!("{children}__r") } else { children.to_owned() }
}

/// A custom object or event that only the options know.
fn new_object(name: &str, number: usize) -> Object {
    if name.ends_with("__e") {
        return Object::new(name, &format!("e{number:02}"), standard::event_fields());
    }
    let mut fields = standard::system_fields();
    fields.push(Field::new("Name", FieldKind::Text { length: 80 }));
    fields.push(standard::owner());
    Object::new(name, &format!("a{number:02}"), fields)
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

    #[test]
    fn the_namespace_is_part_of_every_packaged_name() {
        let schema = Schema::new("acmeco", &[]);
        let object = schema.object("ACMECO__enrichment__c").expect("packaged object");
        assert!(schema.object("Enrichment__c").is_none());
        assert!(object.fields.iter().all(|field| !field.is_custom() || field.name.starts_with("acmeco__")));
        assert_eq!(object.relationship("acmeco__Account__r").map(|(_, to)| to), Some("Account"));
        assert!(schema.children("Account", "acmeco__Enrichments__r").is_some());
    }

    #[test]
    fn options_add_fields_objects_and_events() {
        let field = |object: &str| CustomField {
            object: object.to_owned(),
            name: "Key__c".to_owned(),
            kind: FieldKind::Text { length: 20 },
            required: false,
            external_id: true,
            unique: false,
        };
        let schema = Schema::new("", &[field("Account"), field("Widget__c"), field("Widget_Changed__e")]);
        for object in ["Account", "Widget__c", "Widget_Changed__e"] {
            assert!(schema.object(object).and_then(|object| object.field("key__c")).is_some(), "{object}");
        }
        let prefixes: std::collections::HashSet<_> = schema.objects().map(|object| &object.prefix).collect();
        assert_eq!(prefixes.len(), schema.objects().count(), "prefixes differ");
    }
}
