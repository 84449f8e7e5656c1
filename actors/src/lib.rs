//! Who does what when: the actors between the queues.
//!
//! ```text
//! Supervisor                         supervise/supervisor.rs
//! └─ OrgActor, one per org           supervise/org_actor.rs
//!    ├─ CometdActor                  capture/cometd.rs    events  ─▶ A ─▶ ingress
//!    ├─ RefreshTimer                 capture/refresh.rs   records ─▶ A ─▶ ingress; capture/gap_recovery.rs for gaps
//!    ├─ PushActor                    capture/push.rs      pushes  ─▶ A ─▶ ingress
//!    ├─ IngestActor                  decide/ingest.rs     ingress ─▶ look up, match, diff ─▶ B ─▶ egress
//!    └─ WriterActor                  deliver/writer.rs    egress ─▶ REST, Bulk API 2.0 ─▶ C
//! ```
//!
//! Here: the modules, and what the program may use of them. Not here: decisions about records (`orgpipe_reconcile`),
//! protocols (`orgpipe_salesforce`), what is on disk (`orgpipe_store`).
//!
//! Layers, from the bottom; none imports upward or sideways (`tests/tidy` holds it):
//!
//! 1. leaves beside this file: alert kinds, clock, retry, failpoint, settings, contract, queue entries, audit trail,
//!    fingerprint, history, measure, priority, problem, push, receipt, sealing, severity, trace
//! 2. `runtime/`: how actors run, whatever they do
//! 3. `vendor/`: the vendor's look-up API and webhook
//! 4. `org/`: what the parts of one org share, and the messages between them; `org/api/`: the one way to its API
//! 5. `capture/`, `decide/`, `deliver/`: the flow
//! 6. `supervise/`: who runs
//! 7. beside this file again: service, alerts, forecast, dead letters, explain, doctor, preview, check, key rotation

pub mod clock;
pub mod contract;
pub mod measure;
pub mod sealing;
pub mod settings;

mod alert_kind;
mod alerts;
mod audit_trail;
mod capture;
mod check;
mod dead_letters;
mod decide;
mod deliver;
mod doctor;
mod explain;
mod failpoint;
mod fingerprint;
mod forecast;
mod history;
mod key_rotation;
mod org;
mod preview;
mod priority;
mod problem;
mod push;
mod queue_entry;
mod receipt;
mod retry;
mod runtime;
mod service;
mod severity;
mod supervise;
mod trace;
mod vendor;

#[cfg(test)]
mod tests;

pub use alert_kind::{AlertKind, AlertSeverity};
pub use alerts::{Alert, AlertKey, ReceiverView};
pub use capture::{
    refresh_commands::{RefreshPlan, RefreshWish},
    replay::{NoReplayPosition, ReplayFrom},
};
pub use check::{CheckProblem, check};
pub use dead_letters::{
    ACTED_ON_MAX, ActedOn, DeadLetterAction, DeadLetterCommand, DeadLetterError, DeadLetterFilter, Meant,
    RetriedEnd, RetriedRecord,
};
pub use decide::outlook::{PlannedChange, PlannedField, PlannedWrite, SharedKeyOf};
pub use doctor::{Finding, PermissionSet, Report, Topic};
pub use explain::{
    Chapter, Fate, Story,
    find::{Candidate, FIND_CHARS_MAX, FoundBy, RecordSearch},
};
pub use failpoint::{Failpoints, NoFailpoint};
pub use forecast::Forecast;
pub use history::chart::{History, HistoryPoint, HistorySpan};
pub use key_rotation::{KeyRotation, RotationError, rotate_vault_key};
pub use org::api::gate::{BudgetView, BudgetWait};
pub use org::{
    desired::DesiredState,
    part::{Part, State},
    schemas::{Access, Quarantined},
    status::{Examined, OrgStatus, PartStatus, Reading, Warning},
    store::SECRET_POSITIONS,
    subscription::{ChannelStatus, Subscription},
    writes::{BulkJobStatus, UnansweredWrite, WriteWait},
};
pub use preview::{
    DifferentField, DifferentRecord, PlannedLetters, Preview, PreviewCost, PreviewCounts, PreviewDifference,
    PreviewError, PreviewRequest, PreviewSample, PreviewSide, PreviewedRecords, RecordOutlook, SAMPLE,
    SAMPLE_MAX, WholeRun,
};
pub use priority::Priority;
pub use push::{
    IDEMPOTENCY_KEY_CHARS_MAX, NewPush, PUSH_BYTES_MAX, PUSH_DATA_BYTES_MAX, PUSH_ITEMS_MAX, PushItems,
    PushKind, PushProblem,
};
pub use receipt::{GapReason, Receipt};
pub use runtime::watchdog::ThreadStatus;
pub use service::{
    Drained, OrgView, Replayed, Service, StartError,
    fleet_view::{Fleet, FleetRefresh, FleetRow, FleetTotals, StateCounts},
    ledger::{Ledger, RoomView},
    notify::Tested,
    org_numbers::{ChannelNumbers, OrgNumbers},
    push_error::PushError,
    push_view::{AcceptedPush, OrgPush, PushNumbers, PushTally, PushView},
    readiness::NotReady,
    reload::{Left, Reloaded},
    tree::{OrgNode, ThreadNode, Tree},
    views::{Latency, LookupView, ProcessView, StoreView},
};
pub use severity::Severity;
pub use supervise::supervisor::OrgError;
pub use trace::Sampling;
pub use vendor::lookup::BreakerState;
