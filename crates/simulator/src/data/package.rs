//! What the package brings into an org: the objects, events and settings of its contract.
//!
//! Here: their fields under the package's namespace. Not here: when the event is published (`org/flow`), who may see
//! what (`rights`).

use std::collections::BTreeMap;

use super::contract::{Contract, ContractField, MetadataType};
use super::kind::FieldKind;
use super::object::{Field, Object};
use super::standard::{event_fields, lookup, owner, system_fields, text};

/// The name under a namespace: `acmeco__Enrichment__c`. An empty namespace changes nothing.
pub(crate) fn name(namespace: &str, name: &str) -> String {
    let is_custom = ["__c", "__e", "__r"].iter().any(|ending| name.ends_with(ending));
    if namespace.is_empty() || !is_custom { name.to_owned() } else { format!("{namespace}__{name}") }
}

pub(crate) fn objects(namespace: &str) -> Vec<Object> {
    let contract = Contract::built_in();
    let objects = contract.objects.iter().enumerate().map(|(number, (object, known))| {
        let mut fields = system_fields();
        fields.push(owner());
        fields.extend(packaged(namespace, &known.fields));
        Object::new(&name(namespace, object), &format!("a{number:02}"), fields)
    });
    let events = contract.events.iter().enumerate().map(|(number, (event, known))| {
        let mut fields = event_fields();
        fields.extend(packaged(namespace, &known.fields));
        Object::new(&name(namespace, event), &format!("e{number:02}"), fields)
    });
    let settings = contract.custom_settings.iter().enumerate().map(|(number, (setting, known))| {
        let mut fields = system_fields();
        fields.push(Field::new("Name", text(38)));
        // A user, a profile or the org: more than one object, so it is kept as text.
        fields.push(Field::new("SetupOwnerId", text(18)).required());
        fields.extend(packaged(namespace, &known.fields));
        Object::new(&name(namespace, setting), &format!("aS{number}"), fields).setting()
    });
    objects.chain(events).chain(settings).collect()
}

fn packaged(namespace: &str, fields: &BTreeMap<String, ContractField>) -> impl Iterator<Item = Field> {
    fields.iter().map(move |(field, known)| {
        let made = Field::new(&name(namespace, field), kind(namespace, known));
        Field { required: known.required, unique: known.unique, external_id: known.external_id, ..made }
    })
}

fn kind(namespace: &str, field: &ContractField) -> FieldKind {
    let (precision, scale) = (field.precision, field.scale);
    let choices = || (field.values.clone(), field.restricted);
    match field.kind {
        MetadataType::Text => text(field.length),
        MetadataType::TextArea => FieldKind::TextArea,
        MetadataType::LongTextArea => FieldKind::LongText { length: field.length },
        MetadataType::Url => FieldKind::Url,
        MetadataType::Phone => FieldKind::Phone,
        MetadataType::Email => FieldKind::Email,
        MetadataType::Picklist => {
            let (values, restricted) = choices();
            FieldKind::Picklist { values, restricted }
        }
        MetadataType::MultiselectPicklist => {
            let (values, restricted) = choices();
            FieldKind::MultiPicklist { values, restricted }
        }
        MetadataType::Number => FieldKind::Number { precision, scale },
        MetadataType::Currency => FieldKind::Currency { precision, scale },
        MetadataType::Percent => FieldKind::Percent { precision, scale },
        MetadataType::Checkbox => FieldKind::Checkbox,
        MetadataType::Date => FieldKind::Date,
        MetadataType::DateTime => FieldKind::DateTime,
        MetadataType::Lookup => {
            let children = if namespace.is_empty() {
                field.relationship.clone()
            } else {
                format!("{namespace}__{}", field.relationship)
            };
            lookup(&name(namespace, &field.reference_to), &children)
        }
    }
}
