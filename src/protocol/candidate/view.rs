//! What a candidate knows about one store.

#![cfg_attr(
    not(feature = "_fuzzing"),
    allow(unreachable_pub, reason = "the proof reaches it")
)]

use std::time::Duration;

use super::RequestId;
use crate::protocol::{Beat, Knowledge, Mark, MemoryId, Record, Timestamp, WallMillis, Watch};

/// What one store has replied, and the request in flight there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoreView {
    /// What was seen of its record.
    pub watch: Watch,
    /// What is known of its memory.
    pub known: Option<Knowledge>,
    /// The last release notification, until the store replies to a request sent after it.
    pub hint: Option<Hint>,
    /// The highest reading of its clock.
    pub clock: WallMillis,
    /// When that was received.
    pub clock_read: Timestamp,
    /// The one request in flight.
    pub pending: Option<Pending>,
    /// When the next one is due.
    pub due: Timestamp,
    /// Whether the last request failed, and none has succeeded since.
    pub failing: bool,
    /// Whether a claim was sent that was not certainly refused: the record may be ours.
    pub claimed: bool,
    /// The memory under which it granted our claim, while it confirms that we hold its record.
    pub hold: Option<MemoryId>,
    /// The last heartbeat that it acknowledged in this term. It outlives the hold: a candidate that takes the
    /// record over waits a window; one that finds it forgotten, a probation.
    pub acknowledged: Option<Acknowledged>,
    /// The highest counter that we may have written there.
    pub written: Beat,
}

/// A free record from a notification, not from a reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hint {
    /// The record.
    pub record: Record,
    /// What a claim expects by it.
    pub mark: Mark,
    /// When it arrived.
    pub heard: Timestamp,
}

/// A claim or heartbeat that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Acknowledged {
    /// When it was sent.
    pub sent: Timestamp,
    /// The memory of the store that granted it.
    pub memory: MemoryId,
}

/// A request in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// Its number.
    pub id: RequestId,
    /// When it was sent.
    pub sent: Timestamp,
    /// What it asks.
    pub kind: Kind,
}

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The record.
    Observe,
    /// To become the holder.
    Claim,
    /// To stay the holder.
    Beat,
    /// To be the holder no more.
    Release,
}

impl StoreView {
    pub(super) fn read_clock(&mut self, clock: WallMillis, received: Timestamp) {
        if clock >= self.clock {
            self.clock = clock;
            self.clock_read = received;
        }
    }

    /// What its clock shows at `now`, at least.
    pub(super) fn clock_at(&self, now: Timestamp) -> WallMillis {
        if self.clock == WallMillis::ZERO {
            return self.clock;
        }
        self.clock.after(now.since(self.clock_read))
    }

    /// From when on a leader that the store had forgotten before its memory began has stopped. A hold counts
    /// only under the memory that granted it.
    pub(super) fn proven_from(&self, probation: Duration) -> Option<Timestamp> {
        let hold = self.hold?;
        let known = self.known.filter(|known| known.memory.id == hold)?;
        Some(known.as_old_as(probation))
    }

    /// Whether its memory is another one than when it last acknowledged us.
    pub(super) fn has_forgotten_us(&self) -> bool {
        let known = self.known.map(|known| known.memory.id);
        self.acknowledged
            .is_some_and(|last| known != Some(last.memory))
    }

    pub(super) fn awaits(&self, kind: Kind) -> bool {
        self.pending.as_ref().is_some_and(|p| p.kind == kind)
    }
}
