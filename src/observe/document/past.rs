//! The past of an election, for programs: its terms, and what operators ordered meanwhile.

use serde::Serialize;

use super::order::{Handover, Paused};
use super::{Document, Identity, StoreAnswer, identity_of, store_answers};
use crate::observe::{self, HistoryView, PastTerm};
use crate::protocol::{FencingToken, LossReason, WallMillis};
use crate::store::{Change, Note, millis};

/// `incumbent.history.v1`: the last terms of one election.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct History {
    /// The election.
    pub election: String,
    /// Its terms, newest first.
    pub terms: Vec<Term>,
    /// What operators ordered meanwhile, newest first.
    pub orders: Vec<PastOrder>,
    /// The stores, with the error of each that has one.
    pub stores: Vec<StoreAnswer>,
}

/// An order that was given.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct PastOrder {
    /// When.
    pub at_ms: u64,
    /// In which term.
    pub term: FencingToken,
    /// The operator's name.
    pub by: Identity,
    /// What: `paused`, `resumed`, `asked-to-resign` or `deposed`.
    pub order: &'static str,
    /// The end of a pause; `null` until it is lifted.
    pub until_ms: Option<u64>,
    /// Why, if the operator gave a reason.
    pub reason: Option<String>,
    /// The candidate that should lead next, if one was named.
    pub to_candidate: Option<String>,
    /// The host that should lead next, if one was named.
    pub to_host: Option<String>,
    /// How many stores reported it.
    pub stores: usize,
}

/// One leadership.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Term {
    /// Its term, which was its fencing token.
    pub term: FencingToken,
    /// The leader.
    pub holder: Identity,
    /// When it began.
    pub from_ms: u64,
    /// When it was released, or else its last heartbeat.
    pub to_ms: Option<u64>,
    /// The same, when it is a heartbeat.
    pub last_heartbeat_ms: Option<u64>,
    /// The state of its record before: `absent`, `vacant`, `stalled`, `foreign` or `joined`.
    pub began: &'static str,
    /// Why it ended: [`Ending::word`](observe::Ending::word).
    pub ended: Option<&'static str>,
    /// Why it was released: [`LossReason::word`](crate::protocol::LossReason::word).
    pub reason: Option<&'static str>,
    /// The exit status of the work, when its end was the reason.
    pub status: Option<u8>,
    /// How long no one led before the next term; after a heartbeat, an upper limit.
    pub gap_ms: Option<u64>,
    /// How many stores reported it.
    pub stores: usize,
}

impl From<&HistoryView> for Document<History> {
    fn from(view: &HistoryView) -> Self {
        Self {
            schema: "incumbent.history.v1",
            content: History {
                election: view.election.as_str().to_owned(),
                terms: view.terms.iter().map(Term::new).collect(),
                orders: view.orders.iter().filter_map(PastOrder::new).collect(),
                stores: store_answers(&view.stores),
            },
        }
    }
}

impl PastOrder {
    pub(super) fn new(past: &observe::PastOrder) -> Option<Self> {
        let (pause, handover) = match &past.note {
            Some(Note::Pause(pause)) => (Some(Paused::new(pause)), None),
            Some(Note::Handover(handover)) => (None, Some(Handover::new(handover))),
            Some(_) | None => (None, None),
        };
        let (until_ms, reason) = pause.map_or((None, None), |pause| (pause.until_ms, pause.reason));
        let (to_candidate, to_host) = handover.map_or((None, None), |handover| {
            (handover.to_candidate, handover.to_host)
        });
        Some(Self {
            at_ms: past.at.get(),
            term: past.term,
            by: identity_of(past.by.id(), Some(&past.by)),
            order: observe::order_word(past.change)?,
            until_ms,
            reason,
            to_candidate,
            to_host,
            stores: past.stores,
        })
    }
}

impl Term {
    pub(super) fn new(past: &PastTerm) -> Self {
        Self {
            term: past.term,
            holder: identity_of(past.holder.id(), Some(&past.holder)),
            from_ms: past.from.get(),
            to_ms: past.to.map(WallMillis::get),
            last_heartbeat_ms: past.last_heartbeat.map(WallMillis::get),
            began: match past.began {
                Change::ClaimedAbsent => "absent",
                Change::ClaimedVacant
                | Change::Released
                | Change::Paused
                | Change::Resumed
                | Change::AskedToResign
                | Change::Deposed => "vacant",
                Change::ClaimedStalled => "stalled",
                Change::ClaimedForeign => "foreign",
                Change::Joined => "joined",
            },
            ended: past.ended.map(observe::Ending::word),
            reason: past.reason.map(LossReason::word),
            status: past.reason.and_then(LossReason::status),
            gap_ms: past.gap.map(millis),
            stores: past.stores,
        }
    }
}
