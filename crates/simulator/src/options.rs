//! What to simulate: settings of the whole and of each org, with their defaults.
//!
//! Here: the option types; in `login_policy` how an org lets the app in. Not here: what they cause.

mod login_policy;

use std::time::Duration;

use crate::data::CustomField;
use crate::rights::right::{Profile, Right};
pub use login_policy::{AppStatus, LoginPolicy, PermittedUsers};

/// The orgs of one simulator, and what they share.
#[derive(Clone, Debug)]
pub struct Options {
    /// The orgs; names must differ.
    pub orgs: Vec<OrgOptions>,
    /// How many times faster than real time CometD waits, Bulk jobs and quota windows run. Default 1.
    pub time_scale: f64,
    /// Decides everything random that a test may want to repeat: result order, session ids.
    pub seed: u64,
    /// Which ports to use, always on 127.0.0.1.
    pub ports: Ports,
    /// Real time the vendor API takes to answer a look-up. Default none.
    pub lookup_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            orgs: vec![OrgOptions::default()],
            time_scale: 1.0,
            seed: 1,
            ports: Ports::Ephemeral,
            lookup_after: Duration::ZERO,
        }
    }
}

/// Which ports a simulator listens on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Ports that the system picks.
    #[default]
    Ephemeral,
    /// The control API on this port, the vendor API on the next, then one port per org in order.
    From(u16),
}

/// What one org is like.
#[derive(Clone, Debug)]
pub struct OrgOptions {
    /// The org's name: how tests and the control API call it.
    pub name: String,
    /// Whether the package's flows are on: an Account or Lead that is new, or whose watched fields changed, publishes
    /// `Sync_Request__e`, unless `Sync_Settings__c` exempts who saved it, as it does the integration user.
    pub flow: bool,
    /// Whether Account is selected for Change Data Capture: each change of an Account publishes a change event on
    /// `/data/AccountChangeEvent`. Default false.
    pub change_data: bool,
    /// Namespace of the installed package, without underscores; empty for an unmanaged one.
    pub namespace: String,
    /// Major, minor and patch number of the installed package. Default 1.0.0.
    pub package_version: [u32; 3],
    /// API calls a rolling 24 hours allows. Default 15,000, as in a Developer Edition.
    pub daily_calls: u64,
    /// Whether `Sforce-Limit-Info` also tells the app's own usage, as it does in some orgs. Default false.
    pub per_app_usage: bool,
    /// Simulated time a Bulk job spends in each of `UploadComplete` and `InProgress`. Default 1 s.
    pub bulk_step: Duration,
    /// Simulated time after which an unused access token ends. Default 2 hours.
    pub session_idle: Duration,
    /// Real time the org takes to answer any request. Default none; a real org takes 80 ms and more.
    pub answer_after: Duration,
    /// What the integration user is. Default: it has the rights that `Sync_Integration` and its companion
    /// `Sync_Standard_Access` give.
    pub profile: Profile,
    /// Rights that it lacks from the start.
    pub taken: Vec<Right>,
    /// How the org lets the vendor's app in, from the start.
    pub login_policy: LoginPolicy,
    /// Fields, objects (`X__c`) and events (`X__e`) beyond the standard ones and the package's; the integration user
    /// has every right on them.
    pub custom_fields: Vec<CustomField>,
    /// Fields of text that tell case apart, such as `Enrichment__c.External_Id__c`.
    pub case_sensitive: Vec<String>,
}

impl OrgOptions {
    /// An org of this name, with the defaults for all else.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

impl Default for OrgOptions {
    fn default() -> Self {
        Self {
            name: "acme".to_owned(),
            flow: true,
            change_data: false,
            namespace: String::new(),
            package_version: [1, 0, 0],
            daily_calls: 15_000,
            per_app_usage: false,
            bulk_step: Duration::from_secs(1),
            session_idle: Duration::from_hours(2),
            answer_after: Duration::ZERO,
            profile: Profile::default(),
            taken: Vec::new(),
            login_policy: LoginPolicy::default(),
            custom_fields: Vec::new(),
            case_sensitive: Vec::new(),
        }
    }
}
