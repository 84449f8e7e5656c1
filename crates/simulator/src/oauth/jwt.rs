//! The assertion of the JWT bearer flow.
//!
//! Here: signature, claims, times, audience. Not here: who the subject is (the parent module).
//! Clients write `exp` as a number or a text, in seconds or milliseconds, even equal to now; Salesforce takes all.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::denied::Denied;
use crate::org::keys::Keys;

/// Clocks may differ by so much.
const SKEW_MS: i64 = 3 * 60 * 1_000;
/// Larger numbers are milliseconds: in seconds they would be past the year 5000.
const SECONDS_MAX: i64 = 100_000_000_000;

const INVALID: Denied = Denied("invalid_grant", "invalid assertion");

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    audience: String,
    expires_ms: i64,
}

/// The claims of an assertion signed by the key pair.
pub(crate) fn read(assertion: &str, keys: &Keys) -> Result<Claims, Denied> {
    let (message, signature) = assertion.rsplit_once('.').ok_or(INVALID)?;
    let (header, claims) = message.split_once('.').ok_or(INVALID)?;
    if json(header)?.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(INVALID);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| INVALID)?;
    if !keys.signed(message.as_bytes(), &signature) {
        return Err(INVALID);
    }
    let claims = json(claims)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let expires = match claims.get("exp") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let expires = expires.ok_or(INVALID)?;
    Ok(Claims {
        issuer: text("iss").ok_or(INVALID)?,
        // Where both stand, Salesforce takes `prn`.
        subject: text("prn").or_else(|| text("sub")).ok_or(INVALID)?,
        audience: text("aud").ok_or(INVALID)?,
        expires_ms: if expires > SECONDS_MAX { expires } else { expires.saturating_mul(1_000) },
    })
}

pub(crate) fn check_times(claims: &Claims, now_ms: i64) -> Result<(), Denied> {
    if claims.expires_ms.saturating_add(SKEW_MS) < now_ms { Err(INVALID) } else { Ok(()) }
}

/// The audience is one of those named, or if none is, a login host of Salesforce or the org itself.
pub(crate) fn check_audience(claims: &Claims, base_url: &str, named: &[String]) -> Result<(), Denied> {
    let audience = claims.audience.trim_end_matches('/');
    let local = base_url.replace("127.0.0.1", "localhost");
    let usual = ["https://login.salesforce.com", "https://test.salesforce.com", base_url, &local];
    let is_known = if named.is_empty() {
        usual.contains(&audience)
    } else {
        named.iter().any(|known| known.trim_end_matches('/') == audience)
    };
    if is_known { Ok(()) } else { Err(Denied("invalid_grant", "audience is invalid")) }
}

fn json(part: &str) -> Result<Value, Denied> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| INVALID)?;
    serde_json::from_slice(&bytes).map_err(|_| INVALID)
}
