//! Whether the service does its work: what a load balancer or an orchestrator asks.
//!
//! Here: the reasons why not, pure. Not here: asking for what they follow from (`health`), trouble of single orgs, which is no reason to
//! take the service away from the others; no org is named here, as anybody may ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use utoipa::ToSchema;

/// How long orgs that have not said anything yet count as a start that goes on.
const START_MAX: Duration = Duration::from_mins(2);

/// Why the service is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct ReadyFacts {
    pub(super) started: bool,
    pub(super) draining: bool,
    pub(super) store_answers: bool,
    pub(super) disk_has_room: bool,
    pub(super) supervisor_up: bool,
    pub(super) threads_up: bool,
}

/// Why it is not ready, all of it.
pub(super) fn reasons(facts: ReadyFacts) -> Vec<NotReady> {
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

    /// Whether it stops.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether the start is over: once every org has said what it is at, or after a while. It stays so.
    pub(super) fn started(&self, orgs_starting: u64, age: Duration) -> bool {
        if orgs_starting == 0 || age >= START_MAX {
            self.started.store(true, Ordering::Relaxed);
        }
        self.started.load(Ordering::Relaxed)
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
