//! The leadership: the guard that keeps it, and gives it up.

use std::ops::Deref;

use tokio::sync::{mpsc, watch};

use super::guard::Guarded;
use super::lease::Lease;
use super::standing::{Command, Standing};
use crate::protocol::{CandidateId, LossReason};
use crate::store::Identity;

/// A leadership. As long as it lives, heartbeats keep it, on a thread of their own.
///
/// Dropping it says that the work has ended: the records are released at once, in the background. Use
/// [`Leadership::resign`] to wait for that, above all before the process exits. Ask it anything that a
/// [`Lease`] answers.
#[derive(Debug)]
#[must_use = "dropping a leadership gives it up at once"]
pub struct Leadership {
    identity: Identity,
    lease: Lease,
    commands: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    /// What ends it when it is dropped.
    reason: LossReason,
    _guarded: Option<Guarded>,
}

impl Leadership {
    pub(super) const fn new(
        identity: Identity,
        lease: Lease,
        commands: mpsc::Sender<Command>,
        standing: watch::Receiver<Standing>,
        guarded: Option<Guarded>,
    ) -> Self {
        Self {
            identity,
            lease,
            commands,
            standing,
            reason: LossReason::Resigned,
            _guarded: guarded,
        }
    }

    /// The id under which the election was won.
    #[must_use]
    pub const fn candidate(&self) -> &CandidateId {
        self.identity.id()
    }

    /// Who won the election, as the stores know it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the work needs to know, to clone and to hand around.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Has the work told to stop, for `reason`, while the leadership is kept until it has ended. Nothing
    /// happens when it was told already.
    pub fn stop(&self, reason: LossReason) {
        if self.commands.try_send(Command::Resign(reason)).is_err() {
            tracing::trace!("the candidacy is over already");
        }
    }

    /// Says that the work has ended, and waits until the records are released, or the stores have had
    /// twice `op_timeout` to confirm it.
    pub async fn resign(self) {
        self.conclude(LossReason::Resigned).await;
    }

    /// As [`Leadership::resign`], and tells events, metrics and the history why the leadership ends: say
    /// [`LossReason::WorkEnded`] of work that was done. Where it was told to stop before, that reason stands.
    pub async fn conclude(mut self, reason: LossReason) {
        self.reason = reason;
        let mut standing = self.standing.clone();
        // Kept for now: a queue that closes would wake the driver once more, amid the release.
        let _commands = self.commands.clone();
        drop(self);
        if standing
            .wait_for(|standing| matches!(standing, Standing::Over))
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
        // Should the queue be full, the driver still sees that it was closed.
        if self.commands.try_send(Command::WorkEnded(reason)).is_err() {
            tracing::trace!("the candidacy ends with its last command");
        }
    }
}

/// Why a leadership ends that is dropped: a panic of the work that unwinds past it is the reason then.
pub(super) fn unless_panicking(reason: LossReason) -> LossReason {
    match reason {
        LossReason::Resigned if std::thread::panicking() => LossReason::Panicked,
        reason => reason,
    }
}
