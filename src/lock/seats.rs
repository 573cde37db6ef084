//! A lock that several may hold at a time.

use std::sync::Arc;
use std::time::Duration;

use super::{Guard, Lock};
use crate::election::{self, CampaignError, Client, ConfigError, Held, Seat, Wait, pass_over};

/// How many seats are tried before it is waited for one.
const TRIES: u16 = 8;

/// A lock that several may hold at a time: a semaphore whose holders each have a number.
///
/// # Examples
///
/// ```
/// use incumbent::lock::Locks;
/// use incumbent::store::MemoryStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let locks = Locks::builder().store_object(MemoryStore::new("example")).build()?;
/// let licences = locks.lock("licence")?.seats(3)?;
/// let licence = licences.acquire().await?;
/// println!("licence {} of 3, token {}", licence.number(), licence.fencing_token());
/// # drop(licence);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Seats {
    client: Arc<Client>,
    seats: election::Seats,
}

impl Lock {
    /// The same lock for `count` holders at a time. Each has a number from 0 up to `count`, which no one else has
    /// meanwhile. All users must use the same `count`.
    ///
    /// # Errors
    ///
    /// As [`Election::seats`](crate::Election::seats).
    pub fn seats(&self, count: u16) -> Result<Seats, ConfigError> {
        Ok(Seats {
            client: Arc::clone(&self.client),
            seats: self.client.election(&self.name).seats(count)?,
        })
    }
}

impl Seats {
    /// How many seats there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.seats.count()
    }

    /// Waits for a seat, however long that takes.
    ///
    /// # Errors
    ///
    /// As [`Lock::acquire`].
    pub async fn acquire(&self) -> Result<Seat<Guard>, CampaignError> {
        self.wait(&mut None).await
    }

    /// Takes a seat only if one is free.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Held`] when none is; otherwise as [`Lock::try_acquire`].
    pub async fn try_acquire(&self) -> Result<Seat<Guard>, CampaignError> {
        self.take(self.count()).await
    }

    /// Waits for a seat for at most `wait`.
    ///
    /// # Errors
    ///
    /// [`CampaignError::TimedOut`] at the end of the wait, or what was in the way at its beginning; otherwise as
    /// [`Lock::acquire`].
    pub async fn acquire_timeout(&self, wait: Duration) -> Result<Seat<Guard>, CampaignError> {
        let mut obstacle = None;
        let seat = self.seats.within(wait, self.wait(&mut obstacle)).await?;
        seat.unwrap_or_else(|| Err(obstacle.unwrap_or_else(|| self.seats.timed_out(wait))))
    }

    /// Waits for a seat, and notes what is in the way, if that is anything but other holders.
    async fn wait(
        &self,
        obstacle: &mut Option<CampaignError>,
    ) -> Result<Seat<Guard>, CampaignError> {
        use CampaignError::{Paused, TermsUsedUp, Unreachable};
        match self.take(TRIES).await {
            Ok(seat) => return Ok(seat),
            Err(error) if error.is_held() => {}
            Err(error @ (Paused { .. } | TermsUsedUp { .. } | Unreachable { .. })) => {
                *obstacle = Some(error);
            }
            Err(error) => return Err(error),
        }
        let seat = self.seats.campaign().await?;
        let number = seat.number();
        let held = Held::led(Arc::clone(&self.client), seat.into_inner());
        Ok(Seat::new(number, Guard::new(held)))
    }

    /// Takes one of `tries` seats if it is free.
    async fn take(&self, tries: u16) -> Result<Seat<Guard>, CampaignError> {
        let mut paused = None;
        for (number, seat) in self.seats.in_some_order(tries) {
            match self.client.acquire(seat.name(), Wait::Never).await {
                Ok(held) => return Ok(Seat::new(number, Guard::new(held))),
                Err(error) => pass_over(error, &mut paused)?,
            }
        }
        Err(self.seats.none_free(paused))
    }
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seats").field(&self.seats).finish()
    }
}
