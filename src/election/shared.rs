//! What the campaigns of one election pass on to each other, and report.

use std::iter::repeat;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::gap::Gap;
use super::memories;
use super::setup::Setup;
use super::standing::Command;
use super::{Lease, clock};
use crate::observe::{self, ElectionEvent, EventKind};
use crate::protocol::{CandidateId, ElectionName, Opening, Record, Timestamp};

/// What all campaigns of one election in this process share.
pub(crate) struct Shared {
    pub(super) name: ElectionName,
    setup: Arc<Setup>,
    /// The records as the last leadership of this process left them, by store.
    openings: Mutex<Vec<Option<Record>>>,
    /// A campaign of this process claims nothing before this, because it was asked to resign.
    sits_out_until: Mutex<Timestamp>,
    /// The time without a leader that continues since the last campaign of this process.
    gap: Mutex<Option<Gap>>,
    /// When the timer of a campaign of this process last rang.
    pub(super) turns: watch::Sender<Timestamp>,
    /// The last leadership of this process, and the way to its driver.
    lease: Mutex<Option<(Lease, mpsc::WeakSender<Command>)>>,
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
            setup,
            openings: Mutex::default(),
            sits_out_until: Mutex::default(),
            gap: Mutex::default(),
            turns: watch::Sender::new(Timestamp::ZERO),
            lease: Mutex::default(),
        }
    }

    pub(super) const fn setup(&self) -> &Arc<Setup> {
        &self.setup
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
        match self.is_quiet {
            true => observe::log_troubles(&event),
            false => observe::log(&event),
        }
        self.counters.note(&event.kind);
        if self.events.receiver_count() > 0 && self.events.send(event).is_err() {
            tracing::trace!("the last subscriber of the events has just left");
        }
    }
}
