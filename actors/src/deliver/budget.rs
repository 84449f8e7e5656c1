//! The customer's API calls: how many of a day may be ours.
//!
//! Here: the decision, pure. Not here: waiting (`gate`).
//!
//! Two rules. *Share*: our own calls of the last 24 hours stay below `daily_share` of the org's allowance. *Reserve*:
//! of the allowance, `reserve` stays free for the customer, whoever used the rest; below it a refresh stops, below half
//! of it live work, too. Work resumes only [`HYSTERESIS`] above the line, so that it does not flutter.

use std::{collections::VecDeque, time::Duration};

use crate::settings::Limits;
use orgpipe_salesforce::limits::ApiUsage;
use orgpipe_store::Lane;

/// Share of the allowance that must come free above the reserve before paused work resumes.
const HYSTERESIS: f64 = 0.02;
/// Salesforce counts a rolling day (REST API Developer Guide, "API Request Limits").
const DAY: Duration = Duration::from_hours(24);
/// Our calls are counted by the hour.
const HOUR: Duration = Duration::from_hours(1);
/// How often paused work looks again: others may have stopped using calls.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Admission {
    /// It may, and is counted.
    Go,
    /// Ask again after this long.
    Wait(Duration),
}

/// What is known of one org's calls.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    usage: Option<ApiUsage>,
    /// When each hour with calls of ours began, and how many; oldest first.
    ours: VecDeque<(Duration, u64)>,
    /// Paused work looks again then, with one call (time since start).
    live_paused: Option<Duration>,
    refresh_paused: Option<Duration>,
}

impl Budget {
    /// Nothing is known yet: the first calls find out.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, usage: None, ours: VecDeque::new(), live_paused: None, refresh_paused: None }
    }

    /// The part of our share of the day's calls that is gone; 0 as long as the org's allowance is not known.
    #[expect(clippy::cast_precision_loss, reason = "call counts stay far below 2^52")]
    pub(super) fn spent(&self) -> f64 {
        let ours: u64 = self.ours.iter().map(|(_, calls)| calls).sum();
        self.usage
            .filter(|usage| usage.max > 0)
            .map_or(0.0, |usage| ours as f64 / (self.limits.daily_share * usage.max as f64))
    }

    /// What Salesforce told with an answer. Answers of parallel calls may come out of order; the next one corrects.
    pub(super) fn learn(&mut self, usage: ApiUsage) {
        self.usage = Some(usage);
    }

    /// Salesforce refused a call because the day's are used up.
    pub(super) fn exhausted(&mut self) {
        let max = self.usage.map_or(1, |usage| usage.max);
        self.usage = Some(ApiUsage { used: max, max });
    }

    /// May a call that costs `cost` API calls go at `now` (time since start)?
    #[expect(clippy::cast_precision_loss, reason = "call counts stay far below 2^52")]
    pub(super) fn admit(&mut self, lane: Lane, cost: u32, now: Duration) -> Admission {
        while self.ours.front().is_some_and(|(start, _)| *start + DAY + HOUR <= now) {
            self.ours.pop_front();
        }
        if cost == 0 {
            return Admission::Go;
        }
        if let Some(usage) = self.usage.filter(|usage| usage.max > 0) {
            let ours: u64 = self.ours.iter().map(|(_, calls)| calls).sum();
            if (ours + u64::from(cost)) as f64 > self.limits.daily_share * usage.max as f64 {
                let oldest = self.ours.front().map_or(now, |(start, _)| *start);
                return Admission::Wait((oldest + DAY + HOUR).saturating_sub(now).max(LOOK_AGAIN));
            }
            let free = 1.0 - usage.share();
            let (floor, paused) = match lane {
                Lane::Live => (self.limits.reserve / 2.0, &mut self.live_paused),
                Lane::Refresh => (self.limits.reserve, &mut self.refresh_paused),
            };
            let floor = if paused.is_some() { floor + HYSTERESIS } else { floor };
            if free < floor {
                let look = *paused.get_or_insert(now + LOOK_AGAIN);
                if now < look {
                    return Admission::Wait(look.saturating_sub(now));
                }
                // One call is spent on looking again: its answer tells the usage.
                *paused = Some(now + LOOK_AGAIN);
            } else {
                *paused = None;
            }
        }
        match self.ours.back_mut() {
            Some((start, calls)) if now < *start + HOUR => *calls += u64::from(cost),
            _ => self.ours.push_back((now, u64::from(cost))),
        }
        Admission::Go
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_reconcile::route::Strategy;

    use super::*;

    fn budget(daily_share: f64, reserve: f64) -> Budget {
        let limits = Limits {
            daily_share,
            reserve,
            requests_per_second: 10,
            concurrent_max: 5,
            bulk_from: 10,
            strategy: Strategy::Count,
        };
        Budget::new(limits)
    }

    #[test]
    fn our_share_of_the_day_ends_and_comes_back_a_day_later() {
        let mut budget = budget(0.25, 0.0);
        budget.learn(ApiUsage { used: 0, max: 100 });
        let start = Duration::from_secs(10);
        for _ in 0..25 {
            assert_eq!(budget.admit(Lane::Live, 1, start), Admission::Go);
        }
        let Admission::Wait(wait) = budget.admit(Lane::Live, 1, start) else {
            panic!("26 of 100 are too many")
        };
        assert_eq!(wait, DAY + HOUR);
        assert_eq!(budget.admit(Lane::Live, 0, start), Admission::Go, "what costs nothing goes");
        assert_eq!(budget.admit(Lane::Live, 1, start + wait), Admission::Go);
    }

    #[test]
    fn the_reserve_stops_a_refresh_first_and_live_at_half() {
        let cases = [
            (70, Admission::Go, Admission::Go),
            (85, Admission::Go, Admission::Wait(LOOK_AGAIN)),
            (91, Admission::Wait(LOOK_AGAIN), Admission::Wait(LOOK_AGAIN)),
            (150, Admission::Wait(LOOK_AGAIN), Admission::Wait(LOOK_AGAIN)),
        ];
        for (used, live, refresh) in cases {
            for (lane, expected) in [(Lane::Live, live), (Lane::Refresh, refresh)] {
                let mut budget = budget(1.0, 0.2);
                budget.learn(ApiUsage { used, max: 100 });
                assert_eq!(budget.admit(lane, 1, Duration::ZERO), expected, "{used} used, {lane:?}");
            }
        }
    }

    #[test]
    fn paused_work_resumes_only_above_the_line() {
        let mut budget = budget(1.0, 0.2);
        let mut ask = |used| {
            budget.learn(ApiUsage { used, max: 100 });
            budget.admit(Lane::Refresh, 1, Duration::ZERO)
        };
        assert_eq!(ask(81), Admission::Wait(LOOK_AGAIN));
        assert_eq!(ask(79), Admission::Wait(LOOK_AGAIN), "21 % free is not 22 %");
        assert_eq!(ask(77), Admission::Go);
        assert_eq!(ask(79), Admission::Go, "now the lower line counts again");
    }

    #[test]
    fn paused_work_looks_again_with_one_call() {
        let mut budget = budget(1.0, 0.2);
        budget.learn(ApiUsage { used: 100, max: 100 });
        let mut at = |secs| budget.admit(Lane::Live, 1, Duration::from_secs(secs));
        assert_eq!(at(0), Admission::Wait(LOOK_AGAIN));
        assert_eq!(at(100), Admission::Wait(Duration::from_secs(200)));
        assert_eq!(at(300), Admission::Go);
        assert_eq!(at(301), Admission::Wait(Duration::from_secs(299)));
    }
}
