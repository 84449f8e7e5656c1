//! What time it is in an org, by the clock of Salesforce that stamps its records and events.
//!
//! Here: the last reading of that clock, and what follows from it for windows of time. Not here: who reads it (`api`), which
//! records a window has (`capture/pages.rs`), the same question for the doctor (`doctor/probe.rs`).
//!
//! Invariant: a reading is carried on by the time since the start, so it holds whatever this machine's clock is set to.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use orgpipe_store::UnixMs;

use crate::{
    clock::{self, Clock, moment},
    problem::Problem,
};

/// A call that took longer says too little about the moment at which it was answered.
const TOOK_MAX: Duration = Duration::from_secs(10);
/// A difference that is told. Less is usual, and a login by JWT bears three minutes.
const SKEW_MAX: Duration = Duration::from_mins(1);

/// The clock of one org, as far as its answers have told.
#[derive(Debug)]
pub(crate) struct OrgTime {
    clock: Clock,
    last: Mutex<Option<ClockReading>>,
}

/// The org's clock was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClockReading {
    /// When, since the start.
    at: Duration,
    /// What it showed.
    org_ms: UnixMs,
}

impl OrgTime {
    /// An org that has not answered yet; until it does, its clock counts as ours.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, last: Mutex::default() }
    }

    /// What time it is in the org.
    pub(crate) fn now_ms(&self) -> UnixMs {
        shown_ms(self.last(), self.clock.monotonic()).unwrap_or_else(|| self.clock.now_ms())
    }

    /// The same in seconds.
    pub(crate) fn now_secs(&self) -> i64 {
        clock::secs(self.now_ms())
    }

    /// An answer to what was asked at `asked` (since the start) had this header `Date`.
    pub(crate) fn told(&self, date: Option<&str>, asked: Duration) {
        let answered = self.clock.monotonic();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = newer(*last, date, asked, answered) {
            *last = Some(reading);
        }
    }

    /// That the two clocks differ, if they do by more than a minute.
    pub(crate) fn skew(&self) -> Option<Problem> {
        let org_ms = shown_ms(self.last(), self.clock.monotonic())?;
        skew(self.clock.now_ms(), org_ms)
    }

    fn last(&self) -> Option<ClockReading> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a header `Date` says: it is cut to seconds, so half of one is added.
pub(crate) fn date_ms(date: Option<&str>) -> Option<UnixMs> {
    let date = chrono::DateTime::parse_from_rfc2822(date?).ok()?;
    moment(&(date + Duration::from_millis(500)))
}

/// From when on changes have to be read that were not heard of since `since_ms`. None: all, as nobody knows when that was if
/// it lies in the future: it was stored while a clock was wrong.
pub(crate) fn window_start(since_ms: Option<UnixMs>, org_now_ms: UnixMs) -> Option<UnixMs> {
    since_ms.filter(|since_ms| *since_ms <= org_now_ms.saturating_add(SKEW_MAX))
}

/// The reading that an answer makes, if it is better than the last one.
fn newer(
    last: Option<ClockReading>,
    date: Option<&str>,
    asked: Duration,
    answered: Duration,
) -> Option<ClockReading> {
    let org_ms = date_ms(date)?;
    let took = answered.saturating_sub(asked);
    (took <= TOOK_MAX || last.is_none()).then(|| ClockReading { at: asked + took / 2, org_ms })
}

fn shown_ms(last: Option<ClockReading>, now: Duration) -> Option<UnixMs> {
    let ClockReading { at, org_ms } = last?;
    Some(org_ms.saturating_add(now.saturating_sub(at)))
}

fn skew(now_ms: UnixMs, org_ms: UnixMs) -> Option<Problem> {
    let apart = now_ms.apart(org_ms);
    let way = if now_ms > org_ms { "ahead of" } else { "behind" };
    let reason = format!("this machine's clock is {} s {way} Salesforce's", apart.as_secs());
    let hint = "Let this machine set its clock by the network (NTP). Until then what has changed is read by Salesforce's \
                clock; schedules and logs follow this machine's.";
    (apart > SKEW_MAX).then(|| Problem::new(reason, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Option<&str> = Some("Wed, 25 Nov 2026 13:46:13 GMT");
    const DATE_MS: UnixMs = UnixMs(1_795_614_373_500);

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_reading_goes_on_by_itself_and_a_slow_answer_does_not_replace_it() {
        let first = newer(None, DATE, secs(10), secs(40)).expect("a slow one is better than none");
        assert_eq!(first, ClockReading { at: secs(25), org_ms: DATE_MS });
        assert_eq!(newer(Some(first), DATE, secs(50), secs(61)), None);
        let quick = newer(Some(first), DATE, secs(60), secs(62)).expect("a quick one");
        assert_eq!(shown_ms(Some(quick), secs(3_661)), Some(DATE_MS.saturating_add(secs(3_600))));
        assert_eq!(shown_ms(None, secs(1)), None);
        for date in [None, Some("soon"), Some("Wed, 25 Nov 1926 13:46:13 GMT")] {
            assert_eq!(newer(None, date, secs(0), secs(0)), None, "{date:?}");
        }
    }

    #[test]
    fn a_time_that_is_still_to_come_begins_no_window() {
        let start = |since: Option<u64>| window_start(since.map(UnixMs), UnixMs(1_000));
        assert_eq!(start(Some(5)), Some(UnixMs(5)));
        assert_eq!(start(Some(61_000)), Some(UnixMs(61_000)), "clocks differ by seconds");
        assert_eq!(start(Some(61_001)), None);
        assert_eq!(start(None), None);
    }

    #[test]
    fn a_skew_of_more_than_a_minute_is_told_with_its_direction() {
        assert_eq!(skew(DATE_MS, DATE_MS.saturating_add(secs(60))), None);
        let ahead = skew(DATE_MS.saturating_add(secs(7_200)), DATE_MS).expect("two hours");
        assert!(ahead.reason.contains("7200 s ahead of") && ahead.hint.is_some(), "{ahead}");
        let behind = skew(DATE_MS, DATE_MS.saturating_add(secs(61))).expect("a minute and more");
        assert!(behind.reason.contains("61 s behind"), "{behind}");
    }
}
