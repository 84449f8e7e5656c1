//! When something is an alert, and who is told.
//!
//! Here: plain data. Not here: how an operator writes it (`src/config/resolve/alerts.rs`), the rules (`alerts/rules.rs`).

use std::{collections::BTreeSet, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::alert_kind::{AlertKind, AlertSeverity};

/// When something is an alert, and who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// Where this service is reached, so that messages lead to an org's page; none: they have no link.
    pub base_url: Option<Url>,
    /// Kept dead letters of an org that are no alert yet.
    pub dead_letters_max: u64,
    /// For so long a channel may be silent; none: for ever.
    pub no_event: Option<Duration>,
    /// For so long a part may fail, a channel be down or a write stand.
    pub waiting: Duration,
    /// For so long anything else has to be wrong.
    pub hold: Duration,
    /// For so long it has to be right again.
    pub clear: Duration,
    /// From so many new alerts of one kind within five minutes on, a receiver is told of them in one message.
    pub group_from: usize,
    /// Who is told.
    pub receivers: Vec<ReceiverSettings>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            base_url: None,
            dead_letters_max: 100,
            no_event: Some(Duration::from_hours(72)),
            waiting: Duration::from_mins(10),
            hold: Duration::from_secs(15),
            clear: Duration::from_mins(1),
            group_from: 10,
            receivers: Vec::new(),
        }
    }
}

/// Somebody who is told about alerts.
#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    /// The operator's name for it, unique.
    pub name: String,
    /// How it is spoken to.
    pub kind: ReceiverKind,
    /// Where it is reached. Part of it may be a secret.
    pub url: SecretString,
    /// What messages are signed with, or the routing key; none where the URL is the secret.
    pub secret: Option<SecretString>,
    /// What it wants to know; empty: everything.
    pub alerts: BTreeSet<AlertKind>,
    /// Of which orgs; empty: of all, and of the process.
    pub orgs: BTreeSet<String>,
    /// Nothing that matters less.
    pub severity_min: AlertSeverity,
}

/// How a receiver is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// CloudEvents 1.0 as JSON, signed.
    Webhook,
    /// An incoming webhook of Slack.
    Slack,
    /// PagerDuty's Events API v2.
    PagerDuty,
}

impl ReceiverKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Webhook, Self::Slack, Self::PagerDuty];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
        }
    }
}

#[cfg(test)]
impl ReceiverSettings {
    /// One of this name that wants to know everything.
    pub(crate) fn sample(name: &str, kind: ReceiverKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: "https://ops.example.com".to_owned().into(),
            secret: None,
            alerts: BTreeSet::new(),
            orgs: BTreeSet::new(),
            severity_min: AlertSeverity::Info,
        }
    }
}

impl PartialEq for ReceiverSettings {
    fn eq(&self, other: &Self) -> bool {
        let shown =
            |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let Self { name, kind, url, secret, alerts, orgs, severity_min } = self;
        *name == other.name
            && *kind == other.kind
            && url.expose_secret() == other.url.expose_secret()
            && shown(secret) == shown(&other.secret)
            && *alerts == other.alerts
            && *orgs == other.orgs
            && *severity_min == other.severity_min
    }
}
