//! What the service counts while it works: how long things take, how often, and how they end.
//!
//! Here: the instruments of one org and those of all orgs, and the views of them. In `measure/`: requests to Salesforce, and
//! look-ups. Not here: who records (`org/api/client.rs`, `vendor/lookup.rs`, `deliver/commit.rs`, `capture/cometd.rs`), how a
//! metric is called (the program's admin API), numbers of records (the store's ledger).
//!
//! Invariants: recording takes no lock. An org's instruments outlive its settings, so no count goes back before the process ends.

mod lookups;
mod salesforce;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use orgpipe_measure::{Histogram, HistogramView};
pub use orgpipe_salesforce::call::CallKind;

pub(crate) use self::lookups::LookupMeasures;
use self::salesforce::CallMeasures;
pub use self::{
    lookups::{LookupEnd, LookupsView},
    salesforce::{CallEnd, CallsView},
};

/// Seconds from an event's arrival to its record's write: from parts of a second to a day, as a queue may wait for calls of
/// the day.
const LAG_SECS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0,
    86_400.0,
];

/// Counted over all orgs since the service started.
#[derive(Debug)]
pub(crate) struct Measures {
    events: AtomicU64,
    lag: Histogram,
    calls: CallMeasures,
    /// Look-ups in the vendor's API, which belong to no one org.
    pub lookups: LookupMeasures,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            events: AtomicU64::new(0),
            lag: Histogram::new(LAG_SECS),
            calls: CallMeasures::default(),
            lookups: LookupMeasures::default(),
        }
    }
}

impl Measures {
    /// All of it as it is now.
    pub(crate) fn view(&self) -> MeasuresView {
        MeasuresView {
            events: self.events.load(Ordering::Relaxed),
            lag: self.lag.view(),
            calls: self.calls.view(),
            lookups: self.lookups.view(),
        }
    }
}

/// Counted of one org since the service started; what is recorded here counts for all orgs, too.
#[derive(Debug)]
pub(crate) struct OrgMeasures {
    all: Arc<Measures>,
    events: AtomicU64,
    lag: Histogram,
    calls: [AtomicU64; CallKind::ALL.len()],
    calls_failed: AtomicU64,
}

impl OrgMeasures {
    /// Instruments of an org, beside those of all.
    pub(crate) fn new(all: Arc<Measures>) -> Self {
        Self {
            all,
            events: AtomicU64::new(0),
            lag: Histogram::new(LAG_SECS),
            calls: std::array::from_fn(|_| AtomicU64::new(0)),
            calls_failed: AtomicU64::new(0),
        }
    }

    /// So many events were stored.
    pub(crate) fn events(&self, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.all.events.fetch_add(events, Ordering::Relaxed);
    }

    /// Events stored, also under settings that have been replaced.
    pub(crate) fn events_so_far(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// A record was written so long after its event had come.
    pub(crate) fn written(&self, lag: Duration) {
        self.lag.record(lag);
        self.all.lag.record(lag);
    }

    /// A request to Salesforce has ended.
    pub(crate) fn called(&self, kind: CallKind, end: CallEnd, took: Duration) {
        self.calls[kind as usize].fetch_add(1, Ordering::Relaxed);
        if end != CallEnd::Ok {
            self.calls_failed.fetch_add(1, Ordering::Relaxed);
        }
        self.all.calls.called(kind, end, took);
    }

    /// All of it as it is now.
    pub(crate) fn view(&self) -> OrgMeasuresView {
        OrgMeasuresView {
            events: self.events.load(Ordering::Relaxed),
            lag: self.lag.view(),
            calls: self.calls.iter().map(|calls| calls.load(Ordering::Relaxed)).collect(),
            calls_failed: self.calls_failed.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
impl Default for OrgMeasures {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

/// What was counted over all orgs, up to one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuresView {
    /// Events stored.
    pub events: u64,
    /// From the arrival of an event to the write of each record that followed from it, seconds. Only what an event asked for
    /// counts, not what a refresh, a push or a retry did.
    pub lag: HistogramView,
    /// Requests to Salesforce, by kind in the order of [`CallKind::ALL`].
    pub calls: Vec<CallsView>,
    /// Look-ups in the vendor's API.
    pub lookups: LookupsView,
}

/// What was counted of one org, up to one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrgMeasuresView {
    /// Events stored.
    pub events: u64,
    /// As [`MeasuresView::lag`].
    pub lag: HistogramView,
    /// Requests to Salesforce by kind, in the order of [`CallKind::ALL`].
    pub calls: Vec<u64>,
    /// Of these, those that did not end as they should.
    pub calls_failed: u64,
}

impl OrgMeasuresView {
    /// Requests of all kinds together.
    pub fn calls_total(&self) -> u64 {
        self.calls.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_org_records_counts_for_all_orgs_too() {
        let all = Arc::new(Measures::default());
        let orgs = [OrgMeasures::new(Arc::clone(&all)), OrgMeasures::new(Arc::clone(&all))];
        for org in &orgs {
            org.events(2);
            org.written(Duration::from_millis(300));
            org.called(CallKind::Query, CallEnd::Ok, Duration::from_millis(40));
        }
        orgs[0].called(CallKind::Query, CallEnd::Limited, Duration::from_millis(50));
        let (one, view) = (orgs[0].view(), all.view());
        assert_eq!((one.events, one.lag.count, one.calls_total(), one.calls_failed), (2, 1, 2, 1));
        assert_eq!((view.events, view.lag.count), (4, 2));
        let queries = &view.calls[CallKind::Query as usize];
        assert_eq!(
            (queries.of(CallEnd::Ok), queries.of(CallEnd::Limited), queries.duration.count),
            (2, 1, 3)
        );
        assert_eq!(view.calls[CallKind::Upsert as usize].duration.count, 0);
    }
}
