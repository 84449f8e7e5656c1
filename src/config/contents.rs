//! What a settings file says, once it has been read and checked.
//!
//! Here: the value. Not here: how it is read (`tables`, `resolve`), and what the actors make of their part of it.

use std::net::SocketAddr;

use orgpipe_actors::settings::Settings;

use super::certificate::Certificate;

/// Everything a settings file says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What the admin API and the dashboard run on.
    pub(crate) admin: AdminSettings,
    /// What the actors run on.
    pub(crate) settings: Settings,
}

/// Where and how the admin API and the dashboard are served.
#[derive(Clone, Debug)]
pub(crate) struct AdminSettings {
    /// Where they listen.
    pub(crate) listen: SocketAddr,
    /// Under which names they may be asked for, beside those of this machine.
    pub(crate) hosts: Vec<String>,
    /// What they show to whoever speaks TLS with them; without it they speak no TLS themselves.
    pub(crate) certificate: Option<Certificate>,
    /// Whether a proxy in front of them speaks TLS.
    pub(crate) behind_proxy: bool,
}
