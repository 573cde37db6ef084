//! What a store shows of one election to people: its state now, and what happened before.

use std::time::Duration;

use super::{Identity, Note};
use crate::protocol::{
    Claim, ClaimKind, FencingToken, Mark, Memory, Occupancy, Order, Record, Request, WallMillis,
};

/// One election as its store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The record.
    pub record: Record,
    /// The store's memory; `None` before anyone has campaigned there, and after a loss.
    pub memory: Option<Memory>,
    /// The store's clock at that moment.
    pub clock: WallMillis,
    /// The holder of the record, as it introduced itself.
    pub holder: Option<Identity>,
    /// When the present holder was granted the record.
    pub since: Option<WallMillis>,
    /// When the record last changed: the last heartbeat, claim, release or deposition.
    pub changed: Option<WallMillis>,
    /// The candidates, sorted by id.
    pub candidates: Vec<SeenCandidate>,
    /// A warning about all this, such as that it may be out of date.
    pub caveat: Option<String>,
}

impl Inspection {
    /// A record, and no more known about it.
    #[must_use]
    pub const fn new(record: Record, clock: WallMillis) -> Self {
        Self {
            record,
            memory: None,
            clock,
            holder: None,
            since: None,
            changed: None,
            candidates: Vec::new(),
            caveat: None,
        }
    }

    /// What a claim or a deposition of the record is compared with; `None` on a store without a memory.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.memory.map(|memory| self.record.mark(&memory))
    }
}

/// A candidate that was seen campaigning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenCandidate {
    /// Who it is.
    pub identity: Identity,
    /// When it last observed the record, or, of its holder, when its last heartbeat was granted.
    pub last_seen: WallMillis,
}

impl SeenCandidate {
    /// How long a candidate is listed that is not seen any more.
    pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

    /// A candidate that observed the record at this time of the store's clock.
    #[must_use]
    pub const fn new(identity: Identity, last_seen: WallMillis) -> Self {
        Self {
            identity,
            last_seen,
        }
    }
}

/// Something that happened to a record, for people. It decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, by the store's clock.
    pub at: WallMillis,
    /// The term it happened to.
    pub term: FencingToken,
    /// Who did it: whose term it is, or the operator who gave the order.
    pub holder: Identity,
    /// What happened.
    pub change: Change,
    /// The note, if there is one.
    pub note: Option<Note>,
}

impl HistoryEntry {
    /// An entry without a note.
    #[must_use]
    pub const fn new(at: WallMillis, term: FencingToken, holder: Identity, change: Change) -> Self {
        Self {
            at,
            term,
            holder,
            change,
            note: None,
        }
    }
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// It was claimed for the first time, or for the first time since the store forgot it.
    ClaimedAbsent,
    /// It was claimed while no one held it.
    ClaimedVacant,
    /// It was taken over from a holder whose counter had stalled.
    ClaimedStalled,
    /// It was taken over from a program that speaks only the bare protocol.
    ClaimedForeign,
    /// An acting leader added this store to those that hold its term.
    Joined,
    /// Its holder released it.
    Released,
    /// An operator paused the election.
    Paused,
    /// An operator lifted the pause.
    Resumed,
    /// An operator asked the holder to resign.
    AskedToResign,
    /// An operator took the holder for gone.
    Deposed,
}

impl Change {
    /// What a granted request did to the record that stood there before; `None` when that is nothing
    /// to keep.
    pub(super) fn made_by(request: &Request, before: &Record) -> Option<Self> {
        Some(match request {
            Request::Observe | Request::Beat { .. } => return None,
            Request::Claim(Claim {
                kind: ClaimKind::Join,
                ..
            }) => Self::Joined,
            Request::Claim(_) => match before.occupancy {
                Occupancy::Absent => Self::ClaimedAbsent,
                Occupancy::Vacant => Self::ClaimedVacant,
                Occupancy::Held { .. } => Self::ClaimedStalled,
                Occupancy::Foreign { .. } => Self::ClaimedForeign,
            },
            Request::Release { .. } => Self::Released,
            Request::Order(Order::Pause { .. }) => Self::Paused,
            Request::Order(Order::Resume) if before.orders.paused.is_none() => return None,
            Request::Order(Order::Resume) => Self::Resumed,
            Request::Order(Order::Resign { .. }) => Self::AskedToResign,
            Request::Order(Order::Depose { .. }) => Self::Deposed,
            // The history goes with the record.
            Request::Order(Order::Forget { .. }) => return None,
        })
    }

    /// Whether a granted request has deleted the record, so that nothing is kept of the election.
    pub(super) fn deletes(request: &Request, after: &Record) -> bool {
        let deletes = matches!(
            request,
            Request::Release { delete: true, .. } | Request::Order(Order::Forget { .. })
        );
        deletes && *after == Record::ABSENT
    }

    /// Whether standbys are woken by it, when the record is free to be claimed after it.
    pub(super) const fn wakes(self) -> bool {
        matches!(self, Self::Released | Self::Resumed | Self::Deposed)
    }
}
