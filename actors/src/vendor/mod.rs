//! The vendor's own systems: the look-up API, the webhook, and what all orgs share of them.

pub(crate) mod lookup;
pub(crate) mod shared;
pub(crate) mod webhook;
