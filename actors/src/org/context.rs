//! What the actors of one org share.
//!
//! Here: the handles on settings, store, API, board, schemas and clock. Not here: addresses of actors; how a message reaches
//! its taker is said in `messages`.
//!
//! Invariant: it outlives each of the org's actors, and other settings make another one.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{
    api::client::OrgApi, memory::MemoryBudget, push_log::PushLog, schemas::Schemas, status::Board,
    store::OrgStore,
};
use crate::{
    clock::Clock,
    failpoint::{Failpoints, Point},
    measure::OrgMeasures,
    settings::OrgSettings,
    trace::Sampling,
    vendor::shared::{Shared, VendorClients},
};

/// Shared by the actors of one org. Holds no address: who sends what to whom is the org actor's business.
#[derive(Debug)]
pub(crate) struct OrgContext {
    /// The customer's settings.
    pub settings: Arc<OrgSettings>,
    /// Queues and positions.
    pub store: OrgStore,
    /// Records of the org that may wait; refreshes and gap recovery leave half of it to live events.
    pub queue_max: u64,
    /// The one way to the org's API.
    pub api: Arc<OrgApi>,
    /// What all orgs share.
    pub shared: Arc<Shared>,
    /// Memory for work that waits, shared by all orgs.
    pub memory: MemoryBudget,
    /// What the vendor has pushed, to all orgs.
    pub pushes: Arc<PushLog>,
    /// What the org says about the targets.
    pub schemas: Schemas,
    /// Guards the list of gaps in the events: the subscription adds to it, the refresh takes from it.
    pub gaps: Mutex<()>,
    /// Guards the places of the refresh runs: an operator begins and ends runs, the refresh moves them on.
    pub runs: Mutex<()>,
    /// What an operator sees.
    pub board: Arc<Board>,
    /// What is counted of it.
    pub measures: Arc<OrgMeasures>,
    /// Time and chance.
    pub clock: Clock,
    /// How many of the traces of its work are told.
    pub sampling: Sampling,
    /// Where tests let it fail.
    pub failpoints: Failpoints,
    /// It is for a look at the org: what it finds out is told to whoever looks, and not in the log.
    pub is_aside: bool,
}

impl OrgContext {
    /// The same org by these settings, for a look at it: it has the same API and store, and nobody else sees what it learns
    /// and notes.
    pub(crate) fn aside(&self, settings: Arc<OrgSettings>) -> Self {
        Self {
            settings,
            store: self.store.clone(),
            queue_max: self.queue_max,
            api: Arc::clone(&self.api),
            shared: Arc::clone(&self.shared),
            memory: self.memory.clone(),
            pushes: Arc::clone(&self.pushes),
            schemas: Schemas::default(),
            gaps: Mutex::default(),
            runs: Mutex::default(),
            board: Arc::default(),
            measures: Arc::new(OrgMeasures::new(Arc::default())),
            clock: self.clock,
            sampling: Sampling::NONE,
            failpoints: Failpoints::default(),
            is_aside: true,
        }
    }

    /// The operator's name for the org.
    pub(crate) fn id(&self) -> &str {
        &self.settings.id
    }

    /// The clients of the vendor's systems as they are now, for one piece of work.
    pub(crate) fn vendor(&self) -> VendorClients {
        self.shared.clients()
    }

    /// Passes a failpoint, if a test lets.
    pub(crate) fn pass(&self, point: Point) {
        self.failpoints.pass(point, self.id());
    }
}
