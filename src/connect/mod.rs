//! Customers who connect their orgs themselves.
//!
//! ```text
//! operator: orgs invite acme ─▶ link ─▶ customer's admin: GET /connect/LINK ─▶ Salesforce's consent page
//!                                                                                      │
//! the org is live ◀─ doctor ◀─ reload ◀─ grant and record stored ◀─ code exchanged ◀─ GET /oauth/callback
//! ```
//!
//! In reading order: `link` (what an invitation is), `consents` (what waits for a callback),
//! `onboarding` (the order of it all), `pages` (what the customer's admin sees), `handlers` (the paths). Not here: protocols
//! (`orgpipe_salesforce::oauth`), keeping a grant (`orgpipe_actors`) and an org (`in_force/stored_org`), an operator's commands about such orgs (`admin/stored_orgs`).
//!
//! Invariant: whoever holds a link can connect the one org that it names, until it ends or another one is made, and do
//! nothing else.

mod consents;
pub(crate) mod handlers;
mod link;
mod onboarding;
mod pages;

pub(crate) use self::onboarding::{InviteError, Onboarding, is_loopback};
