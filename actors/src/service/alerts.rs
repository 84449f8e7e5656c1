//! Watching for what is wrong: every second, for as long as the service runs.
//!
//! Here: gathering what is known, the task that does it, and starting it afresh after a panic. Not here: what follows from it
//! (`alerts`).

use std::{sync::Arc, time::Duration};

use orgpipe_store::StoreError;

use super::{Service, ledger::RoomView};
use crate::alerts::{Alert, DiskFacts, FailingReceiver, ProcessFacts, Tracker};

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(1);
/// How long a task that has panicked waits before it is started afresh.
const AFTER_PANIC: Duration = Duration::from_secs(5);

impl Service {
    /// What is wrong now, worst first. It is looked at every second, and what holds for some seconds only is not among it.
    pub fn alerts(&self) -> Arc<[Alert]> {
        self.alerts.standing()
    }

    /// What was wrong at the last look, at most a second ago and worst first: that which is an alert, and that which has not
    /// held for long enough to be one, which is a warning at most.
    pub fn wrong_now(&self) -> Arc<[Alert]> {
        self.alerts.wrong_now()
    }

    /// Looks until the service stops. A panic ends the watching for some seconds, and nothing else.
    pub(super) async fn watch_alerts(self) {
        loop {
            match actix_rt::spawn(self.clone().watch()).await {
                Err(error) if error.is_panic() => {
                    tracing::error!("what watches for alerts has panicked; it is started afresh");
                    actix_rt::time::sleep(AFTER_PANIC).await;
                }
                _ => return,
            }
        }
    }

    async fn watch(self) {
        let mut tracker = Tracker::default();
        if let Err(error) = self.load_receivers(&mut tracker).await {
            tracing::debug!("alerts are not looked for: {error}");
            return;
        }
        loop {
            actix_rt::time::sleep(LOOK).await;
            if self.alerts.is_closed() {
                return;
            }
            if let Err(error) = self.look_for_alerts(&mut tracker).await {
                // The store is gone or closed, and with it the service.
                tracing::debug!("alerts are not looked for any more: {error}");
                return;
            }
        }
    }

    async fn look_for_alerts(&self, tracker: &mut Tracker) -> Result<(), StoreError> {
        let letters = self.store.ledgers().await?.into_iter();
        let letters = letters.map(|(org, kept)| (org, kept.dead_letters)).collect();
        let (process, orgs) = (self.process_facts().await, self.orgs.all());
        if self.alerts.is_closed() {
            return Ok(());
        }
        let look = self.alerts.look(tracker, &orgs, &letters, &process, self.clock.monotonic());
        self.tell(&look, &self.alerts.settings()).await
    }

    fn failing_receivers(&self) -> Vec<FailingReceiver> {
        let (receivers, patience) = (self.alerts.receivers(), self.alerts.settings().waiting);
        receivers.iter().filter_map(|one| one.failing(patience, self.clock.now_ms())).collect()
    }

    async fn process_facts(&self) -> ProcessFacts {
        let RoomView { free_bytes, free_bytes_min, warning } = self.room().await;
        let is_full = free_bytes.is_some_and(|free| free < free_bytes_min);
        ProcessFacts {
            lookup: self.lookup_stand().await,
            disk: DiskFacts { is_known: free_bytes.is_some(), is_full, warning },
            threads: self.threads(),
            receivers: self.failing_receivers(),
            up: self.clock.monotonic(),
            now_ms: self.clock.now_ms(),
        }
    }
}
