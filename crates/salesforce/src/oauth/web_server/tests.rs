//! The consent page's address, what comes back, and the exchange.

use std::collections::BTreeMap;

use super::*;
use crate::{
    call::tests::reply,
    oauth::{exposed, refusal::LoginClass, tests::refresh},
};

/// Base64url of 32 zeros and of 32 ones, and the SHA-256 of the latter's text, from another implementation.
const STATE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const VERIFIER: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const CHALLENGE: &str = "VtX6czP210fbQsI5QH5dpMMvTHnzXQkrE0_TWkAtnFw";
const REDIRECT: &str = "https://sync.example.com/oauth/callback";

fn consent() -> Consent {
    Consent::from_chance([0; 32], [1; 32])
}

fn redirect() -> Url {
    Url::parse(REDIRECT).unwrap()
}

fn code_of(callback: Callback) -> String {
    callback.outcome.unwrap().secret().clone()
}

#[test]
fn the_page_is_asked_for_both_scopes_with_state_and_challenge() {
    let redirect_uri = &redirect();
    let request =
        ConsentRequest { redirect_uri, prompt: Some("login consent"), login_hint: Some("a@b.example") };
    let login = refresh("https://acme.my.salesforce.com/x?y", Some("s3cret"), None);
    let page = consent().page(&login, request).unwrap();
    assert!(page.as_str().starts_with("https://acme.my.salesforce.com/services/oauth2/authorize?"), "{page}");
    let pairs: BTreeMap<_, _> = page.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "3MVG9.key"),
        ("redirect_uri", REDIRECT),
        ("scope", "api refresh_token"),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "login consent"),
        ("login_hint", "a@b.example"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let bare = ConsentRequest { redirect_uri, prompt: None, login_hint: None };
    let page = consent().page(&login, bare).unwrap();
    assert!(!page.as_str().contains("prompt") && !page.as_str().contains("login_hint"), "{page}");
    assert!(!page.as_str().contains("s3cret") && !page.as_str().contains(VERIFIER), "{page}");
    let pages = refresh("https://acme.lightning.force.com", None, None);
    assert!(matches!(consent().page(&pages, bare), Err(LoginError::Host { .. })));
}

#[test]
fn a_code_is_decoded_once_and_sent_with_the_verifier() {
    let callback = callback(&format!("code=aPrx%3D%3D%2525&state={STATE}")).unwrap();
    assert!(consent().is_answered_by(&callback));
    let code = callback.outcome.unwrap();
    for (secret, last) in [(None, None), (Some("s3cret"), Some(("client_secret", "s3cret".to_owned())))] {
        let login = refresh("https://login.salesforce.com", secret, None);
        let call = consent().exchange(&login, &redirect(), &code);
        assert_eq!(call.url.as_str(), "https://login.salesforce.com/services/oauth2/token");
        let mut expected = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", "aPrx==%25".to_owned()),
            ("redirect_uri", REDIRECT.to_owned()),
            ("client_id", "3MVG9.key".to_owned()),
            ("code_verifier", VERIFIER.to_owned()),
        ];
        expected.extend(last);
        assert_eq!(exposed(&call.form), expected);
        let shown = format!("{call:?} {code:?} {:?}", consent());
        assert!(!shown.contains("aPrx") && !shown.contains(VERIFIER) && !shown.contains(STATE), "{shown}");
    }
}

#[test]
fn only_the_state_that_was_sent_is_an_answer() {
    for (state, expected) in [(STATE, true), (VERIFIER, false), ("A", false), (&STATE[1..], false)] {
        let callback = callback(&format!("code=c&state={state}")).unwrap();
        assert_eq!(consent().is_answered_by(&callback), expected, "{state}");
    }
}

#[test]
fn what_is_no_answer_of_salesforces_is_refused() {
    let long = format!("code={}&state=s", "x".repeat(QUERY_BYTES_MAX));
    for (query, expected) in [
        ("", NoCallback::Missing("state")),
        ("code=c", NoCallback::Missing("state")),
        ("code=c&state=", NoCallback::Missing("state")),
        ("state=s", NoCallback::Missing("code")),
        ("state=s&code=", NoCallback::Missing("code")),
        ("state=s&state=s&code=c", NoCallback::Twice("state")),
        ("state=s&code=c&code=", NoCallback::Twice("code")),
        ("state=s&error=a&error=b", NoCallback::Twice("error")),
        (&long, NoCallback::TooLong),
    ] {
        assert_eq!(callback(query).map(|_| ()), Err(expected), "{query}");
    }
    assert_eq!(code_of(callback("state=s&code=c&display=page").unwrap()), "c");
}

#[test]
fn a_refusal_of_the_page_says_what_to_do() {
    for (query, class, hint) in [
        (
            "error=access_denied&error_description=end-user+denied+authorization",
            LoginClass::Reauthorise,
            "Allow",
        ),
        ("error=access-denied&code=c", LoginClass::Reauthorise, "Allow"),
        (
            "error=invalid_client&error_description=app+must+be+installed+into+org",
            LoginClass::App,
            "Install the external client app",
        ),
        ("error=OAUTH_APPROVAL_ERROR_GENERIC", LoginClass::App, "Approve Uninstalled Connected Apps"),
    ] {
        let error = callback(&format!("{query}&state=s")).unwrap().outcome.unwrap_err();
        assert_eq!(error.class(), class, "{query}");
        assert!(error.hint().unwrap().contains(hint), "{query}: {:?}", error.hint());
    }
    let made_up = format!("state=s&error=x%0A%1B%5B2J&error_description={}", "y".repeat(2_000));
    let error = callback(&made_up).unwrap().outcome.unwrap_err().to_string();
    assert!(error.len() < 500 && !error.contains(['\n', '\u{1b}']), "{error}");
}

#[test]
fn a_consent_without_calls_or_without_a_refresh_token_does_not_do() {
    let login = refresh("https://login.salesforce.com", None, None);
    let answer = |extra: &str| {
        let id = "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P";
        let body = format!(
            r#"{{"access_token":"t","instance_url":"https://acme.my.salesforce.com","id":"{id}"{extra}}}"#
        );
        connected(&login, &reply(200, body))
    };
    for extra in [
        r#","refresh_token":"5Aep","scope":"id api refresh_token""#,
        r#","refresh_token":"5Aep","scope":"full refresh_token""#,
        r#","refresh_token":"5Aep""#,
    ] {
        assert!(answer(extra).unwrap().refresh_token.is_some(), "{extra}");
    }
    for (extra, scope) in [
        (r#","scope":"api""#, "refresh_token"),
        ("", "refresh_token"),
        (r#","refresh_token":"5Aep","scope":"id refresh_token""#, "api"),
    ] {
        let error = answer(extra).unwrap_err();
        assert_eq!((&error, error.class()), (&LoginError::Scope { scope }, LoginClass::App), "{extra}");
        assert!(error.is_permanent() && error.hint().unwrap().contains(scope), "{error}");
    }
    let spent = reply(400, r#"{"error":"invalid_grant","error_description":"expired authorization code"}"#);
    let error = connected(&login, &spent).unwrap_err();
    assert!(error.hint().unwrap().contains("15 minutes") && !error.is_meeting(), "{error}");
}
