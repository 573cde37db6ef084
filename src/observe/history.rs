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
    /// The stores asked, in the order of configuration, with why one did not answer.
    pub stores: Told<()>,
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
        }
    }
}

/// What the stores said of one term.
#[derive(Debug)]
struct Traces<'a> {
    claims: Vec<&'a HistoryEntry>,
    releases: Vec<WallMillis>,
}

impl HistoryView {
    /// How many entries to ask each store for, to learn of `terms` terms: each leaves a claim, a
    /// release, and perhaps a join.
    #[must_use]
    pub const fn entries(terms: usize) -> usize {
        let entries = terms.saturating_mul(3).saturating_add(8);
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
        let mut answered = 0;
        for history in histories {
            answered += 1;
            for entry in history {
                let of_term = traces.entry(entry.term).or_insert_with(|| Traces {
                    claims: Vec::new(),
                    releases: Vec::new(),
                });
                match entry.change {
                    Change::Released => of_term.releases.push(entry.at),
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
                Change::ClaimedVacant | Change::Released => Ending::Released,
            });
        }
        merged.reverse();
        merged.truncate(terms);
        Self {
            election,
            terms: merged,
            stores: told
                .into_iter()
                .map(|(store, history)| (store, history.map(drop)))
                .collect(),
        }
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
        ended: to.map(|_| Ending::Released),
        gap: None,
        stores: traces.claims.len(),
    })
}

#[cfg(test)]
mod tests;
