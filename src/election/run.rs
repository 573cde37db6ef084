//! Running work as the leader.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::future::FutureExt;

use super::{Alarm, Election, ElectionBuilder, Lease, Lost, RunError, clock, runtime};
use crate::protocol::LossReason;

impl Election {
    /// Campaigns, runs `work` while leading, and resigns when it returns.
    ///
    /// When the leadership ends first, [`Lease::lost`] tells the work so. It then has until
    /// [`Lease::remaining`] runs out to end by itself; right before that moment its future is dropped.
    /// Work that blocks its thread cannot be dropped: the process is killed, unless
    /// [`Overrun::Report`](super::Overrun::Report) was chosen. Tasks and threads that the work has
    /// started elsewhere are its own to stop.
    ///
    /// When the work panics, the leadership is resigned before the panic goes on.
    ///
    /// # Errors
    ///
    /// [`RunError::Campaign`] when there was no leadership, [`RunError::Lost`] when it was lost before
    /// the work was done: campaign again to go on.
    ///
    /// # Panics
    ///
    /// When `work` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use incumbent::{Election, store::MemoryStore};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let election = Election::builder("billing")
    /// #     .store_object(Arc::new(MemoryStore::new("example")))
    /// #     .build()?;
    /// let sent = election
    ///     .run_as_leader(|lease| async move {
    ///         let mut sent = 0;
    ///         while sent < 3 && lease.check().is_ok() {
    ///             sent += 1; // Send something, with lease.fencing_token().
    ///         }
    ///         sent
    ///     })
    ///     .await?;
    /// assert_eq!(sent, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn run_as_leader<W, F, T>(&self, work: W) -> Result<T, RunError>
    where
        W: FnOnce(Lease) -> F,
        F: Future<Output = T>,
    {
        let leadership = self.campaign().await?;
        let lease = leadership.lease().clone();
        // Half the margin is left for the drop itself, before the guard ends the process.
        let ahead = self.timing().margin() / 2;
        let working = AssertUnwindSafe(async { work(lease.clone()).await }).catch_unwind();
        let outcome = tokio::select! {
            biased;
            outcome = working => Some(outcome),
            () = close_to_deadline(lease.clone(), ahead) => None,
        };
        let reason = lease.loss();
        let held = lease.check();
        leadership
            .conclude(match outcome {
                Some(Ok(_)) => LossReason::WorkEnded { status: None },
                Some(Err(_)) => LossReason::Panicked,
                None => LossReason::TenureEnded,
            })
            .await;
        match outcome {
            Some(Err(panic)) => resume_unwind(panic),
            Some(Ok(value)) => match (reason, held) {
                (None, Ok(())) => Ok(value),
                (Some(reason), _) => Err(lost(&lease, reason)),
                (None, Err(lost)) => Err(lost.into()),
            },
            None => Err(lost(&lease, reason.unwrap_or(LossReason::TenureEnded))),
        }
    }
}

fn lost(lease: &Lease, reason: LossReason) -> RunError {
    let term = lease.term();
    Lost { term, reason }.into()
}

/// Waits until the deadline is as close as `ahead`, however often it moves before.
async fn close_to_deadline(lease: Lease, ahead: Duration) {
    let waiting = runtime::handle().spawn(async move {
        let mut deadlines = lease.deadlines();
        let mut alarm = Alarm::new();
        loop {
            let end = deadlines.current().before(ahead);
            if clock::now() >= end {
                return;
            }
            alarm.set(end);
            // A changed deadline, the alarm, or the end of the lease: in each case look again.
            tokio::select! {
                moved = deadlines.changed() => {
                    if moved.is_none() {
                        return;
                    }
                }
                () = alarm.ring() => {}
            }
        }
    });
    let abort = AbortOnDrop(waiting.abort_handle());
    if waiting.await.is_err() {
        tracing::debug!("nobody watches this deadline any more");
    }
    drop(abort);
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Builds the election, campaigns, runs `work` while leading, and resigns: everything in one call.
///
/// # Errors
///
/// [`RunError`] as for [`Election::run_as_leader`], and [`RunError::Config`] when the configuration
/// cannot be used.
///
/// # Panics
///
/// When `work` does.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), incumbent::RunError> {
/// use incumbent::{Election, run_as_leader};
///
/// let billing = Election::builder("billing").store("redis://127.0.0.1/");
/// run_as_leader(billing, |lease| async move {
///     println!("leading, token {}", lease.fencing_token());
/// })
/// .await
/// # }
/// ```
pub async fn run_as_leader<W, F, T>(election: ElectionBuilder, work: W) -> Result<T, RunError>
where
    W: FnOnce(Lease) -> F,
    F: Future<Output = T>,
{
    election.build()?.run_as_leader(work).await
}
