//! Operator orders, for programs: those in force, and the outcome of one.

use std::time::Duration;

use serde::Serialize;

use super::{Document, Identity, StoreAnswer, identity_of};
use crate::observe::{Answers, ElectionView};
use crate::protocol::{self, FencingToken, Pause, Successor, Verdict, WallMillis};
use crate::store::millis;

/// An order that pauses elections.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Paused {
    /// Until when, since the epoch; `null` until it is lifted.
    pub until_ms: Option<u64>,
    /// The operator's name.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// An order that a leader resigns.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Handover {
    /// The term that ends.
    pub term: FencingToken,
    /// The candidate that should lead next, if one was named.
    pub to_candidate: Option<String>,
    /// The host that should lead next, if one was named.
    pub to_host: Option<String>,
}

/// `incumbent.order.v1`: the outcome of an order.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Ordered {
    /// The election.
    pub election: String,
    /// What was ordered: `pause`, `resume`, `resign` or `depose`.
    pub order: &'static str,
    /// The term of the leader that was asked to resign.
    pub term: Option<FencingToken>,
    /// How many stores had to carry it out.
    pub majority: usize,
    /// The outcome at each store.
    pub stores: Vec<StoreAnswer>,
    /// The leader afterwards, when that was waited for.
    pub leader: Option<Identity>,
    /// How long no one led in between, when that was waited for; `null` when it is not known.
    pub gap_ms: Option<u64>,
    /// Whether that is an upper limit, counted from the last heartbeat of a leader that did not release.
    pub gap_at_most: Option<bool>,
}

/// Another candidate leads after an order, and that was waited for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Followed {
    /// How long no one led in between; `None` when the stores do not show it.
    pub gap: Option<Duration>,
    /// Whether that is an upper limit, because the leader before did not release.
    pub at_most: bool,
}

impl Followed {
    /// The leader that followed after this time without one, or at most that time.
    #[must_use]
    pub const fn new(gap: Option<Duration>, at_most: bool) -> Self {
        Self { gap, at_most }
    }
}

impl Ordered {
    /// The outcome of an order, as a document.
    #[must_use]
    pub fn document(
        view: &ElectionView,
        order: &'static str,
        term: Option<FencingToken>,
        stores: &Answers<Verdict>,
        followed: Option<Followed>,
    ) -> Document<Self> {
        let answers = stores.iter().map(|(store, answer)| {
            let asked = StoreAnswer::new(store, answer.as_ref().err());
            match answer {
                Ok(Verdict::Refused) => StoreAnswer {
                    state: "refused",
                    ..asked
                },
                Ok(Verdict::Granted) | Err(_) => asked,
            }
        });
        let gap = followed.filter(|followed| followed.gap.is_some());
        let leader = view.leader().filter(|_| followed.is_some());
        Document {
            schema: "incumbent.order.v1",
            content: Self {
                election: view.election.to_string(),
                order,
                term,
                majority: view.electorate.majority(),
                stores: answers.collect(),
                leader: leader.map(|leader| identity_of(&leader.holder, leader.identity.as_ref())),
                gap_ms: gap.and_then(|followed| followed.gap).map(millis),
                gap_at_most: gap.map(|followed| followed.at_most),
            },
        }
    }
}

impl Paused {
    pub(super) fn new(pause: &Pause) -> Self {
        Self {
            until_ms: pause.until.map(WallMillis::get),
            by: pause.by.to_string(),
            reason: pause.reason.as_ref().map(ToString::to_string),
        }
    }
}

impl Handover {
    pub(super) fn new(handover: &protocol::Handover) -> Self {
        let (candidate, host) = match &handover.to {
            Some(Successor::Candidate(id)) => (Some(id.to_string()), None),
            Some(Successor::Host(host)) => (None, Some(host.to_string())),
            None => (None, None),
        };
        Self {
            term: handover.term,
            to_candidate: candidate,
            to_host: host,
        }
    }
}
