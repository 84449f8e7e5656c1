//! How long requests wait, and which of the queue are the next batch. Pure.
//!
//! A batch costs the same two queries and one write for one record as for a hundred. So the first event after a quiet
//! time goes at once, and while events keep coming a batch starts no sooner than `limits.linger_millis` after the one
//! before: batches grow with the rate. That wait grows as our share of the org's calls is used up.
//!
//! What cannot be decided now waits by itself: requests of another sync or origin go on meanwhile.

use std::{collections::BTreeMap, time::Duration};

use orgpipe_reconcile::lookup::RECORDS_MAX;
use orgpipe_store::Request;

use super::waiting::{Label, Waiting};
use crate::{queue_entry::Origin, retry::Delays};

/// First and longest wait of requests that could not be decided.
const HALTS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));

/// How it went with the batches so far. Times are since the start of the service.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    /// When the last batch of requests that come one by one began, of each sync.
    began: BTreeMap<String, Duration>,
    /// What could not be decided.
    halted: BTreeMap<Label, Halted>,
}

/// Requests that could not be decided.
#[derive(Debug)]
struct Halted {
    /// Until when they wait.
    until: Duration,
    delays: Delays,
    /// How often in a row.
    tries: u32,
}

impl Scheduler {
    /// A batch begins.
    pub(super) fn began(&mut self, label: &Label, now: Duration) {
        if lingers(label) {
            self.began.insert(label.sync.clone(), now);
        }
    }

    /// The batch is decided.
    pub(super) fn decided(&mut self, label: &Label) {
        self.halted.remove(label);
    }

    /// The batch could not be decided; `until` makes of the wait that is due now the one that is taken. Gives it back.
    pub(super) fn halted(
        &mut self,
        label: &Label,
        now: Duration,
        jitter: f64,
        until: impl FnOnce(Duration) -> Duration,
    ) -> Duration {
        let first = || Halted { until: Duration::ZERO, delays: Delays::new(HALTS.0, HALTS.1), tries: 0 };
        let halted = self.halted.entry(label.clone()).or_insert_with(first);
        let wait = until(halted.delays.next(jitter));
        halted.until = now + wait;
        halted.tries = halted.tries.saturating_add(1);
        wait
    }

    /// How often in a row batches of this label could not be decided.
    pub(super) fn tries(&self, label: &Label) -> u32 {
        self.halted.get(label).map_or(0, |halted| halted.tries)
    }

    /// There are no requests any more.
    pub(super) fn clear(&mut self) {
        self.halted.clear();
    }

    /// Nothing waits because it could not be decided.
    pub(super) fn is_clear(&self) -> bool {
        self.halted.is_empty()
    }

    /// How much longer so many requests wait: to be tried again, or for more of their kind if they are live.
    pub(super) fn wait(&self, label: &Label, records: usize, linger: Duration, now: Duration) -> Duration {
        let again = self.halted.get(label).map(|halted| halted.until);
        let lingers = lingers(label) && records < RECORDS_MAX;
        let full = self.began.get(&label.sync).filter(|_| lingers).map(|began| *began + linger);
        again.max(full).map_or(Duration::ZERO, |until| until.saturating_sub(now))
    }
}

/// Whether requests of a label wait for more of their kind: those that come one by one.
fn lingers(label: &Label) -> bool {
    matches!(label.origin, Origin::Live | Origin::Push)
}

/// The next batch: the requests of the first label that need not wait, in order; `wait` tells how long so many records of
/// a label do, and `records_max` how many make a batch at most. `Err`: all wait, so long.
///
/// Unreadable requests come along, so that they leave the queue; the label is `None` if there is nothing else.
pub(super) fn choose<'a>(
    head: &[&'a Waiting],
    records_max: impl Fn(&Label) -> usize,
    wait: impl Fn(&Label, usize) -> Duration,
) -> Result<(Option<Label>, Vec<&'a Request>), Duration> {
    let mut groups: Vec<(&Label, usize)> = Vec::new();
    let mut unreadable = false;
    for waiting in head {
        let Some(label) = &waiting.label else {
            unreadable = true;
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, records)) => *records += waiting.request.records as usize,
            None => groups.push((label, waiting.request.records as usize)),
        }
    }
    // Of those that need not wait the first in the queue.
    let waits = groups.iter().map(|(label, records)| (wait(label, *records), *label));
    let chosen = match waits.min_by_key(|(wait, _)| *wait) {
        Some((wait, _)) if !wait.is_zero() && !unreadable => return Err(wait),
        Some((wait, label)) if wait.is_zero() => Some(label),
        Some(_) | None => None,
    };
    let records_max = chosen.map_or(0, records_max);
    let (mut records, mut batch) = (0, Vec::new());
    for Waiting { label, request, .. } in head.iter().copied() {
        if label.is_none() {
            batch.push(request);
        } else if label.as_ref() == chosen {
            // The first goes whatever its size; none goes before an earlier one that does not fit.
            let fits = records == 0 || records + request.records as usize <= records_max;
            records = if fits { records + request.records as usize } else { records_max };
            if fits {
                batch.push(request);
            }
        }
    }
    Ok((chosen.cloned(), batch))
}

