//! The record that one store keeps of one election.

use std::time::Duration;

use super::memory::is_far_ahead;
use super::{Beat, CandidateId, Handover, Memory, MemoryId, Orders, Successor, Term, WallMillis};

/// What one store knows about one election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The highest term ever granted here. It never falls while the store keeps its data.
    pub floor: Term,
    /// The term of the last holder; [`Term::ZERO`] when there has been none.
    pub term: Term,
    /// The last heartbeat counter that the last holder wrote.
    pub beat: Beat,
    /// Its holder, if any.
    pub occupancy: Occupancy,
    /// What operators have ordered. It is not part of the mark: no order fences the current leader.
    pub orders: Orders,
}

/// Whether a record is held, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Occupancy {
    /// The store has no record: the election is new here, or the store has forgotten it.
    Absent,
    /// Not held: the last holder released it.
    Vacant,
    /// A candidate holds it.
    Held {
        /// Which one.
        holder: CandidateId,
        /// How long its counter must stall before anyone may take over, as the holder published it.
        window: Duration,
    },
    /// A program that speaks only the bare protocol touched the counter: it differs from the one in
    /// the record. That program counts as the holder.
    Foreign {
        /// The counter found; `None` when it was deleted under a holder.
        counter: Option<Beat>,
        /// The window of the holder that the record still names; zero when it names none.
        window: Duration,
    },
}

impl Record {
    /// The record of a store that knows nothing of the election.
    pub const ABSENT: Self = Self {
        floor: Term::ZERO,
        term: Term::ZERO,
        beat: Beat::new(0),
        occupancy: Occupancy::Absent,
        orders: Orders::NONE,
    };

    /// The record as a store shows it when its clock reads `clock`: without an expired pause.
    #[must_use]
    pub fn seen_at(&self, clock: WallMillis) -> Self {
        let mut seen = self.clone();
        let paused = &mut seen.orders.paused;
        paused.take_if(|pause| !pause.holds_at(clock));
        seen
    }

    /// What a claim of the record is compared with, on a store with this memory.
    #[must_use]
    pub fn mark(&self, memory: &Memory) -> Mark {
        let foreign = matches!(self.occupancy, Occupancy::Foreign { .. });
        Mark {
            memory: memory.id,
            term: self.term,
            // R8: a foreign program may write one counter again and again, and a record may come and go meanwhile.
            beat: match foreign && self.is_missing() {
                true => Beat::new(memory.taken.cast_signed()),
                false => self.beat,
            },
            shape: match self.occupancy {
                Occupancy::Absent => Shape::Absent {
                    taken: memory.taken,
                },
                Occupancy::Vacant => Shape::Vacant,
                Occupancy::Held { .. } => Shape::Held,
                Occupancy::Foreign { counter, .. } => Shape::Foreign(counter),
            },
        }
    }

    /// Whether the record can be claimed without waiting.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self.occupancy, Occupancy::Absent | Occupancy::Vacant)
    }

    /// The highest counter known to have stood on the key.
    #[must_use]
    pub fn last_counter(&self) -> Beat {
        match self.occupancy {
            Occupancy::Foreign {
                counter: Some(counter),
                ..
            } => counter.max(self.beat),
            _ => self.beat,
        }
    }

    /// Whether nothing of a record is there, whatever stands on the counter's key.
    pub(crate) fn is_missing(&self) -> bool {
        self.floor == Term::ZERO
    }

    /// Whether its term or counter is too far ahead of the store's clock for the record to be deleted.
    pub(crate) fn is_ahead_of(&self, clock: WallMillis) -> bool {
        let counter = u64::try_from(self.beat.get()).ok().and_then(Term::new);
        counter.is_none_or(|counter| is_far_ahead(self.floor.max(counter), clock))
    }

    /// The candidate that holds the record, if one does.
    #[must_use]
    pub fn holder(&self) -> Option<&CandidateId> {
        match &self.occupancy {
            Occupancy::Held { holder, .. } => Some(holder),
            Occupancy::Absent | Occupancy::Vacant | Occupancy::Foreign { .. } => None,
        }
    }

    /// Whether `candidate` holds the record under `term`: only then may it beat or release it (`S3`).
    #[must_use]
    pub fn is_held_by(&self, candidate: &CandidateId, term: Term) -> bool {
        self.term == term && self.holder() == Some(candidate)
    }

    /// Whether the candidate that holds the record is asked to resign.
    #[must_use]
    pub fn is_asked_to_resign(&self) -> bool {
        self.holder().is_some() && self.handover().is_some()
    }

    /// Who may claim the record at once, while all others have to watch it unchanged for a window
    /// first: the successor that was named when the last leader was asked to resign.
    #[must_use]
    pub fn preferred(&self) -> Option<&Successor> {
        let vacant = self.occupancy == Occupancy::Vacant;
        self.handover()
            .filter(|_| vacant)
            .and_then(|handover| handover.to.as_ref())
    }

    /// The handover of the term that the record shows; a handover of any other term means nothing.
    #[must_use]
    pub fn handover(&self) -> Option<&Handover> {
        let handover = self.orders.handover.as_ref();
        handover.filter(|handover| handover.term == self.term)
    }

    /// The window that the holder published; zero when the record names none.
    #[must_use]
    pub fn window(&self) -> Duration {
        match self.occupancy {
            Occupancy::Held { window, .. } | Occupancy::Foreign { window, .. } => window,
            Occupancy::Absent | Occupancy::Vacant => Duration::ZERO,
        }
    }
}

/// What a claim expects the record to be, exactly.
///
/// Under one memory a counter never returns to an earlier value ([`Beat::first`]), so an equal mark means that
/// nothing happened to the record in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The memory of the store.
    pub memory: MemoryId,
    /// The term of the last holder.
    pub term: Term,
    /// The last counter that holder wrote. Where a foreign program's counter stands without a record, how often held
    /// records had changed hands on the store.
    pub beat: Beat,
    /// How the record is held.
    pub shape: Shape,
}

impl Mark {
    /// An absent record of a store of which nothing is known. Only a claim for which the store numbers the term is
    /// granted with it.
    pub const UNKNOWN: Self = Self {
        memory: MemoryId {
            made: WallMillis::ZERO,
            nonce: 0,
        },
        term: Term::ZERO,
        beat: Beat::new(0),
        shape: Shape::Absent { taken: 0 },
    };

    /// The highest counter known to have stood on the key.
    #[must_use]
    pub fn last_counter(self) -> Beat {
        match self.shape {
            Shape::Foreign(Some(counter)) => counter.max(self.beat),
            Shape::Foreign(None) | Shape::Absent { .. } | Shape::Vacant | Shape::Held => self.beat,
        }
    }
}

/// How a record is held, without the holder's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// As [`Occupancy::Absent`].
    Absent {
        /// How often held records had changed hands on the store.
        taken: u64,
    },
    /// As [`Occupancy::Vacant`].
    Vacant,
    /// As [`Occupancy::Held`].
    Held,
    /// As [`Occupancy::Foreign`], with the counter found.
    Foreign(Option<Beat>),
}

impl Shape {
    /// Whether a record of this shape can be claimed without waiting.
    #[must_use]
    pub const fn is_free(self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Vacant)
    }
}
