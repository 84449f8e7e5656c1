//! The doctor: whether an org gives us all that its syncs need, and who can mend what it does not.
//!
//! In reading order: `needs` (what the settings ask for), `facts` (what the org shows), `probe` (asking the org),
//! `finding` (what an operator is told), `diagnosis` (from needs and facts to findings, pure), `fixes` (where to click),
//! `permission_set` (what a permission set can mend, as its file).
//! Here: what an operator is told. Not here: the check of the settings (`check`), running orgs (`supervise`).

mod diagnosis;
mod facts;
mod finding;
mod fixes;
mod needs;
mod permission_set;
mod probe;

use orgpipe_salesforce::http::HttpClient;
use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{org::context::OrgContext, severity::Severity};

pub use self::{
    finding::{Finding, Topic},
    permission_set::PermissionSet,
};

/// What came of an examination.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// The operator's name for the org.
    pub org: String,
    /// When.
    pub at_ms: UnixMs,
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
/// 10 to 20 API calls, which are counted and wait their turn like the others of the org.
pub(crate) async fn examine(org: &OrgContext, http: &HttpClient) -> Report {
    let (settings, clock) = (&org.settings, org.clock);
    let needs = needs::Needs::of(settings);
    let facts = probe::probe(org, &needs, http).await;
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
