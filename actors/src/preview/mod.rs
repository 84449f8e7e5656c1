//! `orgpipe preview`: what a sync would do with some records of an org, and what it would take for all of them.
//!
//! Here: which records, which mappings, and putting together what is told. In `cost`: numbers of calls; in `report`: how much
//! is told; in `difference`: what a new mapping would do otherwise. Not here: deciding about the records
//! (`decide/preview.rs`), when a preview may begin (`service/previews.rs`).
//!
//! Invariant: nothing is written, neither to the org nor to the store; calls are counted like all others.

mod cost;
mod difference;
mod report;

use std::sync::Arc;

use orgpipe_reconcile::id;
use orgpipe_salesforce::error::ErrorClass;
use orgpipe_store::UnixMs;
use serde::Serialize;

use self::cost::{Basis, PreviewScope, same_selection};
pub use self::{
    cost::{PreviewCost, WholeRun},
    difference::{DifferentField, DifferentRecord, PreviewDifference, RecordOutlook},
    report::{PlannedLetters, PreviewCounts, PreviewSide},
};
use crate::{
    audit_trail::Hasher,
    capture::pages::{self, PAGE},
    decide::{
        outlook::Outlook,
        preview::{KnownAnswers, Sample, Trial},
    },
    org::{api::gate::BudgetView, context::OrgContext, part::State, step_error::StepError},
    problem::Hint as _,
    queue_entry::Row,
    settings::{OrgSettings, SyncSettings},
    supervise::supervisor::OrgError,
};

/// Records of a preview unless somebody says otherwise.
pub const SAMPLE: usize = 200;
/// Records of a preview at most: one page of a refresh.
pub const SAMPLE_MAX: usize = PAGE;

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

/// What a sync would do.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The operator's name for the org.
    pub org: String,
    /// Name of the sync.
    pub sync: String,
    /// When it was looked at.
    pub at_ms: UnixMs,
    /// What the preview takes, as it was told before.
    pub cost: PreviewCost,
    /// The records that it is about.
    pub sample: PreviewSample,
    /// What the sync that runs would do; none if it does not run.
    pub running: Option<PreviewSide>,
    /// What the new one would do; none if there is none.
    pub proposed: Option<PreviewSide>,
    /// What differs between both.
    pub difference: Option<PreviewDifference>,
    /// The org's calls of today.
    pub budget: BudgetView,
}

/// The records of a preview, as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreviewSample {
    /// The record that was asked for; none: the first ones.
    pub record: Option<String>,
    /// How many were asked for.
    pub asked: usize,
    /// How many there were.
    pub read: usize,
    /// How many a refresh would read; none if the sync has none, or if the org does not say.
    pub total: Option<u64>,
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

    fn failed(org: &OrgContext, error: &StepError) -> Self {
        let hint = error.hint().unwrap_or_else(|| "Ask again in a moment.".to_owned());
        Self::Failed { org: org.id().to_owned(), reason: error.to_string(), hint }
    }
}

/// A preview that can be made: what it is about is there.
#[derive(Debug)]
pub(crate) struct Plan {
    sync: String,
    records: PreviewedRecords,
    running: Option<Arc<SyncSettings>>,
    proposed: Option<Arc<SyncSettings>>,
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

/// Characters shown of what should have been a record ID.
const ID_CHARS_SHOWN: usize = 18;

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

/// Looks at the records, and tells what would become of them.
pub(crate) async fn preview(org: &OrgContext, plan: &Plan) -> Result<Preview, PreviewError> {
    look(org, plan).await.map_err(|error| PreviewError::failed(org, &error))
}

/// One of the mappings, with an org of its own.
struct Side {
    org: Arc<OrgContext>,
    sync: Arc<SyncSettings>,
    /// How many records its refresh would read.
    total: Option<u64>,
}

impl Side {
    fn of(org: &OrgContext, sync: &Arc<SyncSettings>) -> Self {
        let settings = Arc::new(with_sync(&org.settings, sync));
        Self { org: Arc::new(org.aside(settings)), sync: Arc::clone(sync), total: None }
    }

    fn condition(&self) -> &str {
        let refresh = self.sync.refresh.as_ref();
        refresh.and_then(|refresh| refresh.condition.as_deref()).unwrap_or_default()
    }

    async fn count(&self) -> Option<u64> {
        self.sync.refresh.as_ref()?;
        pages::count_all(&self.org, &self.sync, self.condition()).await
    }

    async fn decide(
        &self,
        hasher: &Arc<Hasher>,
        sample: &Sample,
        known: Option<&KnownAnswers>,
    ) -> Result<(Outlook, KnownAnswers), StepError> {
        let trial = Trial::new(Arc::clone(&self.org), Arc::clone(&self.sync), Arc::clone(hasher));
        trial.decide(sample, known).await
    }

