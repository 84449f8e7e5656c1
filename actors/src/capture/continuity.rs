//! Whether the events that come go on from where a channel was: by their replay IDs and times. Pure.
//!
//! Here: the decision. Not here: that Salesforce itself refuses a replay ID (`salesforce::cometd`), what a gap leads to
//! (`gap_recovery`).
//!
//! After a migration of the org replay IDs begin anew. While nobody listens they may pass the one that is stored, which
//! Salesforce then takes for one of the new ones. What came in between is missing, and only the times can tell.

use std::time::Duration;

/// An event's replay ID and when it was published, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub replay_id: i64,
    pub published_ms: u64,
}

/// How much earlier an event may have been published than the one before it: transactions of different servers.
const BACK_MAX: Duration = Duration::from_mins(5);
/// IDs that may be passed over at once, and beyond these in each second between two events: they are shared by all
/// channels of all orgs of an instance, and an org publishes 70 a second at most ("Platform Event Allocations").
const JUMP_MAX: (u64, u64) = (10_000_000, 10_000);

/// Does the first event that comes not follow the last one that was stored?
pub(super) fn is_broken(last: Mark, first: Mark) -> bool {
    let back_ms = last.published_ms.saturating_sub(first.published_ms);
    if u128::from(back_ms) > BACK_MAX.as_millis() {
        return true;
    }
    let passed_secs = first.published_ms.saturating_sub(last.published_ms) / 1_000;
    let most = JUMP_MAX.0.saturating_add(JUMP_MAX.1.saturating_mul(passed_secs));
    // An ID that is lower is Salesforce's to refuse or to begin anew with; either way nothing was passed over.
    u64::try_from(first.replay_id.saturating_sub(last.replay_id)).is_ok_and(|jump| jump > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_back_in_time_or_an_unlikely_one_of_ids_is_a_gap() {
        const HOUR: u64 = 3_600_000;
        let last = Mark { replay_id: 1_000, published_ms: 100 * HOUR };
        for (replay_id, published_ms, broken) in [
            (1_001, 100 * HOUR, false),
            (1_001, 100 * HOUR - 60_000, false),
            (1_001, 170 * HOUR, false),
            (900_000, 101 * HOUR, false),
            (30_000_000, 101 * HOUR, false),
            (1_001, 99 * HOUR, true),
            (1_001, 0, true),
            (20_000_000, 100 * HOUR, true),
            (i64::MAX, 170 * HOUR, true),
            (5, 100 * HOUR + 1, false),
        ] {
            assert_eq!(
                is_broken(last, Mark { replay_id, published_ms }),
                broken,
                "{replay_id} {published_ms}"
            );
        }
    }
}
