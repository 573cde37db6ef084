//! A candidate in any state that can be written down, reachable or not: for the proof, and no part of the API.

use super::{Candidate, CandidateConfig};
use crate::protocol::{Knowledge, Term, Timestamp};

pub use super::phase::{Ending, Phase, Release, Tenure};
pub use super::view::{Acknowledged, Hint, Kind, Pending, StoreView};

impl Candidate {
    /// The candidate that does and knows this at `now`, and may have been granted `last_claimed`.
    #[must_use]
    pub fn planted(
        config: CandidateConfig,
        now: Timestamp,
        phase: Phase,
        stores: Vec<StoreView>,
        last_claimed: Option<Term>,
    ) -> Self {
        Self {
            phase,
            stores,
            last_claimed,
            next_request: 100,
            now,
            planned: now,
            ..Self::new(config)
        }
    }

    /// What it does, what it knows, and the last term that a store may have granted it.
    #[must_use]
    pub fn inside(&self) -> (Phase, &[StoreView], Option<Term>) {
        (self.phase, &self.stores, self.last_claimed)
    }
}

impl Knowledge {
    /// When the memory was born, at the latest.
    #[must_use]
    pub fn born(&self) -> Timestamp {
        self.as_old_as(std::time::Duration::ZERO)
    }
}
