//! The actors of one org on virtual time, against an org and a vendor that are made up in memory: hours of waiting pass in
//! milliseconds, and nothing is left to chance but what a seed says.
//!
//! Here: what the tests share is in `tests/{scene,org,vendor}.rs`, each actor has a file, and `tests/flow.rs` lets the four
//! run together. Not here: decisions, which have tests beside them; the whole over HTTP (`tests/` of the workspace).

mod clocks;
mod cometd;
mod flow;
mod ingest;
mod jobs;
mod org;
mod preview;
mod refresh;
mod scene;
mod vault;
mod vendor;
mod writer;
