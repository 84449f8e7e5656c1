//! What a real browser does: pages of others that try to give commands, and customers who connect their orgs.

#[path = "../support/mod.rs"]
mod support;

mod attack;
mod chromium;
mod connect;
mod foreign;
mod webdriver;
