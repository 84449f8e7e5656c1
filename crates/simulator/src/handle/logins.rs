//! What a test does about logins: how the org lets the app in, approvals without a browser, the history.
//!
//! Here: the handle's part of it. Not here: what a setting causes (`oauth`), single faults (`faults`).

use std::net::IpAddr;
use std::time::Duration;

use super::OrgHandle;
use crate::log::{LoggedGrant, LoggedLogin};
use crate::options::{AppStatus, LoginPolicy};
use crate::org::facts::{APP_NAME, PASSWORD};

impl OrgHandle {
    /// How the org lets the app in.
    pub fn login_policy(&self) -> LoginPolicy {
        self.org.state().logins.policy.clone()
    }

    /// Sets how the org lets the app in, from now on. An app that is not installed or blocked loses its sessions, as do users
    /// who are inactive.
    pub fn set_login_policy(&self, policy: LoginPolicy) {
        let mut state = self.org.state();
        let inactive = |username: &str| {
            policy.inactive_users.iter().any(|inactive| inactive.eq_ignore_ascii_case(username))
        };
        let users = state.tables.rows("User").filter_map(|row| Some((row.get("Id")?, row.get("Username")?)));
        let users = users.filter(|(_, username)| username.as_str().is_some_and(inactive));
        let users: Vec<String> = users.filter_map(|(id, _)| id.as_str().map(str::to_owned)).collect();
        let app_is_out = policy.app != AppStatus::Installed;
        state.logins.tokens.end_where(|token| app_is_out || users.contains(&token.user));
        state.logins.authorizations.log_out(|user| users.iter().any(|inactive| inactive == user));
        state.logins.policy = policy;
    }

    /// Registers a callback URL for the app.
    pub fn register_redirect_uri(&self, uri: &str) {
        self.org.state().logins.policy.redirect_uris.push(uri.to_owned());
    }

    /// Whether each exchange gives a new refresh token in place of the one used.
    pub fn set_rotation(&self, rotation: bool) {
        self.org.state().logins.policy.rotation = rotation;
    }

    /// After so many simulated days an unused refresh token ends; `None` = never.
    pub fn set_idle_days(&self, days: Option<u32>) {
        self.org.state().logins.policy.refresh_token_idle_days = days;
    }

    /// Whether the app is installed, not, or blocked.
    pub fn set_app(&self, app: AppStatus) {
        self.set_login_policy(LoginPolicy { app, ..self.login_policy() });
    }

    /// From where one may log in, as first and last address of each range; none = from everywhere.
    pub fn set_ip_ranges(&self, ranges: &[(IpAddr, IpAddr)]) {
        self.org.state().logins.policy.ip_ranges = ranges.to_vec();
    }

    /// A user becomes active again, or inactive: it cannot log in, and its sessions end.
    pub fn set_user_active(&self, username: &str, active: bool) {
        let mut policy = self.login_policy();
        policy.inactive_users.retain(|inactive| !inactive.eq_ignore_ascii_case(username));
        if !active {
            policy.inactive_users.push(username.to_owned());
        }
        self.set_login_policy(policy);
    }

    /// The app's name, as the page has it on which a user approves it.
    pub fn app_name(&self) -> &'static str {
        APP_NAME
    }

    /// Every user's password on the login page.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A user approves the app, as in a browser, with the scopes `api`, `id` and `refresh_token`: the refresh token, or
    /// `None` if there is no such user.
    pub fn grant_refresh_token(&self, username: &str) -> Option<String> {
        let mut state = self.org.state();
        let user = state.user_named(username)?;
        let id = state.logins.approve(&user, "api id refresh_token", self.org.clock.now_ms());
        state.logins.grants.get(id).map(|grant| grant.token.clone())
    }

    /// The approvals that are in force, the oldest first.
    pub fn grants(&self) -> Vec<LoggedGrant> {
        let state = self.org.state();
        let grants = state.logins.grants.live().iter().map(|grant| LoggedGrant {
            username: state.username(&grant.user),
            scope: grant.scope.clone(),
            refresh_token: grant.token.clone(),
            access_tokens: state.logins.tokens.count_of_grant(grant.id),
        });
        grants.collect()
    }

    /// The admin revokes all approvals of the app: refresh tokens end, and the access tokens that came of them. Sessions that
    /// came of an assertion or a secret stay; `revoke_tokens` ends those.
    pub fn revoke_grants(&self) {
        self.org.state().logins.end_grants();
    }

    /// Every browser has to log in again; approvals stay.
    pub fn end_browser_sessions(&self) {
        self.org.state().logins.authorizations.log_out(|_| true);
    }

    /// Makes it look as if all authorization codes had been given so much earlier (simulated time); they live 15 minutes.
    pub fn age_codes(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.org.state().logins.authorizations.age(ms);
    }

    /// Makes it look as if no refresh token had been used for so much longer (simulated time).
    pub fn age_grants(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.org.state().logins.grants.age(ms);
    }

    /// While held, requests to the token endpoint are begun and not finished; set back, they are all finished. What the
    /// client does meanwhile, even hanging up, does not keep them from being done.
    pub fn hold_token_requests(&self, held: bool) {
        self.org.token_calls_held.send_replace(held);
    }

    /// Requests to the token endpoint that are being held.
    pub fn token_requests_held(&self) -> usize {
        self.org.state().logins.held_calls
    }

    /// Requests that the token endpoint has got, whether and however they were answered.
    pub fn token_calls(&self) -> u64 {
        self.org.state().logins.token_calls
    }

    /// The logins and tries so far, oldest first.
    pub fn login_history(&self) -> Vec<LoggedLogin> {
        self.org.state().logins.history.all()
    }

    /// Forgets the logins so far, and the count of requests to the token endpoint.
    pub fn clear_login_history(&self) {
        let mut state = self.org.state();
        state.logins.history.clear();
        state.logins.token_calls = 0;
    }
}
