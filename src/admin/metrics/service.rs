//! Metrics of the whole service.
//!
//! Here: from what the service says of itself to samples. Not here: metrics of single orgs (`orgs`).

use std::{fmt::Result, sync::Arc};

use orgpipe_actors::{
    Alert, AlertKind, BreakerState, Fleet, Ledger, PushNumbers, ReceiverView, State, ThreadStatus,
    measure::{CallEnd, LookupEnd, MeasuresView},
};
use orgpipe_store::{Commits, Read, Reads};

use super::{
    catalogue as metric,
    process::Process,
    writer::{Writer, moment, number, secs},
};
use crate::{
    admin::names,
    traces::outcome::{self, SpanCounts},
};

/// What is told of the whole service.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) ready: bool,
    pub(super) measures: MeasuresView,
    pub(super) breaker: BreakerState,
    pub(super) threads: Vec<ThreadStatus>,
    pub(super) reads: Reads,
    pub(super) commits: Commits,
    pub(super) pushes: PushNumbers,
    pub(super) process: Process,
    pub(super) alerts: Arc<[Alert]>,
    pub(super) receivers: Vec<ReceiverView>,
}

const STATES: [State; 7] = [
    State::Starting,
    State::Running,
    State::Waiting,
    State::Parked,
    State::Draining,
    State::Paused,
    State::Stopped,
];

