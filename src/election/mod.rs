//! The election as a program uses it: on tokio, with real clocks and real stores.
//!
//! ```text
//!   run_as_leader ─▶ campaign ─▶ Leadership ──▶ Lease        what the work asks: check, lost, remaining
//!                        │            │ resign
//!                        ▼            ▼
//!          Driver, on the thread of the elections ──▶ protocol::Candidate
//!                        │                                    guard: ends the process on overrun
//!                        ▼
//!                  store::Store × 1, 3 or 5
//! ```

mod blocking;
mod builder;
mod campaign;
pub mod clock;
mod driver;
mod error;
mod guard;
mod leadership;
mod lease;
mod run;
mod runtime;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::observe::{self, ElectionEvent, Happening};
use crate::protocol::{CandidateId, ElectionName, Electorate, Opening, Timing};
use crate::store::Store;

pub use blocking::{BlockingElection, BlockingLeadership};
pub use builder::{ElectionBuilder, Overrun};
pub use error::{CampaignError, ConfigError, Lost, RunError};
pub use leadership::Leadership;
pub use lease::Lease;
pub use run::run_as_leader;

/// An election, ready to campaign in. Cheap to clone; every campaign is a new candidacy.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use incumbent::Election;
/// use incumbent::store::MemoryStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let election = Election::builder("billing")
///     .store_object(Arc::new(MemoryStore::new("example")))
///     .build()?;
/// let leadership = election.campaign().await?;
/// leadership.check()?;
/// println!("leading, token {}", leadership.fencing_token());
/// leadership.resign().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Election {
    shared: Arc<Shared>,
}

struct Shared {
    name: ElectionName,
    stores: Vec<Arc<dyn Store>>,
    electorate: Electorate,
    timing: Timing,
    label: Arc<str>,
    host: Arc<str>,
    overrun: Overrun,
    /// The records as the last leadership of this process left them, by store.
    openings: Mutex<Vec<Option<Opening>>>,
    events: broadcast::Sender<ElectionEvent>,
}

impl Election {
    /// How many events a slow subscriber may fall behind before it misses some.
    pub const EVENTS_KEPT: usize = 256;

    /// Begins the configuration of an election.
    pub fn builder(name: &str) -> ElectionBuilder {
        ElectionBuilder::new(name)
    }

    /// The name of the election.
    #[must_use]
    pub fn name(&self) -> &ElectionName {
        &self.shared.name
    }

    /// Its timing.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.shared.timing
    }

    /// Its stores, in the order of configuration.
    #[must_use]
    pub fn stores(&self) -> &[Arc<dyn Store>] {
        &self.shared.stores
    }

    /// The events of all campaigns from now on. Who falls behind by more than
    /// [`Election::EVENTS_KEPT`] misses the oldest, and is told so by the receiver.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ElectionEvent> {
        self.shared.events.subscribe()
    }

    /// The same election for programs without an async runtime.
    #[must_use]
    pub fn blocking(&self) -> BlockingElection {
        BlockingElection::new(self.clone())
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<&str> = self.shared.stores.iter().map(|s| s.label()).collect();
        f.debug_struct("Election")
            .field("name", &self.shared.name.as_str())
            .field("stores", &labels)
            .field("timing", &self.shared.timing)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn take_openings(&self) -> Vec<Option<Opening>> {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut openings)
    }

    fn keep_openings(&self, seen: Vec<Option<Opening>>) {
        *self.openings.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn tell(&self, candidate: &CandidateId, happening: Happening) {
        let event = ElectionEvent {
            at: clock::now(),
            election: self.name.clone(),
            candidate: candidate.clone(),
            happening,
        };
        observe::log(&event);
        if self.events.receiver_count() > 0 && self.events.send(event).is_err() {
            tracing::trace!("the last subscriber of the events has just left");
        }
    }
}
