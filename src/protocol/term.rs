//! The two counters of an election: the term, which only rises, and the heartbeat counter.

use std::fmt;

use super::WallMillis;
use crate::values::FencingToken;

/// What the protocol calls a [`FencingToken`].
pub type Term = FencingToken;

impl FencingToken {
    const IN_A_MILLISECOND: u64 = 1000;

    /// When it was claimed, if the term shows it: it is numbered by the highest clock of the stores (`R3`),
    /// and lies ahead of it where that clock was set back. `None` for a number that no clock of this century
    /// has shown.
    #[must_use]
    pub const fn claimed_at(self) -> Option<WallMillis> {
        const YEAR_2001: u64 = 978_307_200_000;
        let clock = self.get() / Self::IN_A_MILLISECOND;
        if clock >= YEAR_2001 {
            WallMillis::new(clock)
        } else {
            None
        }
    }

    /// The number of the first term of a moment of a store's clock. There are many in a millisecond: where names are
    /// claimed and deleted one after the other, each takes one, and they must not run ahead of the clock.
    pub(super) const fn at(clock: WallMillis) -> u64 {
        clock.get().saturating_mul(Self::IN_A_MILLISECOND)
    }

    /// The term of the next leadership: above the highest one seen, and not behind the clock of any store
    /// (`R3`). `None` when the numbers are used up, which takes a forged record.
    pub(crate) fn next(floor: Self, clock: WallMillis) -> Option<Self> {
        Self::new(floor.get().checked_add(1)?.max(Self::at(clock)))
    }
}

/// The heartbeat counter of one store: a leader increments it, a standby watches whether it stalls.
///
/// It is a signed 64-bit integer because that is what `INCR` counts in, and a program that speaks only
/// the bare protocol may have put any such number there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beat(i64);

impl Beat {
    /// The given counter value.
    #[must_use]
    pub const fn new(counter: i64) -> Self {
        Self(counter)
    }

    /// The counter value.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The counter that equals a term.
    pub(super) fn of(term: Term) -> Self {
        Self(i64::try_from(term.get()).unwrap_or(i64::MAX))
    }

    /// The counter that a claim of `term` writes over `last`.
    ///
    /// It starts at the term and never goes back, so no value is ever written twice to one key: a
    /// candidate that watched a counter stall cannot mistake a new holder's for it. (A counter that
    /// restarts at 1 lets two candidates of the bare protocol win a counter that stalled at 1.)
    #[must_use]
    pub fn first(term: Term, last: Self) -> Self {
        let start = Self::of(term);
        if last.0 >= LAST_EXACT {
            start
        } else {
            start.max(Self(last.0.saturating_add(1)))
        }
    }

    /// The counter of a record whose key is released with `counter` on it: the larger of both, as long as
    /// a claim continues from it.
    #[must_use]
    pub(super) fn continued_from(self, counter: Self) -> Self {
        if counter.0 >= LAST_EXACT {
            self
        } else {
            self.max(counter)
        }
    }

    /// The counter after one more heartbeat.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The largest counter that a claim continues from; above it (only a foreign program gets there) the
/// count restarts at the term, which differs from it.
const LAST_EXACT: i64 = 1 << 60;

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
