//! What goes into a candidate, and what comes out.

use crate::protocol::{
    CandidateId, Electorate, HostName, LossReason, Record, Reply, Request, StoreIndex, Term,
    Timestamp, Timing, WallMillis,
};

/// What a candidate is made of.
#[derive(Clone, Debug)]
pub struct CandidateConfig {
    /// Its id. It must be new: no two candidacies ever share one.
    pub id: CandidateId,
    /// The host by which an operator may name it as a successor.
    pub host: Option<HostName>,
    /// Before when it claims nothing: whoever was asked to resign sits out a window.
    pub not_before: Timestamp,
    /// Its timing.
    pub timing: Timing,
    /// How many stores there are.
    pub electorate: Electorate,
    /// The seed of its jitter.
    pub seed: u64,
    /// What an earlier campaign of the same process has last seen, by store, so that an election it
    /// left vacant can be won in one round trip. May be empty.
    pub openings: Vec<Option<Opening>>,
}

/// A vacant record that is known before the first poll: what a store replied to an earlier campaign.
///
/// The claim that rests on it is compared with the record itself, like any other, and it goes stale like
/// any other (`R2`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// The record, vacant when it was seen.
    pub record: Record,
    /// The store's clock when it was seen.
    pub clock: WallMillis,
    /// When the request was sent whose reply showed it.
    pub seen: Timestamp,
}

/// The number of a request, new for each one: a stale reply is told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happens to a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Nothing but the passing of time.
    Tick,
    /// A request was answered, or failed.
    Replied {
        /// The store asked.
        store: StoreIndex,
        /// Which request.
        id: RequestId,
        /// Its outcome.
        result: Result<Reply, Failure>,
    },
    /// A store has told that its record was released, with the record as it is now. It is a hint, which
    /// anybody may have forged: a claim may expect this record, and neither the claim's term nor any later
    /// decision rests on it.
    Woken {
        /// The store that told.
        store: StoreIndex,
        /// The vacant record.
        record: Record,
        /// The standby that is called to claim it at once, while the others look a little later whether
        /// it did; `None` calls everybody.
        called: Option<CandidateId>,
    },
    /// Leave the election: a leader stops its work first.
    Resign(LossReason),
    /// The work has provably ended, for this reason unless it was told to stop for another.
    WorkEnded(LossReason),
}

/// Why a request brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// It was certainly not executed.
    NotExecuted,
    /// It may have been executed.
    Unknown,
}

/// What a candidate wants done after an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// The requests to send, each at once.
    pub sends: Vec<Outgoing>,
    /// What has happened, in order.
    pub events: Vec<Event>,
    /// When to hand in [`Input::Tick`] at the latest.
    pub wake_at: Timestamp,
}

/// A request on its way to a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// The store to ask.
    pub store: StoreIndex,
    /// The number to hand in with the outcome.
    pub id: RequestId,
    /// What to ask.
    pub request: Request,
}

/// What a candidate tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A store's record is held by somebody else than before, or by nobody, or other orders stand
    /// beside it.
    Saw {
        /// The store.
        store: StoreIndex,
        /// Its record.
        record: Record,
    },
    /// It claims the election.
    Claimed {
        /// For this term.
        term: Term,
        /// On so many stores.
        stores: usize,
    },
    /// It could claim, but a store has granted the highest term there is, so nobody can be elected.
    TermsUsedUp {
        /// That store.
        store: StoreIndex,
    },
    /// It did not get a majority, or lost it during probation.
    ClaimFailed {
        /// The term it claimed.
        term: Term,
        /// How many stores had granted.
        granted: usize,
    },
    /// It holds a majority of the stores, and waits for leaders that they may have forgotten.
    Probation {
        /// Its term.
        term: Term,
        /// Until when, at the least.
        until: Timestamp,
    },
    /// It leads: the work may begin.
    Elected {
        /// Its term, which is the fencing token.
        term: Term,
        /// When the work must be over unless heartbeats move it on.
        deadline: Timestamp,
    },
    /// A further store now holds its term.
    Joined {
        /// Which one.
        store: StoreIndex,
    },
    /// A store no longer holds its term.
    Parted {
        /// Which one.
        store: StoreIndex,
    },
    /// The work is told to stop. The leadership will not be renewed.
    Stopping {
        /// The term that ends.
        term: Term,
        /// Why.
        reason: LossReason,
        /// When the work must be over.
        deadline: Timestamp,
    },
    /// The deadline has passed: the work must be over now.
    Expired {
        /// The term that has ended.
        term: Term,
    },
    /// The record was given up on so many stores.
    Released {
        /// The term that has ended.
        term: Term,
        /// How many stores confirmed it.
        stores: usize,
    },
}

/// What a candidate is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It watches.
    Standby,
    /// It has claimed, and waits for the replies.
    Claiming,
    /// It holds a majority, and waits before it acts.
    Probation,
    /// It leads.
    Leading,
    /// Its work is stopping, or should have stopped.
    Draining,
    /// It gives its records up.
    Releasing,
    /// The candidacy is over.
    Done,
}

/// What a standby can expect right now: for campaigns that do not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prospect {
    /// Answers are outstanding, or it is on its way to lead.
    Open,
    /// So many stores are held by others that no majority is left.
    Held,
    /// So many stores are paused by an operator, or held, that no majority is left.
    Paused,
    /// So many stores do not answer that no majority is left.
    Unreachable,
    /// A store has granted the highest term there is, so nobody can be elected.
    TermsUsedUp,
}
