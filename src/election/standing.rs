//! The state of a candidacy, as its owner sees it, and the commands that its owner sends.

use super::CampaignError;
use super::lease::Lease;
use crate::protocol::{CandidateId, FencingToken, LossReason, Pause, Prospect};
use crate::store::StoreError;

/// A command from the owner of a candidacy to its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Leave the election; a leader's work is asked to stop.
    Resign(LossReason),
    /// The work has provably ended, for this reason unless it was asked to stop for another.
    WorkEnded(LossReason),
}

/// The state of a candidacy, as its owner sees it.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Campaigning {
        prospect: Prospect,
        leader: Option<(CandidateId, FencingToken)>,
        paused: Option<Pause>,
        error: Option<StoreError>,
    },
    /// It holds the election, and waits out its probation.
    Probation,
    /// The stores refuse us, and have never done otherwise.
    Refused(StoreError),
    Elected(Lease),
    /// It has left, because another candidate uses other stores if there is such an error.
    Over(Option<CampaignError>),
}

impl Standing {
    pub(super) const START: Self = Self::Campaigning {
        prospect: Prospect::Open,
        leader: None,
        paused: None,
        error: None,
    };

    /// Whether both mean the same to people: errors of one kind do.
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
                | Self::Over(_),
                _,
            ) => false,
        }
    }
}
