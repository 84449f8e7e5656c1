//! Supervise: the supervisor starts an actor for each org, that one its parts; who ends is started afresh or parked.
//!
//! `supervisor` has the orgs, `directory` is their list, `org_actor` has the parts of one, and `org_changed` says what
//! follows when its login leads to another org. Not here: what a part does (`capture`, `decide`, `deliver`), how an end
//! is noticed (`runtime`).

pub(crate) mod directory;
pub(crate) mod org_actor;
mod org_changed;
pub(crate) mod supervisor;
