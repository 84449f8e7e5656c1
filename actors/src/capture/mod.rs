//! Capture: what asks for a sync, onto the ingress queue. Ends at commit A.

pub(crate) mod bulk_pages;
pub(crate) mod cometd;
pub(crate) mod heal;
mod orphans;
pub(crate) mod pages;
pub(crate) mod refresh;
pub(crate) mod replay;
pub(crate) mod requests;
mod schedule;
mod waits;
pub(crate) mod webhook;
