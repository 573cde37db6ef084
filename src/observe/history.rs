//! The terms of an election, merged from the histories of its stores: when each began, its leader, and why it ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod ending;
mod traces;

use self::traces::{Held, Traces, trace};
use super::view::between;
use crate::protocol::{ElectionName, Electorate, FencingToken, LossReason, WallMillis};
use crate::store::Identity;
use crate::store::{Change, HistoryEntry, Note, StoreError};

pub use self::ending::Ending;

/// The history of each store, by its label, in configuration order.
pub type Answers<T> = Vec<(Arc<str>, Result<T, StoreError>)>;

/// The last terms of one election.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryView {
    /// The election.
    pub election: ElectionName,
    /// Its terms, newest first.
    pub terms: Vec<PastTerm>,
    /// The orders that operators gave meanwhile, newest first.
    pub orders: Vec<PastOrder>,
    /// The stores asked, in configuration order, with the error of each that did not answer.
    pub stores: Answers<()>,
}

/// An order that an operator gave, from the history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastOrder {
    /// When the first store carried it out, by that store's clock.
    pub at: WallMillis,
    /// The term it was given in.
    pub term: FencingToken,
    /// The operator's name.
    pub by: Identity,
    /// What was ordered.
    pub change: Change,
    /// Until when and why, or the successor, as the order says.
    pub note: Option<Note>,
    /// How many stores reported it.
    pub stores: usize,
}

/// One leadership, from the history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastTerm {
    /// Its term, which was its fencing token.
    pub term: FencingToken,
    /// The leader.
    pub holder: Identity,
    /// When a majority was claimed, by the clocks of the stores.
    pub from: WallMillis,
    /// When it was released, or else its last heartbeat that a majority of the stores knows of; `None` while
    /// neither is known.
    pub to: Option<WallMillis>,
    /// The same, when it is a heartbeat: after it the leader acted at most until the end of its tenure, and
    /// what it did then is not known.
    pub last_heartbeat: Option<WallMillis>,
    /// How it began.
    pub began: Change,
    /// Why it ended; `None` when no later term is known, so that it may still go on.
    pub ended: Option<Ending>,
    /// Why it was released; `None` when it was not, or by an earlier version.
    pub reason: Option<LossReason>,
    /// How long no one led before the next term in which a leader did. After a release that is exact; after a
    /// [`last_heartbeat`](Self::last_heartbeat) it is an upper limit, because the leader may have acted until
    /// the end of its tenure.
    pub gap: Option<Duration>,
    /// How many stores reported it.
    pub stores: usize,
}

impl PastTerm {
    /// Why it ended, in a few words for people; `None` while no later term is known.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        Some(match (self.ended?, self.reason) {
            (Ending::Released | Ending::Requested, Some(reason)) => reason.to_string(),
            (ending, Some(reason)) => format!("{}; {reason}", ending.reason()),
            (ending, None) => ending.reason().to_owned(),
        })
    }

    /// Whether it ended as intended: nothing to look into.
    #[must_use]
    pub fn ended_as_planned(&self) -> bool {
        let released = matches!(self.ended, Some(Ending::Released | Ending::Requested));
        released
            && self
                .reason
                .is_none_or(|reason| reason.is_planned() || reason == LossReason::Withdrawn)
    }

    /// Whether anyone led in it: a claim that was abandoned in its probation is a term, with a token, in
    /// which no one acted.
    #[must_use]
    pub fn led(&self) -> bool {
        self.reason != Some(LossReason::Withdrawn)
    }
}

impl HistoryView {
    /// How many entries to ask each store for, to cover `terms` terms: each leaves a claim, a release, and
    /// perhaps a join and an order.
    #[must_use]
    pub const fn entries(terms: usize) -> usize {
        let entries = terms.saturating_mul(4).saturating_add(8);
        if entries > Self::MOST_ENTRIES {
            Self::MOST_ENTRIES
        } else {
            entries
        }
    }

    /// The most entries to ask a store for.
    pub const MOST_ENTRIES: usize = 1000;

