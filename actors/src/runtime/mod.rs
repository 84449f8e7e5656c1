//! How actors run, whatever they do: spawning and watching a child, the loop of steps, restart intensity, and the watchdog
//! over threads.
//!
//! Not here: anything of Salesforce, and which actors there are (`supervise`).

pub(crate) mod restart;
pub(crate) mod spawn;
pub(crate) mod watchdog;
pub(crate) mod worker;
