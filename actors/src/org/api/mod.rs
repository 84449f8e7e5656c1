//! The one way to an org's API: the client asks the gate, the gate asks budget and throttle.

pub(crate) mod budget;
pub(crate) mod client;
pub(crate) mod gate;
mod throttle;
