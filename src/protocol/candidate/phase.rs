//! What a candidate is doing, and what it hears meanwhile.

#![cfg_attr(
    not(feature = "_fuzzing"),
    allow(unreachable_pub, reason = "the proof reaches it")
)]

use crate::protocol::{
    CandidateId, LossReason, Memory, Record, Reply, StoreIndex, Term, Timestamp,
};

/// What a candidate is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It watches.
    Standby {
        /// It claims nothing before this.
        not_before: Timestamp,
    },
    /// It has claimed, and waits for the replies.
    Claiming {
        /// The term claimed.
        term: Term,
    },
    /// It holds a majority, and waits before it acts.
    Probation {
        /// The term held.
        term: Term,
    },
    /// It leads, or its work is stopping.
    Tenure(Tenure),
    /// It releases its records.
    Releasing(Release),
    /// The candidacy is over.
    Done,
}

/// One leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// Its term.
    pub term: Term,
    /// When the work must be over.
    pub deadline: Timestamp,
    /// Set once the work was asked to stop: how the leadership ends, and why, for people.
    pub ending: Option<(Ending, LossReason)>,
    /// Whether the deadline was reached.
    pub expired: bool,
}

impl Tenure {
    /// Whether no work may act under it any more, whatever its deadline.
    pub(super) const fn is_over(&self) -> bool {
        self.expired || matches!(self.ending, Some((Ending::Deposed, _)))
    }
}

/// The end of a candidacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    /// The term being released, if one was claimed.
    pub term: Option<Term>,
    /// Why, for people.
    pub reason: LossReason,
    /// When it ends at the latest.
    pub until: Timestamp,
    /// How many stores have confirmed it.
    pub confirmed: usize,
}

/// How a leadership ends, which decides who may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The work was asked to stop. It acts until its deadline, which heartbeats still extend.
    Stopped,
    /// A majority has forgotten us and has other holders, which wait out a probation; or another candidate uses
    /// other stores. The work acts until its deadline, which no longer moves.
    Forgotten,
    /// Another candidate may act already.
    Deposed,
}

impl Ending {
    /// How a leadership ends that is asked to stop.
    pub(super) const fn asked_for(reason: LossReason) -> Self {
        match reason {
            LossReason::OtherStores => Self::Forgotten,
            _ => Self::Stopped,
        }
    }
}

/// What an input means to the phase, once the store's reply has been recorded.
pub(super) enum Heard<'a> {
    /// A store showed its record.
    Observed(StoreIndex, &'a Reply),
    /// A store notified us that its record was released.
    Woken(
        StoreIndex,
        (&'a Record, &'a Memory),
        Option<&'a CandidateId>,
    ),
    /// A claim was granted, of this term.
    Granted(StoreIndex, Term),
    /// A claim was refused.
    Refused(StoreIndex, &'a Reply),
    /// A claim was not executed, or its outcome is unknown.
    Unknown(StoreIndex),
    /// A heartbeat was granted.
    Beaten,
    /// A heartbeat was refused.
    Parted,
    /// A store replied to a release.
    Released(StoreIndex, &'a Reply),
    Resign(LossReason),
    WorkEnded(LossReason),
}