    /// What is told of it. `org`: as the service has it.
    fn told(&self, org: &OrgContext, outlook: &Outlook, budget: &BudgetView) -> PreviewSide {
        let whole = self.sync.refresh.as_ref().zip(self.total).map(|(refresh, total)| {
            let describes = org.schemas.fresh(self.sync.mapping.target(), org.clock.monotonic()).is_none();
            let limits = org.settings.limits;
            WholeRun::of(Basis { sync: &self.sync, refresh, limits, total, describes }, outlook, budget)
        });
        PreviewSide::of(outlook, self.org.schemas.all_quarantined(), whole)
    }
}

/// The settings with this sync in the place of the one of its name.
fn with_sync(settings: &OrgSettings, sync: &Arc<SyncSettings>) -> OrgSettings {
    let mut settings = settings.clone();
    match settings.syncs.iter_mut().find(|known| known.name == sync.name) {
        Some(known) => *known = Arc::clone(sync),
        None => settings.syncs.push(Arc::clone(sync)),
    }
    settings
}

async fn look(org: &OrgContext, plan: &Plan) -> Result<Preview, StepError> {
    let hasher = org.store.hasher_of_now().await?;
    let side = |sync: &Option<Arc<SyncSettings>>| sync.as_ref().map(|sync| Side::of(org, sync));
    let (mut running, mut proposed) = (side(&plan.running), side(&plan.proposed));
    let mut sample = PreviewSample::default();
    let records = match &plan.records {
        PreviewedRecords::One(id) => {
            (sample.record, sample.asked) = (Some(id.clone()), 1);
            Sample::Record(id.clone())
        }
        PreviewedRecords::First(count) => {
            count_both(&mut running, &mut proposed).await;
            sample.asked = *count;
            let rows = rows(running.as_ref(), proposed.as_ref(), *count).await?;
            Sample::Rows(rows)
        }
    };
    sample.read = match &records {
        Sample::Rows(rows) => rows.len(),
        Sample::Record(_) => 1,
    };
    sample.total = running.as_ref().or(proposed.as_ref()).and_then(|side| side.total);
    let (mut outlooks, mut known) = ([None, None], None);
    for (side, outlook) in [&running, &proposed].into_iter().zip(&mut outlooks) {
        if let Some(side) = side {
            let (found, looked) = side.decide(&hasher, &records, known.as_ref()).await?;
            (*outlook, known) = (Some(found), Some(looked));
        }
    }
    let budget = org.api.budget().await;
    let told = |side: &Option<Side>, outlook: &Option<Outlook>| {
        side.as_ref().zip(outlook.as_ref()).map(|(side, outlook)| side.told(org, outlook, &budget))
    };
    let [of_running, of_proposed] = &outlooks;
    let both = of_running.as_ref().zip(of_proposed.as_ref());
    Ok(Preview {
        org: org.id().to_owned(),
        sync: plan.sync.clone(),
        at_ms: org.clock.now_ms(),
        cost: plan.cost(),
        sample,
        running: told(&running, of_running),
        proposed: told(&proposed, of_proposed),
        difference: both.map(|(running, proposed)| PreviewDifference::between(running, proposed)),
        budget,
    })
}

/// Counts what each would read; once, where both read the same.
async fn count_both(running: &mut Option<Side>, proposed: &mut Option<Side>) {
    let same =
        same_selection(running.as_ref().map(|side| &*side.sync), proposed.as_ref().map(|side| &*side.sync));
    let mut counted = None;
    for side in [running, proposed].into_iter().flatten() {
        let total = match counted {
            Some(total) if same => total,
            _ => side.count().await,
        };
        (side.total, counted) = (total, Some(total));
    }
}

/// The first records of what the running sync reads, with the fields of both if the org has them all.
async fn rows(running: Option<&Side>, proposed: Option<&Side>, count: usize) -> Result<Vec<Row>, StepError> {
    let Some(side) = running.or(proposed) else { return Ok(Vec::new()) };
    let more = match (running, proposed) {
        (Some(_), Some(proposed)) => proposed.sync.mapping.read_fields(),
        _ => Vec::new(),
    };
    let read =
        async |more: &[String]| pages::first(&side.org, &side.sync, more, side.condition(), count).await;
    let is_schema = |error: &StepError| error.class() == Some(ErrorClass::Schema);
    // Without those that only the new one has, and then without those that cannot be read.
    let mut tried = read(&more).await;
    for _ in 0..2 {
        match tried {
            Err(error) if is_schema(&error) => tried = read(&[]).await,
            tried => return tried,
        }
    }
    tried
}

#[cfg(test)]
mod tests;
