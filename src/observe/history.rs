//! Who led when, and why each leadership ended: the histories of the stores, merged into terms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::view::between;
use crate::protocol::{ElectionName, Electorate, Identity, Term, WallMillis};
use crate::store::{Change, HistoryEntry, StoreError};

/// What each store told, by its label, in the order of configuration.
pub type Told<T> = Vec<(Arc<str>, Result<T, StoreError>)>;

/// The last terms of one election.
#[derive(Clone, Debug)]
pub struct HistoryView {
    /// The election.
    pub election: ElectionName,
    /// Its terms, the newest first.
    pub terms: Vec<PastTerm>,
    /// The orders that operators gave meanwhile, the newest first.
    pub orders: Vec<PastOrder>,
    /// The stores asked, in the order of configuration, with why one did not answer.
    pub stores: Told<()>,
}

/// An order that an operator gave, from the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastOrder {
    /// When the first store carried it out, by that store's clock.
    pub at: WallMillis,
    /// The term it was given in.
    pub term: Term,
    /// Who gave it.
    pub by: Identity,
    /// What was ordered.
    pub change: Change,
    /// How many stores told of it.
    pub stores: usize,
}

/// One leadership, from the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastTerm {
    /// Its term, which was its fencing token.
    pub term: Term,
    /// Who led.
    pub holder: Identity,
    /// When a majority was claimed, by the clocks of the stores.
    pub from: WallMillis,
    /// When it was released; `None` when it was not, or not yet.
    pub to: Option<WallMillis>,
    /// How it began.
    pub began: Change,
    /// Why it ended; `None` when no later term is known, so that it may still go on.
    pub ended: Option<Ending>,
    /// How long nobody led before the next term, when that can be told: after a release. A leader that
    /// stalled last beat at least a window before its successor.
    pub gap: Option<Duration>,
    /// How many stores told of it.
    pub stores: usize,
}

/// Why a term ended, as the stores tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Its holder released it, after its work had ended.
    Released,
    /// Its counter stood still for a window, and another candidate took over.
    Stalled,
    /// A program that speaks only the bare protocol took it.
    Displaced,
    /// The stores lost their data.
    Forgotten,
    /// An operator asked its holder to resign, and it released it after its work had ended.
    Requested,
    /// An operator took its holder for gone.
    Deposed,
}

impl Ending {
    /// The ending in one word, as `-o json` calls it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Stalled => "stalled",
            Self::Displaced => "displaced",
            Self::Forgotten => "forgotten",
            Self::Requested => "requested",
            Self::Deposed => "deposed",
        }
    }

    /// Why, in a few words for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Released => "released by its leader",
            Self::Stalled => "its heartbeat stood still for a window",
            Self::Displaced => "a program of the bare protocol took it",
            Self::Forgotten => "the stores lost their data",
            Self::Requested => "an operator asked its leader to resign",
            Self::Deposed => "an operator deposed its leader",
        }
    }
}

/// What the stores said of one term.
#[derive(Debug, Default)]
struct Traces<'a> {
    claims: Vec<&'a HistoryEntry>,
    releases: Vec<WallMillis>,
    asked: usize,
    deposed: usize,
}

impl HistoryView {
    /// How many entries to ask each store for, to learn of `terms` terms: each leaves a claim, a
    /// release, and perhaps a join and an order.
    #[must_use]
    pub const fn entries(terms: usize) -> usize {
        let entries = terms.saturating_mul(4).saturating_add(8);
        if entries > Self::MOST_ENTRIES {
            Self::MOST_ENTRIES
        } else {
            entries
        }
    }

    /// The most entries that a store is asked for.
    pub const MOST_ENTRIES: usize = 1000;

    /// Merges the histories of the stores of an electorate, and keeps the last `terms` terms.
    ///
    /// A term counts when a majority of the stores that answered tell of it: a claim that failed leaves
    /// its traces on a minority.
    #[must_use]
    pub fn merge(
        election: ElectionName,
        electorate: Electorate,
        terms: usize,
        told: Told<Vec<HistoryEntry>>,
    ) -> Self {
        let mut traces: BTreeMap<Term, Traces<'_>> = BTreeMap::new();
        let histories = told.iter().filter_map(|(_, history)| history.as_ref().ok());
        let mut orders: BTreeMap<(&Identity, &'static str, usize), PastOrder> = BTreeMap::new();
        let mut answered = 0;
        for history in histories {
            answered += 1;
            for (rank, entry) in ranked(history) {
                let of_term = traces.entry(entry.term).or_default();
                if let Some(word) = order_word(entry.change) {
                    let order = orders.entry((&entry.holder, word, rank));
                    let order = order.or_insert_with(|| PastOrder {
                        at: entry.at,
                        term: entry.term,
                        by: entry.holder.clone(),
                        change: entry.change,
                        stores: 0,
                    });
                    order.at = order.at.min(entry.at);
                    order.stores += 1;
                }
                match entry.change {
                    Change::Released => of_term.releases.push(entry.at),
                    Change::Deposed => {
                        of_term.releases.push(entry.at);
                        of_term.deposed += 1;
                    }
                    Change::AskedToResign => of_term.asked += 1,
                    Change::Paused | Change::Resumed => {}
                    Change::ClaimedAbsent
                    | Change::ClaimedVacant
                    | Change::ClaimedStalled
                    | Change::ClaimedForeign
                    | Change::Joined => of_term.claims.push(entry),
                }
            }
        }
        let needed = (answered / 2 + 1).min(electorate.majority());
        let mut merged: Vec<PastTerm> = traces
            .into_iter()
            .filter(|(_, traces)| traces.claims.len() >= needed)
            .filter_map(|(term, traces)| past_term(term, traces, needed))
            .collect();
        for next in 1..merged.len() {
            let (began, from) = (merged[next].began, merged[next].from);
            let ended = &mut merged[next - 1];
            // In the time before a foreign holder was replaced, it led.
            let after_ours = began != Change::ClaimedForeign;
            ended.gap = ended.to.filter(|_| after_ours).map(|to| between(to, from));
            ended.ended.get_or_insert(match began {
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
        }
        merged.reverse();
        merged.truncate(terms);
        let mut orders: Vec<PastOrder> = orders.into_values().collect();
        orders.sort_by_key(|order| std::cmp::Reverse(order.at));
        Self {
            election,
            terms: merged,
            orders,
            stores: told
                .into_iter()
                .map(|(store, history)| (store, history.map(drop)))
                .collect(),
        }
    }
}

/// The entries of one store, each with how many of the same kind by the same hand are newer: the same
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

/// What was ordered, in a word; `None` of what a candidate does.
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

fn past_term(term: Term, mut traces: Traces<'_>, needed: usize) -> Option<PastTerm> {
    traces.claims.sort_by_key(|entry| entry.at);
    traces.releases.sort_unstable();
    let decisive = traces.claims.get(needed.checked_sub(1)?)?;
    let first = traces.claims.first()?;
    // A majority let it go: from then on anybody could be elected.
    let to = traces.releases.get(needed - 1).copied();
    Some(PastTerm {
        term,
        holder: decisive.holder.clone(),
        from: decisive.at,
        to,
        began: first.change,
        ended: to.map(|_| match traces {
            Traces { deposed: 1.., .. } => Ending::Deposed,
            Traces { asked, .. } if asked >= needed => Ending::Requested,
            Traces { .. } => Ending::Released,
        }),
        gap: None,
        stores: traces.claims.len(),
    })
}

#[cfg(test)]
mod tests;
