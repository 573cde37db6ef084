//! The SQLite store: one file, for the processes of one host. It does not forget.
//!
//! ```text
//!   async side                      one thread per store
//!   execute ──▶ JobQueue (bounded) ──▶ Worker ──▶ Database ──▶ apply(Record, Request) in one transaction
//!           ◀── oneshot, bounded in time           │
//!   WakeUps ◀── Subscribers ◀── inotify on PATH-wake, touched by every release
//! ```
//!
//! Its memory is as old as the file, so whoever claims a free record leads at once. That holds only for a file
//! that everyone uses and that has not gone back in time:
//!
//! - Of one inode, everyone uses the same log ([`InodeLock`]); a file system that several hosts can share is
//!   refused ([`filesystem`]).
//! - Every operation first compares the files at the path with those that are open. A leader's lease runs from
//!   before that, so it ends within a window of the moment at which its file was deleted or replaced.
//! - A file that is new, was put in the place of another, or shows an older state than it had is one that may
//!   have forgotten a leader ([`Memory`]): a candidate that claims there outwaits that leader first.

mod database;
mod files;
mod filesystem;
mod folders;
mod fork;
#[cfg(feature = "_fuzzing")]
pub mod fuzzing;
mod memory;
mod notes;
mod patience;
mod queue;
mod record_row;
mod schema;
mod trouble;
mod wake;

mod worker;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use self::database::Database;
use self::queue::JobQueue;
use self::trouble::{Place, Trouble};
use self::wake::Subscribers;
use self::worker::Worker;
#[cfg(doc)]
use self::{files::InodeLock, memory::Memory};
use super::{
    Examination, HistoryEntry, Identity, Inspection, Store, StoreError, StoreFuture, WakeUps,
    target, wall_clock,
};
use crate::protocol::{CandidateId, ElectionName, Record, Reply, Request, Verdict};

/// A store in an SQLite file, for electing among the processes of one host.
///
/// The file must be on a local file system: SQLite's write-ahead log shares memory between its users. It may
/// be a symbolic link, and have no second hard link. Containers that share it mount its folder, not the file.
///
/// An election in a file that was replaced, or restored from a backup, waits for a window before anyone acts: someone
/// may lead by the file that was there before.
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
    queue: OnceLock<JobQueue>,
    /// Held while the thread is started.
    starting: Mutex<()>,
}

impl SqliteStore {
    /// The store in the file at `path`. Nothing is touched yet: the first operation of a candidate makes
    /// the file, and the directories it needs with access for their owner only. Observing a file
    /// that does not exist finds no election in it, and does not create it.
    ///
    /// An operation takes at most `op_timeout`, including the wait for other processes.
    #[must_use]
    pub fn open(path: &Path, op_timeout: Duration) -> Self {
        Self {
            place: Arc::new(Place::new(path)),
            op_timeout,
            subscribers: Arc::default(),
            queue: OnceLock::new(),
            starting: Mutex::new(()),
        }
    }

    /// Whether this store still believes the file unused. A command that only looks must not create
    /// it: a mistyped path would afterwards read as an election that never was.
    fn is_missing(&self) -> bool {
        let missing = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        // A store in use is not asked again: that could take a while where the disk is slow.
        self.queue.get().is_none() && self.place.path.metadata().is_err_and(missing)
    }

    /// As [`SqliteStore::is_missing`], of a file that could be made: where it could not, that is what matters.
    fn is_to_be_made(&self) -> Result<bool, StoreError> {
        if !self.is_missing() {
            return Ok(false);
        }
        let path = target(&self.place.path).unwrap_or_else(|_| self.place.path.clone());
        let checked = filesystem::check(&path).map_err(|trouble| trouble.tell(&self.place));
        checked.map(|()| true)
    }

