//! The budget under a table of cases, and under any load, use by others, loss of answers and crashes.

use std::{collections::VecDeque, time::Duration};

use orgpipe_reconcile::route::Strategy;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{org::step_error::QuotaWait, priority::Priority};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = DAY_HOURS * HOUR_MS;

fn limits(daily_share: f64, reserve: f64) -> Limits {
    Limits {
        daily_share,
        reserve,
        requests_per_second: 10,
        concurrent_max: 5,
        bulk_from: 10,
        strategy: Strategy::Count,
        linger: Duration::ZERO,
    }
}

/// A budget whose first call told this usage.
fn told(daily_share: f64, reserve: f64, used: u64, max: u64) -> Budget {
    let mut budget = Budget::new(limits(daily_share, reserve));
    budget.learn(0, ApiUsage { used, max });
    budget
}

#[test]
fn our_share_of_the_day_ends_and_comes_back_a_day_later() {
    let mut budget = told(0.25, 0.0, 0, 100);
    for _ in 0..25 {
        assert_eq!(budget.admit(Priority::Live, 1, UnixMs(HOUR_MS)), Admission::Go(1));
        budget.begin(UnixMs(HOUR_MS));
    }
    let Admission::Wait(until, QuotaWait::Share) = budget.admit(Priority::Live, 1, UnixMs(HOUR_MS + 5))
    else {
        panic!("26 of 100 are too many")
    };
    assert_eq!(until, UnixMs(2 * HOUR_MS + DAY_MS), "the whole hour has left the day");
    assert_eq!(budget.admit(Priority::Live, 0, UnixMs(HOUR_MS)), Admission::Go(0), "what costs nothing goes");
    assert!(matches!(budget.admit(Priority::Live, 1, UnixMs(until.0 - 1)), Admission::Wait(..)));
    budget.learn(25, ApiUsage { used: 0, max: 100 });
    assert_eq!(budget.admit(Priority::Live, 1, until), Admission::Go(1));
}

#[test]
fn a_refresh_leaves_some_of_the_share_to_healing_and_live_work() {
    let mut budget = told(0.5, 0.0, 0, 200);
    for (priority, calls) in [(Priority::Refresh, 80), (Priority::Heal, 10), (Priority::Live, 10)] {
        assert_eq!(budget.admit(priority, calls, UnixMs(0)), Admission::Go(calls), "{priority:?}");
        for priority in Priority::ALL.into_iter().filter(|other| *other >= priority) {
            assert!(
                matches!(budget.admit(priority, 1, UnixMs(0)), Admission::Wait(_, QuotaWait::Share)),
                "{priority:?}"
            );
        }
    }
}

#[test]
fn the_reserve_stops_a_refresh_first_then_healing_then_live_work() {
    for (used, goes) in [(70, 3), (84, 2), (87, 1), (91, 0), (150, 0)] {
        let stands: Vec<bool> = Priority::ALL
            .into_iter()
            .map(|priority| told(1.0, 0.2, used, 100).admit(priority, 1, UnixMs(0)) != Admission::Go(1))
            .collect();
        let expected: Vec<bool> = (0..3).map(|place| place >= goes).collect();
        assert_eq!(stands, expected, "{used} used");
    }
}

#[test]
fn paused_work_resumes_only_above_the_line() {
    let mut budget = told(1.0, 0.2, 80, 100);
    let mut ask = |used| {
        budget.learn(0, ApiUsage { used, max: 100 });
        let admission = budget.admit(Priority::Refresh, 1, UnixMs(0));
        budget.give_back(1);
        admission == Admission::Go(1)
    };
    assert_eq!([80, 78, 77, 79].map(&mut ask), [false, false, true, true]);
}

#[test]
fn paused_work_looks_with_one_call_ever_more_seldom() {
    let mut budget = told(1.0, 0.2, 100, 100);
    let mut looks = Vec::new();
    for minute in 0..200 {
        if budget.admit(Priority::Live, 1, UnixMs(minute * MINUTE_MS)) == Admission::Look {
            budget.begin(UnixMs(minute * MINUTE_MS));
            looks.push(minute);
        }
    }
    assert_eq!(looks, [5, 15, 35, 75, 135, 195]);
}

#[test]
fn after_a_refusal_nothing_goes_until_a_call_was_let_through() {
    for mut budget in [Budget::new(limits(1.0, 0.0)), told(1.0, 0.0, 10, 100)] {
        budget.refuse(UnixMs(0));
        let look = UnixMs(0).saturating_add(REFUSED_LOOK);
        let wait = Admission::Wait(look, QuotaWait::Day);
        assert_eq!(budget.admit(Priority::Live, 1, UnixMs(0)), wait);
        assert_eq!(budget.admit(Priority::Live, 1, look), Admission::Look);
        assert!(matches!(budget.admit(Priority::Live, 1, look), Admission::Wait(..)));
        budget.accepted();
        assert_eq!(budget.admit(Priority::Live, 1, look), Admission::Go(1));
    }
}

