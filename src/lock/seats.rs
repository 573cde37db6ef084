//! A lock that several may hold at a time.

use std::sync::Arc;
use std::time::Duration;

use super::{Guard, Lock};
use crate::election::{self, CampaignError, Client, ConfigError, Held, Seat, Wait, clock};

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
        match self.take(TRIES).await? {
            Some(seat) => Ok(seat),
            None => self.seats.campaign().await.map(|seat| self.led(seat)),
        }
    }

    /// Takes a seat only if one is free.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Held`] when none is; otherwise as [`Lock::try_acquire`].
    pub async fn try_acquire(&self) -> Result<Seat<Guard>, CampaignError> {
        let seat = self.take(self.count()).await?;
        seat.ok_or_else(|| self.seats.all_held())
    }

    /// Waits for a seat for at most `wait`.
    ///
    /// # Errors
    ///
    /// [`CampaignError::TimedOut`] at the end of the wait; otherwise as [`Lock::acquire`].
    pub async fn acquire_timeout(&self, wait: Duration) -> Result<Seat<Guard>, CampaignError> {
        let begun = clock::now();
        if let Some(seat) = self.take(TRIES).await? {
            return Ok(seat);
        }
        let left = wait.saturating_sub(clock::now().since(begun));
        match self.seats.campaign_timeout(left).await {
            Ok(seat) => Ok(self.led(seat)),
            Err(CampaignError::TimedOut { .. }) => Err(self.seats.timed_out(wait)),
            Err(error) => Err(error),
        }
    }

    /// Takes one of `tries` seats if it is free.
    async fn take(&self, tries: u16) -> Result<Option<Seat<Guard>>, CampaignError> {
        for number in self.seats.in_some_order(tries) {
            let seat = &self.seats.elections()[usize::from(number)];
            match self.client.acquire(seat.name(), Wait::Never).await {
                Ok(held) => return Ok(Some(Seat::new(number, Guard::new(held)))),
                Err(error) if error.is_held() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn led(&self, seat: Seat<crate::election::Leadership>) -> Seat<Guard> {
        let number = seat.number();
        let held = Held::led(Arc::clone(&self.client), seat.into_inner());
        Seat::new(number, Guard::new(held))
    }
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seats").field(&self.seats).finish()
    }
}
