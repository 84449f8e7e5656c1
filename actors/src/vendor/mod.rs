//! The vendor's own systems: the look-up API (`lookup`), the webhook (`webhook`), and what all orgs share of them
//! (`shared`).
//!
//! Not here: what is asked about a batch (`decide/lookup.rs`), what is told of a gap (`capture/gap_recovery.rs`).

pub(crate) mod lookup;
pub(crate) mod shared;
pub(crate) mod webhook;
