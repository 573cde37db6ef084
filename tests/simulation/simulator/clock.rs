//! The clock of one machine: it has its own rate, and began at another moment.

use incumbent::protocol::Timestamp;

use super::Nanos;

#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalClock {
    /// What it shows at the beginning of the world.
    pub(crate) offset: u64,
    /// How much faster than real time it runs, in parts per million.
    pub(crate) drift_ppm: i64,
}

impl LocalClock {
    pub(crate) fn at(&self, real: Nanos) -> Timestamp {
        let drift = i128::from(real) * i128::from(self.drift_ppm) / 1_000_000;
        let local = i128::from(self.offset) + i128::from(real) + drift;
        Timestamp::from_nanos(u64::try_from(local).unwrap_or(0))
    }

    /// The first moment at which this clock shows `local` or more; `u64::MAX` for never.
    pub(crate) fn when(&self, local: Timestamp) -> Nanos {
        if local == Timestamp::NEVER {
            return u64::MAX;
        }
        let elapsed = i128::from(local.as_nanos()) - i128::from(self.offset);
        let rate = 1_000_000 + i128::from(self.drift_ppm);
        let mut real = u64::try_from(elapsed * 1_000_000 / rate).unwrap_or(0);
        while real > 0 && self.at(real - 1) >= local {
            real -= 1;
        }
        while self.at(real) < local {
            real += 1;
        }
        real
    }
}
