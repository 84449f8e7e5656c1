//! What the doctor tells an operator about: one finding, and its topic.
//!
//! Here: the values. Not here: which findings there are (`diagnosis`), and the words about what to do (`fixes`).

use serde::Serialize;
use utoipa::ToSchema;

use crate::severity::Severity;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The org, or Salesforce's login host, does not answer.
    Unreachable,
    /// The clocks of this machine and of Salesforce differ.
    Clock,
    /// The login is refused.
    Login,
    /// The app does not let the user in.
    App,
    /// The system permission "API Enabled".
    ApiEnabled,
    /// The org's API calls of the day.
    Allowance,
    /// The org's event deliveries of the day.
    Deliveries,
    /// The package, or its permission set, is not there at all.
    Package,
    /// The package is there, but under another namespace.
    Namespace,
    /// The package is older than this program.
    PackageVersion,
    /// Rights on an object.
    Object,
    /// A right on a field.
    Field,
    /// A field that nobody can write.
    Computed,
    /// What the settings say is written to a field that cannot keep it.
    Value,
    /// A field that is no external ID.
    ExternalId,
    /// The records of others.
    Records,
    /// The query of a refresh.
    Query,
    /// An event.
    Event,
    /// A subscription, for another reason.
    Subscription,
    /// Reading the custom setting.
    Setting,
    /// The custom setting's row for our user.
    SettingRow,
    /// The package's flows are switched off.
    Flows,
}

impl Topic {
    /// Whether a permission set can mend it.
    pub(super) fn is_grantable(self) -> bool {
        matches!(
            self,
            Self::ApiEnabled | Self::Object | Self::Field | Self::Records | Self::Event | Self::Setting
        )
    }
}

/// Something an operator should know, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub topic: Topic,
    /// Which object, field, channel or the like, as the org calls it; empty if there is only one.
    pub subject: String,
    /// What is wrong, and what does not work because of it.
    pub message: String,
    /// The permission or setting by its name, and where to click.
    pub fix: String,
    /// Whether the report's permission set mends it.
    pub grantable: bool,
}
