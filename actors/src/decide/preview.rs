//! Deciding about some records as a batch of a refresh would, to tell what would come of it.
//!
//! Here: one sync's decision about a sample, by the same steps as `ingest` takes. Not here: what is told of it (`outlook`),
//! which records they are and what it costs (`preview` above the flow).
//!
//! Invariant: nothing is committed. A trial has an org's API and reads its store, and has schemas and a board of its own.

use std::sync::Arc;

use orgpipe_salesforce::error::ErrorClass;
use orgpipe_store::{Settle, UnixMs};

use super::{
    batch::{Asked, Job, id_of},
    fetch::Fetcher,
    lookup::Lookups,
    outlook::Outlook,
    prepared::{Looked, PreparedBatch},
};
use crate::{
    audit_trail::{AuditTrail, Hasher},
    org::{context::OrgContext, step_error::StepError},
    queue_entry::{Origin, Row},
    settings::SyncSettings,
};

/// How often a trial is made that fails by the schema: once more after each object that it reads or writes was described.
const TRIES_MAX: u32 = 3;
/// What stands for an event in the trails, which nobody keeps.
const EVENT: &str = "preview";

/// One sync of an org, to be tried out.
pub(crate) struct Trial {
    org: Arc<OrgContext>,
    sync: Arc<SyncSettings>,
    hasher: Arc<Hasher>,
    fetcher: Fetcher,
    lookups: Lookups,
}

/// Records to try it on.
#[derive(Clone, Debug)]
pub(crate) enum PreviewedSample {
    /// As a page of a refresh brings them, and when it was begun to be read.
    Rows(Vec<Row>, UnixMs),
    /// One, by its ID of 18 characters.
    Record(String),
}

/// What was read and answered for a trial, for another one.
pub(crate) struct KnownAnswers(Option<Looked>);

/// Whether a trial shares what is read and answered with another one.
#[derive(Clone, Copy)]
pub(crate) enum SharedAnswers<'a> {
    /// There is no other one.
    Alone,
    /// Another one follows.
    Kept,
    /// Another one knows them already.
    Known(&'a KnownAnswers),
}

impl Trial {
    /// Of a sync by an org's context of its own.
    pub(crate) fn new(org: Arc<OrgContext>, sync: Arc<SyncSettings>, hasher: Arc<Hasher>) -> Self {
        let (fetcher, lookups) = (Fetcher::new(Arc::clone(&org)), Lookups::new(Arc::clone(&org)));
        Self { org, sync, hasher, fetcher, lookups }
    }

    /// What would become of these records at this time.
    pub(crate) async fn decide(
        &self,
        sample: &PreviewedSample,
        now_ms: UnixMs,
        answers: SharedAnswers<'_>,
    ) -> Result<(Outlook, KnownAnswers), StepError> {
        let mut tries = 1;
        loop {
            match self.decide_once(sample, now_ms, answers).await {
                Err(error) if error.class() == Some(ErrorClass::Schema) && tries < TRIES_MAX => {
                    // As the ingest does: what is gone is found out by describing it, and left out.
                    self.fetcher.doubt();
                    self.org.schemas.doubt(self.sync.mapping.target());
                    tries += 1;
                }
                decided => return decided,
            }
        }
    }

    async fn decide_once(
        &self,
        sample: &PreviewedSample,
        now_ms: UnixMs,
        answers: SharedAnswers<'_>,
    ) -> Result<(Outlook, KnownAnswers), StepError> {
        let (org, hasher) = (&self.org, Arc::clone(&self.hasher));
        let shared = match answers {
            SharedAnswers::Known(KnownAnswers(Some(looked))) => {
                PreparedBatch::of_known(org, &self.fetcher, &self.sync, looked, Arc::clone(&hasher)).await?
            }
            SharedAnswers::Known(KnownAnswers(None)) | SharedAnswers::Kept | SharedAnswers::Alone => None,
        };
        let prepared = if let Some(prepared) = shared {
            prepared
        } else {
            let job = (Some(job(&self.sync, sample, now_ms)), Settle::default());
            PreparedBatch::read(org, (&self.fetcher, &self.lookups), None, job, hasher, 0).await?
        };
        let keeps = matches!(answers, SharedAnswers::Kept);
        let known = KnownAnswers(if keeps { prepared.looked() } else { None });
        let verdict = prepared.at(now_ms).decide(org, &self.fetcher).await?;
        Ok((Outlook::of(&self.sync.mapping, &verdict), known))
    }
}

/// The records as if a refresh had asked for them.
fn job(sync: &Arc<SyncSettings>, sample: &PreviewedSample, now_ms: UnixMs) -> Job {
    let asked_ms = match sample {
        PreviewedSample::Rows(_, read_ms) => *read_ms,
        PreviewedSample::Record(_) => now_ms,
    };
    let asked = |id: String, row: Option<Row>| {
        let trail = AuditTrail::new(&sync.name, Origin::Refresh, EVENT, None);
        Asked { id, units: 1, row, pushes: Vec::new(), given: None, since_ms: asked_ms, trail }
    };
    let asked = match sample {
        PreviewedSample::Rows(rows, _) => {
            rows.iter().filter_map(|row| Some(asked(id_of(row)?, Some(row.clone())))).collect()
        }
        PreviewedSample::Record(id) => vec![asked(id.clone(), None)],
    };
    Job {
        sync: Arc::clone(sync),
        origin: Origin::Refresh,
        gap: None,
        received_ms: asked_ms,
        requests: Vec::new(),
        asked,
        hidden_keys: Vec::new(),
    }
}
