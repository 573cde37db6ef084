//! The words for why a leadership ends: one vocabulary for the history, the log, the metrics and the documents.

use std::fmt;

use crate::protocol::LossReason;

impl LossReason {
    /// Every reason, of those that carry something the one that carries nothing.
    pub const ALL: &[Self] = &[
        Self::Resigned,
        Self::Requested,
        Self::WorkEnded { status: None },
        Self::Panicked,
        Self::Unhealthy,
        Self::TenureEnded,
        Self::Suspended,
        Self::Deposed,
        Self::StoreForgot,
        Self::OtherStores,
        Self::KeeperDied,
        Self::ElectorDied,
        Self::UnitDied,
        Self::Withdrawn,
    ];

    /// The reason in one word, as metrics, history and `-o json` call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deposed => "deposed",
            Self::TenureEnded => "tenure-ended",
            Self::Suspended => "suspended",
            Self::Unhealthy => "unhealthy",
            Self::Resigned => "resigned",
            Self::Requested => "requested",
            Self::StoreForgot => "store-forgot",
            Self::OtherStores => "other-stores",
            Self::WorkEnded { .. } => "work-ended",
            Self::Panicked => "panicked",
            Self::KeeperDied => "keeper-died",
            Self::ElectorDied => "elector-died",
            Self::UnitDied => "unit-died",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The reason of that word, without what else it may carry.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.word() == word)
    }

    /// The exit status of the work, where there was one.
    #[must_use]
    pub const fn status(self) -> Option<u8> {
        match self {
            Self::WorkEnded { status } => status,
            Self::Deposed
            | Self::TenureEnded
            | Self::Suspended
            | Self::Unhealthy
            | Self::Resigned
            | Self::Requested
            | Self::StoreForgot
            | Self::OtherStores
            | Self::Panicked
            | Self::KeeperDied
            | Self::ElectorDied
            | Self::UnitDied
            | Self::Withdrawn => None,
        }
    }

    /// Whether the end was intended: no fault, and no reason for an alarm.
    #[must_use]
    pub const fn is_planned(self) -> bool {
        matches!(
            self,
            Self::Resigned
                | Self::Requested
                | Self::WorkEnded {
                    status: None | Some(0)
                }
        )
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deposed => "deposed: the record is in other hands",
            Self::TenureEnded => "no majority of the stores acknowledged a heartbeat in time",
            Self::Suspended => "the process was frozen past its tenure",
            Self::Unhealthy => "the work is not healthy",
            Self::Resigned => "resigned",
            Self::Requested => "an operator asked the leader to resign",
            Self::StoreForgot => "the store lost its data, and another candidate came first",
            Self::OtherStores => "another candidate uses other stores, so two could lead",
            Self::WorkEnded { status: None } => "the work has ended",
            Self::WorkEnded {
                status: Some(status),
            } => return write!(f, "the work has ended with status {status}"),
            Self::Panicked => "the work panicked",
            Self::KeeperDied => "the keeper died, and the program with it",
            Self::ElectorDied => "the elector died, and its keeper released",
            Self::UnitDied => "elector and keeper died, and the service manager released",
            Self::Withdrawn => "given up before anybody acted",
        })
    }
}
