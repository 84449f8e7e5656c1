//! What a settings file says, once it has been read and checked.
//!
//! Here: the value. Not here: how it is read (`tables`, `resolve`), and what the actors make of their part of it.

use std::net::SocketAddr;

use orgpipe_actors::settings::Settings;

use super::report::Problem;

/// Everything a settings file says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where the admin API and the dashboard listen.
    pub(crate) listen: SocketAddr,
    /// Under which names they may be asked for, beside those of this machine.
    pub(crate) hosts: Vec<String>,
    /// What works and should be changed all the same.
    pub(crate) warnings: Vec<Problem>,
    /// What the actors run on.
    pub(crate) settings: Settings,
}
