//! Sockets.
//!
//! Here: the handle. Not here: sending (`client`), meaning (the rest of the crate).

mod client;

/// Sends calls to Salesforce; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient(reqwest::Client);
