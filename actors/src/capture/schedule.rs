//! When a refresh is due. Pure.

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use croner::Cron;

/// The next time after `after` that the schedule names, in the org's time zone.
pub(super) fn next_run(schedule: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = after.with_timezone(&zone);
    schedule.find_next_occurrence(&local, false).ok().map(|next| next.with_timezone(&Utc))
}

/// Whether `now` lies in the window of the day; a window may pass midnight, and none is always open.
pub(super) fn open(window: Option<(NaiveTime, NaiveTime)>, zone: Tz, now: DateTime<Utc>) -> bool {
    let time = now.with_timezone(&zone).time();
    match window {
        None => true,
        Some((from, to)) if from <= to => from <= time && time < to,
        Some((from, to)) => from <= time || time < to,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    #[test]
    fn schedules_run_in_the_customers_time_over_both_clock_changes() {
        let cases = [
            ("0 2 * * SAT", "2026-11-25T00:00:00Z", "2026-11-28T01:00:00Z"),
            ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
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
            let window = window.map(|(from, to)| (time(from), time(to)));
            assert_eq!(open(window, chrono_tz::UTC, at(now)), expected, "{window:?} {now}");
        }
    }
}
