//! The settings that the service runs on, and what it gives to every org.
//!
//! Here: the values, and an org made of them. Not here: exchanging them while the service runs (`reload`).

use std::sync::Arc;

use orgpipe_salesforce::http::HttpClient;
use orgpipe_store::Store;
use tokio::sync::Mutex;

use crate::{
    clock::Clock,
    failpoint::Failpoints,
    measure::OrgMeasures,
    org::{
        api::client::OrgApi, context::OrgContext, grant_store::Grants, memory::MemoryBudget,
        push_log::PushLog, schemas::Schemas, status::Board, store::OrgStore,
    },
    settings::{OrgSettings, Settings},
    trace::Sampling,
    vendor::shared::Shared,
};

/// The settings the service runs on.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) settings: Settings,
    pub(super) common: Common,
}

/// What every org gets.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) store: Store,
    pub(super) http: HttpClient,
    pub(super) shared: Arc<Shared>,
    pub(super) memory: MemoryBudget,
    pub(super) pushes: Arc<PushLog>,
    pub(super) queue_max: u64,
    pub(super) grants: Grants,
    pub(super) clock: Clock,
    pub(super) sampling: Sampling,
}

impl Common {
    /// An org of these settings that notes on this board and counts on these instruments.
    pub(super) fn context(
        &self,
        org: &Arc<OrgSettings>,
        board: Arc<Board>,
        measures: Arc<OrgMeasures>,
        failpoints: Failpoints,
    ) -> Arc<OrgContext> {
        let store = OrgStore::new(self.store.clone(), &org.id);
        let grants = self.grants.of(store.clone(), failpoints.clone());
        let http = Arc::new(self.http.clone());
        let (noted, counted) = (Arc::clone(&board), Arc::clone(&measures));
        let api = OrgApi::new(Arc::clone(org), http, noted, counted, Some(grants), self.clock);
        Arc::new(OrgContext {
            settings: Arc::clone(org),
            store,
            queue_max: self.queue_max,
            api: Arc::new(api),
            shared: Arc::clone(&self.shared),
            memory: self.memory.clone(),
            pushes: Arc::clone(&self.pushes),
            schemas: Schemas::default(),
            gaps: Mutex::default(),
            runs: Mutex::default(),
            board,
            measures,
            clock: self.clock,
            sampling: self.sampling,
            failpoints,
            is_aside: false,
        })
    }
}
