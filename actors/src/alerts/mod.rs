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
//! alert), `outbox` (what a receiver has been told and is to be told), `message` and `request` (how it is told). In memory:
//! `watch` and `receiver`. Not here: gathering, storing and sending (`service/alerts.rs`, `service/notify.rs`), what a part notes
//! about itself (`org/status.rs`), metrics.

mod alert;
mod facts;
mod message;
mod outbox;
mod receiver;
mod request;
mod rules;
mod tracker;
mod watch;

pub use alert::{Alert, AlertKey};
pub(crate) use facts::{DiskFacts, FailingReceiver, ProcessFacts};
pub(crate) use message::{Action, Message};
pub(crate) use outbox::{Outbox, Standing};
pub use receiver::ReceiverView;
pub(crate) use receiver::{AlertSending, Receiver};
pub(crate) use request::{Posting, ReplyVerdict, posting, told_answer, wait};
pub(crate) use tracker::Tracker;
pub(crate) use watch::{Alerts, LookResult};
