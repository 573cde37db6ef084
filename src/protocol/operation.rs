//! The operations on a record as one pure function: the specification of every store.

use std::time::Duration;

use super::memory::is_far_ahead;
use super::{
    Attestation, Beat, CandidateId, LossReason, Mark, Memory, MemoryId, Occupancy, Order, Orders,
    Record, Shape, State, Term, WallMillis,
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
        /// Whether the record goes with it, so that the store keeps nothing of the election. It stays all the
        /// same where an order or a term far ahead of the store's clock would be lost.
        delete: bool,
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
    /// What it is made for: that decides how the term is numbered.
    pub kind: ClaimKind,
    /// The highest counter that the claimant may have written here before: a store that forgets never
    /// shows a counter that a standby has already seen.
    pub after: Beat,
    /// How long the holder's counter must stall before anyone may take over.
    pub window: Duration,
    /// How old the claimant knows the store's memory to be.
    pub attested: Option<Attestation>,
    /// Whether the claimant deletes the record when it releases it. Then no history is kept; nothing else depends
    /// on it.
    pub ephemeral: bool,
}

impl Claim {
    /// The lowest counter that a granted claim writes.
    #[must_use]
    pub fn least_beat(&self) -> Beat {
        Beat::first(self.term, self.expected.last_counter().max(self.after))
    }
}

/// What a claim is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// To lead, with the claimant's number: a majority of several stores has to grant the same term.
    Shared,
    /// To lead with the only store of the election. It numbers the term itself, at least as high as proposed, so an
    /// absent record can be claimed without knowing the store: no one else can have had that term.
    Sole,
    /// An acting leader adds this store to those that hold its term.
    Join,
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
///     apply, Beat, Claim, ClaimKind, Memory, MemoryId, Record, Request, State, Term, Verdict,
///     WallMillis,
/// };
///
/// let clock = WallMillis::default();
/// let fresh = MemoryId { made: clock, nonce: 4 };
/// let claim = Request::Claim(Claim {
///     holder: "a".parse()?,
///     term: Term::new(1).unwrap(),
///     expected: Record::ABSENT.mark(&Memory::young(fresh)),
///     kind: ClaimKind::Shared,
///     after: Beat::default(),
///     window: Duration::from_secs(5),
///     attested: None,
///     ephemeral: false,
/// });
/// let (held, verdict) = apply(&State::EMPTY, &claim, fresh, clock);
/// assert_eq!(verdict, Verdict::Granted);
/// let (_, again) = apply(&held, &claim, fresh, clock);
/// assert_eq!(again, Verdict::Refused);
/// # Ok::<(), incumbent::protocol::InvalidText>(())
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
        Request::Claim(claim) => claimed(record, &memory, claim, clock).map(|record| State {
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
        Request::Release {
            holder,
            term,
            delete,
            ..
        } => record.is_held_by(holder, *term).then(|| {
            let vacant = Record {
                occupancy: Occupancy::Vacant,
                ..record.clone()
            };
            let deleted = memory.without(&vacant, clock).filter(|_| *delete);
            before.clone().changed(match deleted {
                Some(memory) => (memory, Record::ABSENT),
                None => (memory, vacant),
            })
        }),
        Request::Order(order) => order
            .carried_out(record, &memory, clock)
            .map(|after| before.clone().changed(after)),
    };
    match granted {
        Some(after) => (after, Verdict::Granted),
        None => (before, Verdict::Refused),
    }
}

fn claimed(record: &Record, memory: &Memory, claim: &Claim, clock: WallMillis) -> Option<Record> {
    let floor = record.floor.max(memory.floor);
    let mark = record.mark(memory);
    let absent = |mark: Mark| matches!(mark.shape, Shape::Absent { .. });
    // R8: the memory is part of what is expected, except where the store numbers the term.
    let blind = claim.kind == ClaimKind::Sole && absent(mark) && absent(claim.expected);
    let seen = mark == claim.expected || blind;
    // R3 and R8. A join brings back a term that was granted before.
    let joins = claim.kind == ClaimKind::Join;
    let term = match claim.kind {
        ClaimKind::Sole => claim.term.max(Term::next(floor, clock)?),
        ClaimKind::Shared | ClaimKind::Join => claim.term,
    };
    let rises = term > floor || joins;
    // The current leader keeps leading: a pause keeps others from starting.
    let free = record.orders.paused.is_none() || joins;
    // R9: what was deleted had no counter above the floor of the memory.
    let unused = Beat::first(term, Beat::of(memory.floor));
    (seen && rises && free).then(|| Record {
        floor: record.floor.max(term),
        term,
        beat: claim.least_beat().max(unused),
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

impl State {
    /// The state after another record and memory have taken the place of these. A record that is gone is not
    /// listed.
    fn changed(self, (memory, record): (Memory, Record)) -> Self {
        Self {
            memory: Some(memory),
            listed: self.listed.filter(|_| !record.is_missing()),
            record,
            ..self
        }
    }
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

    /// R9: the memory once `record` is deleted, which takes over its floor; `None` for a record that has to stay: an
    /// order stands in it, or it would use up the terms of all elections.
    pub(super) fn without(self, record: &Record, clock: WallMillis) -> Option<Self> {
        let counter = Term::new(u64::try_from(record.beat.get()).ok()?)?;
        let floor = self.floor.max(record.floor).max(counter);
        let kept = record.orders == Orders::NONE && !is_far_ahead(floor, clock);
        kept.then_some(Self { floor, ..self })
    }

    /// Counts that `record` has changed hands, if it was held.
    pub(super) fn taken_from(self, record: &Record) -> Self {
        Self {
            taken: self.taken + u64::from(!record.is_free()),
            ..self
        }
    }
}
