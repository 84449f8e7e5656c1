//! Supervise: who runs, on which thread, and what happens when one ends.

pub(crate) mod context;
pub(crate) mod line;
pub(crate) mod moved;
pub(crate) mod org;
mod restart;
pub(crate) mod schemas;
pub(crate) mod shared;
pub(crate) mod sources;
pub(crate) mod status;
pub(crate) mod subscription;
pub(crate) mod supervisor;
pub(crate) mod watch;
pub(crate) mod watchdog;
pub(crate) mod wish;
pub(crate) mod worker;
