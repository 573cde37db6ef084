//! The events of an election.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{CandidateId, ElectionName, FencingToken, LossReason, Pause, Timestamp};

/// Something that happened to one candidacy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ElectionEvent {
    /// When, on the clock that decides (`election::clock`).
    pub at: Timestamp,
    /// The election.
    pub election: ElectionName,
    /// The candidacy.
    pub candidate: CandidateId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The candidate begins to campaign.
    Campaigning,
    /// Another candidate leads.
    Following {
        /// Its id. `None` is a program that speaks only the bare protocol.
        leader: Option<CandidateId>,
        /// Its term.
        term: FencingToken,
    },
    /// No one leads, according to what this candidate sees.
    Leaderless {
        /// The last term.
        term: FencingToken,
    },
    /// The candidate claims the election.
    Claiming {
        /// The term it claims.
        term: FencingToken,
        /// On how many stores.
        stores: usize,
    },
    /// No one can be elected: a store has granted the highest term there is.
    TermsUsedUp {
        /// The store.
        store: Arc<str>,
    },
    /// The claim did not get a majority.
    ClaimFailed {
        /// The term it claimed.
        term: FencingToken,
        /// How many stores had granted it.
        granted: usize,
    },
    /// The stores may have forgotten a leader: the candidate waits before it acts.
    Probation {
        /// Its term.
        term: FencingToken,
        /// How long.
        wait: Duration,
    },
    /// The candidate leads.
    Elected {
        /// Its term, which is the fencing token.
        term: FencingToken,
        /// How long no one led, according to what this candidate saw.
        leaderless: Option<Duration>,
    },
    /// A further store holds the leader's term.
    StoreJoined {
        /// The store.
        store: Arc<str>,
    },
    /// A store no longer holds the leader's term.
    StoreParted {
        /// The store.
        store: Arc<str>,
    },
    /// The work is asked to stop.
    Stopping {
        /// The term that ends.
        term: FencingToken,
        /// Why.
        reason: LossReason,
        /// How long the work may take.
        within: Duration,
    },
    /// The deadline has passed and the work has not ended. The records are kept, so that no one else is
    /// elected while it continues.
    Overrun {
        /// The term.
        term: FencingToken,
    },
    /// The leadership is over, and its work has ended.
    Released {
        /// The term that has ended.
        term: FencingToken,
        /// How many stores confirmed the release. None means that the next leader is elected only after
        /// a window.
        stores: usize,
    },
    /// An operator has paused the election on enough stores that no one can be elected. The current leader
    /// keeps leading.
    Paused {
        /// Until when, by whose order, and why, as one of the stores shows it.
        pause: Pause,
    },
    /// The pause is over.
    Resumed,
    /// A store stopped answering, or began to refuse.
    StoreDown {
        /// The store.
        store: Arc<str>,
        /// What it failed with.
        error: Arc<crate::store::StoreError>,
    },
    /// A store answers again.
    StoreUp {
        /// The store.
        store: Arc<str>,
        /// How long it did not answer.
        after: Duration,
    },
}
