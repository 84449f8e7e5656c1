//! Whether an org lets a client, and a user by it, in at all.
//!
//! Here: the app's secret, and the refusals that an admin sets up, each in Salesforce's words. Not here: what a grant type
//! asks for besides (`token`). Sources: Help "OAuth Authorization Flow Errors", "Manage OAuth Access Policies for a
//! Connected App", "Block or Unblock Connected Apps", article 005132365 on apps that are not installed.

use std::net::IpAddr;

use super::denied::Denied;
use super::request::TokenRequest;
use crate::options::{AppStatus, PermittedUsers};
use crate::org::{Org, OrgState};
use crate::rights::Right;

const WRONG_CLIENT: Denied = Denied("invalid_client_id", "client identifier invalid");
const WRONG_SECRET: Denied = Denied("invalid_client", "invalid client credentials");

/// The app shows who it is; without a secret only if `secret_required` is false.
pub(crate) fn client(org: &Org, request: &TokenRequest, secret_required: bool) -> Result<(), Denied> {
    let (id, secret) = request.client();
    if id.ok_or(Denied("invalid_request", "missing required parameters"))? != org.facts.client_id {
        return Err(WRONG_CLIENT);
    }
    match secret {
        Some(secret) if secret == org.facts.client_secret => Ok(()),
        None if !secret_required => Ok(()),
        _ => Err(WRONG_SECRET),
    }
}

/// Whether the org lets anybody in.
pub(crate) fn org(state: &OrgState) -> Result<(), Denied> {
    let is_active = state.logins.policy.org_active;
    if is_active { Ok(()) } else { Err(Denied("inactive_org", "inactive organization")) }
}

/// Whether the app may be used in the org, as far as no user matters.
pub(crate) fn app(state: &OrgState) -> Result<(), Denied> {
    org(state)?;
    match state.logins.policy.app {
        AppStatus::Installed => Ok(()),
        AppStatus::NotInstalled => {
            Err(Denied("app_not_found", "External client app is not installed in this org"))
        }
        AppStatus::Blocked => Err(Denied("OAUTH_APP_BLOCKED", "this app is blocked by admin")),
    }
}

/// Whether a user may use the app.
pub(crate) fn permitted(state: &OrgState, user: &str) -> Result<(), Denied> {
    let admin_decides = state.logins.policy.permitted_users == PermittedUsers::AdminApproved;
    if admin_decides && !state.views.may(user, Right::AppApproved) {
        return Err(Denied("invalid_grant", "user is not admin approved to access this app"));
    }
    Ok(())
}

/// Whether a user may log in from there; a login that is let in counts.
pub(crate) fn user(org: &Org, state: &mut OrgState, user: &str, from: Option<IpAddr>) -> Result<(), Denied> {
    let username = state.username(user);
    let policy = &state.logins.policy;
    if policy.inactive_users.iter().any(|name| name.eq_ignore_ascii_case(&username)) {
        return Err(Denied("inactive_user", "inactive user"));
    }
    let within = |from: IpAddr| policy.ip_ranges.iter().any(|(first, last)| *first <= from && from <= *last);
    if !policy.ip_ranges.is_empty() && !from.is_some_and(within) {
        return Err(Denied("invalid_grant", "ip restricted or invalid login hours"));
    }
    if state.logins.count(user, org.clock.now_ms()) {
        Ok(())
    } else {
        Err(Denied("rate_limit_exceeded", "login rate exceeded"))
    }
}
