//! How an org lets the vendor's app in, as settings: what its admin, or the vendor, sets up for the app.
//!
//! Here: the type and its defaults. Not here: what each setting causes (`oauth`, `org/grants`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How an org lets the vendor's app in. The defaults are those of an app that was installed as its vendor made it.
/// Sources: Help "Manage OAuth Access Policies for a Connected App", "Configure the External Client App OAuth Settings".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "one for each box that can be ticked in Setup")]
pub struct LoginPolicy {
    /// The app's callback URLs, one of which an authorization must name letter for letter. Default: none, so that no
    /// authorization gets as far as a login.
    pub redirect_uris: Vec<String>,
    /// "Enable Refresh Token Rotation": each exchange gives a refresh token that takes the place of the one used; using one
    /// again ends all the access that came of it. Default false.
    pub rotation: bool,
    /// "Require Proof Key for Code Exchange". Default true.
    pub pkce_required: bool,
    /// "Require Secret for Web Server Flow" and "… for Refresh Token Flow"; a secret that is given must be right in any
    /// case. Default true.
    pub secret_required: bool,
    /// Simulated days after which an unused refresh token ends; `None` = it lives until it is revoked. Default 30.
    pub refresh_token_idle_days: Option<u32>,
    /// Whether the app may be used in the org.
    pub app: AppStatus,
    /// Who may use it.
    pub permitted_users: PermittedUsers,
    /// First and last address of the ranges from which one may log in, as in a profile's "Login IP Ranges"; none = from
    /// everywhere. Clients of a simulator come from 127.0.0.0/8.
    pub ip_ranges: Vec<(IpAddr, IpAddr)>,
    /// Whether the org is active; a suspended one lets nobody in. Default true.
    pub org_active: bool,
    /// Usernames of users that are inactive or frozen.
    pub inactive_users: Vec<String>,
    /// Whether the app has a user to run as in the client credentials flow. Default true.
    pub client_credentials_user: bool,
    /// Logins of one user in a simulated hour. Default 3,600, as in Salesforce.
    pub logins_per_hour: u32,
    /// Audiences of an assertion that are taken. Default: none named, which is login.salesforce.com, test.salesforce.com
    /// and the org's own address.
    pub audiences: Vec<String>,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self {
            redirect_uris: Vec::new(),
            rotation: false,
            pkce_required: true,
            secret_required: true,
            refresh_token_idle_days: Some(30),
            app: AppStatus::default(),
            permitted_users: PermittedUsers::default(),
            ip_ranges: Vec::new(),
            org_active: true,
            inactive_users: Vec::new(),
            client_credentials_user: true,
            logins_per_hour: 3_600,
            audiences: Vec::new(),
        }
    }
}

/// Whether the app may be used in an org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// It is installed.
    #[default]
    Installed,
    /// It is not, so that nobody can approve it, and nobody get a token by an approval of old.
    NotInstalled,
    /// The admin has blocked it under "OAuth Usage".
    Blocked,
}

/// Who may use the app: its OAuth policy "Permitted Users".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermittedUsers {
    /// "All users may self-authorize": each is asked once. (For assertions the admin has let the integration user in all
    /// the same, as long as it has `Right::AppApproved`.)
    #[default]
    SelfAuthorize,
    /// "Admin approved users are pre-authorized": nobody is asked, and who lacks `Right::AppApproved` is refused.
    AdminApproved,
}
