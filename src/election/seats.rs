//! Seats: an election with room for several leaders, each under its own number.
//!
//! ```text
//!   NAME#0, NAME#1, …   one election for each seat
//!   NAME#               the door: only its leader stands by at the seats
//! ```
//!
//! So however many wait, one of them polls all seats, once per interval and seat, and a seat that becomes free wakes
//! that one. The door is an election like any other.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt};

use super::campaign::timeout;
use super::{CampaignError, ConfigError, Election, Leadership};
use crate::protocol::{ElectionName, Timestamp};

/// An election with room for several leaders.
///
/// # Examples
///
/// ```
/// use incumbent::Election;
/// use incumbent::store::MemoryStore;
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let workers = Election::builder("workers")
///     .store_object(MemoryStore::new("example"))
///     .build()?
///     .seats(2)?;
/// let one = workers.campaign().await?;
/// let other = workers.campaign().await?;
/// assert_ne!(one.number(), other.number());
/// assert!(workers.try_campaign().await.unwrap_err().is_held());
/// one.into_inner().resign().await;
/// other.into_inner().resign().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Seats {
    name: ElectionName,
    seats: Arc<[Election]>,
    door: Election,
}

impl Election {
    /// The same election with room for `count` leaders at a time. Each has a number from 0 up to `count`, which
    /// no one else has meanwhile, and the tokens of the leaders under one number rise.
    ///
    /// All candidates must use the same `count`: one that uses a larger one adds seats.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Seats`] when `count` is 0 or more than [`Seats::MOST`], and [`ConfigError::Name`] when the name
    /// leaves no room for a number.
    pub fn seats(&self, count: u16) -> Result<Seats, ConfigError> {
        if !(1..=Seats::MOST).contains(&count) {
            return Err(ConfigError::Seats { count });
        }
        let setup = self.shared.setup();
        let seats = (0..count)
            .map(|number| {
                Ok(Self::of(
                    self.name().seat(number.into())?,
                    Arc::clone(setup),
                ))
            })
            .collect::<Result<_, ConfigError>>()?;
        Ok(Seats {
            name: self.name().clone(),
            seats,
            door: Self::of(
                ElectionName::new(&format!("{}#", self.name()))?,
                Arc::new(setup.for_waiting()),
            ),
        })
    }
}

impl Seats {
    /// The most seats that an election can have.
    pub const MOST: u16 = 1024;

    /// How many seats there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        u16::try_from(self.seats.len()).unwrap_or(Self::MOST)
    }

    /// The election of each seat, by its number: to see who has it.
    #[must_use]
    pub fn elections(&self) -> &[Election] {
        &self.seats
    }

    /// Campaigns for a seat until elected, however long that takes.
    ///
    /// # Errors
    ///
    /// As [`Election::campaign`].
    pub async fn campaign(&self) -> Result<Seat<Leadership>, CampaignError> {
        loop {
            let door = self.door.campaign().await?;
            let waiting = self.seats.iter().zip(0..).map(async |(seat, number)| {
                let held = seat.campaign().await?;
                Ok(Seat { number, held })
            });
            let mut waiting: FuturesUnordered<_> = waiting.collect();
            let seat = tokio::select! {
                biased;
                seat = waiting.next() => seat,
                // Another one may be at the door by now.
                _ = door.lost() => None,
            };
            if let Some(seat) = seat {
                return seat;
            }
        }
    }

    /// Campaigns only if a seat is free.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Held`] when none is; otherwise as [`Election::try_campaign`].
    pub async fn try_campaign(&self) -> Result<Seat<Leadership>, CampaignError> {
        let mut paused = None;
        for (number, seat) in self.in_some_order(self.count()) {
            match seat.try_campaign().await {
                Ok(held) => return Ok(Seat { number, held }),
                Err(error) => pass_over(error, &mut paused)?,
            }
        }
        Err(self.none_free(paused))
    }

    /// Campaigns for at most `wait`.
    ///
    /// # Errors
    ///
    /// [`CampaignError::TimedOut`] at the end of the wait; otherwise as [`Election::campaign`].
    pub async fn campaign_timeout(
        &self,
        wait: Duration,
    ) -> Result<Seat<Leadership>, CampaignError> {
        let elected = self.within(wait, self.campaign()).await?;
        elected.unwrap_or_else(|| Err(self.timed_out(wait)))
    }

    /// The outcome, if it comes in time.
    pub(crate) async fn within<T>(
        &self,
        wait: Duration,
        outcome: impl Future<Output = T>,
    ) -> Result<Option<T>, CampaignError> {
        self.door.start()?;
        Ok(timeout(wait, outcome).await)
    }

    /// As [`Election::turns`], for whichever election a campaign for a seat waits in.
    pub fn turns(&self) -> impl Stream<Item = Timestamp> + Send + Unpin + use<> {
        let elections = self.seats.iter().chain([&self.door]);
        stream::select_all(elections.map(Election::turns))
    }

    /// As [`Election::finished`], for all that a campaign for a seat may have left.
    pub async fn finished(&self) {
        // They are counted together.
        self.door.finished().await;
    }

    /// Up to `most` seats, beginning with any of them: those who look do not all meet at the same.
    pub(crate) fn in_some_order(&self, most: u16) -> impl Iterator<Item = (u16, &Election)> {
        let count = self.count();
        let first = fastrand::u16(..count);
        let numbers = (0..count.min(most)).map(move |next| (first + next) % count);
        numbers.map(|number| (number, &self.seats[usize::from(number)]))
    }

    /// Why no seat could be had, if one of them is `paused` or none.
    pub(crate) fn none_free(&self, paused: Option<CampaignError>) -> CampaignError {
        paused.unwrap_or_else(|| CampaignError::Held {
            election: self.name.as_str().to_owned(),
            leader: None,
        })
    }

    pub(crate) fn timed_out(&self, waited: Duration) -> CampaignError {
        CampaignError::TimedOut {
            election: self.name.as_str().to_owned(),
            waited,
            leader: None,
        }
    }
}

/// Goes on to the next seat, which may be free, unless the error is one of all seats.
pub(crate) fn pass_over(
    error: CampaignError,
    paused: &mut Option<CampaignError>,
) -> Result<(), CampaignError> {
    match error {
        CampaignError::Held { .. } => Ok(()),
        CampaignError::Paused { .. } => {
            *paused = Some(error);
            Ok(())
        }
        _ => Err(error),
    }
}

/// One seat of several, and what holds it.
#[derive(Clone, Debug)]
#[must_use = "dropping a seat releases it"]
pub struct Seat<T> {
    number: u16,
    held: T,
}

impl<T> Seat<T> {
    pub(crate) const fn new(number: u16, held: T) -> Self {
        Self { number, held }
    }

    /// Its number, from 0: no one else has it for as long as [`Lease::check`](super::Lease::check) succeeds.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// What holds it.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.held
    }
}

impl<T> Deref for Seat<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}
