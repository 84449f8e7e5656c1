//! Supervise: the supervisor starts an actor for each org, that one its parts; who ends is started afresh or parked.

pub(crate) mod directory;
pub(crate) mod org_actor;
mod org_changed;
pub(crate) mod supervisor;
