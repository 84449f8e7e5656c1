//! The HTTP client's handle.
//!
//! Here: the handle alone. Not here: sending (`client`), how much of an answer may be held (`body`), what it means (the
//! rest of the crate).

pub mod body;
mod client;

/// Sends calls to Salesforce; clones share their connections, and the room for answers.
#[derive(Clone, Debug)]
pub struct HttpClient {
    http: reqwest::Client,
    bodies: body::BodyBudget,
}
