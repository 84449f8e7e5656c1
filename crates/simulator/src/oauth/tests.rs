//! Logins that succeed, and those that fail in Salesforce's words. The assertions are signed by another library.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::request::TokenRequest;
use super::token::{self, JWT_BEARER};
use super::{identity, introspect, revoke};
use crate::clock::Clock;
use crate::options::OrgOptions;
use crate::org::Org;
use crate::org::keys::Keys;

const BASE: &str = "http://127.0.0.1:4000";

fn keys() -> Arc<Keys> {
    static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
    KEYS.get_or_init(|| Arc::new(Keys::make().expect("a key pair"))).clone()
}

fn org() -> Org {
    let options = OrgOptions { session_idle: Duration::from_mins(1), ..OrgOptions::named("acme") };
    Org::new(&options, 1, 1, BASE.to_owned(), keys(), Clock::new(1.0))
}

fn now_secs() -> i64 {
    Clock::new(1.0).wall_ms() / 1_000
}

fn claims(org: &Org) -> Value {
    json!({"iss": org.facts.client_id, "sub": org.facts.username, "aud": BASE, "exp": now_secs() + 180})
}

fn signed(claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(keys().private_pem().as_bytes()).expect("the PEM is right");
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).expect("it can be signed")
}

fn ask(org: &Org, form: &[(&str, &str)], basic: Option<(&str, &str)>) -> (u16, Value) {
    let form: Vec<(String, String)> =
        form.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let basic = basic.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    let request = TokenRequest { form, basic, ..TokenRequest::default() };
    let begun = token::begin(org, &mut org.state(), &request);
    let answer = token::finish(org, &mut org.state(), &request, begun);
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

fn ask_by_assertion(org: &Org, assertion: &str) -> (u16, Value) {
    ask(org, &[("grant_type", JWT_BEARER), ("assertion", assertion)], None)
}

#[test]
fn a_signed_assertion_gives_a_token() {
    let org = org();
    let (status, token) = ask_by_assertion(&org, &signed(&claims(&org)));
    assert_eq!(status, 200, "{token}");
    assert_eq!(token["instance_url"], BASE);
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(token["id"], format!("{BASE}/id/{}/{}", org.facts.org_id, org.facts.integration_user));
    assert!(token["issued_at"].is_string() && token.get("expires_in").is_none());
    assert!(
        token["access_token"].as_str().is_some_and(|token| token.starts_with("00D") && token.contains('!'))
    );
}

#[test]
fn what_clients_write_into_a_jwt_is_taken() {
    let org = org();
    let now = now_secs();
    for (claim, value) in [
        ("exp", json!((now + 180).to_string())),
        ("exp", json!(now * 1_000 + 300)),
        ("exp", json!(now)),
        ("exp", json!(now - 170)),
        ("aud", json!("https://login.salesforce.com")),
        ("aud", json!("https://test.salesforce.com/")),
        ("aud", json!("http://localhost:4000")),
        ("sub", json!(org.facts.username.to_uppercase())),
        ("prn", json!(org.facts.admin_username)),
    ] {
        let mut claims = claims(&org);
        claims[claim] = value.clone();
        let (status, token) = ask_by_assertion(&org, &signed(&claims));
        assert_eq!(status, 200, "{claim} = {value}: {token}");
    }
}

#[test]
fn a_wrong_assertion_is_refused_for_its_reason() {
    let org = org();
    for (claim, value, error, text) in [
        ("iss", json!("somebody"), "invalid_client_id", "client identifier invalid"),
        ("sub", json!("nobody@acme.example"), "invalid_grant", "user hasn't approved this consumer"),
        ("aud", json!("https://evil.example"), "invalid_grant", "audience is invalid"),
        ("exp", json!(now_secs() - 200), "invalid_grant", "invalid assertion"),
        ("exp", json!("soon"), "invalid_grant", "invalid assertion"),
        ("exp", json!(null), "invalid_grant", "invalid assertion"),
    ] {
        let mut claims = claims(&org);
        claims[claim] = value;
        let (status, answer) = ask_by_assertion(&org, &signed(&claims));
        assert_eq!(
            (status, &answer["error"], &answer["error_description"]),
            (400, &json!(error), &json!(text)),
            "{claim}"
        );
    }
}

#[test]
fn only_the_apps_own_rs256_signature_counts() {
    let org = org();
    let claims = claims(&org);
    let foreign = Keys::make().expect("a key pair");
    let key = EncodingKey::from_rsa_pem(foreign.private_pem().as_bytes()).expect("the PEM is right");
    let by_another =
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("it can be signed");
    let by_secret =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"x"));
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut tampered: Vec<String> = signed(&claims).split('.').map(str::to_owned).collect();
    let other =
        json!({"iss": claims["iss"], "sub": org.facts.admin_username, "aud": BASE, "exp": claims["exp"]});
    tampered[1] = URL_SAFE_NO_PAD.encode(other.to_string());
    for assertion in
        [by_another, by_secret.expect("it can be signed"), unsigned, tampered.join("."), "x".to_owned()]
    {
        let (status, answer) = ask_by_assertion(&org, &assertion);
        assert_eq!((status, &answer["error_description"]), (400, &json!("invalid assertion")));
    }
}

#[test]
fn a_client_may_show_its_secret_instead() {
    let org = org();
    let (id, secret) = (org.facts.client_id.as_str(), org.facts.client_secret.as_str());
    let grant = ("grant_type", "client_credentials");
    for (form, basic, status, error) in [
        (vec![grant, ("client_id", id), ("client_secret", secret)], None, 200, Value::Null),
        (vec![grant], Some((id, secret)), 200, Value::Null),
        (vec![grant, ("client_id", id), ("client_secret", "wrong")], None, 400, json!("invalid_client")),
        (
            vec![grant, ("client_id", "other"), ("client_secret", secret)],
            None,
            400,
            json!("invalid_client_id"),
        ),
        (vec![grant], None, 400, json!("invalid_request")),
        (vec![("grant_type", "password")], None, 400, json!("unsupported_grant_type")),
        (vec![], None, 400, json!("invalid_request")),
    ] {
        let (found, answer) = ask(&org, &form, basic);
        assert_eq!((found, &answer["error"]), (status, &error), "{form:?}");
    }
}

#[test]
fn a_revoked_token_is_worth_nothing() {
    let org = org();
    let (_, granted) = ask_by_assertion(&org, &signed(&claims(&org)));
    let token = granted["access_token"].as_str().expect("a token");
    let mut asked = TokenRequest {
        form: vec![("token".to_owned(), token.to_owned())],
        basic: Some((org.facts.client_id.clone(), org.facts.client_secret.clone())),
        ..TokenRequest::default()
    };
    let mut state = org.state();
    let known: Value = serde_json::from_slice(&introspect(&org, &state, &asked).body).expect("JSON");
    assert_eq!((&known["active"], &known["username"]), (&json!(true), &json!(org.facts.username)));
    assert_eq!(identity(&org, &mut state, Some(token)).status, 200);
    assert_eq!(revoke(&org, &mut state, &asked).status, 200);
    assert_eq!(revoke(&org, &mut state, &asked).status, 400);
    let known: Value = serde_json::from_slice(&introspect(&org, &state, &asked).body).expect("JSON");
    assert_eq!(known, json!({"active": false}));
    let identity = identity(&org, &mut state, Some(token));
    assert_eq!((identity.status, identity.body.as_slice()), (403, b"Bad_OAuth_Token".as_slice()));
    asked.basic = None;
    assert_eq!(introspect(&org, &state, &asked).status, 400, "only a client that says who it is may ask");
}
