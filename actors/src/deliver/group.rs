//! How many records go together, by what became of them so far. Pure.
//!
//! A call that is refused or not answered as a whole is sent again in halves until the culprit stands alone. How far that
//! has come is part of each change, so a restart does not begin anew.
//!
//! Here: sizes and the next smaller one. Not here: which changes these are (`parts`), how long they wait (`outcome`), how
//! large the calls of others may be meanwhile (`pace`).

use orgpipe_reconcile::route::COLLECTIONS_MAX;

use super::resend::{HALVINGS_BY_LOCKS_MAX, HALVINGS_MAX, Resend, Way};

/// Tries from which on the others are taken away step by step, so that the last try is alone.
pub(super) const TRIES_TOGETHER: u32 = 8;

const _: () = assert!(COLLECTIONS_MAX >> HALVINGS_MAX == 1);

/// Records that may go in one call with a change of this history.
pub(super) fn size(resend: Resend) -> usize {
    (COLLECTIONS_MAX >> resend.halvings.min(HALVINGS_MAX)).max(1)
}

/// It stands alone the next time.
pub(super) fn alone(resend: Resend) -> Resend {
    Resend { way: Way::ByRest, halvings: HALVINGS_MAX, waits: resend.waits }
}

/// At most half as many together the next time as the `alike` that had the same trouble together.
pub(super) fn halved(resend: Resend, alike: usize) -> Resend {
    let wanted = (alike / 2).max(1);
    let from = resend.halvings.saturating_add(1).min(HALVINGS_MAX);
    let fits = |halvings: &u8| COLLECTIONS_MAX >> halvings <= wanted;
    let halvings = (from..=HALVINGS_MAX).find(fits).unwrap_or(HALVINGS_MAX);
    Resend { way: Way::ByRest, halvings, waits: 0 }
}

/// After a lost lock: fewer, but not fewer than help. What goes by REST for another reason stays there.
pub(super) fn apart(resend: Resend) -> Resend {
    let halvings =
        if resend.halvings < HALVINGS_BY_LOCKS_MAX { resend.halvings + 1 } else { resend.halvings };
    let way = if resend.way == Way::ByRest { Way::ByRest } else { Way::Apart };
    Resend { way, halvings, waits: 0 }
}

/// After a failure that is counted and of which nobody knows whose it is: like before, and from some tries on in ever smaller
/// company, as only a record that has failed alone may become a dead letter.
pub(super) fn again(resend: Resend, attempts: u32) -> Resend {
    if attempts < TRIES_TOGETHER {
        return Resend { waits: 0, ..resend };
    }
    let halvings = resend.halvings.saturating_add(2).min(HALVINGS_MAX);
    Resend { way: Way::ByRest, halvings, waits: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_end_alone_whatever_was_before() {
        let mut resend = Resend::default();
        let mut sizes = vec![size(resend)];
        while size(resend) > 1 {
            resend = halved(resend, size(resend));
            sizes.push(size(resend));
        }
        assert_eq!(sizes, [200, 100, 50, 25, 12, 6, 3, 1]);
        // So many that failed alike, and the size of the next call.
        for (alike, expected) in [(1, 1), (2, 1), (3, 1), (20, 6), (59, 25), (120, 50), (10_000, 100)] {
            assert_eq!(size(halved(Resend::default(), alike)), expected, "{alike}");
        }
    }

    #[test]
    fn locks_halve_to_a_dozen_and_never_make_larger_what_is_small() {
        let mut resend = Resend::default();
        let sizes: Vec<usize> = (0..6)
            .map(|_| {
                resend = apart(resend);
                size(resend)
            })
            .collect();
        assert_eq!(sizes, [100, 50, 25, 12, 12, 12]);
        let small = Resend { way: Way::ByRest, halvings: 6, waits: 0 };
        assert_eq!(apart(small), small);
    }

    #[test]
    fn the_last_try_is_alone() {
        let mut resend = Resend::default();
        for attempts in 0..TRIES_TOGETHER {
            resend = again(resend, attempts);
            assert_eq!(resend, Resend::default());
        }
        let sizes: Vec<usize> = (TRIES_TOGETHER..TRIES_TOGETHER + 4)
            .map(|attempts| {
                resend = again(resend, attempts);
                size(resend)
            })
            .collect();
        assert_eq!(sizes, [50, 12, 3, 1]);
    }
}
