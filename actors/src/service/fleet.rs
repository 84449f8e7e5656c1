//! All orgs at this moment, made at most once a second for whoever asks: pages, metrics, alerts and history.
//!
//! Here: making it without a copy of each org's status and with one call to the store, and sharing it. Not here: what stands
//! in it (`fleet_view`), which rows of it somebody wants to see (`fleet_query`).

use std::{sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, task::yield_now};

use super::{
    Service,
    fleet_view::{Fleet, FleetRow, FleetTotals},
    ledger::Ledger,
};
use crate::org::context::OrgContext;

/// How old the one that is given may be.
const AGE_MAX: Duration = Duration::from_secs(1);
/// Orgs looked at in a row, before others of the thread have their turn.
const ORGS_IN_A_ROW: usize = 256;

impl Service {
    /// All orgs at this moment, or at most a second ago. Cheap to ask for: one is made for all who ask.
    pub async fn fleet(&self) -> Arc<Fleet> {
        let mut last = self.last_fleet.0.lock().await;
        let now = self.clock.monotonic();
        if let Some((made, fleet)) = &*last
            && now.saturating_sub(*made) < AGE_MAX
        {
            return Arc::clone(fleet);
        }
        let fleet = Arc::new(self.make_fleet().await);
        *last = Some((now, Arc::clone(&fleet)));
        fleet
    }

    /// Makes one, whenever the last was made.
    ///
    /// What orgs that have not called since the start had used before comes with one of the next: the store is not asked about
    /// each of thousands while everybody waits.
    pub(crate) async fn make_fleet(&self) -> Fleet {
        let ledgers = self.store.ledgers().await.ok();
        let (at_ms, orgs) = (self.clock.now_ms(), self.orgs.all());
        let (mut rows, mut totals) = (Vec::with_capacity(orgs.len()), FleetTotals::default());
        let mut unread = Vec::new();
        for some in orgs.chunks(ORGS_IN_A_ROW) {
            for org in some {
                let kept = ledgers.as_ref().map(|kept| kept.get(org.id()).copied().unwrap_or_default());
                let ((budget, is_known), skew) = (org.api.budget_so_far(), org.api.time().skew());
                if !is_known {
                    unread.push(Arc::clone(org));
                }
                let org_ms = org.api.time().now_ms();
                let row = org.board.look(|status| FleetRow::new(org.id(), status, kept, budget, org_ms));
                let row = FleetRow { events: org.measures.events_so_far(), ..row.with_skew(skew) };
                totals.add(&row);
                rows.push(row);
            }
            yield_now().await;
        }
        if !unread.is_empty()
            && let Ok(turn) = Arc::clone(&self.budget_reads).try_acquire_owned()
        {
            actix_rt::spawn(read_budgets(unread, turn));
        }
        let stored = ledgers
            .map(|kept| kept.values().fold(Ledger::default(), |all, one| all.and(Ledger::from(one.counts))));
        Fleet { at_ms, started_ms: self.started_ms, rows, totals, stored, room: self.room().await }
    }
}

/// Reads what these orgs had used before the start, one after the other; at most one at a time does so.
async fn read_budgets(orgs: Vec<Arc<OrgContext>>, _turn: OwnedSemaphorePermit) {
    for org in orgs {
        org.api.budget().await;
    }
}
