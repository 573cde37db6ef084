//! The queue of jobs that wait for a store's thread: bounded, and with a bell that the thread can poll.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::database::Database;
use super::patience::boot_time;
use super::trouble::{Place, Trouble};
use super::worker::Worker;
use crate::protocol::Timestamp;
use crate::store::StoreError;

/// How many jobs may wait; a later one waits for a place, within its own timeout.
const PLACES: usize = 1024;

/// One request to the thread.
pub(super) struct Job {
    run: Box<dyn FnOnce(&mut Worker) + Send>,
    pub(super) give_up: Timestamp,
    _place: OwnedSemaphorePermit,
}

impl Job {
    pub(super) fn run(self, worker: &mut Worker) {
        (self.run)(worker);
    }
}

/// The end at which jobs are put in.
#[derive(Debug)]
pub(super) struct JobQueue {
    sender: std::sync::Mutex<Option<Sender<Job>>>,
    places: Arc<Semaphore>,
    bell: Arc<OwnedFd>,
}

/// The end at which the thread takes them out.
pub(super) struct JobReceiver {
    receiver: Receiver<Job>,
    bell: Arc<OwnedFd>,
}

impl JobQueue {
    pub(super) fn new() -> std::io::Result<(Self, JobReceiver)> {
        let (sender, receiver) = channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let queue = Self {
            sender: std::sync::Mutex::new(Some(sender)),
            places: Arc::new(Semaphore::new(PLACES)),
            bell: Arc::clone(&bell),
        };
        Ok((queue, JobReceiver { receiver, bell }))
    }

    /// Puts a job into the queue and waits for its outcome. A job that no one waits for any more when
    /// its turn comes is skipped.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        job: impl FnOnce(&mut Database) -> Result<T, Trouble> + Send + 'static,
        place: &Place,
    ) -> Result<T, StoreError> {
        let give_up = boot_time() + patience;
        let permit = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|error| place.unreachable(error))?;
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |worker: &mut Worker| {
            if !reply.is_closed() {
                // A caller that stopped waiting in the meantime counts the outcome as unknown.
                drop(reply.send(worker.with_database(job)));
            }
        });
        let job = Job {
            run,
            give_up,
            _place: permit,
        };
        self.put(job)
            .map_err(|ThreadEnded| place.unreachable(ThreadEnded))?;
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(place.unknown(ThreadEnded)),
        }
    }

    /// Puts a job into the queue whose outcome no one waits for. It is left out when the queue is full.
    pub(super) fn mention(
        &self,
        patience: Duration,
        job: impl FnOnce(&mut Worker) + Send + 'static,
    ) {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let job = Job {
            run: Box::new(job),
            give_up: boot_time() + patience,
            _place: permit,
        };
        if let Err(ended) = self.put(job) {
            tracing::debug!(error = %ended, "the job cannot be done: its thread has ended");
        }
    }

    fn put(&self, job: Job) -> Result<(), ThreadEnded> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(ThreadEnded)?;
        sender.send(job).map_err(|_| ThreadEnded)?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        // The only failure is a counter that is full, and then the bell is ringing already.
        let _rings_already = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

impl Drop for JobQueue {
    fn drop(&mut self) {
        let sender = self
            .sender
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        drop(sender.take());
        self.ring();
    }
}

impl JobReceiver {
    /// The next job, if one waits; an error when the store was dropped.
    pub(super) fn next(&self) -> Result<Option<Job>, ThreadEnded> {
        match self.receiver.try_recv() {
            Ok(job) => Ok(Some(job)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(ThreadEnded),
        }
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub(super) fn silence(&self) {
        let mut rung = [0; 8];
        // Nothing to read means that it was silent.
        let _was_silent = rustix::io::read(&self.bell, &mut rung);
    }
}

/// The store was dropped, or its thread has panicked.
#[derive(Debug, thiserror::Error)]
#[error("the thread that serves it has ended; restart this process")]
pub(super) struct ThreadEnded;
