//! What goes into a candidate, and what comes out.

use crate::protocol::{
    CandidateId, Electorate, HostName, Knowledge, LossReason, Memory, Record, Reply, Request,
    StoreIndex, Term, Timestamp, Timing,
};

/// The configuration of a candidate.
#[derive(Clone, Debug)]
pub struct CandidateConfig {
    /// Its id. It must be new: no two candidacies ever share one.
    pub id: CandidateId,
    /// The host by which an operator may name it as the successor.
    pub host: Option<HostName>,
    /// It claims nothing before this: after being asked to resign, a candidate sits out a window.
    pub not_before: Timestamp,
    /// Its timing.
    pub timing: Timing,
    /// How many stores there are.
    pub electorate: Electorate,
    /// The seed of its jitter.
    pub seed: u64,
    /// Whether it deletes the record when it releases it, so that the election leaves nothing behind.
    pub ephemeral: bool,
    /// What the process knows of each store, so that an election that is free can be won in one round trip.
    /// May be empty.
    pub openings: Vec<Option<Opening>>,
}

/// What is known of a store before the first poll: from earlier campaigns of this process.
///
/// A claim may rest on it if the record is free. That claim is compared with the record itself, like any other, and
/// what it rests on goes stale like any other evidence (`R2`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// The record as it was last seen, perhaps before `knowledge`; [`Record::ABSENT`] for a name that was never
    /// looked at. One that was held or paused is polled before anything is claimed.
    pub record: Record,
    /// The store's memory.
    pub knowledge: Knowledge,
}

/// The number of a request, new for each one, by which stale replies are recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happened to a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Time has passed.
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
    /// A store's notification that its record was released, with the record as it is now: vacant, or absent if it
    /// was deleted. It is a hint
    /// that can be forged: a claim may expect this record, but neither the claim's term nor any later
    /// decision rests on it.
    Woken {
        /// The store that sent it.
        store: StoreIndex,
        /// The free record.
        record: Record,
        /// The memory of the store that released it. Its age means nothing here.
        memory: Memory,
        /// The standby that is called to claim it at once, while the others poll a little later to see
        /// whether it did; `None` calls all of them.
        called: Option<CandidateId>,
    },
    /// Leave the election: a leader stops its work first. Heartbeats extend its deadline meanwhile, except for
    /// [`LossReason::OtherStores`].
    Resign(LossReason),
    /// The work has provably ended, for this reason unless it was asked to stop for another.
    WorkEnded(LossReason),
}

/// Why a request got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// It was certainly not executed.
    NotExecuted,
    /// It may have been executed.
    Unknown,
}

/// What a candidate wants done after an input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Step {
    /// The requests to send, all of them at once.
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

/// What a candidate reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The holder of a store's record has changed, or it has none any more, or its orders have
    /// changed.
    Saw {
        /// The store.
        store: StoreIndex,
        /// Its record.
        record: Record,
    },
    /// It claims the election.
    Claimed {
        /// For this term; the only store of an election may grant a higher one.
        term: Term,
        /// On this many stores.
        stores: usize,
    },
    /// It could claim, but a store has granted the highest term there is, so no one can be elected.
    TermsUsedUp {
        /// That store.
        store: StoreIndex,
    },
    /// It did not get a majority, or lost it during probation, or a store has begun a new memory.
    ClaimFailed {
        /// The term it claimed.
        term: Term,
        /// How many stores had granted.
        granted: usize,
    },
    /// It holds a majority of the stores, and waits until their memories are old enough.
    Probation {
        /// Its term.
        term: Term,
        /// Until this moment at most, while they answer.
        until: Timestamp,
    },
    /// It leads: the work may begin.
    Elected {
        /// Its term, which is the fencing token.
        term: Term,
        /// When the work must be over unless heartbeats extend it.
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
    /// The work is asked to stop. The leadership will not be renewed.
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
    /// The record was released on this many stores.
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
    /// It releases its records.
    Releasing,
    /// The candidacy is over.
    Done,
}

/// What a standby can expect now: for campaigns that do not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prospect {
    /// Answers are outstanding, or it is about to lead.
    Open,
    /// Other candidates hold too many stores for a majority.
    Held,
    /// Too many stores are paused by an operator, or held, for a majority.
    Paused,
    /// Too many stores do not answer for a majority.
    Unreachable,
    /// A store has granted the highest term there is, so no one can be elected.
    TermsUsedUp,
}
