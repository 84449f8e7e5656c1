//! Who does what when: the actors between the queues.
//!
//! ```text
//! Supervisor                         supervise/supervisor.rs
//! └─ OrgActor, one per org           supervise/org.rs
//!    ├─ CometdActor                  capture/cometd.rs    events  ─▶ A ─▶ ingress
//!    ├─ Worker<Refresh>              capture/refresh.rs   records ─▶ A ─▶ ingress; capture/heal.rs for gaps
//!    ├─ Worker<Ingest>               decide/ingest.rs     ingress ─▶ look up, match, diff ─▶ B ─▶ egress
//!    └─ Worker<Writer>               deliver/writer.rs    egress ─▶ REST, Bulk API 2.0 ─▶ C
//! ```
//!
//! Decisions stand in pure functions: the protocols in `orgpipe-salesforce`, the records in `orgpipe-reconcile`, and
//! here `capture/requests.rs`, `capture/schedule.rs`, `decide/verdict.rs`, `decide/orphans.rs`, `deliver/budget.rs`,
//! `deliver/outcome.rs`, `supervise/restart.rs`. Queues on disk carry the work; messages between actors only ring bells.

pub mod clock;
pub mod contract;
pub mod settings;

mod capture;
mod check;
mod decide;
mod deliver;
mod doctor;
mod explain;
mod failpoint;
mod letters;
mod parcel;
mod retry;
mod service;
mod supervise;
mod trail;

pub use capture::{
    heal::{GapReason, Receipt},
    replay::{NoPlace, ReplayFrom},
};
pub use check::{CheckProblem, check};
pub use deliver::{
    budget::Priority,
    forecast::Forecast,
    gate::{BudgetView, BudgetWait},
};
pub use doctor::{Finding, PermissionSet, Report, Severity, Topic, doctor};
pub use explain::{Chapter, Fate, Story};
pub use failpoint::{Failpoints, NoFailpoint};
pub use letters::{ActedOn, LETTERS_MAX, LetterAct, LetterError, LetterFilter, LetterOrder};
pub use service::{
    Drained, Ledger, Left, OrgNode, OrgView, Reloaded, Replayed, RoomView, Service, StartError, ThreadNode,
    Tree,
};
pub use supervise::{
    schemas::{Access, Quarantined},
    status::{Examined, OrgStatus, Part, PartStatus, Reading, State},
    subscription::{ChannelStatus, Subscription},
    supervisor::OrgError,
    watchdog::ThreadStatus,
    wish::Wish,
};
