//! What all elections of one builder share: one electorate, one configuration, one process.

use std::sync::{Arc, OnceLock};

use tokio::sync::{broadcast, watch};

use super::guard::KillHook;
use super::slot::Slot;
use super::{CampaignError, Overrun};
use crate::observe::{Counters, ElectionEvent};
use crate::protocol::{CandidateId, Electorate, Timestamp, Timing};
use crate::store::{Identity, Store, StoreList};

/// What an election needs besides its name.
pub(crate) struct Setup {
    pub(super) stores: Vec<Arc<dyn Store>>,
    pub(super) electorate: Electorate,
    pub(super) timing: Timing,
    /// Whether a release deletes the record.
    pub(super) ephemeral: bool,
    pub(super) label: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) overrun: Overrun,
    pub(super) before_kill: KillHook,
    /// Whether elections begin and end too often to be worth a line of the log each.
    pub(super) is_quiet: bool,
    /// Made when someone listens for the first time: it has room for all the events that are kept, about 45 KB.
    pub(super) events: OnceLock<broadcast::Sender<ElectionEvent>>,
    pub(super) counters: Counters,
    /// What holds the processes of the supervised program together.
    pub(super) containment: OnceLock<Arc<str>>,
    /// When a campaign of this process last compared its stores with those of the others, if without a doubt.
    pub(super) compared: Slot<Option<Timestamp>>,
    /// The candidate with other stores for which a campaign of this process ended last.
    pub(super) conflict: Slot<Option<CampaignError>>,
    /// How many candidacies of this process have not left the stores yet.
    pub(super) candidacies: watch::Sender<usize>,
}

impl Setup {
    /// The same for elections without work: their leader waits for something else.
    pub(super) fn for_waiting(&self) -> Self {
        Self {
            stores: self.stores.clone(),
            electorate: self.electorate,
            timing: self.timing,
            ephemeral: true,
            label: Arc::clone(&self.label),
            host: Arc::clone(&self.host),
            overrun: Overrun::Report,
            before_kill: KillHook::default(),
            is_quiet: true,
            events: OnceLock::new(),
            counters: Counters::new(self.stores.len()),
            containment: OnceLock::new(),
            compared: Slot::new(self.compared.get()),
            conflict: Slot::default(),
            candidacies: self.candidacies.clone(),
        }
    }

    /// Counts a candidacy, until [`Setup::candidacy_over`].
    pub(super) fn candidacy_begun(&self) {
        self.candidacies.send_modify(|count| *count += 1);
    }

    /// A candidacy has left the stores. What it could not release is sent again.
    pub(super) fn candidacy_over(&self) {
        self.candidacies.send_modify(|count| *count -= 1);
    }

    /// Waits until every candidacy of this process is over.
    pub(super) async fn finished(&self) {
        let mut candidacies = self.candidacies.subscribe();
        let none_left = candidacies.wait_for(|count| *count == 0).await;
        // The sender lives in this setup, so it cannot be gone.
        debug_assert!(none_left.is_ok());
    }

    /// The list of stores that its candidates publish.
    pub(super) fn store_list(&self) -> StoreList {
        StoreList::new(self.stores.iter().map(|store| store.label()))
    }

    /// The operator of orders given in the name of this process.
    pub(super) fn operator_identity(&self) -> Identity {
        CandidateId::new(&self.label)
            .and_then(|id| {
                let version = env!("CARGO_PKG_VERSION");
                Identity::new(id, &self.host, std::process::id(), version)
            })
            .expect("the label and the host were checked when the election was built")
    }

    /// What the identities of all candidacies of this process have in common.
    pub(super) fn identity(&self) -> Identity {
        let identity = self.operator_identity();
        let identity = identity.with_timing(self.timing);
        let identity = identity.with_stores(self.store_list());
        match self.containment.get() {
            Some(containment) => identity
                .with_containment(containment)
                .expect("it was checked when it was given"),
            None => identity,
        }
    }
}
