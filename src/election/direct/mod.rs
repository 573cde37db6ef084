//! Elections that are won and left where the caller runs: one round trip each, over a connection of the caller's
//! runtime, without a task and without another thread.
//!
//! ```text
//!   acquire ─▶ Attempt: claim, on the caller's runtime ── elected ──▶ the caller keeps it ─▶ release, there too
//!                 │ held by another, unknown, not yet proven          │ its first heartbeat is due: Due
//!                 ▼                                                   ▼
//!              Election::campaign ──────▶ the election thread keeps it: a Leadership
//! ```
//!
//! The lease runs from when the claim was sent, and the clock alone ends it. So nothing that the caller's runtime
//! does or fails to do makes a lease last longer: at worst its heartbeats, which the election thread sends from the
//! first one on, keep an election that no one uses any more.

mod attempt;
mod due;
mod held;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Id};

use self::attempt::Attempt;
use self::due::Due;
pub(crate) use self::held::Held;
use super::setup::Setup;
use super::{CampaignError, Election, Overrun, clock, guard, runtime};
use crate::protocol::{CandidateId, ElectionName, Timestamp, Timing};
use crate::store::{Identity, Store};

/// How many runtimes keep connections of their own.
const RUNTIMES: usize = 256;

/// How many elections are known to be contended.
const CONTENDED: usize = 64;
/// How long one that queues leaves a free election to the others, as a part of an interval.
const TURN: u32 = 200;

/// The stores as one runtime uses them.
type Stores = Arc<[Arc<dyn Store>]>;

/// How long to wait for an election.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Forever,
    Never,
    AtMost(Duration),
}

/// One client of many elections.
pub(crate) struct Client {
    setup: Arc<Setup>,
    /// What the identities of its candidates have in common.
    identity: Identity,
    /// The process that it was made in.
    process: u32,
    /// The random part of the next id.
    next_id: AtomicU64,
    /// The stores of each runtime, in the order of their first use.
    runtimes: Mutex<Vec<(Id, Stores)>>,
    /// The elections that it had to wait for, and when it won each.
    contended: Mutex<Vec<(ElectionName, Timestamp)>>,
    due: Due,
}

impl Client {
    pub(crate) fn new(setup: Setup) -> Self {
        let setup = Arc::new(setup);
        Self {
            identity: setup.identity(),
            process: this_process(),
            next_id: AtomicU64::new(uuid::Uuid::new_v4().as_u64_pair().0),
            runtimes: Mutex::default(),
            contended: Mutex::default(),
            due: Due::new(),
            setup,
        }
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.setup.timing
    }

    pub(crate) fn election(&self, name: &ElectionName) -> Election {
        Election::of(name.clone(), Arc::clone(&self.setup))
    }

    /// Wins the election of this name.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        name: &ElectionName,
        wait: Wait,
    ) -> Result<Held, CampaignError> {
        let begun = clock::now();
        if self.is_forked() {
            return Err(self.election(name).no_room(io::Error::other(
                "the process was forked after it had made its client of locks, whose threads stayed in the parent: \
                 make a new one after the fork, or execute another program",
            )));
        }
        // A process that has just used what others wait for joins their queue, or it would win again before the
        // standby that its release has called.
        let mut queues = !matches!(wait, Wait::Never) && self.is_contended(name, begun);
        if !queues && let Some(attempt) = Attempt::prepare(self, name) {
            let outcome = match wait {
                Wait::AtMost(wait) => tokio::time::timeout(wait, attempt.run()).await.ok(),
                Wait::Forever | Wait::Never => Some(attempt.run().await),
            };
            match (outcome.flatten(), wait) {
                (Some(Ok(held)), _) => return Ok(held),
                (Some(Err(leader)), Wait::Never) => {
                    let election = name.as_str().to_owned();
                    return Err(CampaignError::Held { election, leader });
                }
                (Some(Err(_)), _) => queues = true,
                (None, _) => {}
            }
        }
        let election = self.election(name);
        if queues {
            election
                .shared
                .sits_out_until
                .set(begun + self.setup.timing.interval() / TURN);
        }
        let leadership = match wait {
            Wait::Forever => election.campaign().await,
            Wait::Never => election.try_campaign().await,
            Wait::AtMost(wait) => {
                let left = wait.saturating_sub(clock::now().since(begun));
                election.campaign_within(left, wait).await
            }
        };
        let held = Held::led(Arc::clone(self), leadership?);
        if queues {
            self.note_contended(name);
        }
        Ok(held)
    }

    fn is_contended(&self, name: &ElectionName, now: Timestamp) -> bool {
        let mut contended = self
            .contended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        contended.retain(|(_, won)| now.since(*won) < self.setup.timing.interval());
        contended.iter().any(|(known, _)| known == name)
    }

    fn note_contended(&self, name: &ElectionName) {
        let mut contended = self
            .contended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        contended.retain(|(known, _)| known != name);
        if contended.len() == CONTENDED {
            contended.remove(0);
        }
        contended.push((name.clone(), clock::now()));
    }

    /// Whether this is not the process in which it was made: no thread of that has come along.
    pub(crate) fn is_forked(&self) -> bool {
        this_process() != self.process
    }

    /// Waits until everything that was given up in the background is over.
    pub(crate) async fn finished(&self) {
        self.setup.finished().await;
    }

    fn new_identity(&self) -> Identity {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = CandidateId::numbered(&self.setup.label, id);
        let id = id.expect("the label was checked when it was given");
        self.identity.clone().with_id(id)
    }

    /// The stores for the current runtime; `None` outside one.
    fn stores(&self) -> Option<Stores> {
        let runtime = Handle::try_current().ok()?.id();
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stores)) = runtimes.iter().find(|(id, _)| *id == runtime) {
            return Some(Arc::clone(stores));
        }
        let apart = |store: &Arc<dyn Store>| store.apart().unwrap_or_else(|| Arc::clone(store));
        let stores: Stores = self.setup.stores.iter().map(apart).collect();
        if runtimes.len() == RUNTIMES {
            runtimes.remove(0);
        }
        runtimes.push((runtime, Arc::clone(&stores)));
        Some(stores)
    }

    /// Starts what holding an election needs.
    pub(crate) fn start(&self) -> io::Result<()> {
        runtime::start()?;
        if self.setup.overrun == Overrun::Kill {
            guard::start()?;
        }
        self.due.start()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.is_forked() {
            self.due.close();
        }
    }
}

#[cfg(not(test))]
fn this_process() -> u32 {
    std::process::id()
}

#[cfg(test)]
use tests::this_process;

#[cfg(test)]
mod tests;
