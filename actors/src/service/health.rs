//! Asks the parts of the service whether it does its work.
//!
//! Here: where each fact comes from. Not here: what follows from them (`readiness`).

use super::{
    Service,
    readiness::{NotReady, ReadyFacts, reasons},
};

impl Service {
    /// Why the service is not ready; nothing if it is.
    pub async fn not_ready(&self) -> Vec<NotReady> {
        let fleet = self.fleet().await;
        let room = self.store.room().await;
        let states = fleet.totals.states;
        reasons(ReadyFacts {
            started: self.phase.started(states.starting + states.stopped, self.clock.monotonic()),
            draining: self.phase.is_draining(),
            disk_has_room: room.as_ref().map_or(true, |room| {
                room.free_bytes.is_none_or(|free_bytes| free_bytes >= room.free_bytes_min)
            }),
            store_answers: room.is_ok(),
            supervisor_up: self.supervisor.connected(),
            threads_up: self.watchdog.status().iter().all(|thread| thread.note.is_empty()),
        })
    }
}
