//! The orders of an operator. They delay a leadership or end one; none of them makes one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{CandidateId, HostName, Mark, Occupancy, Record, Shape, Term, WallMillis};

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

/// An order that nobody is elected. Whoever leads goes on, and is fenced as ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// Until when, by the store's own clock; `None` until it is lifted. The clock of a store can make a
    /// pause longer or shorter, which delays a leadership or allows one; it never makes one.
    pub until: Option<WallMillis>,
    /// Who gave the order, by the name it gave itself.
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

/// An order that the leader of one term resigns. Once that term is released, its successor is preferred
/// for as long as anybody else has to watch the record unchanged for a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handover {
    /// The term whose leader is asked, and no other's.
    pub term: Term,
    /// Who is to lead next; `None` for whoever comes first.
    pub to: Option<Successor>,
}

/// Who is to lead next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Successor {
    /// One candidate, by its id.
    Candidate(CandidateId),
    /// Whoever campaigns on one host.
    Host(HostName),
}

impl Successor {
    /// Whether that is the candidate `id` on `host`.
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

/// Why somebody gave an order: one line for people, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(Arc<str>);

impl Reason {
    /// The longest reason, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks and wraps a reason.
    ///
    /// # Errors
    ///
    /// [`InvalidReason`] when it is empty, too long, or holds a control character.
    pub fn new(text: &str) -> Result<Self, InvalidReason> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(InvalidReason::Length { bytes: text.len() });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(character) => Err(InvalidReason::Character { character }),
            None => Ok(Self(text.into())),
        }
    }

    /// The reason as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        Self::new(text)
    }
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

/// Why a text is no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReason {
    /// It is empty or too long.
    #[error("the reason has {bytes} bytes: give it 1 to {max}", max = Reason::MAX_BYTES)]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character.
    #[error("the reason holds {character:?}: give one line without control characters")]
    Character {
        /// The first such character.
        character: char,
    },
}
