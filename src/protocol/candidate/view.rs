//! What a candidate knows about one store.

use std::time::Duration;

use super::RequestId;
use crate::protocol::{
    Attestation, Beat, Knowledge, Mark, MemoryId, Record, Timestamp, WallMillis, Watch,
};

/// What one store has replied, and the request in flight there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct StoreView {
    pub(super) watch: Watch,
    /// What is known of its memory.
    pub(super) known: Option<Knowledge>,
    /// The last release notification, until the store replies to a request sent after it.
    pub(super) hint: Option<Hint>,
    /// The highest reading of its clock.
    pub(super) clock: WallMillis,
    /// When that was received.
    pub(super) clock_read: Timestamp,
    /// The one request in flight.
    pub(super) pending: Option<Pending>,
    /// When the next one is due.
    pub(super) due: Timestamp,
    /// Whether the last request failed, and none has succeeded since.
    pub(super) failing: bool,
    /// Whether a claim was sent that was not certainly refused: the record may be ours.
    pub(super) claimed: bool,
    /// The memory under which it granted our claim, while it confirms that we hold its record.
    pub(super) hold: Option<MemoryId>,
    /// The last heartbeat that it acknowledged in this term. It outlives the hold: a candidate that takes the
    /// record over waits a window; one that finds it forgotten, a probation.
    pub(super) acknowledged: Option<Acknowledged>,
    /// The highest counter that we may have written there.
    pub(super) written: Beat,
}

/// A free record from a notification, not from a reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hint {
    pub(super) record: Record,
    pub(super) mark: Mark,
    pub(super) heard: Timestamp,
}

/// A claim or heartbeat that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Acknowledged {
    pub(super) sent: Timestamp,
    /// The memory of the store that granted it.
    pub(super) memory: MemoryId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) id: RequestId,
    pub(super) sent: Timestamp,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Observe,
    Claim,
    Beat,
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
        let passed = now.since(self.clock_read).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        WallMillis::new(self.clock.get().saturating_add(passed)).unwrap_or(WallMillis::MAX)
    }

    pub(super) fn attest(&self, now: Timestamp, worthwhile: bool) -> Option<Attestation> {
        self.known?.attest(now, worthwhile)
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
