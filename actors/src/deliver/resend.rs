//! How a change is to be sent the next time, from what became of it so far, and the byte in which that is stored.
//!
//! ```text
//! bits 0 and 1   the way: 0 like any other, 1 apart, 2 by REST
//! bits 2 to 4    halvings of the largest call: 0 to 7
//! bits 5 to 7    waits in a row that did not count as tries: 0 to 7
//! ```
//!
//! Here: the value and its byte. Not here: what leads from one to the next (`outcome`, `group`), what a size is used for
//! (`parts`).
//!
//! Invariant: a byte that an earlier version stored (0, 1 or 2) means what it meant then, and any byte can be read.

/// Halvings after which a record stands alone.
pub(super) const HALVINGS_MAX: u8 = 7;
/// Halvings for the sake of locks: a dozen records that lock each other out do so one by one as well.
pub(super) const HALVINGS_BY_LOCKS_MAX: u8 = 4;
/// Waits in a row that are told apart; from there on they do not grow.
pub(super) const WAITS_MAX: u8 = 7;

/// Which way a change is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// Like any other.
    #[default]
    Usual,
    /// It lost a lock: with few others.
    Apart,
    /// By REST, which tells record by record what is wrong.
    ByRest,
}

/// How a change is to be sent, from what became of it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resend {
    /// Which way.
    pub way: Way,
    /// How often the number of records that it goes with was halved.
    pub halvings: u8,
    /// How often in a row it was put back without a try being counted.
    pub waits: u8,
}

impl Way {
    const ALL: [Self; 3] = [Self::Usual, Self::Apart, Self::ByRest];

    const fn bits(self) -> u8 {
        match self {
            Self::Usual => 0,
            Self::Apart => 1,
            Self::ByRest => 2,
        }
    }
}

impl Resend {
    /// As the store keeps it.
    pub(super) fn stored(self) -> u8 {
        self.way.bits() | self.halvings.min(HALVINGS_MAX) << 2 | self.waits.min(WAITS_MAX) << 5
    }

    /// Of a change that was tried so often. One that a later version stored is sent like any other; one that an earlier
    /// version stored as having lost a lock was halved with each try.
    pub(super) fn from_stored(stored: u8, attempts: u32) -> Self {
        let Some(way) = Way::ALL.into_iter().find(|way| way.bits() == stored & 0b11) else {
            return Self::default();
        };
        let (halvings, waits) = (stored >> 2 & 0b111, stored >> 5);
        let by_earlier = way == Way::Apart && halvings == 0;
        let by_tries = u8::try_from(attempts).unwrap_or(u8::MAX).min(HALVINGS_BY_LOCKS_MAX);
        Self { way, halvings: if by_earlier { by_tries } else { halvings }, waits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_from_its_byte_and_every_byte_can_be_read() {
        for way in Way::ALL {
            for halvings in 0..=HALVINGS_MAX {
                for waits in 0..=WAITS_MAX {
                    let resend = Resend { way, halvings, waits };
                    if (way, halvings) != (Way::Apart, 0) {
                        assert_eq!(Resend::from_stored(resend.stored(), 5), resend);
                    }
                }
            }
        }
        for stored in 0..=u8::MAX {
            assert!(Resend::from_stored(stored, 0).halvings <= HALVINGS_MAX, "{stored}");
        }
    }

    #[test]
    fn bytes_of_an_earlier_version_mean_what_they_meant() {
        let apart = |halvings| Resend { way: Way::Apart, halvings, waits: 0 };
        for (stored, attempts, expected) in [
            (0, 3, Resend::default()),
            (1, 1, apart(1)),
            (1, 3, apart(3)),
            (1, 9, apart(4)),
            (2, 3, Resend { way: Way::ByRest, ..Resend::default() }),
            (99, 3, Resend::default()),
        ] {
            assert_eq!(Resend::from_stored(stored, attempts), expected, "{stored} after {attempts}");
        }
    }
}
