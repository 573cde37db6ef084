//! What happens to messages on their way.

use super::random::Random;
use super::{MILLI, Nanos};

/// How messages travel, in both directions.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) fastest: Nanos,
    pub(crate) slowest: Nanos,
    /// Per mille of messages that are lost.
    pub(crate) loss: u64,
    /// Per mille of requests and replies that arrive twice, the second at an independent time.
    pub(crate) doubled: u64,
    /// Per mille of messages that take up to `straggle` instead.
    pub(crate) stragglers: u64,
    pub(crate) straggle: Nanos,
}

impl Network {
    /// A network that does no harm: every message takes a millisecond.
    pub(crate) const QUIET: Self = Self {
        fastest: MILLI,
        slowest: MILLI + 1,
        loss: 0,
        doubled: 0,
        stragglers: 0,
        straggle: 0,
    };

    /// After how long the copies of one message arrive.
    pub(crate) fn copies(&self, random: &mut Random) -> [Option<Nanos>; 2] {
        if random.chance(self.loss) {
            return [None, None];
        }
        let first = Some(self.delay(random));
        let second = random.chance(self.doubled).then(|| self.delay(random));
        [first, second]
    }

    fn delay(&self, random: &mut Random) -> Nanos {
        if random.chance(self.stragglers) {
            random.within(self.fastest..self.straggle.max(self.slowest))
        } else {
            random.within(self.fastest..self.slowest)
        }
    }
}
