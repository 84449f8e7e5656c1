//! A target of the customer's own making, which has fields that the package's does not have.

use orgpipe_simulator::{CustomField, FieldKind, Row};
use serde_json::Value;

use super::support::Rig;

/// Its name.
pub(crate) const TARGET: &str = "Firmographic__c";

/// A field of it, or of another object.
pub(crate) fn field(object: &str, name: &str, kind: FieldKind) -> CustomField {
    let (object, name, external_id) = (object.to_owned(), name.to_owned(), name == "External_Id__c");
    CustomField { object, name, kind, required: false, external_id, unique: external_id, computed: false }
}

/// The fields that the usual settings need.
pub(crate) fn usual() -> Vec<CustomField> {
    let lookup = |to: &str| FieldKind::Lookup { to: to.into(), children: "Firmographics".into() };
    let kinds = [
        ("External_Id__c", FieldKind::Text { length: 255 }),
        ("Account__c", lookup("Account")),
        ("Lead__c", lookup("Lead")),
        ("Employee_Count__c", FieldKind::Number { precision: 18, scale: 0 }),
        ("Industry__c", FieldKind::Text { length: 100 }),
    ];
    kinds.into_iter().map(|(name, kind)| field(TARGET, name, kind)).collect()
}

/// The settings with this target.
pub(crate) fn with_target(text: &str) -> String {
    text.replace("\"Enrichment__c\"", &format!("\"{TARGET}\""))
}

/// Its record with an external ID.
pub(crate) fn record(rig: &Rig, key: &str) -> Row {
    let rows = rig.org("acme").rows(TARGET);
    let found = rows.into_iter().find(|row| row.get("External_Id__c").and_then(Value::as_str) == Some(key));
    found.expect("a record")
}
