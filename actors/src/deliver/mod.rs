//! Deliver: changes from egress to Salesforce, by REST or Bulk API 2.0. Ends at commit C.

pub(crate) mod budget;
mod bulk;
pub(crate) mod forecast;
pub(crate) mod gate;
mod outcome;
mod parts;
mod rest;
mod throttle;
pub(crate) mod writer;
