//! What a refused login means.
//!
//! Here: the OAuth codes and texts, each with its verdict and its hint. Not here: reading the answer (`oauth`).
//!
//! Source: HELP `remoteaccess_oauth_flow_errors`; the texts as live orgs send them. `invalid_grant` is one code for a
//! dozen causes, one of which (two logins at a time) passes by itself: only its text tells them apart.

use crate::error::is_http_code;

use LoginClass::{App, Org, RateLimited, Settings, Transient, User};

/// What to do about a failed login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginClass {
    /// Nobody's fault: repeat with growing delays.
    Transient,
    /// Too many logins of this user: wait for minutes.
    RateLimited,
    /// Our settings: URL, key, audience.
    Settings,
    /// The external client app in the customer's org.
    App,
    /// The running user: not approved, frozen, outside its hours or addresses.
    User,
    /// The org is suspended or gone.
    Org,
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
const TEXTS: [Known; 15] = [
    known(MEETING, Transient, "Two logins met; it is retried by itself."),
    known("not installed", App, INSTALL),
    known("app not found", App, INSTALL),
    known(
        "blocked",
        App,
        "An admin of the org has blocked the app: unblock it there (Setup, Connected Apps OAuth Usage, Unblock).",
    ),
    known(
        "login rate",
        RateLimited,
        "This user logs in too often; find out who else logs in as it. It is retried later.",
    ),
    known(
        "audience",
        Settings,
        "Set the org's `audience` to `https://login.salesforce.com`, for a sandbox to `https://test.salesforce.com`.",
    ),
    known(
        "assertion",
        Settings,
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
    known(
        "ip restricted",
        User,
        "Admit this machine's address, and this hour, in the running user's profile (login IP ranges, login hours).",
    ),
    known(
        "login hours",
        User,
        "Admit this machine's address, and this hour, in the running user's profile (login IP ranges, login hours).",
    ),
    known("expired access/refresh token", User, "The customer has to connect anew."),
    known(
        "data not available",
        Org,
        "The org, probably a sandbox, is gone: take it out, or set its new `login_url`.",
    ),
    known(
        "data not found",
        Org,
        "The org, probably a sandbox, is gone: take it out, or set its new `login_url`.",
    ),
];

/// Of two logins at a time one is refused with this text.
const MEETING: &str = "already being processed";
const INSTALL: &str = "Install the external client app in this org: with the package that brings it (Setup, Installed \
                       Packages), or by hand (Setup, External Client App Manager, New). Client ID and secret may well be \
                       right: the app is known elsewhere, and not here.";
const LATER: &str = "It is retried by itself.";
const APP: &str = "Check `client_id` and secret against the external client app, and that `login_url` is of the same \
                   org; a new app takes minutes to be known everywhere.";
const USER: &str = "Look at the running user's login history (Setup, Login History) for Salesforce's reason.";

/// Judges a refusal: what to do about it, and what somebody can do about it.
pub(super) fn judge(status: u16, code: &str, description: &str) -> (LoginClass, &'static str) {
    let description = description.to_ascii_lowercase();
    // A page or a proxy may contain any words; only Salesforce's own codes give them weight.
    if !is_http_code(status, code)
        && let Some(known) = TEXTS.iter().find(|known| description.contains(known.part))
    {
        return (known.class, known.hint);
    }
    match code.to_ascii_lowercase().as_str() {
        "invalid_grant" => (User, USER),
        "rate_limit_exceeded" => (RateLimited, "This user logs in too often; it is retried later."),
        "invalid_app_access" => {
            (User, "Give the running user the permission set or profile that the external client app lists.")
        }
        // "app_not_found" and "OAUTH_EC_APP_NOT_FOUND", with whatever text.
        code if code.ends_with("app_not_found") => (App, INSTALL),
        "oauth_app_blocked" => {
            (App, "Unblock the app in the org (Setup, Connected Apps OAuth Usage, Unblock).")
        }
        "invalid_client" | "invalid_client_id" | "unauthorized_client" => (App, APP),
        "unsupported_grant_type" => {
            (App, "Enable this flow in the external client app (Setup, its OAuth settings).")
        }
        "invalid_scope" => (App, "Give the external client app the scope `api`."),
        "inactive_user" => (User, "The running user is frozen or inactive: activate it, or name another."),
        "inactive_org" => (Org, "The org is suspended: the customer has to talk to Salesforce."),
        "server_error" | "temporarily_unavailable" | "unknown_error" => (Transient, LATER),
        _ => by_status(status),
    }
}

/// Whether two logins met, of which the other one may have been good: over in a second or two.
pub(super) fn is_meeting(description: &str) -> bool {
    description.to_ascii_lowercase().contains(MEETING)
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
