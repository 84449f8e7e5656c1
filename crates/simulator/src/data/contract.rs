//! The package's contract, `salesforce-package/contract.json`, as the simulator reads it.
//!
//! Here: the file's shape. Not here: what follows for an org (`package`, `rights`, `org/flow`).
//! The service has a reader of its own: a shared one would share a misreading.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let text = include_str!("../../../../salesforce-package/contract.json");
    serde_json::from_str(text).expect("a test reads the built-in contract")
});

/// What the package brings into an org; names are without namespace.
#[derive(Debug, Deserialize)]
pub(crate) struct Contract {
    pub(crate) objects: BTreeMap<String, ContractObject>,
    pub(crate) events: BTreeMap<String, ContractEvent>,
    pub(crate) custom_settings: BTreeMap<String, ContractSetting>,
    pub(crate) flows: BTreeMap<String, ContractFlow>,
    pub(crate) permission_sets: BTreeMap<String, ContractPermissionSet>,
    pub(crate) companion_permission_sets: BTreeMap<String, ContractPermissionSet>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ContractObject {
    pub(crate) fields: BTreeMap<String, ContractField>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ContractEvent {
    pub(crate) record_ids_max: usize,
    pub(crate) fields: BTreeMap<String, ContractField>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ContractSetting {
    pub(crate) fields: BTreeMap<String, ContractField>,
}

/// A field as its metadata has it; what a type does not have is absent.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the contract's")]
pub(crate) struct ContractField {
    #[serde(rename = "type")]
    pub(crate) kind: MetadataType,
    #[serde(default)]
    pub(crate) length: u32,
    #[serde(default)]
    pub(crate) precision: u8,
    #[serde(default)]
    pub(crate) scale: u8,
    #[serde(default)]
    pub(crate) values: Vec<String>,
    #[serde(default)]
    pub(crate) restricted: bool,
    #[serde(default)]
    pub(crate) reference_to: String,
    #[serde(default)]
    pub(crate) relationship: String,
    pub(crate) required: bool,
    pub(crate) unique: bool,
    pub(crate) external_id: bool,
}

/// The Metadata API's field types that the package may use.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum MetadataType {
    Text,
    TextArea,
    LongTextArea,
    Url,
    Phone,
    Email,
    Picklist,
    MultiselectPicklist,
    Number,
    Currency,
    Percent,
    Checkbox,
    Date,
    DateTime,
    Lookup,
}

/// A record-triggered flow: its object, and the fields whose change it reacts to.
#[derive(Debug, Deserialize)]
pub(crate) struct ContractFlow {
    pub(crate) object: String,
    pub(crate) watched: Vec<String>,
}

/// What a permission set gives, by object and by field.
#[derive(Debug, Deserialize)]
pub(crate) struct ContractPermissionSet {
    pub(crate) objects: BTreeMap<String, Vec<String>>,
    pub(crate) fields: BTreeMap<String, FieldPermissions>,
    pub(crate) custom_settings: Vec<String>,
    pub(crate) user_permissions: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FieldPermissions {
    pub(crate) editable: Vec<String>,
    pub(crate) readable: Vec<String>,
}

impl Contract {
    pub(crate) fn built_in() -> &'static Self {
        &CONTRACT
    }
}
