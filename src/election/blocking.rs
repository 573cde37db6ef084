//! The same election for programs without an async runtime.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::leadership::unless_panicking;
use super::{CampaignError, Election, Leadership, Lease, Lost, RunError, runtime};
use crate::protocol::{CandidateId, FencingToken, LossReason};
use crate::store::Identity;

/// An election whose calls block the calling thread. Heartbeats continue on their own thread.
///
/// Do not call it from async code: it blocks the thread that runs it.
///
/// # Examples
///
/// ```
/// use incumbent::{Election, store::MemoryStore};
///
/// let election = Election::builder("nightly-report")
///     .store_object(MemoryStore::new("example"))
///     .build()?
///     .blocking();
/// {
///     let leadership = election.campaign()?;
///     println!("critical section, token {}", leadership.fencing_token());
/// } // Resigned here, and confirmed.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockingElection {
    election: Election,
}

impl BlockingElection {
    pub(super) const fn new(election: Election) -> Self {
        Self { election }
    }

    /// As [`Election::campaign`].
    ///
    /// # Errors
    ///
    /// As [`Election::campaign`].
    pub fn campaign(&self) -> Result<BlockingLeadership, CampaignError> {
        self.election.start()?;
        let election = self.election.clone();
        runtime::block_on(async move { election.campaign().await }).map(BlockingLeadership::new)
    }

    /// As [`Election::try_campaign`].
    ///
    /// # Errors
    ///
    /// As [`Election::try_campaign`].
    pub fn try_campaign(&self) -> Result<BlockingLeadership, CampaignError> {
        self.election.start()?;
        let election = self.election.clone();
        runtime::block_on(async move { election.try_campaign().await }).map(BlockingLeadership::new)
    }

    /// As [`Election::campaign_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Election::campaign_timeout`].
    pub fn campaign_timeout(&self, wait: Duration) -> Result<BlockingLeadership, CampaignError> {
        self.election.start()?;
        let election = self.election.clone();
        runtime::block_on(async move { election.campaign_timeout(wait).await })
            .map(BlockingLeadership::new)
    }

    /// Campaigns, runs `work` on this thread while leading, and resigns when it returns or panics.
    ///
    /// Nothing can end a thread from outside: the work must call [`Lease::check`] or [`Lease::loss`] often
    /// enough to return by itself. If it has not returned by its deadline the process is killed, unless
    /// [`Overrun::Report`](super::Overrun::Report) was chosen.
    ///
    /// # Errors
    ///
    /// As [`Election::run_as_leader`].
    ///
    /// # Panics
    ///
    /// When `work` does.
    pub fn run_as_leader<T>(&self, work: impl FnOnce(&Lease) -> T) -> Result<T, RunError<T>> {
        Self::lead(self.campaign()?, work)
    }

    /// As [`Election::campaign_once`].
    ///
    /// # Errors
    ///
    /// As [`Election::campaign_once`].
    pub fn campaign_once(&self, at_least: Duration) -> Result<BlockingLeadership, CampaignError> {
        self.election.start()?;
        let election = self.election.clone();
        runtime::block_on(async move { election.campaign_once(at_least).await })
            .map(BlockingLeadership::new)
    }

    /// As [`Election::run_once`], with work that runs as [`BlockingElection::run_as_leader`] describes.
    ///
    /// # Errors
    ///
    /// As [`Election::run_once`].
    ///
    /// # Panics
    ///
    /// When `work` does.
    pub fn run_once<T>(
        &self,
        at_least: Duration,
        work: impl FnOnce(&Lease) -> T,
    ) -> Result<Option<T>, RunError<T>> {
        match self.campaign_once(at_least) {
            Ok(leadership) => Self::lead(leadership, work).map(Some),
            Err(error) if error.is_skipped() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lead<T>(
        leadership: BlockingLeadership,
        work: impl FnOnce(&Lease) -> T,
    ) -> Result<T, RunError<T>> {
        let lease = leadership.lease().clone();
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&lease)));
        let reason = lease.loss();
        let held = lease.check();
        leadership.conclude(match outcome {
            Ok(_) => LossReason::WorkEnded { status: None },
            Err(_) => LossReason::Panicked,
        });
        let lost = match (reason, held) {
            (Some(reason), _) => Some(Lost {
                term: lease.fencing_token(),
                reason,
            }),
            (None, held) => held.err(),
        };
        match (outcome, lost) {
            (Err(panic), _) => resume_unwind(panic),
            (Ok(value), None) => Ok(value),
            (Ok(value), Some(lost)) => Err(RunError::Lost {
                lost,
                value: Some(value),
            }),
        }
    }

    /// The election itself.
    #[must_use]
    pub const fn election(&self) -> &Election {
        &self.election
    }
}

/// A leadership that is resigned, and confirmed so, when it is dropped.
#[derive(Debug)]
#[must_use = "dropping a leadership releases it at once"]
pub struct BlockingLeadership {
    leadership: Option<Leadership>,
    /// Ends it when it is dropped.
    reason: LossReason,
}

impl BlockingLeadership {
    const fn new(leadership: Leadership) -> Self {
        Self {
            leadership: Some(leadership),
            reason: LossReason::Resigned,
        }
    }

    /// Reports that the work has ended, and waits until the records are released, or until twice
    /// `op_timeout` has passed without confirmation.
    pub fn resign(self) {
        drop(self);
    }

    /// As [`Leadership::conclude`].
    pub fn conclude(mut self, reason: LossReason) {
        self.reason = reason;
    }

    /// Waits until the work is asked to stop, and returns why.
    #[must_use]
    pub fn wait_lost(&self) -> LossReason {
        let lease = self.lease().clone();
        runtime::block_on(async move { lease.lost().await })
    }

    /// As [`Leadership::stop`].
    pub fn stop(&self, reason: LossReason) {
        self.leadership().stop(reason);
    }

    /// As [`Leadership::candidate`].
    #[must_use]
    pub fn candidate(&self) -> &CandidateId {
        self.leadership().candidate()
    }

    /// As [`Leadership::identity`].
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.leadership().identity()
    }

    /// As [`Leadership::lease`].
    #[must_use]
    pub fn lease(&self) -> &Lease {
        self.leadership().lease()
    }

    /// As [`Lease::check`].
    ///
    /// # Errors
    ///
    /// As [`Lease::check`].
    pub fn check(&self) -> Result<(), Lost> {
        self.lease().check()
    }

    /// As [`Lease::is_leader`].
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.lease().is_leader()
    }

    /// As [`Lease::fencing_token`].
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        self.lease().fencing_token()
    }

    /// As [`Lease::remaining`].
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.lease().remaining()
    }

    /// As [`Lease::loss`].
    #[must_use]
    pub fn loss(&self) -> Option<LossReason> {
        self.lease().loss()
    }

    fn leadership(&self) -> &Leadership {
        self.leadership
            .as_ref()
            .expect("the leadership is taken out only by the drop")
    }
}

impl Drop for BlockingLeadership {
    fn drop(&mut self) {
        if let Some(leadership) = self.leadership.take() {
            runtime::block_on(leadership.conclude(unless_panicking(self.reason)));
        }
    }
}