#[cfg(test)]
mod tests {
    use orgpipe_store::{Lane, Seq, UnixMs};

    use super::*;
    use crate::queue_entry::{RequestEntry, pack};

    fn request(seq: u64, sync: &str, origin: Origin, records: u32) -> Request {
        let entry = RequestEntry {
            v: 1,
            sync: sync.into(),
            origin,
            ids: vec!["001".into()],
            rows: None,
            pushed: Vec::new(),
            event_id: String::new(),
            correlation_id: None,
            received_ms: UnixMs(seq),
        };
        let lane = if origin == Origin::Live { Lane::Live } else { Lane::Refresh };
        Request { seq: Seq(seq), lane, records, body: pack(&entry) }
    }

    fn waiting(requests: impl IntoIterator<Item = Request>) -> Vec<Waiting> {
        requests.into_iter().map(Waiting::of).collect()
    }

    fn label(sync: &str, origin: Origin) -> Label {
        Label { sync: sync.into(), origin }
    }

    /// Live requests wait for so many milliseconds, by sync, unless there are a hundred.
    fn chosen(head: &[(&str, Origin, u32)], waits: &[(&str, u64)]) -> Result<Vec<u64>, u64> {
        let head = (1..).zip(head).map(|(seq, (sync, origin, n))| request(seq, sync, *origin, *n));
        let head = waiting(head);
        let wait = |label: &Label, records: usize| {
            let lingers = label.origin == Origin::Live && records < 100;
            let wait = waits.iter().find(|(name, _)| *name == label.sync).filter(|_| lingers);
            Duration::from_millis(wait.map_or(0, |(_, wait)| *wait))
        };
        choose(&head.iter().collect::<Vec<_>>(), |_| 100, wait)
            .map(|(_, batch)| batch.iter().map(|request| request.seq.0).collect())
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
        let broken = Request { seq: Seq(2), lane: Lane::Live, records: 1, body: b"{".to_vec() };
        let head = waiting([request(1, "a", Origin::Live, 1), broken]);
        let (label, batch) = choose(&head.iter().collect::<Vec<_>>(), |_| 100, |_, _| Duration::from_secs(1))
            .expect("the broken one");
        assert_eq!(label, None);
        assert_eq!(batch.iter().map(|request| request.seq).collect::<Vec<_>>(), [Seq(2)]);
    }

    #[test]
    fn the_first_goes_at_once_and_the_next_a_linger_later_unless_it_is_full() {
        let mut scheduler = Scheduler::default();
        let (linger, secs, millis) = (Duration::from_secs(1), Duration::from_secs, Duration::from_millis);
        let (live, refresh) = (label("a", Origin::Live), label("a", Origin::Refresh));
        assert_eq!(scheduler.wait(&live, 1, linger, secs(5)), Duration::ZERO);
        scheduler.began(&live, secs(5));
        scheduler.began(&label("b", Origin::Refresh), secs(5));
        for (label, records, now, wait) in [
            (&live, 1, millis(5_300), millis(700)),
            (&live, 100, millis(5_300), Duration::ZERO),
            (&live, 1, secs(60), Duration::ZERO),
            (&refresh, 1, secs(5), Duration::ZERO),
            (&label("b", Origin::Live), 1, secs(5), Duration::ZERO),
        ] {
            assert_eq!(scheduler.wait(label, records, linger, now), wait, "{label:?} {records} {now:?}");
        }
    }

    #[test]
    fn what_could_not_be_decided_waits_longer_each_time_and_alone() {
        let mut scheduler = Scheduler::default();
        let (linger, secs) = (Duration::from_secs(1), Duration::from_secs);
        let (live, refresh) = (label("a", Origin::Live), label("a", Origin::Refresh));
        for (now, wait) in [(0, 500), (10, 1_000), (20, 2_000)] {
            assert_eq!(scheduler.halted(&live, secs(now), 1.0, |wait| wait).as_millis(), wait);
        }
        assert_eq!(scheduler.wait(&live, 500, linger, secs(21)), secs(1), "full or not");
        assert_eq!(scheduler.wait(&refresh, 1, linger, secs(21)), Duration::ZERO);
        assert_eq!(scheduler.halted(&refresh, secs(21), 1.0, |_| secs(9)), secs(9), "a wish counts");
        scheduler.decided(&live);
        assert_eq!(scheduler.wait(&live, 1, linger, secs(21)), Duration::ZERO);
        assert!(!scheduler.is_clear());
        scheduler.decided(&refresh);
        assert!(scheduler.is_clear());
    }
}
