//! A lock that is held.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::election::{Held, Lease, Lost};
use crate::protocol::{FencingToken, LossReason};

/// A lock that is held, until its last clone is dropped or released.
///
/// A clone makes the lock re-entrant in this process: code that needs it, and is called by code that holds it, is
/// given a clone.
///
/// Dropping the last clone releases the lock in the background, on the current tokio runtime if there is one. Use
/// [`Guard::release`] to wait for that, or [`Locks::finished`](super::Locks::finished) before the process exits. A
/// guard that is leaked keeps its lock for as long as the process runs. After a `fork`, the lock stays with the
/// parent: in the child [`Guard::check`] fails, and dropping the guard does nothing.
#[derive(Clone)]
#[must_use = "dropping a guard releases its lock"]
pub struct Guard {
    held: Arc<Held>,
}

impl Guard {
    pub(super) fn new(held: Held) -> Self {
        Self {
            held: Arc::new(held),
        }
    }

    /// Whether the holder may act at this moment, according to the clock: call it before each side effect. It takes
    /// some tens of nanoseconds.
    ///
    /// # Errors
    ///
    /// [`Lost`] once the lock is lost, permanently.
    pub fn check(&self) -> Result<(), Lost> {
        if self.held.is_forked() {
            let (term, reason) = (self.fencing_token(), LossReason::TenureEnded);
            return Err(Lost { term, reason });
        }
        self.lease().check()
    }

    /// The fencing token: greater than that of every earlier holder of this lock, and less than that of every later
    /// one. Pass it to the resource with each write, and let the resource refuse a lower one, as
    /// [`fence`](crate::fence) does.
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        self.lease().fencing_token()
    }

    /// Waits until the lock is lost, or is about to be: the work then has until [`Guard::remaining`] runs out to end.
    pub async fn lost(&self) -> LossReason {
        self.lease().lost().await
    }

    /// Why the work was asked to stop, once it was.
    #[must_use]
    pub fn loss(&self) -> Option<LossReason> {
        self.lease().loss()
    }

    /// How long the holder may still act if no further heartbeat succeeds.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.lease().remaining()
    }

    /// What the work needs to know, to clone and pass around. It does not keep the lock.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        self.held.lease()
    }

    /// Releases the lock if this is the last clone, and waits until the stores have confirmed that. If one of them
    /// does not, it is asked again in the background.
    pub async fn release(self) {
        if let Some(held) = Arc::into_inner(self.held) {
            held.release().await;
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("token", &self.fencing_token())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
