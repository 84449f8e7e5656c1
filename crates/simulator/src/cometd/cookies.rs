//! The cookies of a CometD session.
//!
//! Here: which two cookies a session needs, and the `Set-Cookie` values of a handshake. Not here: what a missing one
//! leads to (`state`).
//!
//! Names, paths and the three hours are those of handshakes recorded by Salesforce's own tools (sfdx-core). `Secure`
//! and `Domain` are left out: the simulator speaks plain HTTP on loopback, where a correct jar would refuse them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use rand::Rng as _;
use rand::rngs::StdRng;

/// Files the session: a session is looked up under this cookie first, by client ID second.
pub(super) const BROWSER: &str = "BAYEUX_BROWSER";
/// Keeps the balancer on the node that knows the session.
pub(super) const STICKY: &str = "sfdc-stream";
/// How long the sticky cookie lasts from the handshake on, in simulated milliseconds.
pub(super) const STICKY_MS: i64 = 3 * 60 * 60 * 1000;

const BROWSER_ID_SECS: i64 = 5_184_000;
const BASE_36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The value of the first cookie of that name.
pub(super) fn find<'a>(cookies: &'a [(String, String)], name: &str) -> Option<&'a str> {
    cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `Set-Cookie` for [`BROWSER`].
pub(super) fn set_browser(value: &str) -> String {
    format!("{BROWSER}={value};Path=/cometd/")
}

/// `Set-Cookie` for [`STICKY`].
pub(super) fn set_sticky(value: &str, until_ms: i64) -> String {
    format!("{STICKY}={value}; expires={}; path=/", http_date(until_ms))
}

/// The two cookies that a handshake sets as well and that nothing needs.
pub(super) fn set_bystanders(rng: &mut StdRng, now_ms: i64) -> [String; 2] {
    let expires = http_date(now_ms + BROWSER_ID_SECS * 1000);
    [
        format!("BrowserId={};Path=/;Expires={expires};Max-Age={BROWSER_ID_SECS}", base_36(rng, 22)),
        format!("t={};Path=/cometd/;HttpOnly", base_36(rng, 16)),
    ]
}

/// A new value for [`STICKY`], in the shape balancers give it: `!` and Base64.
pub(super) fn new_sticky(rng: &mut StdRng) -> String {
    format!("!{}", STANDARD.encode(rng.random::<[u8; 32]>()))
}

/// `length` characters of lower-case letters and digits.
pub(super) fn base_36(rng: &mut StdRng, length: usize) -> String {
    (0..length).map(|_| char::from(BASE_36[rng.random_range(0..BASE_36.len())])).collect()
}

fn http_date(unix_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(unix_ms)
        .unwrap_or_default()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}
