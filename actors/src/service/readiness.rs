//! Whether the service does its work: what a load balancer or an orchestrator asks.
//!
//! Here: the reasons why not, pure, and asking for what they follow from. Not here: trouble of single orgs, which is no reason to
//! take the service away from the others; no org is named here, as anybody may ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

use super::Service;

/// How long orgs that have not said anything yet count as a start that goes on.
const START_MAX: Duration = Duration::from_mins(2);

/// Why the service is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotReady {
    /// It has just started, and not every org has said what it is at.
    Starting,
    /// It was told to stop, and finishes what is under way.
    Draining,
    /// The store answers no more.
    Store,
    /// The disk of the data directory is so full that nothing is taken in.
    Disk,
    /// The supervisor has failed.
    Supervisor,
    /// A thread stands still, and the orgs on it with it.
    Threads,
}

impl NotReady {
    /// As a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Starting => "The service starts: not every org has said what it is at.",
            Self::Draining => "The service stops: it finishes what is under way and takes nothing new in.",
            Self::Store => "The store answers no more; the service is about to end.",
            Self::Disk => {
                "The disk of the data directory is nearly full, so nothing is taken in until there is room."
            }
            Self::Supervisor => "The supervisor has failed; the service is about to end.",
            Self::Threads => "A thread stands still, and the orgs on it with it.",
        }
    }
}

/// What it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ReadyFacts {
    started: bool,
    draining: bool,
    store_answers: bool,
    disk_has_room: bool,
    supervisor_up: bool,
    threads_up: bool,
}

fn reasons(facts: ReadyFacts) -> Vec<NotReady> {
    let all = [
        (!facts.started, NotReady::Starting),
        (facts.draining, NotReady::Draining),
        (!facts.store_answers, NotReady::Store),
        (!facts.disk_has_room, NotReady::Disk),
        (!facts.supervisor_up, NotReady::Supervisor),
        (!facts.threads_up, NotReady::Threads),
    ];
    all.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason).collect()
}

/// What is remembered between two questions.
#[derive(Clone, Debug, Default)]
pub(super) struct ServicePhase {
    started: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

impl ServicePhase {
    /// From now on it stops.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the start is over: once every org has said what it is at, or after a while. It stays so.
    fn started(&self, orgs_starting: u64, age: Duration) -> bool {
        if orgs_starting == 0 || age >= START_MAX {
            self.started.store(true, Ordering::Relaxed);
        }
        self.started.load(Ordering::Relaxed)
    }
}

impl Service {
    /// Why the service is not ready; nothing if it is.
    pub async fn not_ready(&self) -> Vec<NotReady> {
        let fleet = self.fleet().await;
        let room = self.store.room().await;
        let states = fleet.totals.states;
        reasons(ReadyFacts {
            started: self.phase.started(states.starting + states.stopped, self.clock.monotonic()),
            draining: self.phase.draining.load(Ordering::Relaxed),
            disk_has_room: room.as_ref().map_or(true, |room| {
                room.free_bytes.is_none_or(|free_bytes| free_bytes >= room.free_bytes_min)
            }),
            store_answers: room.is_ok(),
            supervisor_up: self.supervisor.connected(),
            threads_up: self.watchdog.status().iter().all(|thread| thread.note.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: ReadyFacts = ReadyFacts {
        started: true,
        draining: false,
        store_answers: true,
        disk_has_room: true,
        supervisor_up: true,
        threads_up: true,
    };

    #[test]
    fn each_fact_has_its_reason_and_none_hides_another() {
        assert_eq!(reasons(READY), []);
        for (facts, reason) in [
            (ReadyFacts { started: false, ..READY }, NotReady::Starting),
            (ReadyFacts { draining: true, ..READY }, NotReady::Draining),
            (ReadyFacts { store_answers: false, ..READY }, NotReady::Store),
            (ReadyFacts { disk_has_room: false, ..READY }, NotReady::Disk),
            (ReadyFacts { supervisor_up: false, ..READY }, NotReady::Supervisor),
            (ReadyFacts { threads_up: false, ..READY }, NotReady::Threads),
        ] {
            assert_eq!(reasons(facts), [reason]);
        }
        let worse = ReadyFacts { draining: true, disk_has_room: false, ..READY };
        assert_eq!(reasons(worse), [NotReady::Draining, NotReady::Disk]);
    }

    #[test]
    fn a_start_is_over_once_every_org_has_spoken_or_after_a_while_and_does_not_come_back() {
        let phase = ServicePhase::default();
        assert!(!phase.started(1, Duration::from_secs(1)));
        assert!(phase.started(0, Duration::from_secs(2)));
        assert!(phase.started(3, Duration::from_secs(3)), "orgs that a reload has added");
        assert!(ServicePhase::default().started(1, START_MAX));
    }
}
