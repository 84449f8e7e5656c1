//! The doctor: whether an org gives us all that its syncs need, and who can mend what it does not.
//!
//! In reading order: `needs` (what the settings ask for), `facts` (what was found), `probe` (asking the org),
//! `diagnosis` (from both to findings, pure), `permission_set` (what a permission set can mend, as its file).
//! Here: what an operator is told. Not here: the check of the settings (`check`), running orgs (`supervise`).

mod diagnosis;
mod facts;
mod fixes;
mod needs;
mod permission_set;
mod probe;

pub use self::permission_set::PermissionSet;
use orgpipe_salesforce::{failure::CallError, http::HttpClient};
use serde::Serialize;

use crate::{clock::Clock, settings::OrgSettings, severity::Severity};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
    fn is_grantable(self) -> bool {
        matches!(
            self,
            Self::ApiEnabled | Self::Object | Self::Field | Self::Records | Self::Event | Self::Setting
        )
    }
}

/// Something an operator should know, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// What came of an examination.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The operator's name for the org.
    pub org: String,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The worst finding; none if there is nothing to say.
    pub worst: Option<Severity>,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// A permission set that mends what a permission set can.
    pub permission_set: Option<PermissionSet>,
    /// The org's ID, if there was a login.
    pub org_id: Option<String>,
    /// The user's ID, likewise.
    pub user_id: Option<String>,
    /// API calls of the org's last 24 hours: used, allowed.
    pub api_calls: Option<(u64, u64)>,
    /// How far Salesforce's clock is ahead of this machine's, in milliseconds; to a second.
    pub clock_ahead_ms: Option<i64>,
    /// The installed package's version, if the user may see it.
    pub package_version: Option<String>,
}

impl Report {
    /// In one line: how many findings, and the worst.
    pub fn sentence(&self) -> String {
        let count = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        match self.findings.first().filter(|finding| finding.severity > Severity::Note) {
            None => "all that the syncs need is there".to_owned(),
            Some(first) => {
                let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
                format!("{errors}, {warnings}; first: {}", first.message)
            }
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Examines one org as its integration user: logs in afresh, reads, subscribes and takes leave; writes nothing. Makes some
/// 10 to 20 API calls, which no budget counts.
pub async fn doctor(settings: &OrgSettings) -> Result<Report, CallError> {
    Ok(examine(settings, &HttpClient::new()?, Clock::start()).await)
}

/// The same with the service's client and clock.
pub(crate) async fn examine(settings: &OrgSettings, http: &HttpClient, clock: Clock) -> Report {
    let needs = needs::Needs::of(settings);
    let facts = probe::probe(settings, &needs, http, clock).await;
    let findings = diagnosis::findings(&needs, &facts);
    Report {
        org: settings.id.clone(),
        at_ms: clock.now_ms(),
        worst: findings.iter().map(|finding| finding.severity).max(),
        permission_set: permission_set::of(&needs, &facts, &findings),
        findings,
        org_id: facts.identity().map(|identity| identity.org_id.clone()),
        user_id: facts.identity().map(|identity| identity.user_id.clone()),
        api_calls: facts.usage.map(|usage| (usage.used, usage.max)),
        clock_ahead_ms: facts.clock_ahead_ms,
        package_version: facts
            .package_version
            .map(|[major, minor, patch]| format!("{major}.{minor}.{patch}")),
    }
}
