//! The single rights of an integration user, and its profile.
//!
//! Here: the types that tests and options name. Not here: which rights a user has and what it then sees (`rights`).

use serde::Deserialize;

/// A right of the integration user, or what must be in the org for it. Names are as in the org: with namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// The system permission "API Enabled".
    ApiEnabled,
    /// The system permission "View Setup and Configuration", which no permission set of ours gives.
    ViewSetup,
    /// The app's policies let the user in without asking.
    AppApproved,
    /// All that a permission set gives, such as `Sync_Integration` (without namespace).
    PermissionSet(String),
    /// On the records of an object, or on an event.
    Object(String, ObjectRight),
    /// On a field, as object and field.
    Field(String, String, FieldRight),
    /// To read a custom setting.
    Setting(String),
    /// The row of `Sync_Settings__c` that keeps the flows quiet about what the user saves.
    SettingRow,
    /// The package itself is installed.
    Package,
}

/// What one may do with the records of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectRight {
    /// See its own; without it the object is not there. Of an event: subscribe.
    Read,
    /// Create records; of an event: publish it.
    Create,
    /// Change them.
    Edit,
    /// Delete them.
    Delete,
    /// See those of every owner.
    ViewAll,
}

/// What one may do with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldRight {
    /// Without it the field is not there.
    Read,
    /// Write the field.
    Edit,
}

/// What the integration user is in the org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// It has the rights that the package's permission set and its companion give.
    #[default]
    MinimumAccess,
    /// It has every right.
    SystemAdministrator,
}

impl Right {
    /// Names do not differ by the case of their letters.
    pub(super) fn canonical(self) -> Self {
        match self {
            Self::PermissionSet(name) => Self::PermissionSet(name.to_lowercase()),
            Self::Object(object, right) => Self::Object(object.to_lowercase(), right),
            Self::Field(object, field, right) => {
                Self::Field(object.to_lowercase(), field.to_lowercase(), right)
            }
            Self::Setting(name) => Self::Setting(name.to_lowercase()),
            other => other,
        }
    }
}
