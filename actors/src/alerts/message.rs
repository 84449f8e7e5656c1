//! What a receiver is told: that something is wrong, that more of the same is, or that it is over.
//!
//! Here: the value, as it waits on disk. Not here: when there is one (`outbox`), how it looks on the wire (`request`).

use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use super::alert::Alert;

/// Bytes of a summary or a hint that are told.
const TEXT_BYTES_MAX: usize = 300;

/// What is told about an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// It is wrong.
    Fired,
    /// Of a group: there are many more by now, or one of them matters more.
    Grown,
    /// It matters more by now.
    Worsened,
    /// It is right again.
    Resolved,
    /// Somebody wants to see whether messages arrive.
    Test,
}

impl Action {
    /// As messages name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Grown => "grown",
            Self::Worsened => "worsened",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// One thing that a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Unique, and the same each time that it is sent: by it a receiver knows what it has.
    pub id: String,
    /// The same for all that is told about one alert, from when it fires until it is over.
    pub incident: String,
    /// What is told.
    pub action: Action,
    /// When that was found.
    pub at_ms: UnixMs,
    /// What it is about; of a group, in the words for all.
    pub alert: Alert,
    /// How many alerts it stands for.
    pub count: u64,
    /// Of a group: the first orgs of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orgs: Vec<String>,
    /// It may have been sent. What comes from disk may have been.
    #[serde(skip, default = "yes")]
    pub tried: bool,
    /// It was refused, by itself or as all would be.
    #[serde(skip)]
    pub doubted: bool,
}

fn yes() -> bool {
    true
}

impl Message {
    /// About one alert.
    pub(crate) fn of(incident: &str, action: Action, at_ms: UnixMs, alert: &Alert) -> Self {
        let id = match action {
            // It rises at most once to each.
            Action::Worsened => format!("{incident}.{}.{}", action.name(), alert.severity.name()),
            Action::Fired | Action::Grown | Action::Resolved | Action::Test => {
                format!("{incident}.{}", action.name())
            }
        };
        Self {
            id,
            incident: incident.to_owned(),
            action,
            at_ms,
            alert: short(alert),
            count: 1,
            orgs: Vec::new(),
            tried: false,
            doubted: false,
        }
    }
}

/// With texts that are cut, so that what is kept on disk stays small.
pub(super) fn short(alert: &Alert) -> Alert {
    Alert { summary: cut(&alert.summary), hint: cut(&alert.hint), ..alert.clone() }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
