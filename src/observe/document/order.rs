//! The orders of operators, for programs: those that stand, and what became of one.

use std::time::Duration;

use serde::Serialize;

use super::{Asked, Document, Person, millis, person};
use crate::observe::{ElectionView, Told};
use crate::protocol::{self, Pause, Successor, Verdict, WallMillis};

/// An order that nobody is elected.
#[derive(Debug, Serialize)]
pub struct Paused {
    /// Until when, since the epoch; `null` until it is lifted.
    pub until_ms: Option<u64>,
    /// Who gave it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// An order that a leader resigns.
#[derive(Debug, Serialize)]
pub struct Handover {
    /// The term that ends.
    pub term: u64,
    /// The candidate that is to lead next, if one was named.
    pub to_candidate: Option<String>,
    /// The host that is to lead next, if one was named.
    pub to_host: Option<String>,
}

/// `incumbent.order.v1`: what became of an order.
#[derive(Debug, Serialize)]
pub struct Ordered {
    /// The election.
    pub election: String,
    /// What was ordered: `pause`, `resume`, `resign` or `depose`.
    pub order: &'static str,
    /// The term of the leader that was asked to resign.
    pub term: Option<u64>,
    /// How many stores had to carry it out.
    pub majority: usize,
    /// What each store made of it.
    pub stores: Vec<Asked>,
    /// Who leads afterwards, when that was waited for.
    pub leader: Option<Person>,
    /// How long nobody led in between, when that was waited for; `null` also when nobody knows.
    pub gap_ms: Option<u64>,
    /// Whether that is the most it can have been, counted from the last heartbeat of a leader that did not
    /// release.
    pub gap_at_most: Option<bool>,
}

/// Somebody else leads after an order, and that was waited for.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    /// How long nobody led in between; `None` when the stores do not tell.
    pub gap: Option<Duration>,
    /// Whether that is the most it can have been, for the one before did not live to tell.
    pub at_most: bool,
}

impl Ordered {
    /// What became of an order, in a document.
    #[must_use]
    pub fn document(
        view: &ElectionView,
        order: &'static str,
        term: Option<protocol::Term>,
        stores: &Told<Verdict>,
        followed: Option<Followed>,
    ) -> Document<Self> {
        let asked = stores.iter().map(|(store, told)| {
            let asked = Asked::new(store, told.as_ref().err());
            match told {
                Ok(Verdict::Refused) => Asked {
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
                term: term.map(protocol::Term::get),
                majority: view.electorate.majority(),
                stores: asked.collect(),
                leader: leader.map(|leader| person(&leader.holder, leader.identity.as_ref())),
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
            term: handover.term.get(),
            to_candidate: candidate,
            to_host: host,
        }
    }
}
