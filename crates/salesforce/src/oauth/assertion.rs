//! The signed assertion of the JWT bearer flow.
//!
//! Here: claims, signature, and what is wrong with a key. Not here: which audience, which flow (`oauth`).

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::limits::ASSERTION_SECS;

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

/// The assertion, or what is wrong with the key. RS256 is the only algorithm that Salesforce takes (HELP `remoteaccess_oauth_jwt_flow`).
pub(super) fn sign(
    key_pem: &SecretString,
    client_id: &str,
    username: &str,
    audience: &str,
    now_secs: i64,
) -> Result<String, &'static str> {
    let pem = key_pem.expose_secret();
    if let Some(what) = wrong_kind(pem) {
        return Err(what);
    }
    let key = EncodingKey::from_rsa_pem(pem.trim().as_bytes()).map_err(|_| "it is no RSA key in PEM form")?;
    let exp = now_secs.saturating_add(ASSERTION_SECS);
    let claims = Claims { iss: client_id, sub: username, aud: audience, exp };
    // The library's error could quote the key.
    encode(&Header::new(Algorithm::RS256), &claims, &key)
        .map_err(|_| "it does not sign; it may be damaged or shorter than 2048 bits")
}

/// What else people paste where the private key belongs.
fn wrong_kind(pem: &str) -> Option<&'static str> {
    let text = pem.trim();
    if text.is_empty() {
        Some("it is empty")
    } else if !text.contains("-----BEGIN ") {
        Some("it is not in PEM form: there is no line `-----BEGIN … PRIVATE KEY-----`")
    } else if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        Some("it is encrypted with a passphrase")
    } else if !text.contains("PRIVATE KEY-----") {
        Some("it is a certificate or a public key, not the private key")
    } else if text.contains("BEGIN EC PRIVATE KEY") || text.contains("BEGIN OPENSSH PRIVATE KEY") {
        Some("it is of another kind than RSA in PEM form")
    } else {
        None
    }
}
