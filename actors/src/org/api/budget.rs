//! The customer's API calls: how many of a day may be ours, and for what.
//!
//! Here: the decision, pure. Not here: waiting and storing (`gate`).
//!
//! Two rules. *Share*: our own calls of the last 24 hours, with those planned, stay within `daily_share` of the org's
//! allowance; gap recovery may use up nine tenths of it and a refresh eight, so that live work always finds some left.
//! *Reserve*: of the allowance, `reserve` stays free for the customer, whoever used the rest; below it a refresh
//! stops, below three quarters of it gap recovery, below half of it live work. Work resumes only [`HYSTERESIS`] above its
//! line, so that it does not flutter; until then one call now and then looks whether others have stopped using theirs.
//!
//! What Salesforce tells is late by the calls that began after the one it answers. Those are counted on top.

use std::{collections::VecDeque, time::Duration};

use orgpipe_salesforce::limits::ApiUsage;
use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use crate::{org::step_error::QuotaWait, priority::Priority, settings::Limits};

/// So many times longer is waited when nearly nothing is left of our share of the day.
const PATIENCE_GROWTH: f64 = 9.0;
/// Used part of our share of the day up to which all is waited for as usual.
const EASE: f64 = 0.5;
/// Share of the allowance that must come free above the line before paused work resumes.
const HYSTERESIS: f64 = 0.02;
/// Our calls are counted by the hour; Salesforce counts a rolling day (REST API Developer Guide, "API Request Limits").
const HOUR_MS: u64 = 3_600_000;
const DAY_HOURS: u64 = 24;
/// First and longest wait until paused work looks again.
const LOOK: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(1));
/// The first wait after Salesforce refused a call because the day's are used up.
const REFUSED_LOOK: Duration = Duration::from_mins(15);
/// Calls that one stored count covers in advance, so that not each call costs a commit.
const COVER: u64 = 32;

/// Whether planned calls may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// They may, and so many are set aside: fewer than asked for only where our whole share is smaller.
    Go(u64),
    /// Nobody knows; one call may find out, and is set aside.
    Look,
    /// Ask again then.
    Wait(UnixMs, QuotaWait),
}

/// What is stored of a budget.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// Format version, now 1.
    v: u8,
    /// The org's allowance; 0 if not known.
    max: u64,
    /// Unix hour and calls.
    ours: Vec<(u64, u64)>,
}

/// What is known of one org's calls.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    /// The org's allowance, once known; it changes seldom.
    max: u64,
    /// Used calls as told last, and the number of the call that told.
    told: Option<(u64, u64)>,
    /// Calls of ours since the start; numbers them.
    begun: u64,
    /// Unix hours with calls of ours, and how many; oldest first.
    ours: VecDeque<(u64, u64)>,
    /// Set aside for work that has begun.
    planned: u64,
    /// Calls that what is stored covers beyond those made, and the hour in which it does.
    covered: (u64, u64),
    paused: [bool; 3],
    /// Salesforce refuses all calls.
    refused: bool,
    /// When one call may look again; none while all priorities go.
    look_at: Option<UnixMs>,
    looks: u32,
}

