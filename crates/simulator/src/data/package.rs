//! What the package brings into an org: `Enrichment__c`, `Sync_Request__e` and `Sync_Settings__c`.
//!
//! Here: their fields under the package's namespace. Not here: when the event is published (`org`).

use super::schema::{Field, FieldKind, Object};
use super::standard::{event_fields, lookup, owner, system_fields, text};

/// The name under a namespace: `acmeco__Enrichment__c`. An empty namespace changes nothing.
pub(crate) fn name(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}__{name}") }
}

pub(crate) fn objects(namespace: &str) -> Vec<Object> {
    vec![enrichment(namespace), sync_request(namespace), sync_settings(namespace)]
}

fn enrichment(namespace: &str) -> Object {
    let field = |field: &str, kind| Field::new(&name(namespace, field), kind);
    let choices = ["Pending", "Current", "Stale", "Not Found", "Error"];
    let status = FieldKind::Picklist { values: choices.map(str::to_owned).to_vec(), restricted: true };
    let children = name(namespace, "Enrichments");
    let mut fields = system_fields();
    fields.extend([
        Field::new("Name", text(80)),
        owner(),
        field("External_Id__c", text(100)).required().external_id(true),
        field("Account__c", lookup("Account", &children)),
        field("Lead__c", lookup("Lead", &children)),
        field("Status__c", status),
        field("Company_Name__c", text(255)),
        field("Website__c", FieldKind::Url),
        field("Domain__c", text(255)),
        field("Industry__c", text(120)),
        field("Employee_Count__c", FieldKind::Number { precision: 10, scale: 0 }),
        field("Annual_Revenue__c", FieldKind::Currency { precision: 18, scale: 2 }),
        field("Match_Score__c", FieldKind::Percent { precision: 5, scale: 2 }),
        field("Phone__c", FieldKind::Phone),
        field("Email__c", FieldKind::Email),
        field("Founded_On__c", FieldKind::Date),
        field("Is_Listed__c", FieldKind::Checkbox),
        field("Description__c", FieldKind::LongText { length: 32_768 }),
        field("Country_Code__c", text(2)),
        field("Source_Updated_At__c", FieldKind::DateTime),
        field("Last_Synced_At__c", FieldKind::DateTime),
        field("Content_Hash__c", text(64)),
        field("Correlation_Id__c", text(64)),
        field("Last_Error__c", FieldKind::TextArea),
        field("Schema_Version__c", FieldKind::Number { precision: 3, scale: 0 }),
    ]);
    Object::new(&name(namespace, "Enrichment__c"), "a00", fields)
}

fn sync_request(namespace: &str) -> Object {
    let field = |field: &str, kind| Field::new(&name(namespace, field), kind);
    let mut fields = event_fields();
    fields.extend([
        field("Object_Type__c", text(80)).required(),
        field("Record_Ids__c", FieldKind::LongText { length: 32_768 }),
        field("Record_Count__c", FieldKind::Number { precision: 4, scale: 0 }),
        field("Reason__c", text(40)).required(),
        field("Correlation_Id__c", text(64)),
        field("Requested_At__c", FieldKind::DateTime),
        field("Schema_Version__c", FieldKind::Number { precision: 3, scale: 0 }),
    ]);
    Object::new(&name(namespace, "Sync_Request__e"), "e00", fields)
}

fn sync_settings(namespace: &str) -> Object {
    let mut fields = system_fields();
    fields.push(Field::new("Name", text(38)));
    // A user, a profile or the org: more than one object, so it is kept as text.
    fields.push(Field::new("SetupOwnerId", text(18)).required());
    for switch in ["Suppress_All__c", "Suppress_Account__c", "Suppress_Lead__c"] {
        fields.push(Field::new(&name(namespace, switch), FieldKind::Checkbox));
    }
    Object::new(&name(namespace, "Sync_Settings__c"), "a0S", fields)
}
