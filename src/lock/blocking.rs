//! The same locks for programs without an async runtime.

use std::time::Duration;

use super::{Guard, Lock};
use crate::election::{CampaignError, Lease, Lost, Wait, block_on_here};
use crate::protocol::{FencingToken, LossReason};

/// A lock whose calls block the calling thread, over a connection of that thread.
///
/// Do not call it from async code: it blocks the thread that runs it.
///
/// # Examples
///
/// ```
/// use incumbent::{lock::Locks, store::MemoryStore};
///
/// let locks = Locks::builder().store_object(MemoryStore::new("example")).build()?;
/// let lock = locks.lock("order:42")?.blocking();
/// {
///     let guard = lock.acquire()?;
///     println!("critical section, token {}", guard.fencing_token());
/// } // Released here, and confirmed.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockingLock {
    lock: Lock,
}

impl BlockingLock {
    pub(super) const fn new(lock: Lock) -> Self {
        Self { lock }
    }

    /// As [`Lock::acquire`].
    ///
    /// # Errors
    ///
    /// As [`Lock::acquire`].
    pub fn acquire(&self) -> Result<BlockingGuard, CampaignError> {
        self.get(Wait::Forever)
    }

    /// As [`Lock::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`Lock::try_acquire`].
    pub fn try_acquire(&self) -> Result<BlockingGuard, CampaignError> {
        self.get(Wait::Never)
    }

    /// As [`Lock::acquire_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Lock::acquire_timeout`].
    pub fn acquire_timeout(&self, wait: Duration) -> Result<BlockingGuard, CampaignError> {
        self.get(Wait::AtMost(wait))
    }

    fn get(&self, wait: Wait) -> Result<BlockingGuard, CampaignError> {
        let lock = self.lock.clone();
        lock.start()?;
        let guard = block_on_here(async move { lock.get(wait).await })?;
        Ok(BlockingGuard { guard: Some(guard) })
    }

    /// The lock itself.
    #[must_use]
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }
}

/// A lock that is released, and confirmed so, when its last clone is dropped.
#[derive(Clone, Debug)]
#[must_use = "dropping a guard releases its lock"]
pub struct BlockingGuard {
    guard: Option<Guard>,
}

impl BlockingGuard {
    /// Releases the lock if this is the last clone, as dropping it does.
    pub fn release(self) {
        drop(self);
    }

    /// As [`Guard::lost`].
    #[must_use]
    pub fn wait_lost(&self) -> LossReason {
        let lease = self.lease().clone();
        block_on_here(async move { lease.lost().await })
    }

    /// As [`Guard::check`].
    ///
    /// # Errors
    ///
    /// As [`Guard::check`].
    pub fn check(&self) -> Result<(), Lost> {
        self.guard().check()
    }

    /// As [`Guard::fencing_token`].
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        self.guard().fencing_token()
    }

    /// As [`Guard::remaining`].
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.guard().remaining()
    }

    /// As [`Guard::loss`].
    #[must_use]
    pub fn loss(&self) -> Option<LossReason> {
        self.guard().loss()
    }

    /// As [`Guard::lease`].
    #[must_use]
    pub fn lease(&self) -> &Lease {
        self.guard().lease()
    }

    fn guard(&self) -> &Guard {
        self.guard
            .as_ref()
            .expect("the guard is taken out only by the drop")
    }
}

impl Drop for BlockingGuard {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take() {
            block_on_here(guard.release());
        }
    }
}
