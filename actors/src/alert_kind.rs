//! What an alert can be about, and how much it matters.
//!
//! Here: the two lists, with the names that settings, messages and pages use. Not here: when there is one (`alerts/rules.rs`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an alert is about. The names are stable: settings and receivers know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A part of the org ended too often and stays down.
    OrgParked,
    /// The customer's org lets orgpipe in no more, and only somebody there can change that.
    ReauthorizationNeeded,
    /// The login is refused for another reason that does not pass by itself.
    LoginRefused,
    /// A part of the org has failed for long, and tries again by itself.
    OrgWaiting,
    /// A channel's events are not delivered.
    EventChannelDown,
    /// Nothing was heard for long on a channel that is delivered.
    NoEvent,
    /// Events may have been missed, and what they were about is being read again.
    GapOpen,
    /// Work stands still for want of API calls of the day.
    BudgetPaused,
    /// Writes stand, until somebody mends something in the org.
    WritesWaiting,
    /// A refresh fails again and again.
    RefreshStuck,
    /// More dead letters are kept than the settings call many.
    DeadLetters,
    /// A field is not written or not read.
    FieldQuarantined,
    /// The doctor's last examination found something that does not work.
    DoctorError,
    /// The vendor's look-up API does not answer.
    LookupDown,
    /// The disk of the data directory gets full.
    DiskLow,
    /// A thread stands still.
    ThreadStalled,
    /// A receiver of alerts refuses them, or is not reached.
    NotifyFailing,
}

impl AlertKind {
    /// All of them: first those of an org, then those of the process.
    pub const ALL: [Self; 17] = [
        Self::OrgParked,
        Self::ReauthorizationNeeded,
        Self::LoginRefused,
        Self::OrgWaiting,
        Self::EventChannelDown,
        Self::NoEvent,
        Self::GapOpen,
        Self::BudgetPaused,
        Self::WritesWaiting,
        Self::RefreshStuck,
        Self::DeadLetters,
        Self::FieldQuarantined,
        Self::DoctorError,
        Self::LookupDown,
        Self::DiskLow,
        Self::ThreadStalled,
        Self::NotifyFailing,
    ];

    /// As settings, messages and labels name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OrgParked => "org_parked",
            Self::ReauthorizationNeeded => "reauthorization_needed",
            Self::LoginRefused => "login_refused",
            Self::OrgWaiting => "org_waiting",
            Self::EventChannelDown => "event_channel_down",
            Self::NoEvent => "no_event",
            Self::GapOpen => "gap_open",
            Self::BudgetPaused => "budget_paused",
            Self::WritesWaiting => "writes_waiting",
            Self::RefreshStuck => "refresh_stuck",
            Self::DeadLetters => "dead_letters",
            Self::FieldQuarantined => "field_quarantined",
            Self::DoctorError => "doctor_error",
            Self::LookupDown => "lookup_down",
            Self::DiskLow => "disk_low",
            Self::ThreadStalled => "thread_stalled",
            Self::NotifyFailing => "notify_failing",
        }
    }

    /// What is wrong where there are many of it, behind their number: "20 orgs …".
    pub fn of_many(self) -> &'static str {
        match self {
            Self::OrgParked => "parts of orgs are parked",
            Self::ReauthorizationNeeded => "orgs let orgpipe in no more until their customers act",
            Self::LoginRefused => "orgs refuse the login",
            Self::OrgWaiting => "parts of orgs fail and are tried again",
            Self::EventChannelDown => "event channels are not delivered",
            Self::NoEvent => "event channels were silent for long",
            Self::GapOpen => "orgs have gaps in their events",
            Self::BudgetPaused => "kinds of work stand still for want of API calls",
            Self::WritesWaiting => "writes stand until somebody mends something",
            Self::RefreshStuck => "orgs have refreshes that fail",
            Self::DeadLetters => "orgs have many dead letters",
            Self::FieldQuarantined => "fields are not written or not read",
            Self::DoctorError => "orgs were found not to work by the doctor",
            Self::LookupDown => "look-up APIs do not answer",
            Self::DiskLow => "disks get full",
            Self::ThreadStalled => "threads stand still",
            Self::NotifyFailing => "receivers of alerts are not reached",
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is about one org, and not about the process.
    pub fn is_of_org(self) -> bool {
        !matches!(self, Self::LookupDown | Self::DiskLow | Self::ThreadStalled | Self::NotifyFailing)
    }
}

/// How much an alert matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// Good to know; nothing has to be done at once.
    #[default]
    Info,
    /// It gets worse, or something is missing, while the rest works.
    Warning,
    /// Data of a customer, or of all, is not kept up to date.
    Critical,
}

impl AlertSeverity {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// As settings, messages and labels name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The one of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_lead_back() {
        for kind in AlertKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.name());
            assert_eq!(AlertKind::of_name(kind.name()), Some(kind));
        }
        for severity in AlertSeverity::ALL {
            assert_eq!(serde_json::to_value(severity).expect("JSON"), severity.name());
            assert_eq!(AlertSeverity::of_name(severity.name()), Some(severity));
        }
        assert_eq!(AlertKind::of_name("org_parkd"), None);
    }
}
