//! What a refused login means.
//!
//! Here: the OAuth codes and texts, each with its verdict and its hint. Not here: reading the answer (`oauth`), how often one
//! login is tried (`attempts`).
//!
//! Source: HELP `remoteaccess_oauth_flow_errors`; the texts as live orgs send them. `invalid_grant` is one code for a
//! dozen causes, one of which (two logins at a time) passes by itself: only its text tells them apart.

use crate::error::is_http_code;

use LoginClass::{App, Audience, Org, RateLimited, Reauthorise, Resign, Settings, Transient, User};

/// What to do about a failed login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginClass {
    /// Nobody's fault: repeat with growing delays.
    Transient,
    /// Too many logins of this user: wait for minutes.
    RateLimited,
    /// The assertion is not taken, perhaps for its time: sign another, once; after that somebody must look at key and clock.
    Resign,
    /// The assertion is addressed to somebody else: try the other audience, once; after that the settings must name it.
    Audience,
    /// Our settings: URL, key.
    Settings,
    /// The customer's grant is gone or was never given: the customer has to connect.
    Reauthorise,
    /// The external client app in the customer's org: an admin there has to install it, unblock it or open it.
    App,
    /// The running user: not approved, frozen, outside its hours or addresses.
    User,
    /// The org is suspended or gone.
    Org,
}

/// With what a token was asked for: the same refusal may mean another thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// A signed assertion (`jwt-bearer`).
    Assertion,
    /// Client ID and secret (`client_credentials`).
    Client,
    /// A refresh token (`refresh_token`).
    Refresh,
    /// Nothing yet: the consent page sent the browser back without a code.
    Consent,
    /// The code that the consent page gave (`authorization_code`).
    Code,
}

/// A text of Salesforce's and what it means.
struct Known {
    /// A part of the description, in lower case.
    part: &'static str,
    class: LoginClass,
    hint: &'static str,
    /// The app's policy keeps the user out.
    app_policy: bool,
}

const fn known(part: &'static str, class: LoginClass, hint: &'static str) -> Known {
    Known { part, class, hint, app_policy: false }
}

const fn policy(part: &'static str, class: LoginClass, hint: &'static str) -> Known {
    Known { part, class, hint, app_policy: true }
}

/// The texts that are known; the first that fits counts.
const TEXTS: &[Known] = &[
    known(MEETING, Transient, "Two logins met; it is retried by itself."),
    known("not installed", App, INSTALL),
    known("app not found", App, INSTALL),
    known("must be installed", App, INSTALL),
    known("blocked", App, UNBLOCK),
    known(
        "login rate",
        RateLimited,
        "This user logs in too often; find out who else logs in as it. It is retried later.",
    ),
    known(
        "audience",
        Audience,
        "Set the org's `audience` to `https://login.salesforce.com`, for a sandbox to `https://test.salesforce.com`.",
    ),
    known(
        "assertion",
        Resign,
        "Check that the key belongs to the certificate in the external client app, that `client_id` is the app's, and \
         that this machine's clock is right to the minute.",
    ),
    known(
        "not supported on this domain",
        Settings,
        "Set `login_url` to the org's My Domain, `https://NAME.my.salesforce.com`.",
    ),
    policy(
        "no client credentials user",
        App,
        "Name a run-as user in the app's client credentials policy (Setup, External Client App Manager, Policies).",
    ),
    policy(
        "approved",
        User,
        "Let admin-approved users in (the app's policy), and give the running user the permission set that the app \
         lists. If the app is not there (Setup, External Client App Manager), install it in this org first.",
    ),
    known("ip restricted", User, NETWORK),
    known("login hours", User, NETWORK),
    known("expired access/refresh token", Reauthorise, RECONNECT),
    known("denied authorization", Reauthorise, DENIED),
    known("code verifier", Reauthorise, START_AGAIN),
    known("code challenge", Reauthorise, START_AGAIN),
    known("authentication failure", User, USER),
    known("data not available", Org, GONE),
    known("data not found", Org, GONE),
];

/// Of two logins at a time one is refused with this text.
const MEETING: &str = "already being processed";
/// A code that was used or is too old. Of two refreshes at a time one was refused with this text, too, before Summer '24
/// (release notes, `rn_security_refresh_token_error`).
const SPENT_CODE: &str = "expired authorization code";
const INSTALL: &str = "Install the external client app in this org: with the package that brings it (Setup, Installed \
                       Packages), or by hand (Setup, External Client App Manager, New). Client ID and secret may well be \
                       right: the app is known elsewhere, and not here.";
const UNBLOCK: &str =
    "An admin of the org has blocked the app: unblock it there (Setup, Connected Apps OAuth Usage, Unblock).";
const USAGE: &str = "An admin of the org has to install the app (Setup, Connected Apps OAuth Usage, Install), or give the user \
                     who connects the permission \"Approve Uninstalled Connected Apps\"; then connect again.";
const NETWORK: &str = "Admit this machine's address, and this hour, in the running user's profile (login IP ranges, login \
                       hours), or relax the IP restrictions in the app's policies.";
const GONE: &str = "The org, probably a sandbox, is gone: take it out, or set its new `login_url`.";
const LATER: &str = "It is retried by itself.";
const APP: &str = "Check `client_id` and secret against the external client app, and that `login_url` is of the same \
                   org; a new app takes minutes to be known everywhere.";
