//! Capture: what asks for a sync, onto the ingress queue. Ends at commit A.

pub(crate) mod bulk_pages;
pub(crate) mod cometd;
mod continuity;
pub(crate) mod gap_recovery;
mod orphans;
pub(crate) mod pages;
pub(crate) mod refresh;
pub(crate) mod replay;
pub(crate) mod requests;
mod run;
mod schedule;
mod waits;
