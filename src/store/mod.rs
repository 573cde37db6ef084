//! The stores: independent servers, or files, that keep one record per election.
//!
//! ```text
//!   election/  ──▶ Store::execute(election, who, Request) ──▶ Reply      one round trip, bounded in time
//!              ◀── WakeUps                                                a hint, polling backs it up
//!   cli/       ──▶ Store::inspect, elections, history                     read only, for people
//! ```
//!
//! Whatever a store is made of, it must do what [`apply`](crate::protocol::apply) does to its record,
//! atomically; the conformance suite in `tests/` holds each of them to that. What a store returns is
//! untrusted until it is parsed.

mod address;
mod decimal;
mod error;
mod examination;
mod fnv1a;
mod identity;
mod inspection;
mod loss_words;
mod memory;
mod memory_id;
mod note;
mod options;
mod order_text;
mod redis;
mod registry;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store_list;
mod target;
mod turn;
mod wall;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::protocol::{
    CandidateId, ElectionName, Memory, MemoryId, Occupancy, Record, Reply, Request, WallMillis,
};

use self::address::Place;
use self::redis::RedisStore;
use self::registry::Registry;

pub use address::{InvalidAddress, Password, StoreAddress};
pub use error::StoreError;
pub use examination::Examination;
pub(crate) use fnv1a::fnv1a;
pub use identity::{Identity, InvalidIdentity};
pub use inspection::{Change, HistoryEntry, Inspection, SeenCandidate};
pub use memory::{Fault, MemoryStore};
pub use note::Note;
pub use options::StoreOptions;
pub use order_text::InvalidOrder;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use store_list::StoreList;
pub(crate) use target::{beside, target};
pub(crate) use turn::let_others_go_first;
pub(crate) use wall::{millis, wall_clock};

/// The decoders of what the stores send, for fuzz targets and property tests, and what the benchmarks compare with. No
/// part of the API.
#[cfg(feature = "_fuzzing")]
pub mod fuzzing {
    pub use super::redis::fuzzing as redis;
    #[cfg(feature = "sqlite")]
    pub use super::sqlite::fuzzing as sqlite;
}

/// The outcome of an operation on a store, in the future.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A server or file that keeps one record per election.
///
/// Every method may be called from any task of any runtime. An operation ends within the store's `op_timeout`,
/// whatever the server does.
pub trait Store: Send + Sync + 'static {
    /// Its address for display, without any secret.
    fn label(&self) -> &str;

    /// Whether it is a store of this host: processes on another host have another one at the same address.
    fn is_of_one_host(&self) -> bool {
        false
    }

    /// Whether it keeps a memory for each election, as a cluster does, and not one for all of them.
    fn has_memory_per_election(&self) -> bool {
        false
    }

    /// The same store over connections that no one else uses yet, which then belong to the runtime that uses them:
    /// a request takes no detour over the thread of another one. `None` if that makes no difference.
    fn apart(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// Carries out one request on the record of `election`, atomically, on behalf of `who`.
    ///
    /// An observation also notes that `who` campaigns, in the same round trip, and a release that it
    /// does not any more. An order notes in the history that `who` gave it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] says whether the request may still have been executed.
    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply>;

    /// Notes that `who` does not campaign any more, for people: it is not listed from now on, unless it
    /// observes again. A store that lists no one need not implement it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] as for [`Store::execute`].
    fn withdraw<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
    ) -> StoreFuture<'a, ()> {
        let _nobody = (election, who);
        Box::pin(async { Ok(()) })
    }

    /// The releases of `election` from now on, as they become known to the candidate `who`. They are hints: some may
    /// be lost or repeated, and a store that calls one standby need not wake the others. A record that is already free
    /// when listening begins counts as just released.
    fn wake_ups(&self, election: &ElectionName, who: &CandidateId) -> WakeUps;

    /// What people want to know of one election. An election that was never held reads as
    /// [`Record::ABSENT`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] as for [`Store::execute`].
    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection>;

    /// The names of all elections that the store has a record of, or a pause, sorted. An election of which
    /// nothing is left but what a stranger wrote, or what cannot be read, is one of them where the store can
    /// distinguish it from other data.
    ///
    /// A large server is asked in many steps, a bounded number, each of which ends within `op_timeout`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] as for [`Store::execute`].
    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>>;

    /// Like [`Store::elections`], with the error of any part of the store that could not be asked.
    /// A store that has no parts need not implement it.
    fn known_elections(&self) -> BoxFuture<'_, (Vec<ElectionName>, Option<StoreError>)> {
        Box::pin(async {
            match self.elections().await {
                Ok(names) => (names, None),
                Err(error) => (Vec::new(), Some(error)),
            }
        })
    }

    /// The latest entries of the election's history, the newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] as for [`Store::execute`].
    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>>;

    /// What the store reports about itself, for an operator. A store with nothing to report need not
    /// implement it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when nothing at all could be learnt.
    fn examine(&self) -> StoreFuture<'_, Examination> {
        Box::pin(std::future::ready(Ok(Examination::default())))
    }
}

