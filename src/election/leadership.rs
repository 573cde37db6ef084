//! The leadership: the guard that keeps it, and releases it.

use std::ops::Deref;

use tokio::sync::{mpsc, watch};

use super::guard::Guarded;
use super::lease::Lease;
use super::standing::{Command, Standing};
use crate::protocol::{CandidateId, ElectionName, LossReason};
use crate::store::Identity;

/// A leadership. While it lives, heartbeats on a separate thread keep it.
///
/// Dropping it means that the work has ended: the records are released at once, in the background. Use
/// [`Leadership::resign`] to wait for that, above all before the process exits. It has all methods of a
/// [`Lease`].
#[derive(Debug)]
#[must_use = "dropping a leadership releases it at once"]
pub struct Leadership {
    election: ElectionName,
    identity: Identity,
    lease: Lease,
    commands: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    /// Ends it when it is dropped.
    reason: LossReason,
    _guarded: Option<Guarded>,
}

impl Leadership {
    pub(super) const fn new(
        election: ElectionName,
        identity: Identity,
        lease: Lease,
        commands: mpsc::Sender<Command>,
        standing: watch::Receiver<Standing>,
        guarded: Option<Guarded>,
    ) -> Self {
        Self {
            election,
            identity,
            lease,
            commands,
            standing,
            reason: LossReason::Resigned,
            _guarded: guarded,
        }
    }

    pub(super) const fn election(&self) -> &ElectionName {
        &self.election
    }

    /// The id under which the election was won.
    #[must_use]
    pub const fn candidate(&self) -> &CandidateId {
        self.identity.id()
    }

    /// The winner of the election, as the stores know it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the work needs to know, to clone and pass around.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Asks the work to stop, for `reason`, and keeps the leadership until it has ended. Does nothing if it
    /// was already asked.
    pub fn stop(&self, reason: LossReason) {
        if self.commands.try_send(Command::Resign(reason)).is_err() {
            tracing::trace!("the candidacy is over already");
        }
    }

    /// Reports that the work has ended, and waits until the records are released, or until twice
    /// `op_timeout` has passed without confirmation.
    pub async fn resign(self) {
        self.conclude(LossReason::Resigned).await;
    }

    /// As [`Leadership::resign`], with the reason for events, metrics and the history: for example,
    /// [`LossReason::WorkEnded`] for finished work. If the work was asked to stop before, that reason stands.
    pub async fn conclude(mut self, reason: LossReason) {
        self.reason = reason;
        let mut standing = self.standing.clone();
        // Kept for now: closing the queue would wake the driver once more, in the middle of the release.
        let _commands = self.commands.clone();
        drop(self);
        if standing
            .wait_for(|standing| matches!(standing, Standing::Over(_)))
            .await
            .is_err()
        {
            tracing::debug!("the driver of the candidacy is gone");
        }
    }
}

impl Deref for Leadership {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.lease
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        let reason = unless_panicking(self.reason);
        self.lease.end_work(reason);
        // If the queue is full, the driver sees that the work has ended when it takes the next command.
        if self.commands.try_send(Command::WorkEnded(reason)).is_err() {
            tracing::trace!("the candidacy ends with its last command");
        }
    }
}

/// Why a dropped leadership ends: a panic of the work that unwinds past it, if there is one.
pub(super) fn unless_panicking(reason: LossReason) -> LossReason {
    match reason {
        LossReason::Resigned if std::thread::panicking() => LossReason::Panicked,
        reason => reason,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::LossReason;
    use crate::Election;
    use crate::election::runtime;
    use crate::store::{MemoryStore, Note, Store};

    #[test]
    fn work_that_was_asked_to_stop_more_often_than_the_queue_holds_still_ends() {
        let store = Arc::new(MemoryStore::new("asked often"));
        let election = Election::builder("billing").store_object(store.clone());
        let election = election.build().unwrap();
        let ended = runtime::block_on(async move {
            let leadership = election.campaign().await.unwrap();
            // On the thread of the driver, which therefore takes none of them before the work has ended.
            let often = async move {
                for _ in 0..2 * super::super::campaign::COMMANDS {
                    leadership.stop(LossReason::Requested);
                }
                leadership.resign().await;
            };
            let patience = Duration::from_secs(60);
            let often = runtime::handle().spawn(tokio::time::timeout(patience, often));
            often.await.unwrap().unwrap();
            store.history(&"billing".parse().unwrap(), 1).await.unwrap()
        });
        assert_eq!(ended[0].note, Some(Note::Reason(LossReason::Requested)));
    }
}
