//! Deliver: changes from egress to Salesforce, by REST or Bulk API 2.0. Ends at commit C.

pub(crate) mod bulk;
mod outcome;
mod parts;
mod rest;
mod window;
pub(crate) mod writer;
