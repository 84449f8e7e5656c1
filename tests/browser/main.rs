//! What a real browser does: pages of others that try to give commands, customers who connect their orgs, and the dashboard.

#[path = "../support/mod.rs"]
mod support;

mod attack;
mod chromium;
mod connect;
mod fleet;
mod foreign;
mod look;
mod org;
mod webdriver;
