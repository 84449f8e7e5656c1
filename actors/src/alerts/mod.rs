//! What is wrong now, and telling others.
//!
//! ```text
//! boards, budgets, store, threads ─▶ facts ─▶ rules ─▶ tracker ─▶ Service::alerts(), pages
//!                                                        │
//!                                                        ▼ what each receiver has not been told
//!                                                     outbox ─▶ [store] ─▶ sender ─▶ webhook, Slack, PagerDuty
//! ```
//!
//! Here, pure: `alert` (the value), `facts` and `rules` (what follows from what is known), `tracker` (a flap of seconds is no
//! alert). Not here: what a part notes about itself (`org/status.rs`), metrics.

mod alert;
mod facts;
mod rules;
mod tracker;
mod watch;

pub use alert::{Alert, AlertKey};
pub(crate) use facts::{DiskFacts, ProcessFacts};
pub(crate) use tracker::Tracker;
pub(crate) use watch::Alerts;
