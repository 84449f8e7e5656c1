//! The cookies of one CometD session.
//!
//! Here: `Set-Cookie` in, `Cookie` out, merged by name and path, so that a new `sfdc-stream` leaves `BAYEUX_BROWSER`
//! alone. Not here: when a jar is thrown away (`session`: at each handshake).
//!
//! `Domain` and `Secure` are not looked at: a jar belongs to one session, so to one host and scheme. `Expires` only
//! deletes; the 3 hours of `sfdc-stream` are handled by handshaking anew before them.

use std::time::Duration;

/// Cookies kept at most; Salesforce sets five.
const COOKIES_MAX: usize = 32;
/// Bytes of one name and value at most (RFC 6265 section 6.1).
const COOKIE_BYTES_MAX: usize = 4096;
/// All our requests go below it.
const REQUEST_PATH: &str = "/cometd";

/// The cookies of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Jar(Vec<Cookie>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    dies: Option<Duration>,
}

impl Jar {
    /// Takes over one `Set-Cookie` header. What cannot be read is left out.
    pub(super) fn merge(&mut self, header: &str, now: Duration) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let (name, value) = (name.trim(), value.trim());
        let sendable = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
        if name.is_empty()
            || name.len() + value.len() > COOKIE_BYTES_MAX
            || !sendable(name)
            || !sendable(value)
        {
            return;
        }
        let (mut path, mut dies, mut deleted) = (REQUEST_PATH.to_owned(), None, false);
        for (key, value) in parts.map(|part| part.split_once('=').unwrap_or((part, ""))) {
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.trim().starts_with('/') => value.trim().clone_into(&mut path),
                "max-age" => match value.trim().parse::<i64>() {
                    Ok(secs) if secs > 0 => dies = Some(now + Duration::from_secs(secs.unsigned_abs())),
                    Ok(_) => deleted = true,
                    Err(_) => {}
                },
                "expires" if value.contains("1970") => deleted = true,
                _ => {}
            }
        }
        self.0.retain(|cookie| cookie.name != name || cookie.path != path);
        if !deleted && self.0.len() < COOKIES_MAX {
            self.0.push(Cookie { name: name.to_owned(), value: value.to_owned(), path, dies });
        }
    }

    /// The `Cookie` header, longest path first; none when there is nothing to send.
    pub(super) fn header(&self, now: Duration) -> Option<String> {
        let mut sent: Vec<&Cookie> = self
            .0
            .iter()
            .filter(|cookie| cookie.dies.is_none_or(|dies| now < dies) && covers(&cookie.path))
            .collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Whether a cookie of this path goes with our requests. A longer path (`/cometd/66.0`) is one of our own URLs.
fn covers(path: &str) -> bool {
    path == "/" || path.trim_end_matches('/') == REQUEST_PATH || path.starts_with("/cometd/")
}

#[cfg(test)]
mod tests;
