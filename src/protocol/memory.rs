//! The memory of a store: how long it is known to have forgotten nothing.
//!
//! A store that lost its data, went back to older data or was replaced may not show a leader that still acts.
//! No record can prove the opposite, so the store itself does: it has a *memory*, with an id that is new after
//! every loss, restart and failover, and an age for which candidates vouch with their own clocks. Once the
//! memory is older than a probation, whoever led before the loss has stopped, and any record will do (`S5`).

use std::time::Duration;

use super::{Record, Term, Timestamp, WallMillis};

/// Names one memory. No other memory of any store has the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryId {
    /// When it was made, by the store's clock.
    pub made: WallMillis,
    /// A random number of the request that made it.
    pub nonce: u64,
}

/// What a store remembers of itself. It has one memory for all of its elections, or, on a cluster, one for
/// each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Which memory this is.
    pub id: MemoryId,
    /// How old it is at least; never more than [`Memory::MATURE`].
    pub age: Duration,
    /// No term below or at this is granted, in any election.
    pub floor: Term,
    /// How often a record that was held has changed hands. With it no two absences of a record look alike.
    pub taken: u64,
}

impl Memory {
    /// The age that is enough for every timing: nothing is counted above it.
    pub const MATURE: Duration = super::Timing::MAX_WINDOW;

    /// A memory that has just begun.
    #[must_use]
    pub const fn young(id: MemoryId) -> Self {
        Self {
            id,
            age: Duration::ZERO,
            floor: Term::ZERO,
            taken: 0,
        }
    }

    /// The memory of a store that cannot forget.
    #[must_use]
    pub const fn mature(id: MemoryId) -> Self {
        Self {
            age: Self::MATURE,
            ..Self::young(id)
        }
    }

    /// The memory after the store noticed that it may have lost something.
    #[must_use]
    pub const fn begun_again(self, id: MemoryId) -> Self {
        Self {
            id,
            age: Duration::ZERO,
            ..self
        }
    }
}

/// A candidate's word that a memory has a certain age: so much time has passed on its clock since it
/// learnt of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attestation {
    /// The memory meant: the word counts for no other.
    pub memory: MemoryId,
    /// Its age, at least.
    pub age: Duration,
}

/// Whether a term is too far ahead of the store's clock to count for the memory: a forged one must not use up the
/// terms of all elections.
pub(super) const fn is_far_ahead(term: Term, clock: WallMillis) -> bool {
    const MINUTE: u64 = 60_000_000;
    term.get() > Term::at(clock).saturating_add(MINUTE)
}

/// All that a store keeps that bears on one election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The store's memory; `None` before the first request, and after a loss.
    pub memory: Option<Memory>,
    /// Whether the store was restarted, or was given another role, since that memory began: what it holds may be
    /// older than what it held.
    pub restarted: bool,
    /// The floor with which the memory lists the record, if it does: a listed record that is absent has been
    /// lost.
    pub listed: Option<Term>,
    /// The record of the election.
    pub record: Record,
}

impl State {
    /// A store that has never been used, or has lost everything.
    pub const EMPTY: Self = Self {
        memory: None,
        restarted: false,
        listed: None,
        record: Record::ABSENT,
    };

    /// R7: the memory that counts for a request, and the floor that it lists: a new one, with the id `fresh`, if
    /// there is none, if it misses the record, or if the store `looks` whether it was restarted, and was.
    pub(super) fn checked(
        &self,
        fresh: MemoryId,
        looks: bool,
        clock: WallMillis,
    ) -> (Memory, Option<Term>) {
        match (self.memory, self.listed) {
            (None, _) => (Memory::young(fresh), None),
            (Some(memory), Some(floor)) if self.record.is_missing() => {
                let again = memory.begun_again(fresh);
                let forged = is_far_ahead(floor, clock);
                let floor = again.floor.max(if forged { Term::ZERO } else { floor });
                (Memory { floor, ..again }, None)
            }
            (Some(memory), listed) if self.restarted && looks => {
                (memory.begun_again(fresh), listed)
            }
            (Some(memory), listed) => (memory, listed),
        }
    }
}

/// What a process knows about the memory of one store. All its campaigns on that store share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Knowledge {
    /// The memory, as it was shown last.
    pub memory: Memory,
    /// When the request was sent that showed it last.
    pub seen: Timestamp,
    /// The store's clock then.
    pub clock: WallMillis,
    /// At a moment of this process's clock the memory was this old, at least.
    aged: (Timestamp, Duration),
    /// When the store still had another memory: whatever its age is said to be, it was born later.
    other_until: Option<Timestamp>,
}

impl Knowledge {
    /// What is known after a reply to a request sent at `sent` has shown `memory` at `received`.
    #[must_use]
    pub fn learnt(
        before: Option<Self>,
        (memory, clock): (Memory, WallMillis),
        sent: Timestamp,
        received: Timestamp,
    ) -> Self {
        let same = before.filter(|known| known.memory.id == memory.id);
        let other = before.map(|known| known.seen);
        let other_until = same.map_or(other, |known| known.other_until);
        let longest = other_until.map_or(Memory::MATURE, |other| received.since(other));
        let shown = (received, memory.age.min(longest));
        Self {
            memory,
            seen: sent,
            clock,
            aged: same.map_or(shown, |known| older(known.aged, shown)),
            other_until,
        }
    }

    /// What two campaigns of one process know together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let (earlier, later) = match self.seen <= other.seen {
            true => (self, other),
            false => (other, self),
        };
        let same = earlier.memory.id == later.memory.id;
        let (moment, age) = match same {
            true => older(earlier.aged, later.aged),
            false => (later.aged.0, later.aged.1.min(later.memory.age)),
        };
        let other_until = match same {
            true => earlier.other_until.max(later.other_until),
            false => Some(earlier.seen),
        };
        let longest = other_until.map_or(Memory::MATURE, |other| moment.since(other));
        Self {
            aged: (moment, age.min(longest)),
            other_until,
            ..later
        }
    }

    /// From when on it is at least as old as `probation`.
    pub(super) fn as_old_as(&self, probation: Duration) -> Timestamp {
        let (moment, age) = self.aged;
        match probation.checked_sub(age) {
            Some(missing) => moment + missing,
            None => moment.before(age - probation),
        }
    }

    /// What to attest in a request sent at `now`. That makes the request a third more expensive, so in a claim, and in
    /// a heartbeat of an acting leader, it has to be `worthwhile`: to add an eighth to the age. In anyone else's
    /// heartbeat the attestation has the store look whether it may have forgotten something since.
    pub(super) fn attest(&self, now: Timestamp, worthwhile: bool) -> Option<Attestation> {
        let age = age_at(self.aged, now).min(Memory::MATURE);
        (!worthwhile || self.memory.age < age - age / 8).then_some(Attestation {
            memory: self.memory.id,
            age,
        })
    }
}

/// How old what had an age at a moment is at a later one.
fn age_at((moment, age): (Timestamp, Duration), now: Timestamp) -> Duration {
    age + now.since(moment)
}

/// The one of two words on the same memory that makes it older; the first, if they agree.
fn older(one: (Timestamp, Duration), other: (Timestamp, Duration)) -> (Timestamp, Duration) {
    let now = one.0.max(other.0);
    match age_at(one, now) >= age_at(other, now) {
        true => one,
        false => other,
    }
}
