//! Tests of the CometD endpoint: sessions and deliveries as plain calls on a clock that is only a number, the long poll
//! as it waits.

mod delivery;
mod faults;
mod poll;
mod session;
mod support;
