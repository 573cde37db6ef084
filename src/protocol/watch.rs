//! What a candidate has seen of one store: which record, unchanged since when, over how many polls.

use std::time::Duration;

use super::{Mark, Memory, Record, Timestamp, Timing};

/// The evidence that one store's record has stalled.
///
/// It is built from successful observations only: a failed poll is no evidence (`S4`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    seen: Option<Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    record: Record,
    mark: Mark,
    /// When the first reply that showed this record was *received*: it was so since then at the latest.
    since: Timestamp,
    /// When the last poll that showed it was *sent*: it was so at least until then.
    until: Timestamp,
    /// How many polls after the first found it unchanged.
    polls: u32,
    /// When the holder that the store then forgot was first seen with its last counter. One that released the
    /// record did so under the same memory.
    forgotten: Option<Timestamp>,
}

impl Watch {
    /// A watch that has seen nothing.
    pub const NEW: Self = Self { seen: None };

    /// Records what a poll sent at `sent` brought at `received`. A change of the memory is a change too.
    pub fn observe(
        &mut self,
        record: &Record,
        memory: &Memory,
        sent: Timestamp,
        received: Timestamp,
    ) {
        let mark = record.mark(memory);
        match &mut self.seen {
            Some(seen) if seen.mark == mark => {
                seen.polls = seen.polls.saturating_add(1);
                seen.until = sent;
                seen.record = record.clone();
            }
            seen => {
                let before = seen.as_ref().filter(|seen| {
                    let lost = mark.shape.is_free() && mark.memory != seen.mark.memory;
                    lost && !seen.mark.shape.is_free()
                });
                let forgotten = before.map(|seen| seen.since);
                *seen = Some(Seen {
                    record: record.clone(),
                    mark,
                    since: received,
                    until: sent,
                    polls: 0,
                    forgotten,
                });
            }
        }
    }

    /// The last record seen.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.seen.as_ref().map(|seen| &seen.record)
    }

    /// What the last record seen is compared with.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.seen.as_ref().map(|seen| seen.mark)
    }

    /// When the last record was first seen in this state.
    #[must_use]
    pub fn unchanged_since(&self) -> Option<Timestamp> {
        self.seen.as_ref().map(|seen| seen.since)
    }

    /// What a claim may expect of the store, if its record may be claimed at `now`.
    ///
    /// A free record may be claimed at once, a held one after it stalled for `stall_polls` successful
    /// polls *and* the larger of its holder's window and ours (`R1`); either only while the evidence is
    /// fresh (`R2`).
    #[must_use]
    pub fn claimable(&self, now: Timestamp, timing: &Timing) -> Option<Mark> {
        let seen = self.seen.as_ref()?;
        let ripe = seen.mark.shape.is_free() || seen.stands_still(now, timing);
        (ripe && self.is_fresh(now, timing)).then_some(seen.mark)
    }

    /// Whether the record was seen recently enough for a claim to rest on it (`R2`).
    pub(crate) fn is_fresh(&self, now: Timestamp, timing: &Timing) -> bool {
        let seen = self.seen.as_ref();
        seen.is_some_and(|seen| now.since(seen.until) <= freshness(timing))
    }

    /// Whether the store has just forgotten a live holder: that holder finds out by its next heartbeat
    /// and joins the store again, so others let it.
    pub(crate) fn awaits_its_leader(&self, now: Timestamp, timing: &Timing) -> bool {
        let seen = self.seen.as_ref();
        seen.is_some_and(|seen| seen.returns_by(timing).is_some_and(|until| now < until))
    }

    /// What an order that removes a stalled holder may expect of the store: a held record is abandoned when
    /// it may be taken over (`R1`, `R2`).
    #[must_use]
    pub fn abandoned(&self, now: Timestamp, timing: &Timing) -> Option<Mark> {
        self.claimable(now, timing).filter(|_| self.is_held())
    }

    /// Whether the last record, free or not, has stalled for as long as a held one must (`R1`).
    pub(crate) fn stands_still(&self, now: Timestamp, timing: &Timing) -> bool {
        let seen = self.seen.as_ref();
        seen.is_some_and(|seen| seen.stands_still(now, timing))
    }

    /// When a held record will have stalled for long enough, if enough polls have confirmed it already:
    /// the moment for which a timer is worth setting. A free record with a preferred successor is waited
    /// for in the same way.
    #[must_use]
    pub(crate) fn ripe_at(&self, timing: &Timing) -> Option<Timestamp> {
        let seen = self.seen.as_ref()?;
        let waits = !seen.mark.shape.is_free() || seen.record.preferred().is_some();
        let enough = waits && seen.polls >= timing.stall_polls();
        let ripe = || enough.then(|| seen.since + seen.stall(timing));
        seen.returns_by(timing).or_else(ripe)
    }

    /// Whether the last record seen is held.
    #[must_use]
    pub(crate) fn is_held(&self) -> bool {
        self.record().is_some_and(|record| !record.is_free())
    }
}

impl Seen {
    fn stands_still(&self, now: Timestamp, timing: &Timing) -> bool {
        self.polls >= timing.stall_polls() && now.since(self.since) >= self.stall(timing)
    }

    /// Until when a live holder that the store forgot may join it again: its next heartbeat is at most
    /// an interval away, and joining takes two round trips.
    fn returns_by(&self, timing: &Timing) -> Option<Timestamp> {
        let alive = self.since.since(self.forgotten?) <= timing.tenure();
        alive.then(|| self.since + timing.interval() + timing.interval() / 2)
    }

    fn stall(&self, timing: &Timing) -> Duration {
        self.record.window().max(timing.window())
    }
}

/// How long ago a record may have been seen for a claim to rest on it (`R2`).
fn freshness(timing: &Timing) -> Duration {
    timing.interval() + timing.interval() / 2
}
