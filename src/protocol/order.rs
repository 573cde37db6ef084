//! Operator orders. They can delay or end a leadership; none of them can create one.

use std::fmt;
use std::time::Duration;

use super::{
    CandidateId, HostName, Mark, Memory, Occupancy, Reason, Record, Shape, Term, WallMillis,
};

/// The orders stored with a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Orders {
    /// While it holds, no one is elected.
    pub paused: Option<Pause>,
    /// Asks the leader of a term to resign. It stays until the next claim.
    pub handover: Option<Handover>,
}

impl Orders {
    /// No orders.
    pub const NONE: Self = Self {
        paused: None,
        handover: None,
    };
}

/// An order that pauses elections. The current leader keeps leading, and is fenced as always.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Until when, by the store's own clock; `None` until it is lifted. A wrong store clock makes a pause
    /// longer or shorter, which delays a leadership or allows one; it never creates one.
    pub until: Option<WallMillis>,
    /// Who gave the order, as that operator names itself.
    pub by: CandidateId,
    /// Why, for people.
    pub reason: Option<Reason>,
}

impl Pause {
    /// Whether it still holds when the store's clock shows `clock`.
    #[must_use]
    pub fn holds_at(&self, clock: WallMillis) -> bool {
        self.until.is_none_or(|until| clock < until)
    }
}

/// An order that the leader of one term resigns. Once that term is released, its successor may claim at
/// once, while every other candidate has to watch the record unchanged for a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handover {
    /// The term whose leader is asked; no other term's.
    pub term: Term,
    /// The successor; `None` for the first candidate to claim.
    pub to: Option<Successor>,
}

/// The successor that an order names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Successor {
    /// One candidate, by its id.
    Candidate(CandidateId),
    /// Any candidate on one host.
    Host(HostName),
}

impl Successor {
    /// Whether this names the candidate `id` on `host`.
    #[must_use]
    pub fn is(&self, id: &CandidateId, host: Option<&str>) -> bool {
        match self {
            Self::Candidate(candidate) => candidate == id,
            Self::Host(name) => host == Some(name.as_str()),
        }
    }
}

/// Names the candidate, or the host.
impl fmt::Display for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candidate(id) => id.fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
}

/// What an operator asks of one store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// No one is elected any more, even in an election that was never held.
    Pause {
        /// For how long, by the store's clock; `None` until it is lifted.
        lasts: Option<Duration>,
        /// The operator's name.
        by: CandidateId,
        /// Why, for people.
        reason: Option<Reason>,
        /// Whether it replaces a pause that another has ordered; otherwise it is refused while such a pause holds.
        replaces: bool,
    },
    /// Lifts the pause, and wakes the standbys.
    Resume,
    /// Asks the leader of a term to resign.
    Resign {
        /// The term.
        term: Term,
        /// The successor; `None` for the first candidate to claim.
        to: Option<Successor>,
    },
    /// Treats the holder as gone: the record becomes vacant. The operator has watched the record
    /// unchanged for as long as a takeover would have, or vouches that the holder is dead.
    Depose {
        /// What the record must be at this moment.
        expected: Mark,
    },
    /// Deletes a record that no one holds, with all that the store keeps of the election. The memory of the store
    /// takes over its floor, so tokens go on rising. Refused while another order stands, and where the record holds
    /// a term or a counter more than a minute ahead of the store's clock.
    Forget {
        /// What the record must be at this moment.
        expected: Mark,
    },
}

impl Order {
    /// The memory and the record after the order, or `None` when it is refused.
    pub(super) fn carried_out(
        &self,
        record: &Record,
        memory: &Memory,
        clock: WallMillis,
    ) -> Option<(Memory, Record)> {
        let mut after = record.clone();
        let orders = &mut after.orders;
        match self {
            Self::Pause {
                lasts,
                by,
                reason,
                replaces,
            } => {
                let by_another = orders.paused.as_ref().is_some_and(|pause| pause.by != *by);
                if by_another && !replaces {
                    return None;
                }
                orders.paused = Some(Pause {
                    until: lasts.map(|lasts| clock.after(lasts)),
                    by: by.clone(),
                    reason: reason.clone(),
                });
            }
            Self::Resume => orders.paused = None,
            Self::Resign { term, to } => {
                let leads = record.holder().is_some() && record.term == *term;
                if !leads {
                    return None;
                }
                let (term, to) = (*term, to.clone());
                orders.handover = Some(Handover { term, to });
            }
            Self::Depose { expected } => {
                let after = deposed(record, memory, *expected)?;
                return Some((memory.taken_from(record), after));
            }
            Self::Forget { expected } => {
                let free = record.is_free() && record.mark(memory) == *expected;
                let memory = memory.without(record, clock).filter(|_| free)?;
                return Some((memory, Record::ABSENT));
            }
        }
        Some((*memory, after))
    }
}

/// An absent record stays absent, and a vacant one has no holder to remove.
fn deposed(record: &Record, memory: &Memory, expected: Mark) -> Option<Record> {
    let mark = record.mark(memory);
    let counter = match mark.shape {
        Shape::Absent { .. } | Shape::Vacant => return None,
        Shape::Held | Shape::Foreign(None) => record.beat,
        Shape::Foreign(Some(counter)) => counter,
    };
    (mark == expected).then(|| Record {
        // The counter that a foreign program leaves behind counts as written, so that it is not written again.
        beat: record.beat.continued_from(counter),
        occupancy: Occupancy::Vacant,
        orders: Orders {
            paused: record.orders.paused.clone(),
            handover: None,
        },
        ..record.clone()
    })
}
