//! Each text that the token endpoint is known to refuse with, its verdict and its hint.

use super::*;
use crate::{
    error::ErrorClass,
    failure::CallError,
    oauth::{error::LoginError, tests::refused},
};

/// One refusal: with what the token was asked for, status, code, text, verdict, and a part of the hint.
type Case = (Grant, u16, &'static str, &'static str, LoginClass, &'static str);

const JWT: Grant = Grant::Assertion;

const CASES: &[Case] = &[
    (JWT, 400, "invalid_grant", "user hasn't approved this consumer", User, "install it in this org first"),
    (JWT, 400, "invalid_grant", "user is not admin approved to access this app", User, "permission set"),
    (JWT, 400, "invalid_app_access", "user is not admin approved to access this app", User, "permission set"),
    (JWT, 400, "invalid_grant", "audience is invalid", Audience, "https://test.salesforce.com"),
    (JWT, 400, "invalid_grant", "Audience validation failed", Audience, "https://login.salesforce.com"),
    (JWT, 400, "invalid_grant", "invalid assertion", Resign, "clock"),
    (JWT, 400, "invalid_client_id", "client identifier invalid", App, "takes minutes"),
    (JWT, 400, "invalid_client", "client identifier invalid", App, "takes minutes"),
    (
        JWT,
        400,
        "app_not_found",
        "External client app is not installed in this org",
        App,
        "Install the external",
    ),
    (JWT, 400, "OAUTH_EC_APP_NOT_FOUND", "", App, "Install the external client app"),
    (
        JWT,
        400,
        "invalid_client",
        "external client app is NOT INSTALLED in this org",
        App,
        "Install the external",
    ),
    (
        JWT,
        400,
        "invalid_grant",
        "external client app is not installed in this org",
        App,
        "Install the external",
    ),
    (JWT, 400, "oauth_app_blocked", "this app is blocked by admin", App, "Unblock"),
    (JWT, 400, "OAUTH_APP_BLOCKED", "", App, "Unblock"),
    (JWT, 400, "invalid_request", "this app is blocked by admin", App, "unblock it"),
    (JWT, 400, "inactive_user", "user is inactive", User, "activate it"),
    (JWT, 400, "inactive_org", "organization is inactive", Org, "talk to Salesforce"),
    (JWT, 400, "invalid_grant", "IP restricted or invalid login hours", User, "login IP ranges"),
    (JWT, 400, "invalid_grant", "ip restricted or invalid login hours", User, "login IP ranges"),
    (JWT, 400, "rate_limit_exceeded", "login rate exceeded", RateLimited, "too often"),
    (JWT, 400, "invalid_grant", "login rate exceeded", RateLimited, "too often"),
    (JWT, 400, "LOGIN_RATE_EXCEEDED", "", RateLimited, "too often"),
    (JWT, 400, "invalid_grant", "token request is already being processed", Transient, "by itself"),
    (JWT, 400, "invalid_grant", "authentication failure", User, "Login History"),
    (JWT, 400, "invalid_grant", "etwas ganz anderes", User, "Login History"),
    (Grant::Client, 400, "invalid_client", "invalid client credentials", App, "Check `client_id`"),
    (Grant::Client, 400, "invalid_grant", "request not supported on this domain", Settings, "My Domain"),
    (Grant::Client, 400, "invalid_grant", "no client credentials user enabled", App, "run-as user"),
    (Grant::Client, 400, "unsupported_grant_type", "grant type not supported", App, "Enable this flow"),
    (Grant::Client, 400, "invalid_scope", "", App, "`api`"),
    (Grant::Client, 400, "invalid_grant", "etwas ganz anderes", User, "Login History"),
    (Grant::Refresh, 400, "invalid_grant", "expired access/refresh token", Reauthorise, "orgs invite"),
    (
        Grant::Refresh,
        400,
        "invalid_grant",
        "token request is already being processed",
        Transient,
        "by itself",
    ),
    (Grant::Refresh, 400, "invalid_grant", "expired authorization code", Reauthorise, "orgs invite"),
    (Grant::Refresh, 400, "invalid_grant", "", Reauthorise, "orgs invite"),
    (Grant::Refresh, 400, "invalid_grant", "authentication failure", User, "Login History"),
    (
        Grant::Refresh,
        400,
        "invalid_grant",
        "authentication failure - Invalid Password",
        User,
        "Login History",
    ),
    (Grant::Refresh, 400, "invalid_grant", "ip restricted or invalid login hours", User, "IP restrictions"),
    (Grant::Refresh, 400, "invalid_client", "invalid client credentials", App, "Check `client_id`"),
    (Grant::Refresh, 400, "unsupported_grant_type", "grant type not supported", App, "Enable this flow"),
    (Grant::Refresh, 400, "inactive_user", "", User, "activate it"),
    (Grant::Refresh, 404, "X", "Data Not Available", Org, "gone"),
    (Grant::Refresh, 400, "X", "Data Not Found", Org, "gone"),
    (Grant::Code, 400, "invalid_grant", "expired authorization code", Reauthorise, "15 minutes"),
    (Grant::Code, 400, "invalid_grant", "invalid code verifier", Reauthorise, "connect again"),
    (Grant::Code, 400, "invalid_grant", "", Reauthorise, "connect again"),
    (Grant::Code, 400, "invalid_request", "malformed code challenge", Reauthorise, "connect again"),
    (
        Grant::Code,
        400,
        "redirect_uri_mismatch",
        "redirect_uri must match configuration",
        App,
        "callback URLs",
    ),
    (Grant::Consent, 302, "access_denied", "end-user denied authorization", Reauthorise, "Allow"),
    (Grant::Consent, 302, "access-denied", "", Reauthorise, "Allow"),
    (
        Grant::Code,
        302,
        "invalid_client",
        "app must be installed into org",
        App,
        "Install the external client app",
    ),
    (Grant::Consent, 302, "OAUTH_APPROVAL_ERROR_GENERIC", "", App, "Approve Uninstalled Connected Apps"),
    (Grant::Consent, 302, "OAUTH_APP_ACCESS_DENIED", "", User, "permission set"),
    (Grant::Consent, 302, "unsupported_response_type", "", App, "authorization code flow"),
    (Grant::Consent, 302, "some_new_code", "", Reauthorise, "Open the link again"),
    (Grant::Consent, 302, "invalid_request", "", Reauthorise, "connect again"),
    (Grant::Consent, 302, "temporarily_unavailable", "", Transient, "Open the link again"),
    (Grant::Code, 400, "rate_limit_exceeded", "login rate exceeded", RateLimited, "Open the link again"),
    (JWT, 400, "unknown_error", "retry your request", Transient, "by itself"),
    (JWT, 400, "temporarily_unavailable", "", Transient, "by itself"),
    (JWT, 420, "HTTP_420", "a page instead of an answer: We are setting things up", Transient, "by itself"),
    (JWT, 503, "HTTP_503", "an audience of pages", Transient, "by itself"),
    (JWT, 503, "SERVER_UNAVAILABLE", "", Transient, "by itself"),
    (JWT, 406, "HTTP_406", "", Transient, "by itself"),
    (JWT, 429, "HTTP_429", "", RateLimited, "by itself"),
    (JWT, 302, "HTTP_302", "a redirect to `other.example`", Settings, "renamed"),
    (JWT, 404, "HTTP_404", "", Settings, "no token endpoint"),
    (JWT, 400, "some_new_code", "", App, "Check `client_id`"),
];

#[test]
fn each_refusal_has_its_verdict_and_says_what_to_do() {
    for &(grant, status, code, description, class, part) in CASES {
        let error = refused(grant, status, code, description);
        assert_eq!(error.class(), class, "{grant:?}: {error}");
        assert_eq!(error.is_permanent(), !matches!(class, Transient | RateLimited), "{grant:?}: {error}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains(part) && hint.ends_with('.'), "{grant:?}: {error}: {hint}");
        let class = CallError::from(error.clone()).class();
        assert_eq!(class == ErrorClass::Org, error.is_permanent(), "{grant:?}: {error}");
    }
}

#[test]
fn only_the_apps_policy_is_taken_for_it() {
    for (description, expected) in [
        ("user hasn't approved this consumer", true),
        ("user is not admin approved to access this app", true),
        ("no client credentials user enabled", true),
        ("expired access/refresh token", false),
        ("audience is invalid", false),
    ] {
        assert_eq!(
            refused(JWT, 400, "invalid_grant", description).is_app_policy(),
            expected,
            "{description}"
        );
    }
    assert!(!LoginError::NotConnected.is_app_policy());
}
