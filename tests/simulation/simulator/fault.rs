//! What goes wrong, or is done on purpose, at a moment of a run.

use super::Nanos;
use super::network::Network;

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The process of a slot is frozen. Its keeper, if it has one, is not.
    Pause { slot: usize, lasts: Nanos },
    /// The process dies; it comes back as a new party after a while.
    Crash {
        slot: usize,
        how: Crash,
        back: Nanos,
    },
    /// The party is asked to leave; it comes back as a new one.
    Resign { slot: usize },
    /// A store refuses connections.
    Down { store: usize, lasts: Nanos },
    /// A store takes requests, and carries them out only when it thaws.
    Hang { store: usize, lasts: Nanos },
    /// A store answers reads and refuses writes.
    Full { store: usize, lasts: Nanos },
    /// A store loses all data.
    Wipe { store: usize },
    /// A store loses the record, and nothing else.
    Evict { store: usize },
    /// A store goes back to what it held some writes ago.
    RollBack { store: usize, writes: usize },
    /// The wall clock of a store jumps ahead.
    JumpAhead { store: usize, by_ms: u64 },
    /// The wall clock of a store is set back.
    SetBack { store: usize, by_ms: u64 },
    /// Nothing passes between a slot and a store.
    Cut {
        slot: usize,
        store: usize,
        lasts: Nanos,
    },
    /// What a slot sends takes longer, to whatever store.
    Lag {
        slot: usize,
        by: Nanos,
        lasts: Nanos,
    },
    /// Messages fare as given for a while.
    Weather { network: Network, lasts: Nanos },
}

/// In the place of a slot: the party that acts when the fault strikes.
pub(crate) const LEADER: usize = usize::MAX;

impl Fault {
    /// The same fault with [`LEADER`] replaced by the slot that acts, or the first one if none does.
    pub(crate) fn aimed_at(self, acting: Option<usize>) -> Self {
        let aim = |slot: usize| {
            if slot == LEADER {
                acting.unwrap_or(0)
            } else {
                slot
            }
        };
        match self {
            Self::Pause { slot, lasts } => Self::Pause {
                slot: aim(slot),
                lasts,
            },
            Self::Crash { slot, how, back } => Self::Crash {
                slot: aim(slot),
                how,
                back,
            },
            Self::Resign { slot } => Self::Resign { slot: aim(slot) },
            Self::Cut { slot, store, lasts } => Self::Cut {
                slot: aim(slot),
                store,
                lasts,
            },
            Self::Lag { slot, by, lasts } => Self::Lag {
                slot: aim(slot),
                by,
                lasts,
            },
            other @ (Self::Down { .. }
            | Self::Hang { .. }
            | Self::Full { .. }
            | Self::Wipe { .. }
            | Self::Evict { .. }
            | Self::RollBack { .. }
            | Self::JumpAhead { .. }
            | Self::SetBack { .. }
            | Self::Weather { .. }) => other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The host loses power: process, keeper and work are gone at once.
    Host,
    /// The elector dies; the keeper kills the work a moment later, and then releases the record.
    Process,
}
