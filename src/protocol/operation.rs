//! The operations on a record as one pure function: the specification of every store.

use std::time::Duration;

use super::{
    Attestation, Beat, CandidateId, LossReason, Mark, Memory, MemoryId, Occupancy, Order, Orders,
    Record, State, Term, WallMillis,
};

/// What a candidate asks of one store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Read the record.
    Observe,
    /// Take the record over.
    Claim(Claim),
    /// Increment the heartbeat counter of a record that the holder holds.
    Beat {
        /// The holder.
        holder: CandidateId,
        /// Its term.
        term: Term,
        /// How old the holder knows the store's memory to be. With nothing, the store need not look whether it may
        /// have forgotten someone: only an acting leader asks so.
        attested: Option<Attestation>,
    },
    /// Release a record that the holder holds; waiting standbys are woken.
    Release {
        /// The holder that leaves.
        holder: CandidateId,
        /// Its term.
        term: Term,
        /// Why, for the history: it decides nothing.
        reason: LossReason,
    },
    /// Carry out an operator's order.
    Order(Order),
}

impl Request {
    /// Whether the store looks if it was restarted, before it carries this out: what an acting leader is granted
    /// changes nothing that others conclude from.
    fn looks(&self, record: &Record) -> bool {
        match self {
            Self::Release { .. } => false,
            Self::Beat {
                holder,
                term,
                attested: None,
            } => !record.is_held_by(holder, *term),
            Self::Observe | Self::Claim(_) | Self::Beat { .. } | Self::Order(_) => true,
        }
    }
}

/// A takeover, guarded by what the claimant last saw.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The claimant.
    pub holder: CandidateId,
    /// The term it claims.
    pub term: Term,
    /// What the record must be at this moment.
    pub expected: Mark,
    /// Whether an acting leader adds this store to those that hold its term.
    pub join: bool,
    /// The highest counter that the claimant may have written here before: a store that forgets never
    /// shows a counter that a standby has already seen.
    pub after: Beat,
    /// How long the holder's counter must stall before anyone may take over.
    pub window: Duration,
    /// How old the claimant knows the store's memory to be.
    pub attested: Option<Attestation>,
}

impl Claim {
    /// The counter that a granted claim writes.
    #[must_use]
    pub fn first_beat(&self) -> Beat {
        Beat::first(self.term, self.expected.last_counter().max(self.after))
    }
}

/// Whether a request took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It did.
    Granted,
    /// It did not: its guard did not hold.
    Refused,
}

/// A store's answer: the verdict, and the record as it is afterwards. A pause that is over by the store's
/// clock is left out, so that no client has to compare clocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    /// Whether the request took effect.
    pub verdict: Verdict,
    /// The record after the request.
    pub record: Record,
    /// The store's memory after the request.
    pub memory: Memory,
    /// The store's own clock. It numbers terms, and decides nothing.
    pub clock: WallMillis,
}

impl Reply {
    /// What a claim of the record is compared with.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.record.mark(&self.memory)
    }
}

/// Carries out `request` on the state of a store when its clock shows `clock`: the specification that every
/// store is tested against. The clock ends pauses, and decides nothing else. `fresh` is the id of the memory
/// that is begun if the store has none, or finds that it has lost the record.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::protocol::{
///     apply, Beat, Claim, Memory, MemoryId, Record, Request, State, Term, Verdict, WallMillis,
/// };
///
/// let clock = WallMillis::default();
/// let fresh = MemoryId { made: clock, nonce: 4 };
/// let claim = Request::Claim(Claim {
///     holder: "a".parse()?,
///     term: Term::new(1).unwrap(),
///     expected: Record::ABSENT.mark(&Memory::young(fresh)),
///     join: false,
///     after: Beat::default(),
///     window: Duration::from_secs(5),
///     attested: None,
/// });
/// let (held, verdict) = apply(&State::EMPTY, &claim, fresh, clock);
/// assert_eq!(verdict, Verdict::Granted);
/// let (_, again) = apply(&held, &claim, fresh, clock);
/// assert_eq!(again, Verdict::Refused);
/// # Ok::<(), incumbent::protocol::InvalidId>(())
/// ```
#[must_use]
pub fn apply(
    state: &State,
    request: &Request,
    fresh: MemoryId,
    clock: WallMillis,
) -> (State, Verdict) {
    let (memory, listed) = state.checked(fresh, request.looks(&state.record), clock);
    let before = State {
        memory: Some(memory),
        restarted: state.restarted && state.memory.is_some_and(|kept| kept.id == memory.id),
        listed,
        record: state.record.seen_at(clock),
    };
    let record = &before.record;
    let granted = match request {
        Request::Observe => Some(before.clone()),
        Request::Claim(claim) => claimed(record, &memory, claim).map(|record| State {
            memory: Some(memory.attested(claim.attested).taken_from(&before.record)),
            listed: Some(record.floor),
            record,
            ..before
        }),
        Request::Beat {
            holder,
            term,
            attested,
        } => record.is_held_by(holder, *term).then(|| State {
            memory: Some(memory.attested(*attested)),
            restarted: before.restarted,
            listed: Some(record.floor),
            record: Record {
                beat: record.beat.next(),
                ..record.clone()
            },
        }),
        Request::Release { holder, term, .. } => record.is_held_by(holder, *term).then(|| State {
            record: Record {
                occupancy: Occupancy::Vacant,
                ..record.clone()
            },
            ..before
        }),
        Request::Order(order) => order
            .carried_out(record, &memory, clock)
            .map(|after| State {
                memory: Some(match order {
                    Order::Depose { .. } => memory.taken_from(record),
                    Order::Pause { .. } | Order::Resume | Order::Resign { .. } => memory,
                }),
                record: after,
                ..before
            }),
    };
    match granted {
        Some(after) => (after, Verdict::Granted),
        None => (before, Verdict::Refused),
    }
}

fn claimed(record: &Record, memory: &Memory, claim: &Claim) -> Option<Record> {
    // R8: the memory is part of what is expected.
    let as_expected = record.mark(memory) == claim.expected;
    // R3 and R8. A join brings back a term that was granted before.
    let rises = claim.term > record.floor.max(memory.floor) || claim.join;
    // The current leader keeps leading: a pause keeps others from starting.
    let free = record.orders.paused.is_none() || claim.join;
    (as_expected && rises && free).then(|| Record {
        floor: record.floor.max(claim.term),
        term: claim.term,
        beat: claim.first_beat(),
        occupancy: Occupancy::Held {
            holder: claim.holder.clone(),
            window: claim.window,
        },
        orders: Orders {
            paused: record.orders.paused.clone(),
            handover: None,
        },
    })
}

impl Memory {
    /// Takes in a candidate's word about its age, if it is about this memory.
    fn attested(self, word: Option<Attestation>) -> Self {
        let about = word.filter(|word| word.memory == self.id);
        let age = about.map_or(self.age, |word| word.age.max(self.age));
        Self {
            age: age.min(Self::MATURE),
            ..self
        }
    }

    /// Counts that `record` has changed hands, if it was held.
    fn taken_from(self, record: &Record) -> Self {
        Self {
            taken: self.taken + u64::from(!record.is_free()),
            ..self
        }
    }
}
