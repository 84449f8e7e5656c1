//! Deliver: changes from egress to Salesforce, by REST or Bulk API 2.0. Ends at commit C.
//!
//! In the order of a step: `window` has the changes at hand, `writer` takes those that are due and `outgoing` unpacks them,
//! `parts` says which go together and how, `send` and `rest` make the calls, `bulk` the jobs (`job`), `step` says what an
//! answer means for the changes of a call and `outcome` for one row, and `commit` stores it, with what `sending` remembers of the
//! record. How large a group may be is for
//! `resend` and `group` to say, from what became of each change so far, and for `pace`, from how the org's calls fare just now.
//! Not here: what is to be written (`decide`), what a day's calls may be spent on (`org/api`).

pub(crate) mod bulk;
mod commit;
mod group;
mod job;
mod outcome;
mod outgoing;
mod pace;
mod parts;
#[cfg(test)]
mod property;
mod resend;
mod rest;
mod send;
mod sending;
mod step;
mod window;
mod without_values;
pub(crate) mod writer;