#[test]
fn an_answer_that_comes_late_changes_nothing_and_calls_since_are_counted_on_top() {
    let mut budget = told(1.0, 0.0, 0, 100);
    assert_eq!(budget.admit(Priority::Live, 3, UnixMs(0)), Admission::Go(3));
    let numbers = [(); 3].map(|()| budget.begin(UnixMs(0)));
    budget.learn(numbers[1], ApiUsage { used: 12, max: 100 });
    assert_eq!(budget.used(), Some(13));
    budget.learn(numbers[0], ApiUsage { used: 11, max: 100 });
    assert_eq!(budget.used(), Some(13));
    budget.learn(numbers[2], ApiUsage { used: 13, max: 100 });
    assert_eq!(budget.used(), Some(13));
}

/// An org that counts exactly, for the property.
#[derive(Default)]
struct Org {
    max: u64,
    /// When each call was counted, and whether it was ours.
    counted: VecDeque<(UnixMs, bool)>,
}

impl Org {
    fn used(&mut self, now_ms: UnixMs) -> u64 {
        while self.counted.front().is_some_and(|(at, _)| at.0 + DAY_MS <= now_ms.0) {
            self.counted.pop_front();
        }
        self.counted.len() as u64
    }

    fn ours(&self) -> u64 {
        self.counted.iter().filter(|(_, ours)| *ours).count() as u64
    }
}

/// A call whose answer is not there yet.
struct InFlight {
    number: u64,
    /// What the answer will tell: what was used when it began.
    usage: ApiUsage,
}

/// Any load, any use by others, any order of answers, answers that never come, refusals, crashes.
struct World {
    jitter: StdRng,
    now_ms: UnixMs,
    org: Org,
    budget: Budget,
    limits: Limits,
    stored: Vec<u8>,
    in_flight: Vec<InFlight>,
    /// Used by others since the call that told last began.
    foreign_since: u64,
    foreign_at: Vec<(u64, u64)>,
    foreign: u64,
    begun: [u64; 3],
}

impl World {
    fn new(seed: u64) -> Self {
        let mut jitter = StdRng::seed_from_u64(seed);
        let limits = limits(jitter.random_range(0.05..1.0), jitter.random_range(0.0..0.6));
        let max = jitter.random_range(50..2_000);
        let mut budget = Budget::new(limits);
        // As after the first answer; until then at most the calls in flight are made without knowing.
        budget.learn(0, ApiUsage { used: 0, max });
        Self {
            jitter,
            now_ms: UnixMs(1_000 * HOUR_MS),
            org: Org { max, ..Org::default() },
            budget,
            limits,
            stored: Vec::new(),
            in_flight: Vec::new(),
            foreign_since: 0,
            foreign_at: vec![(0, 0)],
            foreign: 0,
            begun: [0; 3],
        }
    }

    fn step(&mut self) {
        match self.jitter.random_range(0..100) {
            0..12 => self.now_ms.0 += self.jitter.random_range(0..40 * MINUTE_MS),
            12..15 => self.now_ms.0 += self.jitter.random_range(0..9 * HOUR_MS),
            15..25 => {
                let calls = self.jitter.random_range(0..=self.org.max / 20);
                self.foreign += calls;
                self.org.counted.extend((0..calls).map(|_| (self.now_ms, false)));
            }
            25..50 => self.answer(),
            50..52 => self.crash(),
            _ => self.work(),
        }
    }

    fn work(&mut self) {
        let priority = Priority::ALL[self.jitter.random_range(0..3)];
        let calls = self.jitter.random_range(1..=12);
        match self.budget.admit(priority, calls, self.now_ms) {
            Admission::Go(calls) => {
                let made = self.jitter.random_range(0..=calls);
                for _ in 0..made {
                    self.call(Some(priority));
                }
                self.budget.give_back(calls - made);
            }
            Admission::Look => self.call(None),
            Admission::Wait(until_ms, why) => {
                assert!(until_ms >= self.now_ms, "it never waits for what has been");
                let share = self.budget.share();
                // Others than live work have a tenth less: so live work waits for its own calls only.
                if why == QuotaWait::Share && priority == Priority::Live && self.budget.planned() == 0 {
                    let others = self.budget.ours(self.now_ms).saturating_sub(self.begun[0]);
                    let looks_and_cover = 2 * COVER + 100;
                    assert!(
                        others <= part(share, 0.9) + calls + looks_and_cover,
                        "live work starves: others have {others} of {share}"
                    );
                }
            }
        }
    }

