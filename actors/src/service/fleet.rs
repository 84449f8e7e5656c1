//! All orgs at this moment, made at most once a second for whoever asks: pages, metrics, alerts and history.
//!
//! Here: making it without a copy of each org's status and with one call to the store, and sharing it. Not here: what stands
//! in it (`fleet_view`), which rows of it somebody wants to see (`fleet_query`).

use std::{sync::Arc, time::Duration};

use tokio::task::yield_now;

use super::{
    Service,
    fleet_view::{Fleet, FleetRow, FleetTotals},
    ledger::Ledger,
};

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
    pub(crate) async fn make_fleet(&self) -> Fleet {
        let ledgers = self.store.ledgers().await.ok();
        let (at_ms, orgs) = (self.clock.now_ms(), self.orgs.all());
        let (mut rows, mut totals) = (Vec::with_capacity(orgs.len()), FleetTotals::default());
        for some in orgs.chunks(ORGS_IN_A_ROW) {
            for org in some {
                let kept = ledgers.as_ref().map(|kept| kept.get(org.id()).copied().unwrap_or_default());
                let (budget, skew) = (org.api.budget().await, org.api.time().skew());
                let org_ms = org.api.time().now_ms();
                let row = org.board.look(|status| FleetRow::new(org.id(), status, kept, budget, org_ms));
                let row = FleetRow { events: org.measures.events_so_far(), ..row.with_skew(skew) };
                totals.add(&row);
                rows.push(row);
            }
            yield_now().await;
        }
        let stored = ledgers
            .map(|kept| kept.values().fold(Ledger::default(), |all, one| all.and(Ledger::from(one.counts))));
        Fleet { at_ms, started_ms: self.started_ms, rows, totals, stored, room: self.room().await }
    }
}
