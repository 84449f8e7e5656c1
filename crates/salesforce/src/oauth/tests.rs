//! What is posted, what a token must hold, and the verdict on each refusal.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

use super::*;
use crate::{call::tests::reply, error::ErrorClass, failure::CallError, limits::ASSERTION_SECS};

/// Made for these tests; they open nothing.
const PKCS1: &str = include_str!("tests/pkcs1.pem");
pub(crate) const PKCS8: &str = include_str!("tests/pkcs8.pem");
const PUBLIC: &str = include_str!("tests/public.pem");
const NOW: i64 = 1_790_000_000;

fn jwt(login_url: &str, key: &str, audience: Option<&str>) -> Login {
    Login {
        login_url: Url::parse(login_url).unwrap(),
        flow: Flow::Jwt {
            client_id: "3MVG9.key".into(),
            username: "sync@acme.example".into(),
            key_pem: SecretString::from(key),
            audience: audience.map(str::to_owned),
        },
    }
}

fn client_credentials(login_url: &str) -> Login {
    let flow = Flow::ClientCredentials { client_id: "3MVG9.key".into(), client_secret: "s3cret".into() };
    Login { login_url: Url::parse(login_url).unwrap(), flow }
}

fn refused(status: u16, code: &str, description: &str) -> LoginError {
    LoginError::Refused { status, code: code.into(), description: description.into() }
}

#[test]
fn an_assertion_names_app_user_and_audience_for_three_minutes() {
    for key in [PKCS1, PKCS8, &format!("\n{PKCS8}\n\n")] {
        let call = jwt("https://login.salesforce.com", key, None).call(NOW).unwrap();
        assert_eq!(call.url.as_str(), "https://login.salesforce.com/services/oauth2/token");
        let form = exposed(&call.form);
        assert_eq!(form[0], ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()));
        assert_eq!((form.len(), form[1].0), (2, "assertion"));
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let public = DecodingKey::from_rsa_pem(PUBLIC.as_bytes()).unwrap();
        let claims = decode::<Value>(&form[1].1, &public, &validation).unwrap().claims;
        assert_eq!(
            claims,
            serde_json::json!({"iss": "3MVG9.key", "sub": "sync@acme.example",
                "aud": "https://login.salesforce.com", "exp": NOW + ASSERTION_SECS})
        );
    }
}

#[test]
fn the_audience_follows_from_the_host() {
    for (login_url, audience, expected) in [
        ("https://login.salesforce.com/", None, "https://login.salesforce.com"),
        ("https://test.salesforce.com", None, "https://test.salesforce.com"),
        ("https://acme.my.salesforce.com/x?y", None, "https://acme.my.salesforce.com"),
        ("http://127.0.0.1:4711", None, "http://127.0.0.1:4711"),
        (
            "https://acme.my.salesforce.com",
            Some("https://login.salesforce.com"),
            "https://login.salesforce.com",
        ),
    ] {
        assert_eq!(jwt(login_url, PKCS8, audience).audience(), expected);
    }
}

#[test]
fn a_refused_my_domain_leads_to_the_shared_host_once() {
    let error = refused(400, "invalid_grant", "audience is invalid");
    for (login_url, audience, expected) in [
        ("https://acme.my.salesforce.com", None, Some("https://login.salesforce.com")),
        ("https://acme.develop.my.salesforce.com", None, Some("https://login.salesforce.com")),
        ("https://acme--uat.sandbox.my.salesforce.com", None, Some("https://test.salesforce.com")),
        ("https://x.scratch.my.salesforce.com", None, Some("https://test.salesforce.com")),
        ("https://acme.my.salesforce.com", Some("https://acme.my.salesforce.com"), None),
        ("https://login.salesforce.com", None, None),
    ] {
        let other = jwt(login_url, PKCS8, audience).readdressed(&error);
        assert_eq!(other.as_ref().map(Login::audience).as_deref(), expected, "{login_url}");
        assert!(other.is_none_or(|other| other.readdressed(&error).is_none()), "{login_url}");
    }
    let login = jwt("https://acme.my.salesforce.com", PKCS8, None);
    for error in [refused(400, "invalid_grant", "invalid assertion"), refused(502, "HTTP_502", "audience")] {
        assert!(login.readdressed(&error).is_none());
    }
    assert!(client_credentials("https://acme.my.salesforce.com").readdressed(&error).is_none());
}