    /// The way to the store's thread, which is started if need be. If the system refuses it, the next request tries
    /// again.
    fn queue(&self) -> Result<&JobQueue, StoreError> {
        fork::enter().map_err(|trouble| trouble.tell(&self.place))?;
        if let Some(queue) = self.queue.get() {
            return Ok(queue);
        }
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = self.queue.get() {
            return Ok(queue);
        }
        let started = Worker::start(Arc::clone(&self.place), Arc::clone(&self.subscribers));
        let queue = started.map_err(|error| self.place.unreachable(error))?;
        Ok(self.queue.get_or_init(|| queue))
    }

    /// Has the store's thread do `job`.
    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Database) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let queue = self.queue()?;
        // The thread times out first, so that its error can name what it waited for.
        let patience = self.op_timeout - self.op_timeout / 8;
        let answer = queue.ask(patience, job, &self.place);
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

    fn is_of_one_host(&self) -> bool {
        true
    }

    fn execute<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
        request: &'a Request,
    ) -> StoreFuture<'a, Reply> {
        let (election, who, request) = (election.clone(), who.clone(), request.clone());
        Box::pin(async move {
            if matches!(request, Request::Order(_)) && self.is_missing() {
                return Err(Trouble::Unusable(format!(
                    "{} does not exist: no candidate has used it yet, so there is no election in it",
                    self.place.path.display()
                ))
                .tell(&self.place));
            }
            let subscribers = Arc::clone(&self.subscribers);
            let releases = matches!(request, Request::Release { .. } | Request::Order(_));
            self.ask(move |database| {
                let reply = database.execute(&election, &who, &request)?;
                if releases && reply.verdict == Verdict::Granted {
                    subscribers.tell(&election, &reply.record, reply.memory);
                }
                Ok(reply)
            })
            .await
        })
    }

    fn withdraw<'a>(
        &'a self,
        election: &'a ElectionName,
        who: &'a Identity,
    ) -> StoreFuture<'a, ()> {
        let (election, who) = (election.clone(), who.clone());
        Box::pin(self.ask(move |database| database.withdraw(&election, &who)))
    }

    // A release cannot wake one process alone: all watch the same file.
    fn wake_ups(&self, election: &ElectionName, _: &CandidateId) -> WakeUps {
        let wake_ups = self.subscribers.add(election);
        // Before its first operation there is no thread and no file, and no one has seen anything yet.
        if let Some(queue) = self.queue.get() {
            let election = election.clone();
            queue.mention(self.op_timeout, move |worker| {
                worker.begin_to_listen(&election)
            });
        }
        wake_ups
    }

    fn inspect<'a>(&'a self, election: &'a ElectionName) -> StoreFuture<'a, Inspection> {
        let election = election.clone();
        Box::pin(async move {
            if self.is_to_be_made()? {
                return Ok(Inspection::new(Record::ABSENT, wall_clock()));
            }
            self.ask(move |database| database.inspect(&election)).await
        })
    }

    fn elections(&self) -> StoreFuture<'_, Vec<ElectionName>> {
        Box::pin(async {
            if self.is_to_be_made()? {
                return Ok(Vec::new());
            }
            self.ask(|database| database.elections()).await
        })
    }

    fn examine(&self) -> StoreFuture<'_, Examination> {
        Box::pin(async {
            // Nothing is written for a trial: candidates are waiting for the same file.
            let trial = match self.is_to_be_made() {
                Err(error) => Some(Err(error)),
                Ok(true) => None,
                Ok(false) => Some(match self.place.diagnose() {
                    Some(trouble) => Err(trouble.tell(&self.place)),
                    None => self.ask(|database| database.elections()).await.map(drop),
                }),
            };
            Ok(Examination {
                kind: "sqlite",
                trial,
                ..Examination::default()
            })
        })
    }

    fn history<'a>(
        &'a self,
        election: &'a ElectionName,
        limit: usize,
    ) -> StoreFuture<'a, Vec<HistoryEntry>> {
        let election = election.clone();
        Box::pin(async move {
            if self.is_to_be_made()? {
                return Ok(Vec::new());
            }
            let entries = move |database: &mut Database| database.history(&election, limit);
            self.ask(entries).await
        })
    }
}
