//! What a preview is to be about, and why there is none.
//!
//! Here: holding a request against an org's settings and state, without asking anybody. Not here: looking (`preview`).

use std::sync::Arc;

use orgpipe_reconcile::id;

use super::{
    cost::{PreviewCost, PreviewScope},
    report,
};
use crate::{
    capture::pages::PAGE,
    org::{context::OrgContext, part::State, step_error::StepError},
    problem::Hint as _,
    settings::SyncSettings,
    supervise::supervisor::OrgError,
};

/// Records of a preview unless somebody says otherwise.
pub const SAMPLE: usize = 200;
/// Records of a preview at most: one page of a refresh.
pub const SAMPLE_MAX: usize = PAGE;
/// Characters shown of what should have been a record ID.
const ID_CHARS_SHOWN: usize = 18;

/// A preview that somebody wants.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// Name of the sync.
    pub sync: String,
    /// Which records.
    pub records: PreviewedRecords,
    /// The sync as new settings have it, to be compared with the one that runs, or to be looked at where none does.
    pub proposed: Option<Arc<SyncSettings>>,
}

/// The records of a preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviewedRecords {
    /// The first ones that a refresh would read.
    First(usize),
    /// One, by its ID of 15 or 18 characters.
    One(String),
}
/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The org.
    #[error(transparent)]
    Org(#[from] OrgError),
    /// No such sync.
    #[error("org `{org}` has no sync `{sync}`")]
    NoSync {
        /// The org.
        org: String,
        /// The name that was asked for.
        sync: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// No such record.
    #[error("`{id}` {fault}")]
    Record {
        /// What was asked for.
        id: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Too many records, or none.
    #[error("a preview is of 1 to {SAMPLE_MAX} records, not of {0}")]
    Sample(usize),
    /// The new mapping is about other records.
    #[error(
        "the new settings read {proposed} for sync `{sync}`, and the ones that run read {running}: there is nothing to compare"
    )]
    OtherObject {
        /// The sync.
        sync: String,
        /// The object that is read now.
        running: String,
        /// The object that would be.
        proposed: String,
    },
    /// The org is not worked for.
    #[error("org `{org}` {what}, so nothing is asked of it{}", told(.note))]
    Stands {
        /// The org.
        org: String,
        /// What it is at.
        what: &'static str,
        /// Why, if that is known.
        note: String,
        /// What to do.
        hint: String,
    },
    /// One is under way.
    #[error("a preview of org `{0}` is under way")]
    UnderWay(String),
    /// It takes too long.
    #[error("the preview of org `{org}` was given up after {secs} s")]
    TooSlow {
        /// The org.
        org: String,
        /// How long it took.
        secs: u64,
    },
    /// The org or the vendor's API did not answer as they should.
    #[error("there is no preview of org `{org}`: {reason}")]
    Failed {
        /// The org.
        org: String,
        /// What happened.
        reason: String,
        /// What to do.
        hint: String,
    },
}

fn told(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(": {note}") }
}

impl PreviewError {
    /// What to do about it; empty if the error of the org says so itself.
    pub fn hint(&self) -> String {
        match self {
            Self::Org(_) => String::new(),
            Self::NoSync { known, .. } if known.is_empty() => {
                "Give the org a sync in the settings.".to_owned()
            }
            Self::NoSync { known, .. } => format!("It has {}.", known.join(", ")),
            Self::Record { .. } => {
                "Give the ID of a record of the sync's object, 15 or 18 characters.".to_owned()
            }
            Self::Sample(_) => format!("Without a number, {SAMPLE} are looked at."),
            Self::OtherObject { .. } => {
                "Give the sync another name in the new settings: then it is looked at alone.".to_owned()
            }
            Self::Stands { hint, .. } | Self::Failed { hint, .. } => hint.clone(),
            Self::UnderWay(_) => "Wait until it has ended; each org has one at a time.".to_owned(),
            Self::TooSlow { .. } => {
                "Ask for fewer records with `--sample`, or look at the speed of the org and of your API."
                    .to_owned()
            }
        }
    }

    pub(super) fn failed(org: &OrgContext, error: &StepError) -> Self {
        let hint = error.hint().unwrap_or_else(|| "Ask again in a moment.".to_owned());
        Self::Failed { org: org.id().to_owned(), reason: error.to_string(), hint }
    }
}

/// A preview that can be made: what it is about is there.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) sync: String,
    pub(super) records: PreviewedRecords,
    pub(super) running: Option<Arc<SyncSettings>>,
    pub(super) proposed: Option<Arc<SyncSettings>>,
}

impl Plan {
    /// Of what is wanted of an org; asks nobody.
    pub(crate) fn new(org: &OrgContext, request: PreviewRequest) -> Result<Self, PreviewError> {
        let PreviewRequest { sync, records, proposed } = request;
        let running = org.settings.syncs.iter().find(|known| known.name == sync).cloned();
        if running.is_none() && proposed.is_none() {
            let known = org.settings.syncs.iter().map(|sync| sync.name.clone()).collect();
            return Err(PreviewError::NoSync { org: org.id().to_owned(), sync, known });
        }
        if let (Some(running), Some(proposed)) = (&running, &proposed) {
            let [running, proposed] = [running, proposed].map(|sync| sync.mapping.object().to_owned());
            if !running.eq_ignore_ascii_case(&proposed) {
                return Err(PreviewError::OtherObject { sync, running, proposed });
            }
        }
        let records = match records {
            PreviewedRecords::First(count) if !(1..=SAMPLE_MAX).contains(&count) => {
                return Err(PreviewError::Sample(count));
            }
            PreviewedRecords::First(count) => PreviewedRecords::First(count),
            PreviewedRecords::One(text) => match id::check(&text) {
                Ok(id) => PreviewedRecords::One(id),
                Err(fault) => {
                    let id = report::cut(&text, ID_CHARS_SHOWN);
                    return Err(PreviewError::Record { id, fault: fault.sentence() });
                }
            },
        };
        Ok(Self { sync, records, running, proposed })
    }

    /// What it takes.
    pub(crate) fn cost(&self) -> PreviewCost {
        let records = match self.records {
            PreviewedRecords::First(count) => Some(count),
            PreviewedRecords::One(_) => None,
        };
        PreviewCost::of(PreviewScope {
            records,
            running: self.running.as_deref(),
            proposed: self.proposed.as_deref(),
        })
    }
}

/// What a preview of the usual number of records takes.
pub(crate) fn usual_cost(sync: &SyncSettings) -> PreviewCost {
    PreviewCost::of(PreviewScope { records: Some(SAMPLE), running: Some(sync), proposed: None })
}

/// Whether the org may be asked anything now.
pub(crate) fn stands(org: &OrgContext) -> Option<PreviewError> {
    let status = org.board.status();
    let id = org.id();
    let stands = |what, note: &str, hint: String| {
        Some(PreviewError::Stands { org: id.to_owned(), what, note: note.to_owned(), hint })
    };
    match status.worst() {
        State::Paused => stands("is paused", "", format!("Resume it first: `orgpipe org resume {id}`.")),
        State::Draining => {
            stands("is being drained", "", format!("Resume it first: `orgpipe org resume {id}`."))
        }
        State::Parked => {
            let parked = status.parts.values().find(|part| part.state == State::Parked);
            let (note, hint) = parked.map(|part| (part.note.clone(), part.hint.clone())).unwrap_or_default();
            let hint =
                if hint.is_empty() { format!("Then resume it: `orgpipe org resume {id}`.") } else { hint };
            stands("is parked", &note, hint)
        }
        State::Waiting | State::Starting | State::Running | State::Stopped => None,
    }
}