    /// Merges the histories of the stores of an electorate, and keeps the last `terms` terms.
    ///
    /// A term counts when a majority of the stores that answered reports it: a failed claim leaves its
    /// traces on a minority.
    #[must_use]
    pub fn merge(
        election: ElectionName,
        electorate: Electorate,
        terms: usize,
        answers: Answers<Vec<HistoryEntry>>,
    ) -> Self {
        let mut traces: BTreeMap<Held<'_>, Traces<'_>> = BTreeMap::new();
        let histories = answers
            .iter()
            .filter_map(|(_, history)| history.as_ref().ok());
        let mut orders: BTreeMap<(&Identity, &'static str, usize), PastOrder> = BTreeMap::new();
        let mut answered = 0;
        for history in histories {
            answered += 1;
            trace(history, &mut traces);
            for (rank, entry) in ranked(history) {
                if let Some(word) = order_word(entry.change) {
                    let order = orders.entry((&entry.holder, word, rank));
                    let order = order.or_insert_with(|| PastOrder {
                        at: entry.at,
                        term: entry.term,
                        by: entry.holder.clone(),
                        change: entry.change,
                        note: None,
                        stores: 0,
                    });
                    order.at = order.at.min(entry.at);
                    order.note = order.note.take().or_else(|| entry.note.clone());
                    order.stores += 1;
                }
            }
        }
        let needed = (answered / 2 + 1).min(electorate.majority());
        let mut merged: Vec<PastTerm> = traces
            .into_iter()
            .filter_map(|((term, _), traces)| traces.into_term(term, needed))
            .collect();
        for at in 0..merged.len() {
            conclude(&mut merged[at..]);
        }
        merged.reverse();
        merged.truncate(terms);
        let mut orders: Vec<PastOrder> = orders.into_values().collect();
        orders.sort_by_key(|order| std::cmp::Reverse(order.at));
        Self {
            election,
            terms: merged,
            orders,
            stores: answers
                .into_iter()
                .map(|(store, history)| (store, history.map(drop)))
                .collect(),
        }
    }
}

/// The entries of one store, each with how many newer ones of the same kind the same actor has: the same
/// order has the same rank in every store that carried it out.
fn ranked(history: &[HistoryEntry]) -> impl Iterator<Item = (usize, &HistoryEntry)> {
    let mut newer: BTreeMap<(&Identity, Option<&str>), usize> = BTreeMap::new();
    history.iter().map(move |entry| {
        let count = newer.entry((&entry.holder, order_word(entry.change)));
        let count = count.or_default();
        *count += 1;
        (*count, entry)
    })
}

/// What was ordered, in one word; `None` for what a candidate does.
#[must_use]
pub const fn order_word(change: Change) -> Option<&'static str> {
    match change {
        Change::Paused => Some("paused"),
        Change::Resumed => Some("resumed"),
        Change::AskedToResign => Some("asked-to-resign"),
        Change::Deposed => Some("deposed"),
        Change::ClaimedAbsent
        | Change::ClaimedVacant
        | Change::ClaimedStalled
        | Change::ClaimedForeign
        | Change::Joined
        | Change::Released => None,
    }
}

/// Derives what the terms that came after the first of these show about it.
fn conclude(terms: &mut [PastTerm]) {
    let [term, later @ ..] = terms else {
        return;
    };
    let Some(next) = later.first() else {
        return;
    };
    term.ended.get_or_insert(match next.began {
        Change::ClaimedAbsent => Ending::Forgotten,
        Change::ClaimedForeign => Ending::Displaced,
        Change::ClaimedStalled | Change::Joined => Ending::Stalled,
        Change::ClaimedVacant
        | Change::Released
        | Change::Paused
        | Change::Resumed
        | Change::AskedToResign
        | Change::Deposed => Ending::Released,
    });
    // No one led in an abandoned claim; a foreign holder led until it was replaced.
    let until = later.iter().position(PastTerm::led);
    let since = term.to.filter(|_| term.led());
    if let (Some(until), Some(since)) = (until, since)
        && later[..=until]
            .iter()
            .all(|term| term.began != Change::ClaimedForeign)
    {
        term.gap = Some(between(since, later[until].from));
    }
}

#[cfg(test)]
mod tests;
