//! How long live requests wait for each other, and which requests of the queue are the next batch. Pure.
//!
//! A batch costs the same two queries and one write for one record as for a hundred. So the first event after a quiet
//! time goes at once, and while events keep coming a batch starts no sooner than a *stretch* after the one before:
//! batches grow with the rate. The stretch grows as our share of the org's calls is used up.

use std::{collections::BTreeMap, time::Duration};

use orgpipe_reconcile::{lookup::RECORDS_MAX, route::Strategy};
use orgpipe_store::Request;
use serde::Deserialize;

use crate::{
    deliver::budget::patience,
    parcel::{Origin, unpack},
};

/// Between two batches that end in Bulk jobs, eight calls each.
const STRETCH_COUNT: Duration = Duration::from_secs(1);
/// Between two batches that end in one sObject Collections call each.
const STRETCH_COST: Duration = Duration::from_millis(500);

/// When the last batch of each sync began (time since start).
#[derive(Debug, Default)]
pub(super) struct Pace(BTreeMap<String, Duration>);

impl Pace {
    /// A batch of live requests of this sync begins.
    pub(super) fn began(&mut self, sync: &str, now: Duration) {
        self.0.insert(sync.to_owned(), now);
    }

    /// How much longer live requests of this sync wait for more, as long as a batch is not full.
    pub(super) fn wait(&self, sync: &str, stretch: Duration, now: Duration) -> Duration {
        self.0.get(sync).map_or(Duration::ZERO, |began| (*began + stretch).saturating_sub(now))
    }
}

/// Least time from batch to batch; `used` is the part of our share of the day's calls that is gone, 0 to 1.
pub(super) fn stretch(strategy: Strategy, used: f64) -> Duration {
    let base = match strategy {
        Strategy::Count => STRETCH_COUNT,
        Strategy::Cost => STRETCH_COST,
    };
    base.mul_f64(patience(used))
}

/// What a request belongs to, without its records.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Label {
    sync: String,
    origin: Origin,
}

/// The requests of the first sync and origin that need not wait, in order; `wait` tells how long live ones of a sync
/// wait for more. `Err`: all do, so long.
///
/// Unreadable requests come along, so that they leave the queue.
pub(super) fn choose(head: Vec<Request>, wait: impl Fn(&str) -> Duration) -> Result<Vec<Request>, Duration> {
    let head: Vec<(Option<Label>, Request)> =
        head.into_iter().map(|request| (unpack::<Label>(&request.body).ok(), request)).collect();
    let mut groups: Vec<(&Label, usize)> = Vec::new();
    for (label, request) in &head {
        let Some(label) = label else { continue };
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, records)) => *records += request.records as usize,
            None => groups.push((label, request.records as usize)),
        }
    }
    let waits = |(label, records): &(&Label, usize)| match label.origin {
        Origin::Live if *records < RECORDS_MAX => wait(&label.sync),
        Origin::Live | Origin::Refresh | Origin::Heal | Origin::Retry | Origin::Orphan => Duration::ZERO,
    };
    // Of those that need not wait the first in the queue.
    let next = groups.iter().map(|group| (waits(group), group.0)).min_by_key(|(wait, _)| *wait);
    let chosen = match next {
        Some((wait, _)) if !wait.is_zero() && head.iter().all(|(label, _)| label.is_some()) => {
            return Err(wait);
        }
        Some((wait, label)) if wait.is_zero() => Some(label),
        Some(_) | None => None,
    };
    let mut records = 0;
    let taken: Vec<bool> = head
        .iter()
        .map(|(label, request)| {
            let Some(label) = label else { return true };
            // The first goes whatever its size; none goes before an earlier one that does not fit.
            let fits = records == 0 || records + request.records as usize <= RECORDS_MAX;
            let taken = Some(label) == chosen && fits;
            if Some(label) == chosen {
                records = if fits { records + request.records as usize } else { RECORDS_MAX };
            }
            taken
        })
        .collect();
    let batch = head.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|((_, request), _)| request);
    Ok(batch.collect())
}

#[cfg(test)]
mod tests {
    use orgpipe_store::Lane;

