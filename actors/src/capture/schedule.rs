//! When a refresh is due. Pure.
//!
//! Here: schedules, windows of the day and the spread over a fleet. Not here: the wait itself (`refresh`), what an operator
//! may write (`src/config/resolve/value.rs`).

use std::str::FromStr as _;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::settings::DayWindow;

/// The next time after `after` that the schedule names, in the org's time zone.
pub(super) fn next_run(schedule: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = after.with_timezone(&zone);
    schedule.find_next_occurrence(&local, false).ok().map(|next| next.with_timezone(&Utc))
}

/// When a run of this org begins that is the next one after `last`, by a schedule as it is written in the settings.
pub(super) fn due(
    schedule: &str,
    org: &str,
    zone: Tz,
    last: DateTime<Utc>,
    window: Option<DayWindow>,
) -> Option<DateTime<Utc>> {
    let cron = Cron::from_str(schedule).ok()?;
    let due = next_run(&cron, zone, last)?;
    Some(due + spread(org, due, next_run(&cron, zone, due), window))
}

/// How much later than its time a run begins in this org, so that a fleet with one schedule does not begin at once:
/// up to a quarter of an hour, and no more than a tenth of the time until the next run or of the window.
pub(super) fn spread(
    org: &str,
    due: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
    window: Option<DayWindow>,
) -> TimeDelta {
    let period = next.map_or(TimeDelta::MAX, |next| next - due);
    let open = window.map_or(TimeDelta::MAX, |DayWindow { from, to }| {
        let length = to - from;
        if length < TimeDelta::zero() { length + TimeDelta::days(1) } else { length }
    });
    let most = (period.min(open) / 10).min(TimeDelta::minutes(15)).num_milliseconds();
    most_of(org, most.max(0))
}

/// A part of `most` milliseconds that is the same for the same name, and even over many names.
fn most_of(name: &str, most: i64) -> TimeDelta {
    // FNV-1a: small, and the same in every version, unlike the standard library's hash.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Names that differ in their last characters only are close in FNV's upper bits: mix them (MurmurHash3's end).
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let share = i64::try_from(hash >> 44).unwrap_or_default();
    TimeDelta::milliseconds(most * share / (1 << 20))
}

/// Whether `now` lies in the window of the day; a window may pass midnight, and none is always open.
pub(super) fn open(window: Option<DayWindow>, zone: Tz, now: DateTime<Utc>) -> bool {
    let time = now.with_timezone(&zone).time();
    match window {
        None => true,
        Some(DayWindow { from, to }) if from <= to => from <= time && time < to,
        Some(DayWindow { from, to }) => from <= time || time < to,
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveTime;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    #[test]
    fn schedules_run_in_the_customers_time_over_both_clock_changes() {
        let cases = [
            ("0 2 * * SAT", "2026-11-25T00:00:00Z", "2026-11-28T01:00:00Z"),
            ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            // The hour that is left out in spring is made up for at once; the one that comes twice in autumn counts once.
            ("30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
            ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ];
        for (schedule, after, expected) in cases {
            let cron = Cron::from_str(schedule).expect("a schedule");
            assert_eq!(
                next_run(&cron, chrono_tz::Europe::Berlin, at(after)),
                Some(at(expected)),
                "{schedule} {after}"
            );
        }
    }

    #[test]
    fn a_fleet_with_one_schedule_begins_spread_out_but_never_past_a_tenth() {
        let (due, hour) = (at("2026-11-25T02:00:00Z"), TimeDelta::hours(1));
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).expect("an hour");
        let cases = [
            (None, None, TimeDelta::minutes(15)),
            (Some(due + hour), None, TimeDelta::minutes(6)),
            (Some(due + hour * 24), Some(DayWindow { from: time(2), to: time(3) }), TimeDelta::minutes(6)),
            (Some(due + hour * 24), Some(DayWindow { from: time(23), to: time(0) }), TimeDelta::minutes(6)),
        ];
        for (next, window, most) in cases {
            let spreads: Vec<TimeDelta> =
                (0..500).map(|n| spread(&format!("org-{n}"), due, next, window)).collect();
            assert!(spreads.iter().all(|spread| *spread >= TimeDelta::zero() && *spread < most));
            let early = spreads.iter().filter(|spread| **spread < most / 2).count();
            assert!((200..300).contains(&early), "{early} of 500 in the first half");
            assert_eq!(spread("acme", due, next, window), spread("acme", due, next, window));
        }
    }

    #[test]
    fn a_window_may_pass_midnight() {
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).expect("an hour");
        let cases = [
            (None, "2026-11-25T12:00:00Z", true),
            (Some((2, 6)), "2026-11-25T02:00:00Z", true),
            (Some((2, 6)), "2026-11-25T06:00:00Z", false),
            (Some((22, 4)), "2026-11-25T23:00:00Z", true),
            (Some((22, 4)), "2026-11-25T03:00:00Z", true),
            (Some((22, 4)), "2026-11-25T12:00:00Z", false),
        ];
        for (window, now, expected) in cases {
            let window = window.map(|(from, to)| DayWindow { from: time(from), to: time(to) });
            assert_eq!(open(window, chrono_tz::UTC, at(now)), expected, "{window:?} {now}");
        }
    }
}