const USER: &str = "Look at the running user's login history (Setup, Login History) for Salesforce's reason.";
const DENIED: &str = "Somebody pressed \"Deny\": open the link again, log in as the user whose rights are to be used, and press \"Allow\".";
const START_AGAIN: &str = "The consent was answered too late or twice: its code serves once, for 15 minutes. Open the link and \
                           connect again.";
const CONSENT: &str = "Open the link again; if it stays so, look at the app's policies (Setup, External Client App Manager) and \
                       at the user's login history (Setup, Login History).";
/// What to do when the customer has to give the grant anew.
pub(super) const RECONNECT: &str = "The customer has to connect the org anew: `orgpipe orgs invite ID` makes a link for that; an org whose refresh token \
     stands in the settings needs a new one there. If it happens again, look whether something else uses the same refresh \
     token, whether one user has connected the app more than five times, and at the app's refresh token policy.";

/// Judges a refusal: what to do about it, and what somebody can do about it.
pub(super) fn judge(grant: Grant, status: u16, code: &str, description: &str) -> (LoginClass, &'static str) {
    let (class, hint) = judge_words(grant, status, code, description);
    match (grant, class) {
        // A person at a browser waits.
        (Grant::Consent | Grant::Code, Transient | RateLimited) => {
            (class, "Open the link again in some minutes.")
        }
        _ => (class, hint),
    }
}

fn judge_words(grant: Grant, status: u16, code: &str, description: &str) -> (LoginClass, &'static str) {
    let description = description.to_ascii_lowercase();
    // A page or a proxy may contain any words; only Salesforce's own codes give them weight.
    if !is_http_code(status, code) {
        if description.contains(SPENT_CODE) {
            return (Reauthorise, if grant == Grant::Refresh { RECONNECT } else { START_AGAIN });
        }
        if let Some(known) = TEXTS.iter().find(|known| description.contains(known.part)) {
            return (known.class, known.hint);
        }
    }
    let code = code.to_ascii_lowercase();
    match (code.as_str(), grant) {
        ("invalid_grant", Grant::Refresh) => (Reauthorise, RECONNECT),
        ("invalid_grant" | "invalid_request", Grant::Code | Grant::Consent) => (Reauthorise, START_AGAIN),
        ("invalid_grant", Grant::Assertion | Grant::Client) => (User, USER),
        (code, Grant::Consent) => by_code(code).unwrap_or((Reauthorise, CONSENT)),
        (code, _) => by_code(code).unwrap_or_else(|| by_status(status)),
    }
}

/// Judges a refusal whose text says nothing, by its code in lower case.
fn by_code(code: &str) -> Option<(LoginClass, &'static str)> {
    Some(match code {
        // The documentation spells it both ways.
        "access_denied" | "access-denied" => (Reauthorise, DENIED),
        "rate_limit_exceeded" | "login_rate_exceeded" => {
            (RateLimited, "This user logs in too often; it is retried later.")
        }
        "invalid_app_access" | "oauth_app_access_denied" => {
            (User, "Give the running user the permission set or profile that the external client app lists.")
        }
        // "app_not_found" and "OAUTH_EC_APP_NOT_FOUND", with whatever text.
        code if code.ends_with("app_not_found") => (App, INSTALL),
        "oauth_app_blocked" => (App, UNBLOCK),
        "oauth_approval_error_generic" => (App, USAGE),
        "invalid_client" | "invalid_client_id" | "unauthorized_client" => (App, APP),
        "unsupported_grant_type" => {
            (App, "Enable this flow in the external client app (Setup, its OAuth settings).")
        }
        "unsupported_response_type" => (
            App,
            "Enable the authorization code flow in the external client app (Setup, its OAuth settings).",
        ),
        "redirect_uri_mismatch" => (
            App,
            "Enter this service's address with `/oauth/callback` behind it among the callback URLs of the external client \
             app, letter by letter.",
        ),
        "invalid_scope" => (
            App,
            "Give the external client app the scopes `api` and, where a customer connects, `refresh_token`.",
        ),
        "inactive_user" => (User, "The running user is frozen or inactive: activate it, or name another."),
        "inactive_org" => (Org, "The org is suspended: the customer has to talk to Salesforce."),
        "server_error" | "temporarily_unavailable" | "unknown_error" => (Transient, LATER),
        _ => return None,
    })
}

/// Whether two logins met, of which the other one may have been good: over in a second or two.
pub(super) fn is_meeting(grant: Grant, description: &str) -> bool {
    let description = description.to_ascii_lowercase();
    description.contains(MEETING) || grant == Grant::Refresh && description.contains(SPENT_CODE)
}

/// Whether the app's policy keeps the user out: not pre-authorised, or nobody named to run as.
pub(super) fn is_app_policy(description: &str) -> bool {
    let description = description.to_ascii_lowercase();
    TEXTS.iter().any(|known| known.app_policy && description.contains(known.part))
}

/// Judges a refusal whose code says nothing.
fn by_status(status: u16) -> (LoginClass, &'static str) {
    match status {
        300..=399 => {
            (Settings, "Set `login_url` to the host that answers itself: the org's My Domain may be renamed.")
        }
        420 => (Transient, "The org is being set up, or it is gone; it is retried by itself."),
        429 => (RateLimited, LATER),
        406 | 408 | 500..=599 => (Transient, LATER),
        404 => (Settings, "Check `login_url`: this host has no token endpoint."),
        _ => (App, APP),
    }
}

#[cfg(test)]
mod tests;
