//! What the actors of one org share: it outlives each of them.

use std::sync::Arc;

use orgpipe_store::Store;
use tokio::sync::Semaphore;

use super::{line::OrgLine, status::Board};
use crate::{
    capture::{heal, webhook::Webhook},
    clock::Clock,
    decide::lookup::Source,
    failpoint::{Failpoints, Point},
    settings::OrgSettings,
};

/// Shared by the actors of one org. Holds no address: who rings whom is the org actor's business.
#[derive(Debug)]
pub(crate) struct OrgContext {
    /// The customer's settings.
    pub settings: Arc<OrgSettings>,
    /// Queues and positions.
    pub store: Store,
    /// Records of the org that may wait; refreshes and healing leave half of it to live events.
    pub queue_max: u64,
    /// The way to Salesforce.
    pub line: OrgLine,
    /// The way to the vendor's API, shared by all orgs.
    pub source: Arc<Source>,
    /// Turns for reading pages, shared by all orgs and handed out in order.
    pub pages: Arc<Semaphore>,
    /// Guards the list of gaps in the event stream.
    pub gaps: heal::Guard,
    /// Where receipts are posted, shared by all orgs.
    pub webhook: Option<Arc<Webhook>>,
    /// What an operator sees.
    pub board: Arc<Board>,
    /// Time and chance.
    pub clock: Clock,
    /// Where tests let it fail.
    pub failpoints: Failpoints,
}

impl OrgContext {
    /// The operator's name for the org.
    pub(crate) fn id(&self) -> &str {
        &self.settings.id
    }

    /// Passes a failpoint, if a test lets.
    pub(crate) fn pass(&self, point: Point) {
        self.failpoints.pass(point, self.id());
    }
}
