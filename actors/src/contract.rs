//! The package customers install, as the service reads it: `salesforce-package/contract.json`, built in.
//!
//! Here: its objects, events and settings by name, without namespace. Not here: what a mapping or an org makes of them
//! (`src/config/resolve/package.rs`, `doctor`).
//!
//! Invariant: every name is spelt as in the package.

use std::{collections::BTreeMap, sync::LazyLock};

use orgpipe_reconcile::describe::{Describe, Field};
use serde::Deserialize;
use serde_json::json;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let text = include_str!("../../salesforce-package/contract.json");
    serde_json::from_str(text).expect("a test reads the built-in contract")
});

/// What the package brings into an org.
#[derive(Debug, Deserialize)]
pub struct Contract {
    /// Version of the package, such as `1.2.0`.
    pub package_version: String,
    /// Objects that hold records.
    pub objects: BTreeMap<String, ObjectContract>,
    /// Platform events.
    pub events: BTreeMap<String, EventContract>,
    /// Hierarchy custom settings.
    pub custom_settings: BTreeMap<String, SettingContract>,
}

/// An object of the package.
#[derive(Debug, Deserialize)]
pub struct ObjectContract {
    /// The field that records are upserted by.
    pub external_id: String,
    /// By name.
    pub fields: BTreeMap<String, FieldContract>,
}

/// An event of the package.
#[derive(Debug, Deserialize)]
pub struct EventContract {
    /// By name.
    pub fields: BTreeMap<String, FieldContract>,
}

/// A custom setting of the package.
#[derive(Debug, Deserialize)]
pub struct SettingContract {
    /// By name.
    pub fields: BTreeMap<String, FieldContract>,
}

/// A field of the package.
#[derive(Debug, Deserialize)]
pub struct FieldContract {
    /// A record cannot be without it; its rights come with the object's.
    pub required: bool,
    /// Its type, in the words of the Metadata API.
    #[serde(rename = "type")]
    pub kind: String,
    /// Characters of a text.
    #[serde(default)]
    pub length: Option<u32>,
    /// Digits of a number.
    #[serde(default)]
    pub precision: Option<u32>,
    /// Digits behind the point.
    #[serde(default)]
    pub scale: Option<u32>,
    /// Records are told apart by it.
    #[serde(default)]
    pub external_id: bool,
    /// Values of a list that takes no others.
    #[serde(default)]
    pub values: Vec<String>,
}

impl FieldContract {
    /// The field as an org describes it.
    pub fn described(&self, name: &str) -> Option<Field> {
        let kind = match self.kind.as_str() {
            "Text" => "string",
            "TextArea" | "LongTextArea" => "textarea",
            "Lookup" => "reference",
            "Number" | "Currency" | "Percent" => "double",
            "Checkbox" => "boolean",
            "MultiselectPicklist" => "multipicklist",
            other => other,
        };
        let field = json!({ "name": name, "type": kind, "length": self.length, "precision": self.precision,
            "scale": self.scale, "externalId": self.external_id, "nillable": !self.required });
        let describe = json!({ "fields": [field] });
        let describe = Describe::from_json(describe.as_object()?).ok()?;
        describe.field(name).cloned()
    }
}

impl Contract {
    /// The package this program was built for.
    pub fn built_in() -> &'static Self {
        &CONTRACT
    }
}

/// A value under a name, whatever the case of its letters.
pub fn named<'c, T>(all: &'c BTreeMap<String, T>, name: &str) -> Option<(&'c str, &'c T)> {
    all.iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(known, value)| (known.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_contract_is_read() {
        let contract = Contract::built_in();
        let (_, enrichment) = named(&contract.objects, "enrichment__C").expect("the package's object");
        let key = &enrichment.fields[&enrichment.external_id];
        assert!(key.required && enrichment.fields.len() > 20);
        for (name, field) in &enrichment.fields {
            let described = field.described(name).expect("a field");
            assert_ne!(described.kind, orgpipe_reconcile::describe::Kind::Unsupported, "{name}");
        }
        assert_eq!(enrichment.fields["Status__c"].values[1], "Current");
        assert!(contract.events["Sync_Request__e"].fields.contains_key("Record_Ids__c"));
        assert!(contract.custom_settings["Sync_Settings__c"].fields.contains_key("Suppress_All__c"));
    }
}
