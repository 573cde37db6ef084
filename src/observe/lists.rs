//! Whether the candidates of an election use one list of stores, where that can be seen.
//!
//! An address can be written in several ways, so two lists that are written differently may name the same
//! servers. A candidate that is seen on all of our stores uses them, whatever it calls them.

use std::fmt;
use std::sync::Arc;

use super::{CandidateView, ElectionView, StoreView};
use crate::protocol::{CandidateId, WallMillis};
use crate::store::{Identity, StoreList};

/// How the stores of a candidate differ from a list that they are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// It uses another number of stores.
    Count {
        /// How many it uses.
        theirs: usize,
        /// How many there are in the list.
        ours: usize,
    },
    /// It uses some of the stores, but does not name this one and is not seen on it.
    Lacks {
        /// The store.
        store: Arc<str>,
    },
    /// The addresses are written differently, and nothing shows that the stores differ.
    Written,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { theirs, ours } => {
                let of = |count: usize| if count == 1 { "store" } else { "stores" };
                write!(f, "uses {theirs} {} and not {ours}", of(*theirs))
            }
            Self::Lacks { store } => write!(f, "does not use {store}"),
            Self::Written => f.write_str("writes the addresses of the stores differently"),
        }
    }
}

impl ElectionView {
    /// How many stores have answered.
    pub(crate) fn answers(&self) -> usize {
        self.stores
            .iter()
            .filter(|store| store.inspection.is_ok())
            .count()
    }

    /// The candidates that publish another list of stores than `ours`, which are the stores of this view.
    #[must_use]
    pub fn other_stores(&self, ours: &StoreList) -> Vec<(CandidateView, Difference)> {
        let differing = |one: &CandidateView| {
            let theirs = one.identity.stores().filter(|theirs| *theirs != ours)?;
            Some((one.clone(), self.difference(ours, theirs, &one.identity)))
        };
        self.candidates.iter().filter_map(differing).collect()
    }

    fn difference(&self, ours: &StoreList, theirs: &StoreList, who: &Identity) -> Difference {
        if theirs.count() != ours.count() {
            return Difference::Count {
                theirs: theirs.count(),
                ours: ours.count(),
            };
        }
        let lacks = |store: &&StoreView| {
            store.inspection.is_ok() && !theirs.names(&store.store) && !store.lists(who.id())
        };
        match self.stores.iter().find(lacks) {
            // If no address is written the same way, the writing proves nothing.
            Some(store) if ours.overlaps(theirs) => Difference::Lacks {
                store: Arc::clone(&store.store),
            },
            Some(_) | None => Difference::Written,
        }
    }
}

impl StoreView {
    /// When the store last saw this candidate, if it lists it.
    pub(crate) fn seen(&self, id: &CandidateId) -> Option<WallMillis> {
        let mut listed = self.inspection.as_ref().ok()?.candidates.iter();
        let one = listed.find(|one| one.identity.id() == id)?;
        Some(one.last_seen)
    }

    /// Whether the store lists this candidate.
    pub(crate) fn lists(&self, id: &CandidateId) -> bool {
        self.seen(id).is_some()
    }
}

#[cfg(test)]
mod tests;