    use super::*;
    use crate::parcel::{RequestParcel, pack};

    fn request(seq: u64, sync: &str, origin: Origin, records: u32) -> Request {
        let parcel = RequestParcel {
            v: 1,
            sync: sync.into(),
            origin,
            ids: vec!["001".into()],
            rows: None,
            event_id: String::new(),
            correlation_id: None,
            received_ms: seq,
        };
        let lane = if origin == Origin::Live { Lane::Live } else { Lane::Refresh };
        Request { seq, lane, records, body: pack(&parcel) }
    }

    fn chosen(head: &[(&str, Origin, u32)], waits: &[(&str, u64)]) -> Result<Vec<u64>, u64> {
        let head = (1..).zip(head).map(|(seq, (sync, origin, n))| request(seq, sync, *origin, *n)).collect();
        let wait = |sync: &str| {
            let wait = waits.iter().find(|(name, _)| *name == sync).map_or(0, |(_, wait)| *wait);
            Duration::from_millis(wait)
        };
        choose(head, wait)
            .map(|batch| batch.iter().map(|request| request.seq).collect())
            .map_err(|wait| u64::try_from(wait.as_millis()).expect("short"))
    }

    #[test]
    fn what_waits_leaves_the_way_to_what_need_not() {
        type Case<'a> = (&'a [(&'a str, Origin, u32)], &'a [(&'a str, u64)], Result<&'a [u64], u64>);
        use Origin::{Heal, Live, Refresh};
        let cases: [Case<'_>; 8] = [
            (&[("a", Live, 1), ("b", Live, 1), ("a", Live, 1)], &[], Ok(&[1, 3])),
            (&[("a", Live, 1), ("b", Live, 1), ("a", Live, 1)], &[("a", 9)], Ok(&[2])),
            (&[("a", Live, 1), ("b", Live, 1)], &[("a", 9), ("b", 5)], Err(5)),
            (&[("a", Live, 1), ("a", Refresh, 60), ("a", Refresh, 60)], &[("a", 9)], Ok(&[2])),
            (&[("a", Live, 1), ("a", Heal, 60), ("a", Heal, 40)], &[("a", 9)], Ok(&[2, 3])),
            (&[("a", Live, 60), ("a", Live, 60), ("a", Live, 1)], &[("a", 9)], Ok(&[1])),
            (&[("a", Live, 150), ("a", Live, 1)], &[("a", 9)], Ok(&[1])),
            (&[], &[], Ok(&[])),
        ];
        for (head, waits, expected) in cases {
            assert_eq!(chosen(head, waits), expected.map(<[u64]>::to_vec), "{head:?} {waits:?}");
        }
    }

    #[test]
    fn what_nobody_can_read_goes_at_once() {
        let broken = Request { seq: 2, lane: Lane::Live, records: 1, body: b"{".to_vec() };
        let head = vec![request(1, "a", Origin::Live, 1), broken];
        let batch = choose(head, |_| Duration::from_secs(1)).expect("the broken one");
        assert_eq!(batch.iter().map(|request| request.seq).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn the_stretch_grows_as_the_share_is_used_up() {
        let cases = [(0.0, 1_000), (0.5, 1_000), (0.75, 5_500), (1.0, 10_000), (7.0, 10_000)];
        for (used, millis) in cases {
            assert_eq!(stretch(Strategy::Count, used).as_millis(), millis, "{used}");
            assert_eq!(stretch(Strategy::Cost, used).as_millis(), millis / 2, "{used}");
        }
    }

    #[test]
    fn the_first_goes_at_once_and_the_next_a_stretch_later() {
        let mut pace = Pace::default();
        let (stretch, secs) = (Duration::from_secs(1), Duration::from_secs);
        assert_eq!(pace.wait("a", stretch, secs(5)), Duration::ZERO);
        pace.began("a", secs(5));
        assert_eq!(pace.wait("a", stretch, Duration::from_millis(5_300)), Duration::from_millis(700));
        assert_eq!(pace.wait("b", stretch, secs(5)), Duration::ZERO);
        assert_eq!(pace.wait("a", stretch, secs(60)), Duration::ZERO);
    }
}
