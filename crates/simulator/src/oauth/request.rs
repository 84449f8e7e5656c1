//! A request to one of the OAuth endpoints that take a form.
//!
//! Here: reading it. Not here: HTTP (`server/entry`), what it causes (`token`, `inspect`).

use std::net::IpAddr;

/// A request to the token endpoint, or to one of those that ask about a token or end it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenRequest {
    pub(crate) form: Vec<(String, String)>,
    /// The client's id and secret from an `Authorization: Basic` header.
    pub(crate) basic: Option<(String, String)>,
    /// The header `Host`.
    pub(crate) host: String,
    pub(crate) from: Option<IpAddr>,
}

impl TokenRequest {
    /// A field of the form; an empty one is none.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.form.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        values.next().filter(|value| !value.is_empty())
    }

    /// The client's id and secret, as far as they are given.
    pub(crate) fn client(&self) -> (Option<&str>, Option<&str>) {
        match &self.basic {
            Some((id, secret)) => (Some(id), Some(secret)),
            None => (self.field("client_id"), self.field("client_secret")),
        }
    }
}
