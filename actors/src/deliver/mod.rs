//! Deliver: changes from egress to Salesforce, by REST or Bulk API 2.0. Ends at commit C.
//!
//! In the order of a step: `window` has the changes at hand, `writer` takes those that are due, `parts` says which go
//! together and how, `rest` and `bulk` send them, `outcome` says what becomes of each, and `sending` what will be remembered of its record. Not here: what is to be
//! written (`decide`), what a day's calls may be spent on (`org/api`).

pub(crate) mod bulk;
mod outcome;
mod parts;
mod rest;
mod sending;
mod window;
pub(crate) mod writer;
