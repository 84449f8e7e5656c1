//! The short history of what each org and the whole service did: how it is encoded, how long what is kept, how it is told.
//!
//! ```text
//! journal   one value a minute, of all orgs that did something          folded into minutes when the hour is over
//! minutes   values of an hour, of up to 64 orgs each                    for a day
//! quarters  values of 6 hours, from minutes                             for 30 days
//! hours     values of a day, in the place of quarters                   only where the space does not suffice
//! ```
//!
//! Here: pure. In `block` the bytes, in `levels` what is to be folded and what gives way, in `chart` the answer. Not here:
//! counting, reading and writing (`service/history.rs`).
//!
//! Invariant: folding keeps every sum. Invariant: what takes more room than there may be gives way at once.

pub(crate) mod block;
pub(crate) mod chart;
pub(crate) mod levels;

/// What happened in a stretch of time, and how it stood at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Events stored.
    pub events: u64,
    /// Records asked for.
    pub records_in: u64,
    /// Records written.
    pub written: u64,
    /// Records that ended as dead letters.
    pub failed: u64,
    /// API calls of ours.
    pub calls: u64,
    /// Class of the 95th percentile of the lag, of the worst minute; 0 if nothing was written.
    pub lag: u8,
    /// Records under way at the end.
    pub open: u64,
    /// API calls of the last 24 hours, by everybody, in thousandths of those allowed, and 1; 0 if not known.
    pub api: u16,
}

/// Classes of lags to a doubling: a lag is told to about 5 %.
const CLASSES: f64 = 8.0;

impl Sample {
    /// Of both, of which `later` comes after.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            events: self.events.saturating_add(later.events),
            records_in: self.records_in.saturating_add(later.records_in),
            written: self.written.saturating_add(later.written),
            failed: self.failed.saturating_add(later.failed),
            calls: self.calls.saturating_add(later.calls),
            lag: self.lag.max(later.lag),
            open: later.open,
            api: if later.api == 0 { self.api } else { later.api },
        }
    }

    /// Part `at` of so many equal ones: together they are what it was.
    pub(crate) fn part(self, at: u64, parts: u64) -> Self {
        let share = |count: u64| count / parts + u64::from(at < count % parts);
        Self {
            events: share(self.events),
            records_in: share(self.records_in),
            written: share(self.written),
            failed: share(self.failed),
            calls: share(self.calls),
            ..self
        }
    }

    /// Nothing happened.
    pub(crate) fn is_idle(&self) -> bool {
        let Self { events, records_in, written, failed, calls, lag, open: _, api: _ } = *self;
        [events, records_in, written, failed, calls, u64::from(lag)] == [0; 6]
    }
}

/// The class of a lag.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to what fits before")]
pub(crate) fn lag_class(secs: f64) -> u8 {
    (1.0 + CLASSES * (secs * 1_000.0).max(1.0).log2()).round().clamp(1.0, 255.0) as u8
}

/// A lag of a class, in milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2^32 at most")]
pub(crate) fn lag_ms(class: u8) -> Option<u64> {
    (class > 0).then(|| ((f64::from(class) - 1.0) / CLASSES).exp2().round() as u64)
}

/// The share of the day's API calls that is used, as a sample has it.
pub(crate) fn api_class(used: Option<u64>, allowed: Option<u64>) -> u16 {
    match (used, allowed) {
        (Some(used), Some(allowed)) if allowed > 0 => {
            let thousandths = used.saturating_mul(1_000) / allowed;
            u16::try_from(thousandths).unwrap_or(u16::MAX - 1).saturating_add(1)
        }
        _ => 0,
    }
}

/// The same as a part of 1.
pub(crate) fn api_share(class: u16) -> Option<f64> {
    (class > 0).then(|| f64::from(class - 1) / 1_000.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_sample() -> impl Strategy<Value = Sample> {
        let count = || prop_oneof![3 => 0..40_u64, 1 => any::<u64>().prop_map(|many| many >> 8)];
        (count(), count(), count(), count(), count(), any::<u8>(), count(), 0..1_002_u16).prop_map(
            |(events, records_in, written, failed, calls, lag, open, api)| Sample {
                events,
                records_in,
                written,
                failed,
                calls,
                lag,
                open,
                api,
            },
        )
    }

    proptest! {
        #[test]
        fn parts_come_to_the_whole(whole in any_sample(), parts in 1..50_u64) {
            let sum = (0..parts).map(|at| whole.part(at, parts)).reduce(Sample::then).expect("some");
            prop_assert_eq!(sum, whole);
        }

        #[test]
        fn a_lag_is_told_to_five_per_cent(millis in 1..100_000_000_u64) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let exact = millis as f64;
            let told = lag_ms(lag_class(exact / 1_000.0)).expect("a lag");
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let off = (told as f64 - exact).abs();
            prop_assert!(off <= exact * 0.05 + 0.5, "{told} for {millis}");
        }
    }

    #[test]
    fn shares_are_told_in_thousandths_and_nothing_is_no_lag() {
        assert_eq!(api_share(api_class(Some(50), Some(200))), Some(0.25));
        assert_eq!(api_share(api_class(Some(300), Some(200))), Some(1.5));
        assert_eq!(api_share(api_class(None, Some(200))), None);
        assert_eq!(api_share(api_class(Some(1), Some(0))), None);
        assert_eq!((lag_ms(0), lag_ms(lag_class(0.0))), (None, Some(1)));
    }
}
