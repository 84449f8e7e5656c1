//! The parts of a token endpoint's answer.
//!
//! Here: URLs and IDs, and the refresh token of an answer whatever else is in it. Not here: what makes a token (`oauth`).

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::{call::Reply, mend};

/// Scheme and host of the instance; a path there is none of ours.
pub(super) fn instance(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let usable = matches!(url.scheme(), "https" | "http") && url.host_str().is_some();
    if usable { Url::parse(&url.origin().ascii_serialization()).ok() } else { None }
}

/// The refresh token in an answer, even if the rest of the answer is of no use: where refresh tokens are rotated, the one
/// that was sent is spent.
pub fn refresh_token(reply: &Reply) -> Option<SecretString> {
    let answer: Value = mend::json(&reply.body).ok().filter(|_| reply.is_success())?;
    let token = answer.get("refresh_token").and_then(Value::as_str).filter(|token| !token.is_empty())?;
    Some(SecretString::from(token))
}

/// Org and user of an identity URL, `https://login.salesforce.com/id/00D…/005…`.
pub(super) fn identity(url: &str) -> Option<(String, String)> {
    let url = Url::parse(url).ok()?;
    let mut parts = url.path_segments()?.filter(|part| !part.is_empty()).rev();
    let user = long_id(parts.next()?, "005")?;
    let org = long_id(parts.next()?, "00D")?;
    Some((org, user))
}

/// The 18-character form of an ID of that kind: the 15 characters and a checksum of which of them are capitals.
fn long_id(id: &str, prefix: &str) -> Option<String> {
    if !id.starts_with(prefix) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match id.len() {
        18 => Some(id.to_owned()),
        15 => {
            let digit = |part: &[u8]| {
                let bits = part.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase());
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits.fold(0, |sum, (bit, _)| sum | 1 << bit)]
            };
            Some(id.chars().chain(id.as_bytes().chunks(5).map(|part| char::from(digit(part)))).collect())
        }
        _ => None,
    }
}

/// Where a redirect leads; its path may carry secrets and is left out.
pub(super) fn redirect_host(reply: &Reply) -> Option<String> {
    if !(301..400).contains(&reply.status) {
        return None;
    }
    Url::parse(reply.header("location")?).ok()?.host_str().map(str::to_owned)
}
