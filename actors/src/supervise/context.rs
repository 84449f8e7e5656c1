//! What the actors of one org share: it outlives each of them.

use std::sync::Arc;

use orgpipe_store::Store;

use super::{
    line::OrgLine,
    schemas::Schemas,
    shared::{Shared, Ways},
    status::Board,
};
use crate::{
    capture::heal,
    clock::Clock,
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
    /// What all orgs share.
    pub shared: Arc<Shared>,
    /// What the org says about the targets.
    pub schemas: Schemas,
    /// Guards the list of gaps in the event stream.
    pub gaps: heal::Guard,
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

    /// The ways to the vendor's systems as they are now, for one piece of work.
    pub(crate) fn ways(&self) -> Ways {
        self.shared.ways()
    }

    /// Passes a failpoint, if a test lets.
    pub(crate) fn pass(&self, point: Point) {
        self.failpoints.pass(point, self.id());
    }
}
