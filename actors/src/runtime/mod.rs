//! How actors run, whatever they do: spawning and watching a child, the loop of steps, restart intensity, and the
//! watchdog over threads. Nothing of Salesforce.

pub(crate) mod restart;
pub(crate) mod spawn;
pub(crate) mod watchdog;
pub(crate) mod worker;
