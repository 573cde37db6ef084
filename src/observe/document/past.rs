//! The past of an election, for programs: its terms, and what operators ordered meanwhile.

use serde::Serialize;

use super::{Asked, Document, Person, asked, millis, person};
use crate::observe::{self, HistoryView, PastTerm};
use crate::protocol::WallMillis;
use crate::store::Change;

/// `incumbent.history.v1`: the last terms of one election.
#[derive(Debug, Serialize)]
pub struct History {
    /// The election.
    pub election: String,
    /// Its terms, the newest first.
    pub terms: Vec<Term>,
    /// What operators ordered meanwhile, the newest first.
    pub orders: Vec<PastOrder>,
    /// The stores, with what is wrong with one.
    pub stores: Vec<Asked>,
}

/// An order that was given.
#[derive(Debug, Serialize)]
pub struct PastOrder {
    /// When.
    pub at_ms: u64,
    /// In which term.
    pub term: u64,
    /// By whom.
    pub by: Person,
    /// What: `paused`, `resumed`, `asked-to-resign` or `deposed`.
    pub order: &'static str,
    /// How many stores told of it.
    pub stores: usize,
}

/// One leadership.
#[derive(Debug, Serialize)]
pub struct Term {
    /// Its term, which was its fencing token.
    pub term: u64,
    /// Who led.
    pub holder: Person,
    /// When it began.
    pub from_ms: u64,
    /// When it was released.
    pub to_ms: Option<u64>,
    /// How it began: `absent`, `vacant`, `stalled`, `foreign` or `joined`, which is what its record was.
    pub began: &'static str,
    /// Why it ended: [`Ending::word`](observe::Ending::word).
    pub ended: Option<&'static str>,
    /// How long nobody led before the next term.
    pub gap_ms: Option<u64>,
    /// How many stores told of it.
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
                stores: asked(&view.stores),
            },
        }
    }
}

impl PastOrder {
    pub(super) fn new(past: &observe::PastOrder) -> Option<Self> {
        Some(Self {
            at_ms: past.at.get(),
            term: past.term.get(),
            by: person(past.by.id(), Some(&past.by)),
            order: observe::order_word(past.change)?,
            stores: past.stores,
        })
    }
}

impl Term {
    pub(super) fn new(past: &PastTerm) -> Self {
        Self {
            term: past.term.get(),
            holder: person(past.holder.id(), Some(&past.holder)),
            from_ms: past.from.get(),
            to_ms: past.to.map(WallMillis::get),
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
            gap_ms: past.gap.map(millis),
            stores: past.stores,
        }
    }
}
