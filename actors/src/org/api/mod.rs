//! The one way to an org's API: the client asks the gate, the gate asks budget and throttle, the vault has the token, and what
//! they let through goes over the transport.
//!
//! Not here: what is called and why (`capture`, `decide`, `deliver`).

pub(crate) mod budget;
pub(crate) mod client;
pub(crate) mod gate;
mod throttle;
pub(crate) mod transport;
pub(crate) mod vault;
