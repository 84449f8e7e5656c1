//! Deliver: changes from egress to Salesforce, by REST or Bulk API 2.0. Ends at commit C.

mod budget;
mod bulk;
pub(crate) mod gate;
mod outcome;
mod rest;
pub(crate) mod writer;