impl Budget {
    /// Nothing is known yet: the first calls find out.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            max: 0,
            told: None,
            begun: 0,
            ours: VecDeque::new(),
            planned: 0,
            covered: (0, 0),
            paused: [false; 3],
            refused: false,
            look_at: None,
            looks: 0,
        }
    }

    /// Takes over what an earlier process stored.
    pub(super) fn load(&mut self, stored: &[u8]) {
        let stored: Stored = serde_json::from_slice(stored).unwrap_or_default();
        (self.max, self.ours) = (stored.max, stored.ours.into());
    }

    /// What has to be on disk before the calls set aside are made; `None` if what is stored suffices. It counts
    /// [`COVER`] calls more than there are: after a crash too many are counted, never too few.
    pub(super) fn to_store(&self, now_ms: UnixMs) -> Option<(Vec<u8>, Cover)> {
        let hour = hour(now_ms);
        if self.covered.1 == hour && self.planned <= self.covered.0 {
            return None;
        }
        let mut ours = self.ours.clone();
        add(&mut ours, hour, self.planned + COVER);
        let stored = Stored { v: 1, max: self.max, ours: ours.into() };
        let cover = Cover { hour, begun: self.begun, calls: self.planned + COVER };
        Some((serde_json::to_vec(&stored).unwrap_or_default(), cover))
    }

    /// That is on disk now.
    pub(super) fn stored(&mut self, cover: Cover) {
        let made_since = self.begun - cover.begun;
        self.covered = (cover.calls.saturating_sub(made_since), cover.hour);
    }

    /// Our calls of the last 24 hours, a little more rather than less.
    pub(super) fn ours(&self, now_ms: UnixMs) -> u64 {
        let oldest = hour(now_ms).saturating_sub(DAY_HOURS);
        self.ours.iter().filter(|(hour, _)| *hour >= oldest).map(|(_, calls)| calls).sum()
    }

    /// Used calls of the org's day, with ours that were not yet counted when it was told.
    pub(super) fn used(&self) -> Option<u64> {
        self.told.map(|(used, number)| used + (self.begun - number))
    }

    /// The org's allowance; `None` until known.
    pub(super) fn max(&self) -> Option<u64> {
        Some(self.max).filter(|max| *max > 0)
    }

    /// Calls of a day that may be ours.
    pub(super) fn share(&self) -> u64 {
        part(self.max, self.limits.daily_share)
    }

    /// Calls set aside.
    pub(super) fn planned(&self) -> u64 {
        self.planned
    }

    /// The part of our share that is gone; 0 as long as the allowance is not known.
    #[expect(clippy::cast_precision_loss, reason = "call counts stay far below 2^52")]
    pub(super) fn spent(&self, now_ms: UnixMs) -> f64 {
        if self.max == 0 { 0.0 } else { self.ours(now_ms) as f64 / self.share().max(1) as f64 }
    }

    /// Calls that the customer is to keep.
    pub(super) fn reserve(&self) -> u64 {
        part(self.max, self.limits.reserve)
    }

    /// Calls that a clock that ran ahead has counted for hours to come count for this one.
    fn settle_hours_to_come(&mut self, hour: u64) {
        let mut to_come = 0;
        while let Some((_, calls)) = self.ours.pop_back_if(|(counted, _)| *counted > hour) {
            to_come += calls;
        }
        if to_come > 0 {
            add(&mut self.ours, hour, to_come);
        }
    }

    /// May work of this priority begin that takes so many calls?
    pub(super) fn admit(&mut self, priority: Priority, calls: u64, now_ms: UnixMs) -> Admission {
        self.settle_hours_to_come(hour(now_ms));
        if calls == 0 {
            return Admission::Go(0);
        }
        let calls = calls.min(self.most(priority));
        let stands = self.stands(priority, calls, now_ms);
        match stands {
            Some(QuotaWait::Share) => {
                return Admission::Wait(self.share_frees_at(now_ms), QuotaWait::Share);
            }
            Some(why) => {
                self.paused[priority as usize] |= why == QuotaWait::Reserve;
                return self.look(now_ms, why);
            }
            None => self.paused[priority as usize] = false,
        }
        if self.paused == [false; 3] {
            (self.looks, self.look_at) = (0, None);
        }
        self.planned += calls;
        Admission::Go(calls)
    }

    /// More calls than these are never free at once; a plan for more must not wait for ever.
    fn most(&self, priority: Priority) -> u64 {
        self.max().map_or(u64::MAX, |_| part(self.share(), priority.of_share()).max(1))
    }

    /// Why so many calls of this priority may not be made now.
    pub(super) fn stands(&self, priority: Priority, calls: u64, now_ms: UnixMs) -> Option<QuotaWait> {
        if let Some(max) = self.max() {
            let share = part(self.share(), priority.of_share());
            if self.ours(now_ms) + self.planned + calls > share {
                return Some(QuotaWait::Share);
            }
            let line = priority.of_reserve() * self.limits.reserve;
            let paused = self.paused[priority as usize];
            let line = part(max, if paused { line + HYSTERESIS } else { line });
            if !self.refused && self.used().is_some_and(|used| used + self.planned + calls + line > max) {
                return Some(QuotaWait::Reserve);
            }
        }
        self.refused.then_some(QuotaWait::Day)
    }

    /// When calls that stand still are asked about again.
    pub(super) fn again_at(&self, why: QuotaWait, now_ms: UnixMs) -> UnixMs {
        match why {
            QuotaWait::Share => self.share_frees_at(now_ms),
            QuotaWait::Reserve | QuotaWait::Day => self.look_at.map_or(now_ms, |look_at| look_at.max(now_ms)),
        }
    }

    /// One call that was set aside begins. Its number tells what its answer can know.
    pub(super) fn begin(&mut self, now_ms: UnixMs) -> u64 {
        let hour = hour(now_ms);
        self.settle_hours_to_come(hour);
        while self.ours.front().is_some_and(|(start, _)| *start + DAY_HOURS < hour) {
            self.ours.pop_front();
        }
        self.planned = self.planned.saturating_sub(1);
        self.covered.0 = self.covered.0.saturating_sub(1);
        add(&mut self.ours, hour, 1);
        self.begun += 1;
        self.begun
    }

    /// Calls set aside that are not needed.
    pub(super) fn give_back(&mut self, calls: u64) {
        self.planned = self.planned.saturating_sub(calls);
    }

    /// What Salesforce told with the answer to call `number`. Answers may come out of order; the newest counts.
    pub(super) fn learn(&mut self, number: u64, usage: ApiUsage) {
        if usage.max == 0 || self.told.is_some_and(|(_, known)| number < known) {
            return;
        }
        self.max = usage.max;
        self.told = Some((usage.used, number));
    }

    /// A call was let through: the day is not used up.
    pub(super) fn accepted(&mut self) {
        self.refused = false;
    }

    /// Salesforce refused a call because the day's are used up.
    pub(super) fn refuse(&mut self, now_ms: UnixMs) {
        if !self.refused {
            let look_at = now_ms.saturating_add(REFUSED_LOOK);
            (self.refused, self.look_at, self.looks) = (true, Some(look_at), 1);
        }
    }

    /// Stands still, but for one call now and then.
    fn look(&mut self, now_ms: UnixMs, why: QuotaWait) -> Admission {
        let look_at = *self.look_at.get_or_insert_with(|| {
            self.looks = 0;
            now_ms.saturating_add(LOOK.0)
        });
        if now_ms < look_at {
            return Admission::Wait(look_at, why);
        }
        self.looks += 1;
        self.look_at = Some(now_ms.saturating_add((LOOK.0 * (1 << self.looks.min(10))).min(LOOK.1)));
        self.planned += 1;
        Admission::Look
    }

    /// When the oldest of our calls no longer counts.
    fn share_frees_at(&self, now_ms: UnixMs) -> UnixMs {
        let oldest = hour(now_ms).saturating_sub(DAY_HOURS);
        let hour = self.ours.iter().map(|(hour, _)| *hour).find(|hour| *hour >= oldest);
        hour.map_or(now_ms.saturating_add(LOOK.0), |hour| UnixMs((hour + 1 + DAY_HOURS) * HOUR_MS))
    }
}

/// What a stored count covers, until [`Budget::stored`] takes it over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cover {
    hour: u64,
    begun: u64,
    calls: u64,
}

/// The Unix hour of a moment.
fn hour(at: UnixMs) -> u64 {
    at.0 / HOUR_MS
}

fn add(ours: &mut VecDeque<(u64, u64)>, hour: u64, calls: u64) {
    match ours.back_mut() {
        // A clock that was set back must not break the order.
        Some((last, count)) if hour <= *last => *count += calls,
        _ => ours.push_back((hour, calls)),
    }
}

/// How many times longer than usual what costs calls and can wait is waited for: live changes for each other, a look at
/// a Bulk job. `used` is the part of our share of the day's calls that is gone, 0 to 1.
pub(crate) fn patience(used: f64) -> f64 {
    1.0 + PATIENCE_GROWTH * ((used - EASE) / (1.0 - EASE)).clamp(0.0, 1.0)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "call counts stay far below 2^52 and are not negative"
)]
fn part(of: u64, share: f64) -> u64 {
    (of as f64 * share.clamp(0.0, 1.0)) as u64
}

#[cfg(test)]
mod tests;