impl Whole {
    pub(super) fn write(&self, fleet: &Fleet, left_out: usize, to: &mut Writer<'_>) -> Result {
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ];
        to.gauges(&metric::BUILD_INFO, [(build, 1.0)])?;
        to.gauges(&metric::READY, [([], flag(self.ready))])?;
        let of_state = |state| ([("state", names::state(state))], number(fleet.totals.states.of(state)));
        to.gauges(&metric::ORGS, STATES.map(of_state))?;
        to.gauges(&metric::ORGS_LEFT_OUT, [([], number(left_out as u64))])?;
        self.flow(fleet, to)?;
        self.alerts(to)?;
        self.vendor(to)?;
        self.salesforce(to)?;
        self.store(fleet, to)?;
        self.threads(to)?;
        self.process(fleet, to)
    }

    fn flow(&self, fleet: &Fleet, to: &mut Writer<'_>) -> Result {
        let totals = &fleet.totals;
        to.counters(&metric::EVENTS, [([], self.measures.events)])?;
        to.histograms(&metric::EVENT_TO_WRITTEN, [([], &self.measures.lag)])?;
        // Nothing is told rather than less than before, which would look like a restart.
        let stored = fleet.stored.iter();
        to.counters(&metric::RECORDS_IN, stored.clone().map(|stored| ([], stored.records_in)))?;
        let ends = stored.flat_map(|stored| ends(stored).map(|(end, count)| ([("end", end)], count)));
        to.counters(&metric::RECORDS_ENDED, ends)?;
        for (metric, count) in [
            (&metric::RECORDS_OPEN, totals.records.open),
            (&metric::LETTERS_KEPT, totals.dead_letters_kept),
            (&metric::ORGS_WITH_LETTERS, totals.orgs_with_dead_letters),
            (&metric::BUDGET_WAITING, totals.budget_waiting),
            (&metric::QUARANTINED, totals.quarantined),
            (&metric::REFRESHES, totals.refreshes),
            (&metric::GAPS, totals.open_gaps),
            (&metric::PUSHES_KEPT, self.pushes.kept as u64),
            (&metric::PUSHES_WAITING, self.pushes.waiting as u64),
        ] {
            to.gauges(metric, [([], number(count))])?;
        }
        to.gauges(&metric::IMBALANCE, [([], imbalance(&totals.records))])?;
        to.counters(&metric::PUSHES, [([], self.pushes.accepted)])?;
        to.counters(&metric::PUSH_ITEMS, [([], self.pushes.items)])
    }

    fn alerts(&self, to: &mut Writer<'_>) -> Result {
        let standing = |kind| self.alerts.iter().filter(|alert| alert.kind == kind).count();
        let alerts = AlertKind::ALL.map(|kind| ([("kind", kind.name())], number(standing(kind) as u64)));
        to.gauges(&metric::ALERTS, alerts)?;
        let receivers = || self.receivers.iter().map(|one| ([("receiver", one.name.as_str())], one));
        to.gauges(&metric::NOTIFY_FAILING, receivers().map(|(of, one)| (of, flag(one.error.is_some()))))?;
        to.gauges(&metric::NOTIFY_WAITING, receivers().map(|(of, one)| (of, number(one.waiting as u64))))
    }

    fn vendor(&self, to: &mut Writer<'_>) -> Result {
        let lookups = &self.measures.lookups;
        to.histograms(&metric::LOOKUP_DURATION, [([], &lookups.duration)])?;
        to.counters(&metric::LOOKUPS, LookupEnd::ALL.map(|end| ([("result", end.name())], lookups.of(end))))?;
        to.counters(&metric::LOOKUPS_UNUSABLE, [([], lookups.unusable)])?;
        let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
        let state = |state| ([("state", names::breaker(state))], flag(self.breaker == state));
        to.gauges(&metric::BREAKER, states.map(state))
    }

    fn salesforce(&self, to: &mut Writer<'_>) -> Result {
        // A kind that was never asked for is not told, so that no scrape carries hundreds of noughts.
        let asked = || self.measures.calls.iter().filter(|calls| calls.duration.count > 0);
        let duration = asked().map(|calls| ([("kind", calls.kind.name())], &calls.duration));
        to.histograms(&metric::CALL_DURATION, duration)?;
        let ends = asked().flat_map(|calls| {
            let ended = CallEnd::ALL.into_iter().filter(|end| *end == CallEnd::Ok || calls.of(*end) > 0);
            ended.map(|end| ([("kind", calls.kind.name()), ("result", end.name())], calls.of(end)))
        });
        to.counters(&metric::CALLS, ends)
    }

    fn store(&self, fleet: &Fleet, to: &mut Writer<'_>) -> Result {
        to.gauges(&metric::FREE, fleet.room.free_bytes.map(|bytes| ([], number(bytes))))?;
        to.gauges(&metric::FREE_MIN, [([], number(fleet.room.free_bytes_min))])?;
        to.counters(
            &metric::STORE_READS,
            Read::ALL.iter().map(|read| ([("call", read.name())], self.reads.of(*read))),
        )?;
        to.counters(&metric::STORE_ENTRIES, [([], self.reads.entries())])?;
        to.histograms(&metric::COMMIT_DURATION, [([], &self.commits.duration)])?;
        to.histograms(&metric::COMMIT_CALLS, [([], &self.commits.calls)])?;
        let SpanCounts { sent, lost } = outcome::counts();
        to.counters(&metric::TRACE_SPANS, [([("result", "sent")], sent), ([("result", "lost")], lost)])
    }

    fn threads(&self, to: &mut Writer<'_>) -> Result {
        let threads = || self.threads.iter().map(|thread| ([("thread", thread.name.as_str())], thread));
        to.gauges(&metric::THREAD_UP, threads().map(|(labels, one)| (labels, flag(one.note.is_empty()))))?;
        to.counters(&metric::THREAD_STALLS, threads().map(|(labels, one)| (labels, one.stalls)))?;
        let longest = threads().map(|(labels, one)| (labels, secs(one.longest_stall_ms)));
        to.gauges(&metric::THREAD_LONGEST, longest)?;
        let restarts = threads().map(|(labels, one)| (labels, u64::from(one.restarts)));
        to.counters(&metric::THREAD_RESTARTS, restarts)
    }

    fn process(&self, fleet: &Fleet, to: &mut Writer<'_>) -> Result {
        let process = &self.process;
        to.gauges(&metric::PROCESS_START, [([], moment(fleet.started_ms))])?;
        to.counters_of_parts(&metric::PROCESS_CPU, process.cpu_secs.map(|secs| ([], secs)))?;
        for (metric, count) in [
            (&metric::PROCESS_RESIDENT, process.resident_bytes),
            (&metric::PROCESS_VIRTUAL, process.virtual_bytes),
            (&metric::PROCESS_FDS, process.fds),
            (&metric::PROCESS_FDS_MAX, process.fds_max),
            (&metric::PROCESS_THREADS, process.threads),
        ] {
            to.gauges(metric, count.map(|count| ([], number(count))))?;
        }
        Ok(())
    }
}

/// 1 or 0.
pub(super) fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// The ends of a ledger by their words.
pub(super) fn ends(records: &Ledger) -> [(&'static str, u64); 5] {
    [
        ("written", records.written),
        ("unchanged", records.unchanged),
        ("no_data", records.no_data),
        ("superseded", records.superseded),
        ("dead_letter", records.dead_letters),
    ]
}

/// Records in, less those ended and open.
pub(super) fn imbalance(records: &Ledger) -> f64 {
    let found = ends(records).iter().map(|(_, count)| count).sum::<u64>() + records.open;
    number(records.records_in) - number(found)
}
