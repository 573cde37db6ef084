//! What the campaigns of a process hand on to the next one.

use super::Opening;
use crate::protocol::{Electorate, Knowledge, Record, StoreIndex};

/// The record of one election on each store, as the campaigns of this process saw it last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sightings(Vec<Option<Record>>);

impl Sightings {
    /// No store was looked at yet.
    #[must_use]
    pub fn new(electorate: Electorate) -> Self {
        Self(vec![None; electorate.size()])
    }

    /// Keeps what a campaign saw at a store: the record of an [`Event::Saw`](super::Event::Saw).
    pub fn keep(&mut self, store: StoreIndex, record: Record) {
        if let Some(seen) = self.0.get_mut(store.get()) {
            *seen = Some(record);
        }
    }

    /// What a new campaign may know of each store, from what the process knows of the memory of each. A name that was
    /// never looked at is taken for a new one.
    pub fn openings(
        &self,
        known: impl IntoIterator<Item = Option<Knowledge>>,
    ) -> Vec<Option<Opening>> {
        let opening = |(knowledge, seen): (Option<Knowledge>, &Option<Record>)| {
            Some(Opening {
                record: seen.clone().unwrap_or(Record::ABSENT),
                knowledge: knowledge?,
            })
        };
        known.into_iter().zip(&self.0).map(opening).collect()
    }
}
