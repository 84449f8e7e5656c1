//! `orgpipe preview`: what a sync would do with some records of an org, and what it would take for all of them.
//!
//! Here: which records, which mappings, and putting together what is told. In `plan`: what is asked for, and why there is no
//! preview; in `cost`: numbers of calls; in `report`: how much is told; in `difference`: what a new mapping would do otherwise.
//! Not here: deciding about the records (`decide/preview.rs`), when a preview may begin (`service/previews.rs`).
//!
//! Invariant: nothing is written, neither to the org nor to the store; calls are counted like all others.

mod cost;
mod difference;
mod plan;
mod report;

use std::sync::Arc;

use orgpipe_salesforce::error::ErrorClass;
use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use self::cost::{Basis, same_selection};
pub(crate) use self::plan::{Plan, stands, usual_cost};
pub use self::{
    cost::{PreviewCost, WholeRun},
    difference::{DifferentField, DifferentRecord, PreviewDifference, RecordOutlook},
    plan::{PreviewError, PreviewRequest, PreviewedRecords, SAMPLE, SAMPLE_MAX},
    report::{PlannedLetters, PreviewCounts, PreviewSide},
};
use crate::{
    audit_trail::Hasher,
    capture::pages,
    decide::{
        outlook::Outlook,
        preview::{KnownAnswers, PreviewedSample, SharedAnswers, Trial},
    },
    org::{api::gate::BudgetView, context::OrgContext, step_error::StepError},
    queue_entry::Row,
    settings::{OrgSettings, SyncSettings},
};

/// What a sync would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
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
        (sample, now_ms): (&PreviewedSample, UnixMs),
        answers: SharedAnswers<'_>,
    ) -> Result<(Outlook, KnownAnswers), StepError> {
        let trial = Trial::new(Arc::clone(&self.org), Arc::clone(&self.sync), Arc::clone(hasher));
        trial.decide(sample, now_ms, answers).await
    }

    /// What is told of it. `org`: as the service has it; `is_own_sample`: whether these are
    /// records that it reads itself.
    fn told(
        &self,
        org: &OrgContext,
        outlook: &Outlook,
        is_own_sample: bool,
        budget: &BudgetView,
    ) -> PreviewSide {
        let whole = self.sync.refresh.as_ref().zip(self.total).map(|(refresh, total)| {
            let describes = org.schemas.fresh(self.sync.mapping.target(), org.clock.monotonic()).is_none();
            let limits = org.settings.limits;
            WholeRun::of(
                Basis { sync: &self.sync, refresh, limits, total, describes, is_own_sample },
                outlook,
                budget,
            )
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
            PreviewedSample::Record(id.clone())
        }
        PreviewedRecords::First(count) => {
            count_both(&mut running, &mut proposed).await;
            sample.asked = *count;
            let (rows, read_ms) = rows(running.as_ref(), proposed.as_ref(), *count).await?;
            PreviewedSample::Rows(rows, read_ms)
        }
    };
    sample.read = match &records {
        PreviewedSample::Rows(rows, _) => rows.len(),
        PreviewedSample::Record(_) => 1,
    };
    sample.total = running.as_ref().or(proposed.as_ref()).and_then(|side| side.total);
    // Both at the same time, so that they do not differ by that.
    let (mut outlooks, mut known, at) = ([None, None], None, (&records, org.clock.now_ms()));
    let first = if proposed.is_some() { SharedAnswers::Kept } else { SharedAnswers::Alone };
    for (side, outlook) in [&running, &proposed].into_iter().zip(&mut outlooks) {
        if let Some(side) = side {
            let answers = known.as_ref().map_or(first, SharedAnswers::Known);
            let (found, looked) = side.decide(&hasher, at, answers).await?;
            (*outlook, known) = (Some(found), Some(looked));
        }
    }
    let budget = org.api.budget().await;
    let told = |side: &Option<Side>, outlook: &Option<Outlook>, is_own_sample: bool| {
        let both = side.as_ref().zip(outlook.as_ref());
        both.map(|(side, outlook)| side.told(org, outlook, is_own_sample, &budget))
    };
    // The records are the first ones of the sync that runs, if there is one.
    let same = same_selection(plan.running.as_deref(), plan.proposed.as_deref());
    let [of_running, of_proposed] = &outlooks;
    let both = of_running.as_ref().zip(of_proposed.as_ref());
    Ok(Preview {
        org: org.id().to_owned(),
        sync: plan.sync.clone(),
        at_ms: org.clock.now_ms(),
        cost: plan.cost(),
        sample,
        running: told(&running, of_running, true),
        proposed: told(&proposed, of_proposed, same),
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

/// The first records of what the running sync reads, with the fields of both if the org has them all; and when they were read.
async fn rows(
    running: Option<&Side>,
    proposed: Option<&Side>,
    count: usize,
) -> Result<(Vec<Row>, UnixMs), StepError> {
    let Some(side) = running.or(proposed) else { return Ok((Vec::new(), UnixMs::EPOCH)) };
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
