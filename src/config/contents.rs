//! What a settings file says, once it has been read and checked.
//!
//! Here: the value. Not here: how it is read (`tables`, `resolve`), and what the actors make of their part of it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use orgpipe_actors::settings::Settings;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{certificate::Certificate, report::Problem};

/// Everything a settings file says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What the admin API and the dashboard run on.
    pub(crate) admin: AdminSettings,
    /// Where traces are sent, if anywhere.
    pub(crate) traces: Option<TraceSettings>,
    /// How customers connect their orgs themselves, if they can.
    pub(crate) connect: Option<ConnectSettings>,
    /// Orgs of the store that cannot be worked for, and why.
    pub(crate) orgs_left_out: BTreeMap<String, Vec<Problem>>,
    /// What works and should be changed all the same.
    pub(crate) warnings: Vec<Problem>,
    /// What the actors run on.
    pub(crate) settings: Settings,
}

/// Where traces are sent.
#[derive(Clone, Debug)]
pub(crate) struct TraceSettings {
    /// The collector's address for traces.
    pub(crate) endpoint: Url,
    /// Names and values of headers that are sent with them.
    pub(crate) headers: Vec<(String, SecretString)>,
    /// How many of all are sent, above 0 to 1.
    pub(crate) sample_ratio: f64,
    /// How long the collector may take for a batch.
    pub(crate) timeout: Duration,
}

impl PartialEq for TraceSettings {
    fn eq(&self, other: &Self) -> bool {
        let Self { endpoint, sample_ratio, timeout, .. } = self;
        let headers = |one: &Self| {
            let header =
                |(name, value): &(String, SecretString)| (name.clone(), value.expose_secret().to_owned());
            one.headers.iter().map(header).collect::<Vec<_>>()
        };
        (endpoint, timeout) == (&other.endpoint, &other.timeout)
            && sample_ratio.to_bits() == other.sample_ratio.to_bits()
            && headers(self) == headers(other)
    }
}

/// How customers connect their orgs themselves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConnectSettings {
    /// Where customers' browsers reach this service; nothing stands behind the host.
    pub(crate) base_url: Url,
    /// The vendor's name, as customers know it.
    pub(crate) vendor: String,
    /// For how long a link is good.
    pub(crate) link_life: Duration,
    /// The external client app that they let in.
    pub(crate) app: ConnectApp,
}

/// The external client app that customers let in.
#[derive(Clone, Debug)]
pub(crate) struct ConnectApp {
    /// Its consumer key.
    pub(crate) client_id: String,
    /// Its consumer secret; none if it is a public client.
    pub(crate) client_secret: Option<SecretString>,
}

impl PartialEq for ConnectApp {
    fn eq(&self, other: &Self) -> bool {
        let secret = |app: &Self| app.client_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        self.client_id == other.client_id && secret(self) == secret(other)
    }
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
    /// How much the metrics tell.
    pub(crate) metrics: MetricsSettings,
}

/// For which orgs there are metrics of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetricsSettings {
    /// Which.
    pub(crate) per_org: PerOrg,
    /// Of these at most so many.
    pub(crate) orgs_max: u32,
}

/// Which orgs have metrics of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PerOrg {
    /// All.
    All,
    /// Those that somebody should look at.
    Trouble,
    /// None.
    None,
}
