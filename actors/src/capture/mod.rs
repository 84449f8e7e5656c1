//! Capture: what asks for a sync, onto the ingress queue. Ends at commit A.
//!
//! Live: `cometd` subscribes, `requests` reads the events, `replay` sets where they go on. By query: `refresh` has the runs,
//! `refresh_commands` what an operator wants of them,
//! `schedule` says when one is due, `run` how far it is, `pages` and `bulk_pages` read, `orphans` looks for what is left
//! over, `gap_recovery` reads a gap again, `push` finds what the vendor says has changed, as `push_plan` and
//! `push_statement` have it, `waits` holds back what failed.
//! Not here: what becomes of a request (`decide`).

pub(crate) mod bulk_pages;
pub(crate) mod cometd;
mod continuity;
pub(crate) mod gap_recovery;
mod orphans;
pub(crate) mod pages;
pub(crate) mod push;
mod push_plan;
mod push_statement;
pub(crate) mod refresh;
pub(crate) mod refresh_commands;
pub(crate) mod replay;
pub(crate) mod requests;
mod run;
mod schedule;
mod waits;