/// A stream of releases. Lifting a pause and deposing a holder count as releases too, and a release under
/// a pause does not: no one may claim then.
///
/// It makes a release known within a round trip (`L1`). Its capacity is bounded; a release that does not
/// fit is dropped, for polling finds it.
#[derive(Debug)]
pub struct WakeUps(pub mpsc::Receiver<WakeUp>);

impl WakeUps {
    /// How many releases may wait to be taken.
    pub const CAPACITY: usize = 16;

    /// Waits for the next release; `None` when the store will never report one.
    pub async fn next(&mut self) -> Option<WakeUp> {
        self.0.recv().await
    }
}

/// The word that an election is free to be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WakeUp {
    /// The record: vacant, or absent where it was deleted.
    pub record: Record,
    /// The memory of the store that released it.
    pub memory: Memory,
    /// The standby that is called to claim it, of those that the store lists: the one seen last, or, where a Redis has
    /// deleted the record, the one whose id follows that of its holder. `None` calls everyone.
    pub called: Option<CandidateId>,
}

impl WakeUp {
    /// A free record, under this memory of its store, that every standby may claim.
    #[must_use]
    pub const fn new(record: Record, memory: Memory) -> Self {
        Self {
            record,
            memory,
            called: None,
        }
    }

    /// Whether the candidate `id` is called to claim the election.
    #[must_use]
    pub fn calls(&self, id: &CandidateId) -> bool {
        self.called.as_ref().is_none_or(|called| called == id)
    }
}

/// An id that no memory had before: one random number for each process, and a count.
fn fresh_memory(clock: WallMillis) -> MemoryId {
    static NONCES: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(uuid::Uuid::new_v4().as_u64_pair().0));

    MemoryId {
        made: clock,
        nonce: NONCES.fetch_add(1, Ordering::Relaxed),
    }
}

/// Whether a record may be claimed without waiting: the change that made it so wakes the candidates.
fn is_free(record: &Record) -> bool {
    record.is_free() && record.orders.paused.is_none()
}

/// Whether a record has been released and left to be claimed. An absent one does not show that: its leader may
/// still act.
fn is_left(record: &Record) -> bool {
    record.occupancy == Occupancy::Vacant && is_free(record)
}

/// Opens the store at an address. Nothing is connected yet: a server that is down is found out by the
/// first operation, and only that operation fails.
///
/// Within one process, all elections with the same address and options share one connection.
///
/// # Errors
///
/// [`InvalidAddress`] when this build cannot speak to such a store, or the key prefix holds a brace.
pub fn open(
    address: &StoreAddress,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, InvalidAddress> {
    static STORES: Registry<(StoreAddress, StoreOptions), dyn Store> = Registry::new();

    STORES.get_or_open(
        (address.clone(), options.clone()),
        |(address, options)| match address.place() {
            Place::Redis(place) => {
                let store = RedisStore::open(address.shared_label(), place, options)?;
                Ok(Arc::new(store) as Arc<dyn Store>)
            }
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => {
                Ok(Arc::new(SqliteStore::open(path, options.op_timeout)) as Arc<dyn Store>)
            }
            #[cfg(not(feature = "sqlite"))]
            Place::Sqlite(_) => Err(InvalidAddress::Feature {
                scheme: "sqlite:",
                feature: "sqlite",
            }),
        },
    )
}
