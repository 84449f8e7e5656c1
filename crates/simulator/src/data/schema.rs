//! All objects of an org.
//!
//! Here: putting them together, custom ones from options, and finding them by name (without regard to case).
//! Not here: a single object (`object`), which there are (`standard`, `package`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kind::{CustomField, FieldKind};
use super::object::{Field, Object};
use super::{package, standard};

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
            let field = Field::new(&extra.name, extra.kind.clone());
            let mut field = if extra.computed { field.read_only() } else { field };
            (field.required, field.external_id, field.unique) =
                (extra.required, extra.external_id, extra.unique);
            object.add(field);
        }
        Self { objects: objects.into_iter().map(|(name, object)| (name, Arc::new(object))).collect() }
    }

    /// The same, where these fields (`Object.Field`) tell case apart.
    pub(crate) fn case_sensitive(mut self, fields: &[String]) -> Self {
        for (object, field) in fields.iter().filter_map(|name| name.split_once('.')) {
            if let Some(object) = self.objects.get_mut(&object.to_lowercase()) {
                Arc::make_mut(object).tell_case_apart(field);
            }
        }
        self
    }

    /// The same with other objects, or without them.
    pub(crate) fn filtered(&self, keep: impl Fn(&Arc<Object>) -> Option<Arc<Object>>) -> Self {
        let kept = self.objects.iter().filter_map(|(name, object)| Some((name.clone(), keep(object)?)));
        Self { objects: kept.collect() }
    }

    pub(crate) fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(&name.to_lowercase()).map(Arc::as_ref)
    }

    /// The object of this name as a shared pointer, for callers who keep it.
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

#[cfg(test)]
mod tests {
    use super::*;

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
            computed: false,
        };
        let schema = Schema::new("", &[field("Account"), field("Widget__c"), field("Widget_Changed__e")]);
        for object in ["Account", "Widget__c", "Widget_Changed__e"] {
            assert!(schema.object(object).and_then(|object| object.field("key__c")).is_some(), "{object}");
        }
        let prefixes: std::collections::HashSet<_> = schema.objects().map(|object| &object.prefix).collect();
        assert_eq!(prefixes.len(), schema.objects().count(), "prefixes differ");
    }
}
