//! Which refusal is followed by which other try.

use super::*;
use crate::oauth::{
    refusal::Grant,
    tests::{PKCS8, jwt, refresh, refused},
};

/// The audiences of all tries at a login whose audience is refused each time.
fn audiences(login: &Login) -> Vec<String> {
    let mut attempts = Attempts::new(login);
    let mut tried = vec![attempts.login().audience()];
    while attempts.refused(&refused(Grant::Assertion, 400, "invalid_grant", "audience is invalid"))
        == Again::Now
    {
        tried.push(attempts.login().audience());
    }
    tried
}

#[test]
fn each_audience_is_tried_once_in_either_order() {
    let (login, test) = ("https://login.salesforce.com", "https://test.salesforce.com");
    let (own, sandbox) = ("https://acme.my.salesforce.com", "https://acme--uat.sandbox.my.salesforce.com");
    let (scratch, developer) = ("https://x.scratch.my.salesforce.com", "https://x.develop.my.salesforce.com");
    for (login_url, audience, expected) in [
        (own, None, &[own, login][..]),
        (own, Some(login), &[login, own][..]),
        (own, Some(own), &[own, login][..]),
        (own, Some(test), &[test, login, own][..]),
        (sandbox, None, &[sandbox, test][..]),
        (sandbox, Some(test), &[test, sandbox][..]),
        (scratch, None, &[scratch, test][..]),
        (developer, None, &[developer, login][..]),
        (login, None, &[login][..]),
        (login, Some(own), &[own, login][..]),
        (test, None, &[test][..]),
    ] {
        assert_eq!(audiences(&jwt(login_url, PKCS8, audience)), expected, "{login_url} {audience:?}");
    }
    assert_eq!(audiences(&refresh(own, None, Some("5Aep"))).len(), 1);
}

#[test]
fn an_invalid_assertion_is_signed_anew_once_whatever_the_audience() {
    let invalid = refused(Grant::Assertion, 400, "invalid_grant", "invalid assertion");
    let audience = refused(Grant::Assertion, 400, "invalid_grant", "Audience validation failed");
    let login = jwt("https://acme.my.salesforce.com", PKCS8, None);
    let mut attempts = Attempts::new(&login);
    assert_eq!(attempts.refused(&invalid), Again::Now);
    assert_eq!(attempts.login(), &login);
    assert_eq!(attempts.refused(&audience), Again::Now);
    assert_eq!(attempts.refused(&invalid), Again::Never);
    assert_eq!(attempts.refused(&audience), Again::Never);
}

#[test]
fn a_meeting_is_waited_for_a_fixed_number_of_times() {
    let (own, secret) = ("https://acme.my.salesforce.com", Some("s3cret"));
    let met = |grant, text: &str| refused(grant, 400, "invalid_grant", text);
    for (login, error, waits) in [
        (jwt(own, PKCS8, None), met(Grant::Assertion, "token request is already being processed"), 9),
        (
            refresh(own, secret, Some("5Aep")),
            met(Grant::Refresh, "Token request is already being processed"),
            9,
        ),
        // The same under its old text.
        (refresh(own, secret, Some("5Aep")), met(Grant::Refresh, "expired authorization code"), 9),
        (refresh(own, secret, None), met(Grant::Code, "expired authorization code"), 0),
        (refresh(own, secret, Some("5Aep")), met(Grant::Refresh, "expired access/refresh token"), 0),
        (
            refresh(own, secret, Some("5Aep")),
            refused(Grant::Refresh, 503, "HTTP_503", "already being processed"),
            0,
        ),
    ] {
        let mut attempts = Attempts::new(&login);
        for _ in 0..waits {
            assert_eq!(attempts.refused(&error), Again::After(MEETING_WAIT), "{error}");
        }
        assert_eq!(attempts.refused(&error), Again::Never, "{error}");
    }
}
