//! Salesforce's protocols: what to send, and what an answer means.
//!
//! Here: requests as data ([`call::Call`]), answers as data ([`call::Reply`]) and the verdict on each failure
//! ([`error::ErrorClass`]). Not here: when to call, how often to retry, what a record means.
//!
//! Invariant: only `http/client.rs` opens a socket. Nothing reads a clock or draws a random number: time and chance are arguments.
//!
//! Each module uses only those before it in this order, which is also the order to read them in: [`limits`], [`mend`], [`call`], [`error`], [`oauth`], [`failure`], [`soql`], [`rest`], [`bulk`], [`cometd`], [`http`].

pub mod bulk;
pub mod call;
pub mod cometd;
pub mod error;
pub mod failure;
pub mod http;
pub mod limits;
pub mod mend;
pub mod oauth;
pub mod rest;
pub mod soql;
mod text;

/// A Salesforce record: nested relation objects stay nested, `attributes` is kept as received.
pub type Row = serde_json::Map<String, serde_json::Value>;