    fn call(&mut self, priority: Option<Priority>) {
        if let Some((stored, cover)) = self.budget.to_store(self.now_ms) {
            self.stored = stored;
            self.budget.stored(cover);
        }
        let number = self.budget.begin(self.now_ms);
        let used = self.org.used(self.now_ms);
        if used >= self.org.max {
            self.budget.refuse(self.now_ms);
            return;
        }
        self.org.counted.push_back((self.now_ms, true));
        self.foreign_at.push((number, self.foreign));
        let used = used + 1;
        self.in_flight.push(InFlight { number, usage: ApiUsage { used, max: self.org.max } });
        if let Some(priority) = priority {
            self.begun[priority as usize] += 1;
            let line = part(self.org.max, priority.of_reserve() * self.limits.reserve);
            let in_flight = self.in_flight.len() as u64;
            let foreign = self.foreign - self.foreign_since;
            assert!(
                used + line <= self.org.max + in_flight + foreign,
                "{used} of {} used with a line of {line}, {in_flight} in flight, {foreign} by others since",
                self.org.max
            );
        }
        let share = part(self.org.max, self.limits.daily_share);
        assert!(self.org.ours() <= share, "{} of our {share}", self.org.ours());
    }

    fn answer(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let place = self.jitter.random_range(0..self.in_flight.len());
        let InFlight { number, usage } = self.in_flight.swap_remove(place);
        if self.jitter.random_bool(0.2) {
            return;
        }
        self.budget.accepted();
        let known = self.budget.told.map_or(0, |(_, known)| known);
        self.budget.learn(number, usage);
        if number >= known {
            let at = self.foreign_at.iter().rev().find(|(begun, _)| *begun == number);
            self.foreign_since = at.map_or(self.foreign_since, |(_, foreign)| *foreign);
        }
    }

    /// The process is killed; its successor's first call tells the usage before anything else is asked for.
    fn crash(&mut self) {
        if self.stored.is_empty() {
            return;
        }
        self.budget = Budget::new(self.limits);
        self.budget.load(&self.stored);
        let used = self.org.used(self.now_ms);
        self.budget.learn(0, ApiUsage { used, max: self.org.max });
        (self.in_flight, self.foreign_at) = (Vec::new(), vec![(0, self.foreign)]);
        self.foreign_since = self.foreign;
        self.begun = [0; 3];
    }
}

#[test]
fn under_any_load_we_keep_within_the_share_and_above_the_reserve_and_live_work_does_not_starve() {
    let mut begun = 0;
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..1_500 {
            world.step();
        }
        begun += world.org.ours();
    }
    assert!(begun > 3_000, "the worlds did work: {begun} calls of ours in their last days");
}

#[test]
fn what_is_stored_after_a_crash_counts_every_call_and_few_too_many() {
    let mut budget = told(1.0, 0.0, 0, 100_000);
    let (mut stored, mut commits) = (Vec::new(), 0);
    for call in 1..=1_000_u64 {
        let now_ms = UnixMs(call * MINUTE_MS);
        assert_eq!(budget.admit(Priority::Live, 1, now_ms), Admission::Go(1));
        if let Some((value, cover)) = budget.to_store(now_ms) {
            (stored, commits) = (value, commits + 1);
            budget.stored(cover);
        }
        budget.begin(now_ms);
        let mut after = Budget::new(limits(1.0, 0.0));
        after.load(&stored);
        let (kept, real) = (after.ours(now_ms), budget.ours(now_ms));
        assert!((real..=real + COVER).contains(&kept), "{kept} kept, {real} made");
        assert_eq!(after.max(), Some(100_000));
    }
    assert!(commits <= 2 * 1_000 / 32 + 2, "{commits} commits for 1,000 calls");
}

#[test]
fn what_can_wait_waits_the_longer_the_more_is_used_up() {
    for (used, times) in [(0.0, 1.0), (0.5, 1.0), (0.75, 5.5), (1.0, 10.0), (7.0, 10.0)] {
        assert!((patience(used) - times).abs() < 1e-9, "{used}");
    }
}

/// Stored by a clock that ran 400 days ahead and was set back: our share comes back a day later, not in a year.
#[test]
fn calls_counted_for_hours_to_come_count_for_now() {
    let mut budget = told(0.25, 0.0, 0, 100);
    let (now, ahead) = (UnixMs(1_000 * HOUR_MS), UnixMs((1_000 + 400 * 24) * HOUR_MS));
    for _ in 0..25 {
        assert_eq!(budget.admit(Priority::Live, 1, ahead), Admission::Go(1));
        budget.begin(ahead);
    }
    let Admission::Wait(until, QuotaWait::Share) = budget.admit(Priority::Live, 1, now) else {
        panic!("they are not forgotten")
    };
    assert_eq!(until, UnixMs(now.0 + HOUR_MS + DAY_MS));
    assert_eq!(budget.ours(now), 25);
    assert_eq!(budget.admit(Priority::Live, 1, until), Admission::Go(1));
}
