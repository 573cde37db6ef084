//! The thread that owns a store's connection: it serves the jobs, passes on wake-ups, and keeps watch
//! that the files it has open are the ones at the path.

use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::database::Database;
use super::folders::FolderLocks;
use super::patience::{self, boot_time};
use super::queue::{Job, JobQueue, JobReceiver};
use super::trouble::{Place, Trouble};
use super::wake::{Subscribers, WakeFile};
use crate::protocol::ElectionName;
use crate::store::{StoreError, is_left};

pub(super) struct Worker {
    place: Arc<Place>,
    database: Option<Database>,
    /// What shows others which files it uses. It outlives the connection, for a leader may.
    folders: FolderLocks,
    subscribers: Arc<Subscribers>,
    wake: Option<WakeFile>,
}

impl Worker {
    /// How often an idle store looks whether its files are still in place. Every request looks too, so one
    /// that heartbeats or polls more often is never woken for this.
    const ROUND: Timespec = Timespec {
        tv_sec: 5,
        tv_nsec: 0,
    };

    /// How long the thread must have had nothing to do before it notes who campaigns.
    const QUIET: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };

    pub(super) fn start(
        place: Arc<Place>,
        subscribers: Arc<Subscribers>,
    ) -> std::io::Result<JobQueue> {
        let (queue, jobs) = JobQueue::new()?;
        let mut worker = Self {
            place,
            database: None,
            folders: FolderLocks::default(),
            subscribers,
            wake: None,
        };
        std::thread::Builder::new()
            .name("incumbent-sqlite".to_owned())
            .spawn(move || worker.serve(&jobs))?;
        Ok(queue)
    }

    fn serve(&mut self, jobs: &JobReceiver) {
        loop {
            match jobs.next() {
                Ok(Some(job)) => self.take(job),
                Ok(None) => self.wait(jobs),
                Err(_) => return self.let_go(),
            }
        }
    }

    fn take(&mut self, job: Job) {
        patience::until(job.give_up);
        job.run(self);
    }

    fn wait(&mut self, jobs: &JobReceiver) {
        self.listen();
        let bell = jobs.bell();
        let mut sources = vec![PollFd::new(&bell, PollFlags::IN)];
        if let Some(wake) = &self.wake {
            sources.push(PollFd::new(wake.events(), PollFlags::IN));
        }
        // A store that has nothing open has nothing to look after.
        let idle = self.database.is_none();
        let behind = self.database.as_ref().is_some_and(Database::has_unnoted);
        let limit = if behind { Self::QUIET } else { Self::ROUND };
        let ready = poll(&mut sources, (!idle).then_some(&limit));
        let woken = sources
            .get(1)
            .is_some_and(|wake| !wake.revents().is_empty());
        if ready == Ok(0) {
            self.look_around();
            self.catch_up();
        }
        if woken {
            self.pass_on();
        }
        jobs.silence();
    }

    /// Starts to listen for releases once somebody waits for them and the file is there. Whether it began just now, and
    /// so has passed on what is free already.
    fn listen(&mut self) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        if self.wake.is_some() || self.subscribers.is_empty() {
            return false;
        }
        let seen = database.last_change().unwrap_or_default();
        match WakeFile::watch(database.path(), seen) {
            Ok(wake) => {
                self.wake = Some(wake);
                self.tell_what_is_left(&self.subscribers.elections());
                true
            }
            // Polling finds every release anyway.
            Err(error) => {
                tracing::debug!(
                    store = %self.place.label, %error, "no wake-ups from other processes"
                );
                false
            }
        }
    }

    /// Listens for the releases of another election from now on.
    pub(super) fn begin_to_listen(&mut self, election: &ElectionName) {
        if !self.listen() {
            self.tell_what_is_left(std::slice::from_ref(election));
        }
    }

    /// Passes the records on that are free already: a release may have come just before this began to listen.
    fn tell_what_is_left(&self, elections: &[ElectionName]) {
        let Some(database) = &self.database else {
            return;
        };
        for election in elections {
            if let Ok((record, memory)) = database.record(election)
                && is_left(&record)
            {
                self.subscribers.tell(election, &record, memory);
            }
        }
    }

    /// Tells the subscribers what other processes have released.
    fn pass_on(&mut self) {
        let Some(wake) = &mut self.wake else {
            return;
        };
        let intact = wake.drain();
        if let Some(database) = &self.database {
            patience::until(boot_time() + WakeFile::PATIENCE);
            // What cannot be read now is found by polling.
            if let Ok(released) = database.released_since(&mut wake.seen) {
                for (election, record, memory) in released {
                    self.subscribers.tell(&election, &record, memory);
                }
            }
        }
        if !intact {
            self.wake = None;
        }
    }

    /// Lets go of files that are no longer at the path.
    fn look_around(&mut self) {
        if self
            .database
            .as_ref()
            .is_some_and(|database| !database.is_in_place())
        {
            self.let_go();
        }
    }

    fn catch_up(&mut self) {
        let Some(database) = &mut self.database else {
            return;
        };
        patience::until(boot_time() + WakeFile::PATIENCE);
        database.catch_up();
    }

    /// Does a job on the open database, and closes it after an error that a new connection may mend.
    pub(super) fn with_database<T>(
        &mut self,
        job: impl FnOnce(&mut Database) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let outcome = self.ready().and_then(|()| {
            let Some(database) = &mut self.database else {
                unreachable!("a store that is ready has its database open");
            };
            job(database)
        });
        outcome.map_err(|trouble| {
            if trouble.spoils_connection() {
                self.let_go();
            }
            trouble.tell(&self.place)
        })
    }

    /// Opens the database unless it is open, and makes sure that it is the one everybody uses.
    fn ready(&mut self) -> Result<(), Trouble> {
        if let Some(database) = &self.database {
            if database.is_in_place() {
                return Ok(());
            }
            tracing::warn!(store = %self.place.label, "the database was deleted or replaced while in use");
            self.let_go();
        }
        self.database = Some(Database::open(&self.place, &mut self.folders)?);
        Ok(())
    }

    fn let_go(&mut self) {
        self.wake = None;
        self.database = None;
    }
}
