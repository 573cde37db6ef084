//! The orders of an operator. They delay a leadership or end one; none of them makes one.

use std::time::Duration;

use super::{
    CandidateId, Handover, InvalidIdentity, Mark, Occupancy, Pause, Reason, Record, Shape,
    Successor, Term, WallMillis,
};

/// The orders that stand beside a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Orders {
    /// Nobody is elected while it holds.
    pub paused: Option<Pause>,
    /// The leader of a term is asked to resign. It stands until the next claim.
    pub handover: Option<Handover>,
}

impl Orders {
    /// No orders.
    pub const NONE: Self = Self {
        paused: None,
        handover: None,
    };
}

/// What an operator asks of one store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Nobody is elected any more, in an election that was never held either. It replaces an earlier
    /// pause.
    Pause {
        /// For how long, by the store's clock; `None` until it is lifted.
        lasts: Option<Duration>,
        /// Who orders it.
        by: CandidateId,
        /// Why, for people.
        reason: Option<Reason>,
    },
    /// The pause is lifted; standbys are woken.
    Resume,
    /// The leader of a term is asked to resign.
    Resign {
        /// The term.
        term: Term,
        /// Who is to lead next; `None` for whoever comes first.
        to: Option<Successor>,
    },
    /// The holder is taken to be gone: the record becomes vacant. Whoever orders it has watched the
    /// record stand still for as long as a takeover would have, or answers for it.
    Depose {
        /// What the record must be at this moment.
        expected: Mark,
    },
}

impl Order {
    /// The record after the order, or `None` when it is refused.
    pub(super) fn carried_out(&self, record: &Record, clock: WallMillis) -> Option<Record> {
        let with = |orders: Orders| Record {
            orders,
            ..record.clone()
        };
        let orders = record.orders.clone();
        match self {
            Self::Pause { lasts, by, reason } => Some(with(Orders {
                paused: Some(Pause {
                    until: lasts.map(|lasts| later(clock, lasts)),
                    by: by.clone(),
                    reason: reason.clone(),
                }),
                ..orders
            })),
            Self::Resume => Some(with(Orders {
                paused: None,
                ..orders
            })),
            Self::Resign { term, to } => {
                let leads = record.holder().is_some() && record.term == *term;
                leads.then(|| {
                    with(Orders {
                        handover: Some(Handover {
                            term: *term,
                            to: to.clone(),
                        }),
                        ..orders
                    })
                })
            }
            Self::Depose { expected } => deposed(record, *expected),
        }
    }
}

/// An absent record stays absent, and a vacant one is nobody's to lose.
fn deposed(record: &Record, expected: Mark) -> Option<Record> {
    let mark = record.mark();
    let counter = match mark.shape {
        Shape::Absent | Shape::Vacant => return None,
        Shape::Held | Shape::Foreign(None) => record.beat,
        Shape::Foreign(Some(counter)) => counter,
    };
    (mark == expected).then(|| Record {
        // The counter that a stranger leaves behind counts as written, so that it does not come again.
        beat: record.beat.continued_from(counter),
        occupancy: Occupancy::Vacant,
        orders: Orders {
            paused: record.orders.paused.clone(),
            handover: None,
        },
        ..record.clone()
    })
}

fn later(clock: WallMillis, by: Duration) -> WallMillis {
    let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    WallMillis::new(clock.get().saturating_add(millis)).unwrap_or(WallMillis::MAX)
}

/// Why a text is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrder {
    /// Its parts are not those of an order.
    #[error("an order is written until|by|reason or term|kind|successor")]
    Form,
    /// A candidate or a host in it.
    #[error(transparent)]
    Identity(#[from] InvalidIdentity),
    /// The reason is empty or too long.
    #[error("the reason has {bytes} bytes: give it 1 to {max}", max = Reason::MAX_BYTES)]
    ReasonLength {
        /// Its length.
        bytes: usize,
    },
    /// The reason holds a control character.
    #[error("the reason holds {character:?}: give one line without control characters")]
    ReasonCharacter {
        /// The first such character.
        character: char,
    },
}
