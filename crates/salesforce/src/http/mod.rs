//! The HTTP client's handle.
//!
//! Here: the handle alone. Not here: sending (`client`), what an answer means (the rest of the crate).

mod client;

/// Sends calls to Salesforce; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);
