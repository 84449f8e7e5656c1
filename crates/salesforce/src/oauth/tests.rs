//! What is posted, what a token must hold, and the verdict on each refusal.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

use super::{error::LoginError, refusal::LoginClass, *};
use crate::{call::tests::reply, limits::ASSERTION_SECS};

/// Made for these tests; they open nothing.
const PKCS1: &str = include_str!("tests/pkcs1.pem");
pub(crate) const PKCS8: &str = include_str!("tests/pkcs8.pem");
const PUBLIC: &str = include_str!("tests/public.pem");
const NOW: i64 = 1_790_000_000;

pub(super) fn jwt(login_url: &str, key: &str, audience: Option<&str>) -> Login {
    Login {
        login_url: Url::parse(login_url).unwrap(),
        flow: Flow::Jwt {
            client_id: "3MVG9.key".into(),
            username: "sync@acme.example".into(),
            key_pem: SecretString::from(key),
            audience: audience.map(str::to_owned),
        },
        instance_hosts: Vec::new(),
    }
}

fn client_credentials(login_url: &str) -> Login {
    let flow = Flow::ClientCredentials { client_id: "3MVG9.key".into(), client_secret: "s3cret".into() };
    Login { login_url: Url::parse(login_url).unwrap(), flow, instance_hosts: Vec::new() }
}

pub(super) fn refresh(login_url: &str, client_secret: Option<&str>, refresh_token: Option<&str>) -> Login {
    let flow = Flow::RefreshToken {
        client_id: "3MVG9.key".into(),
        client_secret: client_secret.map(SecretString::from),
        refresh_token: refresh_token.map(SecretString::from),
    };
    Login { login_url: Url::parse(login_url).unwrap(), flow, instance_hosts: Vec::new() }
}

pub(super) fn refused(grant: Grant, status: u16, code: &str, description: &str) -> LoginError {
    LoginError::Refused { status, grant, code: code.into(), description: description.into() }
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
        answer("https://acme.my.salesforce.com", "https://login.salesforce.com/id/"),
        answer(
            "https://acme.my.salesforce.com",
            "https://login.salesforce.com/id/005x00000012Q9P/00Dx0000000BV7z",
        ),
        answer("https://acme.my.salesforce.com", "https://login.salesforce.com/id/00Dx/005x00000012Q9P"),
        typed("mac"),
        reply(200, r#"{"access_token":"00D!tok"}"#),
        reply(200, r#"{"access_token":"00D!t"#),
        reply(200, "<html>00D!tok</html>"),
    ] {
        let error = login.token(&reply).unwrap_err();
        assert_eq!(error.class(), LoginClass::Transient, "{error}");
        assert!(!error.to_string().contains("00D!t"), "{error}");
    }
    for kind in ["Bearer", "bearer", ""] {
        assert!(login.token(&typed(kind)).is_ok(), "{kind}");
    }
}

/// An answer whose token is of that kind; none if empty.
fn typed(kind: &str) -> Reply {
    let kind = if kind.is_empty() { String::new() } else { format!(r#","token_type":"{kind}""#) };
    let id = "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P";
    let body = format!(
        r#"{{"access_token":"t","instance_url":"https://acme.my.salesforce.com","id":"{id}"{kind}}}"#
    );
    reply(200, body)
}

#[test]
fn a_token_for_somebody_elses_host_is_refused_for_good() {
    let mut login = jwt("https://login.salesforce.com", PKCS8, None);
    let id = "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P";
    for (instance, part, hint) in [
        ("https://elsewhere.example", "`elsewhere.example`", "instance_hosts"),
        ("http://acme.my.salesforce.com", "not https", "a proxy"),
        ("https://acme.lightning.force.com", "serves pages", "My Domain"),
    ] {
        let error = login.token(&answer(instance, id)).unwrap_err();
        assert!(error.class() == LoginClass::Settings && error.is_permanent(), "{error}");
        assert!(error.to_string().contains(part) && !error.to_string().contains("00D!"), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}");
    }
    login.instance_hosts = vec!["elsewhere.example".into()];
    assert!(login.token(&answer("https://elsewhere.example", id)).is_ok());
}

#[test]
fn a_refresh_sends_the_token_and_the_secret_if_there_is_one() {
    for (secret, expected) in [(None, &[][..]), (Some("s3cret"), &[("client_secret", "s3cret")][..])] {
        let call = refresh("https://acme.my.salesforce.com/x", secret, Some("5Aep")).call(NOW).unwrap();
        assert_eq!(call.url.as_str(), "https://acme.my.salesforce.com/services/oauth2/token");
        let mut pairs =
            vec![("grant_type", "refresh_token"), ("refresh_token", "5Aep"), ("client_id", "3MVG9.key")];
        pairs.extend(expected);
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        assert_eq!(exposed(&call.form), pairs);
    }
    assert!(refresh("https://login.salesforce.com", None, Some("5Aep")).call(NOW).is_ok());
}

#[test]
fn without_a_refresh_token_the_org_is_not_connected() {
    let login = refresh("https://login.salesforce.com", None, None);
    let error = login.call(NOW).unwrap_err();
    assert_eq!((&error, error.class()), (&LoginError::NotConnected, LoginClass::Reauthorise));
    assert!(error.is_permanent() && error.hint().unwrap().contains("orgs invite"));
    let connected = login.with_refresh_token("5Aep".into());
    assert!(connected.refresh_token().is_some() && connected.call(NOW).is_ok() && connected != login);
    let other = jwt("https://login.salesforce.com", PKCS8, None);
    assert_eq!(other.with_refresh_token("5Aep".into()), other);
}

#[test]
fn a_refresh_token_and_its_scope_are_told_if_they_are_there() {
    let login = refresh("https://login.salesforce.com", None, Some("5Aep.old"));
    let id = "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P";
    let bare = login.token(&answer("https://acme.my.salesforce.com", id)).unwrap();
    assert!(bare.refresh_token.is_none() && bare.scope.is_none());
    let body = format!(
        r#"{{"access_token":"t","refresh_token":"5Aep.new","scope":"api refresh_token",
            "instance_url":"https://acme.my.salesforce.com","id":"{id}"}}"#
    );
    let rotated = login.token(&reply(200, body)).unwrap();
    assert_eq!(rotated.refresh_token.as_ref().unwrap().expose_secret(), "5Aep.new");
    assert_eq!(rotated.scope.as_deref(), Some("api refresh_token"));
    let shown = format!("{login:?} {:?} {rotated:?}", login.call(NOW).unwrap());
    assert!(!shown.contains("5Aep"), "{shown}");
}

#[test]
fn a_refusal_is_read_from_every_form_of_answer() {
    let login = jwt("https://login.salesforce.com", PKCS8, None);
    let oauth = reply(400, r#"{"error":"invalid_grant","error_description":"audience is invalid"}"#);
    let mut moved = reply(301, "");
    moved.headers.push(("location".into(), "https://new.my.salesforce.com/services?secret=1".into()));
    for (reply, error) in [
        (oauth, refused(Grant::Assertion, 400, "invalid_grant", "audience is invalid")),
        (moved, refused(Grant::Assertion, 301, "HTTP_301", "a redirect to `new.my.salesforce.com`")),
        (
            reply(503, "<html><title>Down</title>"),
            refused(Grant::Assertion, 503, "HTTP_503", "a page instead of an answer: Down"),
        ),
        (reply(403, "Restricted_IP"), refused(Grant::Assertion, 403, "Restricted_IP", "")),
    ] {
        assert_eq!(login.token(&reply).unwrap_err(), error);
    }
}
