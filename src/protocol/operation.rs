//! The operations on a record as one pure function: the specification of every store.

use std::time::Duration;

use super::{
    Beat, CandidateId, LossReason, Mark, Occupancy, Order, Orders, Record, Term, WallMillis,
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
        /// Whether the holder has outwaited every leader that the store may have forgotten.
        proven: bool,
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
}

impl Claim {
    /// The counter that a granted claim writes.
    #[must_use]
    pub fn first_beat(&self) -> Beat {
        Beat::first(self.term, self.expected.last_counter().max(self.after))
    }
}

/// Whether a store can lose all its data and keep serving: a Redis can, a file on this host cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// It may lose its data, so an absent record may be a forgotten one.
    Forgetful,
    /// What it acknowledged is on disk, so an absent record never existed.
    Durable,
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
    /// The store's own clock. It numbers terms, and decides nothing.
    pub clock: WallMillis,
}

/// Carries out `request` on `record` when the store's clock shows `clock`: the specification that every
/// store is tested against. The clock ends pauses, and decides nothing else.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use incumbent::protocol::{
///     apply, Beat, Claim, Durability, Record, Request, Term, Verdict, WallMillis,
/// };
///
/// let claim = Request::Claim(Claim {
///     holder: "a".parse()?,
///     term: Term::new(1).unwrap(),
///     expected: Record::ABSENT.mark(),
///     join: false,
///     after: Beat::default(),
///     window: Duration::from_secs(5),
/// });
/// let clock = WallMillis::default();
/// let (held, verdict) = apply(&Record::ABSENT, &claim, Durability::Durable, clock);
/// assert_eq!(verdict, Verdict::Granted);
/// let (_, again) = apply(&held, &claim, Durability::Durable, clock);
/// assert_eq!(again, Verdict::Refused);
/// # Ok::<(), incumbent::protocol::InvalidId>(())
/// ```
#[must_use]
pub fn apply(
    record: &Record,
    request: &Request,
    durability: Durability,
    clock: WallMillis,
) -> (Record, Verdict) {
    let record = record.seen_at(clock);
    let granted = match request {
        Request::Observe => Some(record.clone()),
        Request::Claim(claim) => claimed(&record, claim, durability),
        Request::Beat {
            holder,
            term,
            proven,
        } => record.is_held_by(holder, *term).then(|| Record {
            beat: record.beat.next(),
            unproven: record.unproven && !proven,
            ..record.clone()
        }),
        Request::Release { holder, term, .. } => record.is_held_by(holder, *term).then(|| Record {
            occupancy: Occupancy::Vacant,
            ..record.clone()
        }),
        Request::Order(order) => order.carried_out(&record, clock),
    };
    match granted {
        Some(after) => (after, Verdict::Granted),
        None => (record, Verdict::Refused),
    }
}

fn claimed(record: &Record, claim: &Claim, durability: Durability) -> Option<Record> {
    let as_expected = record.mark() == claim.expected;
    let rises = claim.term > record.floor || claim.join;
    // The current leader keeps leading: a pause keeps others from starting.
    let free = record.orders.paused.is_none() || claim.join;
    // A term of zero means that no candidate has held this record here. R8: a join is no exception.
    let forgotten = record.term == Term::ZERO && durability == Durability::Forgetful;
    (as_expected && rises && free).then(|| Record {
        floor: record.floor.max(claim.term),
        term: claim.term,
        beat: claim.first_beat(),
        unproven: record.unproven || forgotten,
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
