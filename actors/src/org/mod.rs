//! What the parts of one org share. All of it outlives each part.
//!
//! `context` holds it together: the handle on the `store`, the `desired` state, the `status` board with its
//! `subscription` and the `writes` that stand, the `schemas` and how they are described (`describe`), the org's `identity`, the `messages` between
//! its parts (`part`), what a step fails with (`step_error`), whose fault that may be (`culprit`), selecting
//! by a list of values (`select`), the log of pushes (`push_log`), the budget of `memory`, and in `api/` the one way to the
//! org's API. Not here: what the parts do with it (`capture`, `decide`, `deliver`), who starts them (`supervise`).

pub(crate) mod api;
pub(crate) mod context;
pub(crate) mod culprit;
pub(crate) mod describe;
pub(crate) mod desired;
pub(crate) mod grant;
pub(crate) mod grant_store;
pub(crate) mod identity;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod org_time;
pub(crate) mod part;
pub(crate) mod push_log;
pub(crate) mod schemas;
pub(crate) mod select;
pub(crate) mod status;
pub(crate) mod step_error;
pub(crate) mod store;
pub(crate) mod subscription;
pub(crate) mod writes;
