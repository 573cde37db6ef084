//! Seeded randomness: a run is a function of its seed, on every machine.

use std::ops::Range;

/// A splitmix64 generator (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number of `range`; its start when it is empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        let span = range.end.saturating_sub(range.start);
        range.start + u64::try_from((u128::from(self.next()) * u128::from(span)) >> 64).unwrap_or(0)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.within(0..end as u64)).unwrap_or(0)
    }

    /// True `per_mille` times of a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.within(0..1000) < per_mille
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
