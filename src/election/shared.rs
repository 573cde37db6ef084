//! What the campaigns of one election pass on to each other, and report.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::gap::Gap;
use super::memories;
use super::moments::Moments;
use super::setup::Setup;
use super::slot::Slot;
use super::standing::Command;
use super::{Lease, clock};
use crate::observe::{self, ElectionEvent, EventKind};
use crate::protocol::{
    CandidateId, ElectionName, Opening, Record, Sightings, StoreIndex, Timestamp,
};

/// What all campaigns of one election in this process share.
pub(crate) struct Shared {
    pub(super) name: ElectionName,
    setup: Arc<Setup>,
    /// The records as the campaigns of this process saw them last.
    sightings: Mutex<Sightings>,
    /// A campaign of this process claims nothing before this, because it was asked to resign.
    pub(super) sits_out_until: Slot<Timestamp>,
    /// The time without a leader that continues since the last campaign of this process.
    pub(super) gap: Slot<Option<Gap>>,
    /// When the timer of a campaign of this process rings.
    pub(super) turns: Moments,
    /// The last leadership of this process, and the way to its driver.
    pub(super) leading: Slot<Option<(Lease, mpsc::WeakSender<Command>)>>,
}

impl Deref for Shared {
    type Target = Setup;

    fn deref(&self) -> &Setup {
        &self.setup
    }
}

impl Shared {
    pub(crate) fn new(name: ElectionName, setup: Arc<Setup>) -> Self {
        Self {
            name,
            sightings: Mutex::new(Sightings::new(setup.electorate)),
            setup,
            sits_out_until: Slot::default(),
            gap: Slot::default(),
            turns: Moments::default(),
            leading: Slot::default(),
        }
    }

    pub(super) const fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// What a new campaign may know of each store: the record as it was seen last, or that of a new name.
    pub(super) fn openings(&self) -> Vec<Option<Opening>> {
        let sightings = self.sightings.lock();
        let known = self.stores.iter();
        let known = known.map(|store| memories::of(store, &self.name));
        sightings
            .unwrap_or_else(PoisonError::into_inner)
            .openings(known)
    }

    /// Keeps what a campaign sees at a store.
    pub(super) fn keep_opening(&self, store: StoreIndex, seen: Record) {
        let sightings = self.sightings.lock();
        sightings
            .unwrap_or_else(PoisonError::into_inner)
            .keep(store, seen);
    }

    pub(super) fn report(&self, candidate: &CandidateId, kind: EventKind) {
        let event = ElectionEvent {
            at: clock::now(),
            election: self.name.clone(),
            candidate: candidate.clone(),
            kind,
        };
        match self.is_quiet {
            true => observe::log_troubles(&event),
            false => observe::log(&event),
        }
        self.counters.note(&event.kind);
        if let Some(events) = self.events.get()
            && events.receiver_count() > 0
            && events.send(event).is_err()
        {
            tracing::trace!("the last subscriber of the events has just left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Election;
    use crate::protocol::{Knowledge, Memory, MemoryId, Term, WallMillis};
    use crate::store::MemoryStore;

    fn record(term: u64) -> Record {
        let term = Term::new(term).unwrap();
        Record {
            floor: term,
            term,
            ..Record::ABSENT
        }
    }

    fn knowledge(nonce: u64) -> Knowledge {
        let made = WallMillis::default();
        let memory = Memory::young(MemoryId { made, nonce });
        let now = clock::now();
        Knowledge::learnt(None, (memory, made), now, now)
    }

    #[test]
    fn an_opening_has_the_record_of_its_own_store_whatever_is_known_of_the_others() {
        let builder = ["a", "b", "c"]
            .into_iter()
            .fold(Election::builder("billing"), |builder, name| {
                builder.store_object(MemoryStore::new(name))
            });
        let shared = builder.build().unwrap().shared;
        // Nothing is known of the memory of the first store, and the second was never looked at.
        for (store, nonce) in shared.stores[1..].iter().zip([8, 9]) {
            memories::keep(store, &shared.name, knowledge(nonce));
        }
        let [first, _, third] = [0, 1, 2].map(StoreIndex);
        shared.keep_opening(first, record(3));
        shared.keep_opening(third, record(5));
        let known: Vec<_> = shared
            .openings()
            .into_iter()
            .map(|opening| opening.map(|it| (it.record.term.get(), it.knowledge.memory.id.nonce)))
            .collect();
        assert_eq!(known, [None, Some((0, 8)), Some((5, 9))]);
    }
}
