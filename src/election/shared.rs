//! What the campaigns of one election pass on to each other, and report.

use std::iter::repeat;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{broadcast, mpsc, watch};

use super::gap::Gap;
use super::guard::KillHook;
use super::memories;
use super::standing::Command;
use super::{CampaignError, Lease, Overrun, clock};
use crate::observe::{self, Counters, ElectionEvent, EventKind};
use crate::protocol::{CandidateId, ElectionName, Electorate, Opening, Record, Timestamp, Timing};
use crate::store::{Store, StoreList};

/// What all campaigns of one election in this process share.
pub(super) struct Shared {
    pub(super) name: ElectionName,
    pub(super) stores: Vec<Arc<dyn Store>>,
    pub(super) electorate: Electorate,
    pub(super) timing: Timing,
    /// Whether a release deletes the record.
    pub(super) ephemeral: bool,
    pub(super) label: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) overrun: Overrun,
    pub(super) before_kill: KillHook,
    /// The records as the last leadership of this process left them, by store.
    pub(super) openings: Mutex<Vec<Option<Record>>>,
    pub(super) events: broadcast::Sender<ElectionEvent>,
    pub(super) counters: Counters,
    /// A campaign of this process claims nothing before this, because it was asked to resign.
    pub(super) sits_out_until: Mutex<Timestamp>,
    /// The time without a leader that continues since the last campaign of this process.
    pub(super) gap: Mutex<Option<Gap>>,
    /// When the timer of a campaign of this process last rang.
    pub(super) turns: watch::Sender<Timestamp>,
    /// The last leadership of this process, and the way to its driver.
    pub(super) lease: Mutex<Option<(Lease, mpsc::WeakSender<Command>)>>,
    /// What holds the processes of the supervised program together.
    pub(super) containment: OnceLock<Arc<str>>,
    /// When a campaign of this process last compared its stores with those of the others, if without a doubt.
    pub(super) compared: Mutex<Option<Timestamp>>,
    /// The candidate with other stores for which a campaign of this process ended last.
    pub(super) conflict: Mutex<Option<CampaignError>>,
    /// How many candidacies of this process have not left the stores yet.
    pub(super) candidacies: watch::Sender<usize>,
}

impl Shared {
    /// The list of stores that its candidates publish.
    pub(super) fn store_list(&self) -> StoreList {
        StoreList::new(self.stores.iter().map(|store| store.label()))
    }

    /// What a new campaign may know of each store: the record as it was left, or that of a new name.
    pub(super) fn openings(&self) -> Vec<Option<Opening>> {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::take(&mut *openings).into_iter();
        let stores = self.stores.iter().zip(left.chain(repeat(None)));
        let known = stores.map(|(store, record)| {
            let knowledge = memories::of(store)?;
            Some(Opening {
                record: record.unwrap_or(Record::ABSENT),
                knowledge,
            })
        });
        known.collect()
    }

    pub(super) fn keep_openings(&self, seen: Vec<Option<Record>>) {
        *self.openings.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    pub(super) fn take_gap(&self) -> Option<Gap> {
        let mut gap = self.gap.lock().unwrap_or_else(PoisonError::into_inner);
        gap.take()
    }

    pub(super) fn keep_gap(&self, open: Gap) {
        let gap = self.gap.lock();
        *gap.unwrap_or_else(PoisonError::into_inner) = Some(open);
    }

    pub(super) fn sits_out_until(&self) -> Timestamp {
        let until = self.sits_out_until.lock();
        *until.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sit_out_until(&self, until: Timestamp) {
        let sits_out = self.sits_out_until.lock();
        *sits_out.unwrap_or_else(PoisonError::into_inner) = until;
    }

    pub(super) fn compared(&self) -> Option<Timestamp> {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep_compared(&self, at: Option<Timestamp>) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    pub(super) fn conflict(&self) -> Option<CampaignError> {
        let conflict = self.conflict.lock();
        conflict.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keep_conflict(&self, conflict: CampaignError) {
        *self.conflict.lock().unwrap_or_else(PoisonError::into_inner) = Some(conflict);
    }

    pub(super) fn leading(&self) -> Option<(Lease, mpsc::WeakSender<Command>)> {
        let lease = self.lease.lock();
        lease.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keep_lease(&self, lease: Lease, commands: mpsc::WeakSender<Command>) {
        let kept = Some((lease, commands));
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    pub(super) fn report(&self, candidate: &CandidateId, kind: EventKind) {
        let event = ElectionEvent {
            at: clock::now(),
            election: self.name.clone(),
            candidate: candidate.clone(),
            kind,
        };
        observe::log(&event);
        self.counters.note(&event.kind);
        if self.events.receiver_count() > 0 && self.events.send(event).is_err() {
            tracing::trace!("the last subscriber of the events has just left");
        }
    }
}
