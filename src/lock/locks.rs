//! The client, and a lock by its name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{BlockingLock, Guard};
use crate::election::{Builder, CampaignError, Client, ConfigError, Overrun, Wait};
use crate::observe::ElectionView;
use crate::protocol::{ElectionName, Timing};

/// The configuration of [`Locks`].
pub type LocksBuilder = Builder<Locks>;

/// A client for the locks of some stores. Cheap to clone; a program needs one.
///
/// Locks and elections share their names: a lock `billing` and an election `billing` on the same stores exclude each
/// other.
#[derive(Clone)]
pub struct Locks {
    client: Arc<Client>,
}

impl Locks {
    /// Begins the configuration. By default, a holder that outlives its deadline is only reported
    /// ([`Overrun::Report`]), and the stores keep nothing of a lock that was released
    /// ([`ephemeral`](Builder::ephemeral)).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use incumbent::lock::Locks;
    ///
    /// let locks = Locks::builder()
    ///     .store("redis://redis.example")
    ///     .failover(Duration::from_secs(3))
    ///     .build()?;
    /// # Ok::<(), incumbent::ConfigError>(())
    /// ```
    pub fn builder() -> LocksBuilder {
        LocksBuilder::new(String::new())
            .overrun(Overrun::Report)
            .ephemeral(true)
    }

    /// The lock of this name. It costs nothing: make one when you need it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Name`] when the name has more than 200 bytes, or a character that a name cannot have.
    pub fn lock(&self, name: impl AsRef<str>) -> Result<Lock, ConfigError> {
        Ok(Lock {
            client: Arc::clone(&self.client),
            name: ElectionName::new(name.as_ref())?,
        })
    }

    /// The timing of all of its locks.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        self.client.timing()
    }

    /// Waits until every lock of this client that was dropped, or whose acquisition was, is released, or until its
    /// stores have not confirmed that in time. Call it before the process exits. It never returns while a lock is
    /// waited for, or is held for longer than an interval.
    pub async fn finished(&self) {
        self.client.finished().await;
    }
}

impl LocksBuilder {
    /// Checks the configuration. It does not connect yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the part that is invalid.
    pub fn build(self) -> Result<Locks, ConfigError> {
        Ok(Locks {
            client: Arc::new(Client::new(self.setup(true)?)),
        })
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks")
            .field("timing", self.timing())
            .finish_non_exhaustive()
    }
}

/// One lock, held or not.
///
/// Its methods can be called on any executor. On a tokio runtime with its I/O and time drivers enabled, as
/// `#[tokio::main]` has them, a free lock takes one round trip over a connection of that runtime. The first lock of a
/// client, and one that has to be waited for, are acquired on the thread of the elections.
#[derive(Clone)]
pub struct Lock {
    pub(super) client: Arc<Client>,
    pub(super) name: ElectionName,
}

impl Lock {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &ElectionName {
        &self.name
    }

    /// Waits for the lock, however long that takes, store outages included.
    ///
    /// Dropping the future ends the wait, and what may have been acquired at that moment is released.
    ///
    /// # Errors
    ///
    /// As [`Election::campaign`](crate::Election::campaign).
    pub async fn acquire(&self) -> Result<Guard, CampaignError> {
        self.get(Wait::Forever).await
    }

    /// Acquires the lock only if no one holds it.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Held`] when someone does: see [`CampaignError::is_held`]. Otherwise as
    /// [`Election::try_campaign`](crate::Election::try_campaign).
    ///
    /// # Examples
    ///
    /// ```
    /// use incumbent::lock::Locks;
    /// use incumbent::store::MemoryStore;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let locks = Locks::builder().store_object(MemoryStore::new("example")).build()?;
    /// let guard = locks.lock("report")?.acquire().await?;
    /// let refused = locks.lock("report")?.try_acquire().await.unwrap_err();
    /// assert!(refused.is_held());
    /// drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn try_acquire(&self) -> Result<Guard, CampaignError> {
        self.get(Wait::Never).await
    }

    /// Waits for the lock for at most `wait`.
    ///
    /// # Errors
    ///
    /// [`CampaignError::TimedOut`] when someone still holds it. Otherwise as
    /// [`Election::campaign_timeout`](crate::Election::campaign_timeout).
    pub async fn acquire_timeout(&self, wait: Duration) -> Result<Guard, CampaignError> {
        self.get(Wait::AtMost(wait)).await
    }

    pub(super) fn start(&self) -> Result<(), CampaignError> {
        let started = self.client.start();
        started.map_err(|refused| self.client.election(&self.name).no_room(refused))
    }

    pub(super) async fn get(&self, wait: Wait) -> Result<Guard, CampaignError> {
        let held = self.client.acquire(&self.name, wait).await;
        held.map(Guard::new)
    }

    /// Its holder and its standbys, as a majority of the stores shows it now.
    pub async fn status(&self) -> ElectionView {
        self.client.election(&self.name).status().await
    }

    /// The same lock for programs without an async runtime.
    #[must_use]
    pub fn blocking(&self) -> BlockingLock {
        BlockingLock::new(self.clone())
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lock").field(&self.name.as_str()).finish()
    }
}
