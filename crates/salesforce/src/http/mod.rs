//! The HTTP client's handle.
//!
//! Here: the handle, and what a login brings. Not here: sending (`client`), how much of an answer may be held (`body`), what it means (the
//! rest of the crate).

pub mod body;
mod client;

use secrecy::SecretString;

use crate::oauth::{Token, error::LoginError};

/// What the token endpoint answered.
#[derive(Debug)]
pub struct LoginReply {
    /// The token, or why there is none.
    pub token: Result<Token, LoginError>,
    /// A new refresh token, also when there is no token to use: the one that was sent is spent then.
    pub refresh_token: Option<SecretString>,
    /// Its header `Date`, if there was an answer: what time it is there.
    pub date: Option<String>,
}

/// Sends calls to Salesforce; clones share their connections, and the room for answers.
#[derive(Clone, Debug)]
pub struct HttpClient {
    http: reqwest::Client,
    bodies: body::BodyBudget,
}
