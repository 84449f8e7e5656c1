//! One alert: something that is wrong now, in one line, with the next step.
//!
//! Here: the value, its key, and the order of several. Not here: when there is one (`rules`).

use std::cmp::Reverse;

use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alert_kind::{AlertKind, AlertSeverity};

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// The org; none if it is about the process.
    pub org: Option<String>,
    /// Which channel, field, part or the like; empty if there is only one.
    pub subject: String,
    /// How much it matters.
    pub severity: AlertSeverity,
    /// What is wrong, as a sentence without a final stop.
    pub summary: String,
    /// The next step, as whole sentences; empty if there is nothing to do but wait.
    pub hint: String,
    /// Since when.
    pub since_ms: UnixMs,
}

/// What makes two alerts the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// What it is about.
    pub kind: AlertKind,
    /// The org; none if it is about the process.
    pub org: Option<String>,
    /// Which channel, field, part or the like.
    pub subject: String,
}

impl Alert {
    /// Stays the same for as long as the same thing is wrong.
    pub fn key(&self) -> AlertKey {
        AlertKey { kind: self.kind, org: self.org.clone(), subject: self.subject.clone() }
    }
}

/// Worst first; of the same severity by kind, then by org.
pub(super) fn sort(alerts: &mut [Alert]) {
    alerts.sort_by(|one, other| order(one).cmp(&order(other)));
}

fn order(alert: &Alert) -> (Reverse<AlertSeverity>, AlertKind, Option<&str>, &str) {
    (Reverse(alert.severity), alert.kind, alert.org.as_deref(), &alert.subject)
}