#[test]
fn client_credentials_go_to_the_orgs_own_host() {
    let call = client_credentials("https://acme.my.salesforce.com/old/path?x#y").call(NOW).unwrap();
    assert_eq!(call.url.as_str(), "https://acme.my.salesforce.com/services/oauth2/token");
    let pairs =
        [("grant_type", "client_credentials"), ("client_id", "3MVG9.key"), ("client_secret", "s3cret")];
    assert_eq!(exposed(&call.form), pairs.map(|(name, value)| (name, value.to_owned())));
    for login in [
        client_credentials("https://login.salesforce.com"),
        client_credentials("https://test.salesforce.com"),
        jwt("https://acme.lightning.force.com", PKCS8, None),
        jwt("ftp://acme.my.salesforce.com", PKCS8, None),
    ] {
        let error = login.call(NOW).unwrap_err();
        assert!(matches!(error, LoginError::Host { .. }) && error.is_permanent(), "{error}");
    }
}

#[test]
fn nothing_secret_is_ever_shown() {
    let login = jwt("https://acme.my.salesforce.com", PKCS8, None);
    let call = login.call(NOW).unwrap();
    let other = client_credentials("https://acme.my.salesforce.com");
    let token = login
        .token(&answer("https://acme.my.salesforce.com", "https://x/id/00D000000000001/005000000000001"));
    let shown = format!("{login:?} {call:?} {other:?} {:?} {token:?}", other.call(NOW).unwrap());
    let body = PKCS8.lines().nth(1).unwrap();
    let assertion = call.form[1].1.expose_secret();
    for secret in [body, assertion, "s3cret", "00D!tok"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    assert!(shown.contains("assertion") && shown.contains("3MVG9.key"));
}

#[test]
fn a_key_is_refused_with_what_it_is() {
    assert_eq!(check_key(PKCS1), Ok(()));
    assert_eq!(check_key(PKCS8), Ok(()));
    let damaged = PKCS8.replacen("MII", "MIJ", 1);
    let half = &PKCS8[..PKCS8.len() / 2];
    for (key, part) in [
        ("", "empty"),
        ("secret", "not in PEM form"),
        (PUBLIC, "public key"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "certificate"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----", "passphrase"),
        ("-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----", "another kind"),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", "no RSA key"),
        (&PUBLIC.replace("PUBLIC", "PRIVATE"), "does not sign"),
        (&damaged, ""),
        (half, "no RSA key"),
    ] {
        let error = check_key(key).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.is_permanent() && error.hint().is_some());
    }
}

fn answer(instance_url: &str, id: &str) -> Reply {
    let body = serde_json::json!({"access_token": "00D!tok", "instance_url": instance_url, "id": id,
        "issued_at": "1278448832702", "token_type": "Bearer"});
    reply(200, body.to_string())
}

#[test]
fn a_token_tells_host_org_and_user() {
    let login = jwt("https://login.salesforce.com", PKCS8, None);
    for (instance, id, host, org, user) in [
        (
            "https://acme.my.salesforce.com",
            "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P",
            "https://acme.my.salesforce.com/",
            "00Dx0000000BV7zEAG",
            "005x00000012Q9PAAU",
        ),
        (
            "https://ACME.my.salesforce.com:443/path/",
            "https://test.salesforce.com/id/00Dx0000000BV7zEAG/005x00000012Q9PAAU/",
            "https://acme.my.salesforce.com/",
            "00Dx0000000BV7zEAG",
            "005x00000012Q9PAAU",
        ),
    ] {
        let token = login.token(&answer(instance, id)).unwrap();
        assert_eq!(token.access_token.expose_secret(), "00D!tok");
        assert_eq!((token.instance_url.as_str(), token.org_id.as_str()), (host, org));
        assert_eq!(token.user_id, user);
    }
}

#[test]
fn an_answer_without_its_parts_is_tried_again() {
    let login = jwt("https://login.salesforce.com", PKCS8, None);
    let id = "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P";
    for reply in [
        answer("acme", id),
        answer("http://acme.my.salesforce.com", id),
        answer("https://acme.my.salesforce.com", "https://login.salesforce.com/id/"),
        answer(
            "https://acme.my.salesforce.com",
            "https://login.salesforce.com/id/005x00000012Q9P/00Dx0000000BV7z",
        ),
        answer("https://acme.my.salesforce.com", "https://login.salesforce.com/id/00Dx/005x00000012Q9P"),
        reply(200, r#"{"access_token":"00D!tok"}"#),
        reply(200, r#"{"access_token":"00D!t"#),
        reply(200, "<html>00D!tok</html>"),
    ] {
        let error = login.token(&reply).unwrap_err();
        assert_eq!(error.class(), LoginClass::Transient, "{error}");
        assert!(!error.to_string().contains("00D!t"), "{error}");
    }
    let plain = jwt("http://127.0.0.1:4711", PKCS8, None);
    assert!(plain.token(&answer("http://127.0.0.1:4711", id)).is_ok());
}

#[test]
fn each_refusal_has_its_verdict() {
    use LoginClass::{App, Org, RateLimited, Settings, Transient, User};
    for (status, code, description, class) in [
        (400, "invalid_grant", "user hasn't approved this consumer", User),
        (400, "invalid_grant", "user is not admin approved to access this app", User),
        (400, "invalid_app_access", "user is not admin approved to access this app", User),
        (400, "invalid_grant", "audience is invalid", Settings),
        (400, "invalid_grant", "Audience validation failed", Settings),
        (400, "invalid_grant", "invalid assertion", Settings),
        (400, "invalid_client_id", "client identifier invalid", App),
        (400, "app_not_found", "External client app is not installed in this org", App),
        (400, "OAUTH_EC_APP_NOT_FOUND", "", App),
        (400, "invalid_grant", "external client app is not installed in this org", App),
        (400, "oauth_app_blocked", "this app is blocked by admin", App),
        (400, "invalid_client", "invalid client credentials", App),
        (400, "inactive_user", "user is inactive", User),
        (400, "inactive_org", "organization is inactive", Org),
        (400, "invalid_grant", "IP restricted or invalid login hours", User),
        (400, "rate_limit_exceeded", "login rate exceeded", RateLimited),
        (400, "invalid_grant", "login rate exceeded", RateLimited),
        (400, "invalid_grant", "token request is already being processed", Transient),
        (400, "invalid_grant", "request not supported on this domain", Settings),
        (400, "invalid_grant", "no client credentials user enabled", App),
        (400, "invalid_grant", "expired access/refresh token", User),
        (400, "invalid_grant", "authentication failure", User),
        (400, "invalid_grant", "etwas ganz anderes", User),
        (400, "unsupported_grant_type", "grant type not supported", App),
        (400, "unknown_error", "retry your request", Transient),
        (404, "X", "Data Not Available", Org),
        (420, "HTTP_420", "a page instead of an answer: We are setting things up", Transient),
        (503, "HTTP_503", "an audience of pages", Transient),
        (503, "SERVER_UNAVAILABLE", "", Transient),
        (406, "HTTP_406", "", Transient),
        (429, "HTTP_429", "", RateLimited),
        (302, "HTTP_302", "a redirect to `other.example`", Settings),
        (404, "HTTP_404", "", Settings),
        (400, "some_new_code", "", App),
    ] {
        let error = refused(status, code, description);
        assert_eq!(error.class(), class, "{error}");
        assert_eq!(error.is_permanent(), !matches!(class, Transient | RateLimited), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.ends_with('.')), "{error}");
        let class = CallError::from(error.clone()).class();
        assert_eq!(class == ErrorClass::Org, error.is_permanent(), "{error}");
    }
}

#[test]
fn a_refusal_is_read_from_every_form_of_answer() {
    let login = jwt("https://login.salesforce.com", PKCS8, None);
    let oauth = reply(400, r#"{"error":"invalid_grant","error_description":"audience is invalid"}"#);
    let mut moved = reply(301, "");
    moved.headers.push(("location".into(), "https://new.my.salesforce.com/services?secret=1".into()));
    for (reply, error) in [
        (oauth, refused(400, "invalid_grant", "audience is invalid")),
        (moved, refused(301, "HTTP_301", "a redirect to `new.my.salesforce.com`")),
        (
            reply(503, "<html><title>Down</title>"),
            refused(503, "HTTP_503", "a page instead of an answer: Down"),
        ),
        (reply(403, "Restricted_IP"), refused(403, "Restricted_IP", "")),
    ] {
        assert_eq!(login.token(&reply).unwrap_err(), error);
    }
}

#[test]
fn an_app_that_is_missing_or_blocked_is_not_blamed_on_id_and_secret() {
    for (code, description, hint) in [
        (
            "app_not_found",
            "External client app is not installed in this org",
            "Install the external client app",
        ),
        ("OAUTH_EC_APP_NOT_FOUND", "", "Install the external client app"),
        (
            "invalid_client",
            "external client app is NOT INSTALLED in this org",
            "Install the external client app",
        ),
        ("invalid_grant", "user hasn't approved this consumer", "install it in this org first"),
        ("OAUTH_APP_BLOCKED", "", "Unblock"),
        ("invalid_request", "this app is blocked by admin", "unblock it"),
        ("invalid_client", "invalid client credentials", "Check `client_id`"),
    ] {
        let told = refused(400, code, description).hint().unwrap_or_default();
        assert!(told.contains(hint), "{code} {description}: {told}");
    }
}
