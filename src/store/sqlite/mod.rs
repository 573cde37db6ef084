//! The SQLite store: one file, for the processes of one host. It does not forget.
//!
//! ```text
//!   async side                      one thread per store
//!   execute ──▶ Line (bounded) ──▶ Worker ──▶ Database ──▶ apply(Record, Request) in one transaction
//!           ◀── oneshot, bounded in time           │
//!   WakeUps ◀── Subscribers ◀── inotify on PATH-wake, touched by every release
//! ```
//!
//! It answers as [`Durability::Durable`], so an absent record is one that never was, and whoever claims
//! it leads at once. That holds only as long as everybody uses the same file, and a file can be deleted
//! or replaced under its users. Therefore every operation first compares the files at the path with
//! those that are open, a store that finds others refuses everything until the windows that it has
//! granted are over, and every user of the path makes known which files it has open ([`Witness`]), so
//! that nobody works on one file while somebody may still lead on another.

mod database;
pub mod fuzzing;
mod line;
mod notes;
mod patience;
mod record_row;
mod schema;
mod trouble;
mod wake;
mod witness;
mod worker;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::database::Database;
use self::line::Line;
use self::trouble::{Place, Trouble};
use self::wake::Subscribers;
#[cfg(doc)]
use self::witness::Witness;
use self::worker::Worker;
use super::{HistoryEntry, Inspection, Store, StoreError, StoreFuture, WakeUps};
use crate::protocol::{Durability, ElectionName, Identity, Reply, Request};

/// A store in an SQLite file, for electing among the processes of one host.
///
/// The file must be on a local file system: SQLite's write-ahead log shares memory between its users.
///
/// When the file is deleted or replaced while it is in use, nobody is elected until every leadership
/// that rests on the old one has ended. Users of the same path find each other by abstract sockets, so
/// containers that share a file must share the network namespace for that; within one file they need not.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use std::time::Duration;
/// use incumbent::store::{SqliteStore, Store};
///
/// let store = SqliteStore::open(Path::new("/var/lib/incumbent/elections.db"), Duration::from_secs(1));
/// assert_eq!(store.label(), "sqlite:/var/lib/incumbent/elections.db");
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    place: Arc<Place>,
    op_timeout: Duration,
    subscribers: Arc<Subscribers>,
    line: OnceLock<Result<Line, StoreError>>,
}

impl SqliteStore {
    /// The store in the file at `path`. Nothing is touched yet: the first operation makes the file, and
    /// the directories it needs with access for their owner only.
    ///
    /// An operation takes `op_timeout` at the most, waiting for other processes included.
    #[must_use]
    pub fn open(path: &Path, op_timeout: Duration) -> Self {
        Self {
            place: Arc::new(Place::new(path)),
            op_timeout,
            subscribers: Arc::default(),
            line: OnceLock::new(),
        }
    }

    /// Has the store's thread do `job`, starting it if need be.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Database) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let started = self.line.get_or_init(|| {
            let subscribers = Arc::clone(&self.subscribers);
            Worker::start(Arc::clone(&self.place), subscribers)
                .map_err(|error| self.place.unreachable(error))
        });
        let line = started.as_ref().map_err(Clone::clone)?;
        // The thread gives up first, so that it can say what it waited for.
        let patience = self.op_timeout - self.op_timeout / 8;
        let answer = line.ask(patience, job, &self.place);
        match tokio::time::timeout(self.op_timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.place.timed_out(self.op_timeout)),
        }
    }
}

impl Store for SqliteStore {
    fn label(&self) -> &str {
        &self.place.label
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        let (election, who, request) = (election.clone(), who.clone(), request.clone());
        Box::pin(async move {
            let subscribers = Arc::clone(&self.subscribers);
            let release = matches!(request, Request::Release { .. });
            self.ask(move |database| {
                let reply = database.execute(&election, &who, &request)?;
                if release {
                    subscribers.tell(&election, &reply.record, reply.clock);
                }
                Ok(reply)
            })
            .await
        })
    }

    fn wake_ups(&self, election: &ElectionName) -> WakeUps {
        self.subscribers.add(election)
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        let election = election.clone();
        Box::pin(self.ask(move |database| database.inspect(&election)))
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        Box::pin(self.ask(|database| database.elections()))
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        let election = election.clone();
        Box::pin(self.ask(move |database| database.history(&election, limit)))
    }
}
