//! How long to wait between two looks at a job.

use proptest::prelude::*;

use super::*;

#[test]
fn waits_grow_by_half() {
    for (polls, secs) in [(0, 2.0), (1, 3.0), (2, 4.5), (8, 51.257_812_5), (9, 60.0), (u32::MAX, 60.0)] {
        assert!((poll_delay(polls, 0.0).as_secs_f64() - secs).abs() < 1e-6, "{polls}");
    }
}

proptest! {
    #[test]
    fn a_wait_is_never_short_nor_long(polls: u32, jitter in 0.0..1.0_f64) {
        let wait = poll_delay(polls, jitter).as_secs_f64();
        prop_assert!((1.6..=60.0).contains(&wait));
        prop_assert!(poll_delay(polls.saturating_add(1), jitter) >= poll_delay(polls, jitter));
    }
}
