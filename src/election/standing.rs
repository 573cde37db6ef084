//! How a candidacy stands, for who waits for it, and what its owner tells it.

use super::lease::Lease;
use crate::protocol::{CandidateId, LossReason, Pause, Prospect, Term};
use crate::store::StoreError;

/// What the owner of a candidacy tells its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Leave the election; a leader's work is told to stop.
    Resign(LossReason),
    /// The work has provably ended, for this reason unless it was told to stop for another.
    WorkEnded(LossReason),
}

/// How a candidacy stands, for who waits for it.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Campaigning {
        prospect: Prospect,
        leader: Option<(CandidateId, Term)>,
        paused: Option<Pause>,
        error: Option<StoreError>,
    },
    /// It holds the election, and waits out its probation.
    Probation,
    /// The stores refuse us, and have never done otherwise.
    Refused(StoreError),
    Elected(Lease),
    Over,
}

impl Standing {
    pub(super) const START: Self = Self::Campaigning {
        prospect: Prospect::Open,
        leader: None,
        paused: None,
        error: None,
    };

    /// Whether people are told the same by both: errors of one kind are.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Campaigning {
                    prospect,
                    leader,
                    paused,
                    error,
                },
                Self::Campaigning {
                    prospect: other_prospect,
                    leader: other_leader,
                    paused: other_paused,
                    error: other_error,
                },
            ) => {
                prospect == other_prospect
                    && leader == other_leader
                    && paused == other_paused
                    && error.is_some() == other_error.is_some()
            }
            (Self::Refused(_), Self::Refused(_)) | (Self::Probation, Self::Probation) => true,
            (
                Self::Campaigning { .. }
                | Self::Probation
                | Self::Refused(_)
                | Self::Elected(_)
                | Self::Over,
                _,
            ) => false,
        }
    }
}
