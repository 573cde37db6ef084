//! Running work once per tick, however many hosts start it.
//!
//! ```text
//!   started on each host ─▶ paused? ──yes──▶ skipped: it ran within at_least
//!                             │no
//!                             ▼
//!                           claim ──held──▶ a dead holder is taken over, a live one means skipped
//!                             │won
//!                             ▼
//!                           pause until start + at_least, by the stores' clocks ──▶ work ──▶ release
//!                             └──refused──▶ an operator has paused it meanwhile: skipped
//! ```
//!
//! The pause outlives the process, so a tick whose run crashed is not run twice. It never takes the place of a pause by
//! an operator.

use std::future::pending;
use std::time::Duration;

use super::campaign::timeout;
use super::{CampaignError, Election, Leadership, Lease, RunError, clock};
use crate::protocol::{LossReason, Reason, Timestamp};

impl Election {
    /// Wins the election at most once within `at_least`, over all processes that call this: for a job that many
    /// hosts start at the same minute. Give less than the time from one tick to the next, and more than the clocks
    /// of the hosts differ by, such as 55 s for a job that runs every minute.
    ///
    /// Before it returns, the election is paused, so that no one else is elected until `at_least` has passed since
    /// this call, by the clocks of the stores. That holds if the process crashes too. Resigning before then lets
    /// no one else run; [`Operator::resume`](super::Operator::resume) does. The history shows the pause as an order
    /// of this process.
    ///
    /// If a holder does not release the election for as long as a takeover takes, two intervals and the larger of
    /// both windows, it is alive, and this call fails. So a run that takes longer than a tick is not joined by
    /// another one, and a host that died does not keep the next tick from being run.
    ///
    /// # Errors
    ///
    /// [`CampaignError::Paused`] when it ran elsewhere within `at_least`, or an operator has paused the election.
    /// [`CampaignError::TimedOut`] when another run is still going on. [`CampaignError::Unmarked`] when no majority
    /// of the stores confirmed the pause: then it must not run, and it is unknown whether anyone can in this tick.
    /// [`CampaignError::TooShort`] when `at_least` leaves no time to replace a dead holder. Otherwise as
    /// [`Election::campaign_timeout`].
    pub async fn campaign_once(&self, at_least: Duration) -> Result<Leadership, CampaignError> {
        let began = clock::now();
        let (election, timing) = (self.name().to_string(), *self.timing());
        let needed = timing.worst_failover();
        if at_least <= needed {
            return Err(CampaignError::TooShort {
                election,
                at_least,
                needed,
            });
        }
        let view = self.status().await;
        let window = view.leader().map(|leader| leader.window);
        if let Some(pause) = view.paused {
            let pause = Box::new(pause);
            return Err(CampaignError::Paused { election, pause });
        }
        let takeover = timing.window().max(window.unwrap_or_default()) + timing.interval() * 2;
        let leadership = self.campaign_unless_paused(takeover.min(at_least)).await?;
        self.mark(leadership, at_least, began).await
    }

    /// Pauses the election for what is left of `at_least`, and gives the leadership up if that is not confirmed.
    async fn mark(
        &self,
        leadership: Leadership,
        at_least: Duration,
        began: Timestamp,
    ) -> Result<Leadership, CampaignError> {
        let (operator, timing) = (self.operator(), *self.timing());
        let reason = format!("ran on {}, at least {at_least:?}", self.shared.host);
        let reason = Reason::new(&reason).expect("a host has at most 100 characters");
        let until = clock::now() + timing.window();
        loop {
            let waited = clock::now().since(began);
            let left = at_least.saturating_sub(waited);
            if left.is_zero() {
                leadership.conclude(LossReason::Withdrawn).await;
                return Err(CampaignError::NotYet {
                    election: self.name().to_string(),
                    waited,
                    probation: None,
                    store: None,
                });
            }
            let error = match operator.pause_unpaused(left, reason.clone()).await {
                Ok(_) => return Ok(leadership),
                Err(error) => error,
            };
            // An operator was faster.
            if error.is_refused()
                && let Some(pause) = self.status().await.paused
            {
                leadership.conclude(LossReason::Withdrawn).await;
                return Err(CampaignError::Paused {
                    election: self.name().to_string(),
                    pause: Box::new(pause),
                });
            }
            let hopeless = error.is_denied() || error.is_misconfigured();
            if hopeless || clock::now() >= until || leadership.check().is_err() {
                leadership.conclude(LossReason::Withdrawn).await;
                return Err(CampaignError::Unmarked {
                    election: self.name().to_string(),
                    source: Box::new(error),
                });
            }
            timeout(timing.interval(), pending::<()>()).await;
        }
    }

    /// Runs `work` at most once within `at_least`, over all processes that call this, and returns `None` where it
    /// was skipped: see [`Election::campaign_once`]. Work that fails, or loses its leadership, has run.
    ///
    /// # Errors
    ///
    /// [`RunError::Campaign`] as for [`Election::campaign_once`], except when it ran or runs elsewhere, or is paused;
    /// [`RunError::Lost`] as for [`Election::run_as_leader`].
    ///
    /// # Panics
    ///
    /// When `work` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use incumbent::{Election, store::MemoryStore};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let election = Election::builder("nightly")
    ///     .store_object(MemoryStore::new("example"))
    ///     .build()?;
    /// let at_least = Duration::from_secs(55);
    /// let first = election.run_once(at_least, async |_| "reported").await?;
    /// let second = election.run_once(at_least, async |_| "reported").await?;
    /// assert_eq!((first, second), (Some("reported"), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn run_once<W, F, T>(
        &self,
        at_least: Duration,
        work: W,
    ) -> Result<Option<T>, RunError<T>>
    where
        W: FnOnce(Lease) -> F,
        F: Future<Output = T>,
    {
        let leadership = match self.campaign_once(at_least).await {
            Ok(leadership) => leadership,
            Err(error) if error.is_skipped() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.lead_once(leadership, work).await.map(Some)
    }
}
