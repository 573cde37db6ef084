//! Running work as the leader.

use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{FusedFuture, FutureExt};
use futures_util::stream::StreamExt;

use super::campaign::timeout;
use super::runtime::AbortOnDrop;
use super::{Election, ElectionBuilder, Leadership, Lease, Lost, RunError, clock, runtime};
use crate::protocol::LossReason;

impl Election {
    /// Campaigns, runs `work` while leading, and resigns when it returns. For a service, use
    /// [`Election::run_until`].
    ///
    /// When the leadership ends first, [`Lease::lost`] returns. The work then has until [`Lease::remaining`]
    /// runs out to end by itself; right before that moment its future is dropped. Work that blocks its
    /// thread cannot be dropped: the process is killed, unless
    /// [`Overrun::Report`](super::Overrun::Report) was chosen. The work must stop any tasks and threads that
    /// it started elsewhere.
    ///
    /// When the work panics, the leadership is resigned before the panic continues.
    ///
    /// # Errors
    ///
    /// [`RunError::Campaign`] when there was no leadership; [`RunError::Lost`] when it was lost, or asked to stop,
    /// before the work was done, with what the work returned nevertheless: campaign again to continue, unless the
    /// reason is [`LossReason::OtherStores`]. [`Election::conflict`] then names the other candidate.
    ///
    /// # Panics
    ///
    /// When `work` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use incumbent::{Election, store::MemoryStore};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let election = Election::builder("billing")
    /// #     .store_object(MemoryStore::new("example"))
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
    ///
    /// Work that uses `?` must name its error type, because nothing else does:
    ///
    /// ```
    /// # use incumbent::{Election, store::MemoryStore};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let election = Election::builder("billing")
    /// #     .store_object(MemoryStore::new("example"))
    /// #     .build()?;
    /// type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
    ///
    /// let number = election
    ///     .run_as_leader(async |lease| -> Outcome<u32> {
    ///         lease.check()?;
    ///         Ok("7".parse()?)
    ///     })
    ///     .await??; // The first ? is for the leadership, the second for the work.
    /// assert_eq!(number, 7);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub async fn run_as_leader<W, F, T>(&self, work: W) -> Result<T, RunError<T>>
    where
        W: FnOnce(Lease) -> F,
        F: Future<Output = T>,
    {
        let leadership = self.campaign().await?;
        self.lead_once(leadership, work).await
    }

    /// Runs `work` under a leadership, and resigns.
    pub(super) async fn lead_once<W, F, T>(
        &self,
        leadership: Leadership,
        work: W,
    ) -> Result<T, RunError<T>>
    where
        W: FnOnce(Lease) -> F,
        F: Future<Output = T>,
    {
        let lease = leadership.lease().clone();
        // The call of the closure may panic too.
        let working = async { work(lease).await };
        let led = self.lead(leadership, working, pending::<()>()).await;
        led.map_err(|(value, lost)| RunError::Lost { lost, value })
    }

    /// Runs `work` whenever elected, until it returns or `shutdown` is ready: the whole life of a service.
    ///
    /// - When a leadership is lost, it campaigns again and calls `work` again.
    /// - When `work` returns while it leads, that is the outcome.
    /// - When `shutdown` is ready, [`Lease::lost`] returns. The work has the timing's `stop_grace` to end;
    ///   then its future is dropped. The election is released before this method returns, so a standby takes
    ///   over at once. The outcome is what the work returned, or `None` if it was dropped or did not run.
    ///
    /// Otherwise it is like [`Election::run_as_leader`]. Work that changes what it captures keeps that in a
    /// `Cell` or a `Mutex`, because one call of it must not borrow from the next.
    ///
    /// # Errors
    ///
    /// [`RunError::Campaign`] when the stores refuse this process, or when another candidate uses other stores, also
    /// if that is found while leading.
    ///
    /// # Panics
    ///
    /// When `work` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use incumbent::{Election, store::MemoryStore};
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let election = Election::builder("billing")
    /// #     .store_object(MemoryStore::new("example"))
    /// #     .build()?;
    /// // Or tokio::signal::ctrl_c(), or a CancellationToken.
    /// let shutdown = tokio::time::sleep(std::time::Duration::from_millis(100));
    /// let sent = election
    ///     .run_until(shutdown, async |lease| {
    ///         let mut sent = 0;
    ///         while lease.loss().is_none() && lease.is_leader() {
    ///             sent += 1; // Send something, with lease.fencing_token().
    ///             tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///         }
    ///         sent
    ///     })
    ///     .await?;
    /// assert!(sent.is_some_and(|sent| sent > 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn run_until<W, F, T>(
        &self,
        shutdown: impl Future,
        mut work: W,
    ) -> Result<Option<T>, RunError>
    where
        W: FnMut(Lease) -> F,
        F: Future<Output = T>,
    {
        let mut shutdown = pin!(shutdown.fuse());
        loop {
            let Some(leadership) = self.campaign_until(shutdown.as_mut()).await? else {
                return Ok(None);
            };
            let lease = leadership.lease().clone();
            let working = async { work(lease).await };
            match self.lead(leadership, working, shutdown.as_mut()).await {
                Ok(value) => return Ok(Some(value)),
                Err((value, _)) if shutdown.is_terminated() => return Ok(value),
                Err((_, lost)) if lost.reason == LossReason::OtherStores => {
                    let conflict = self.conflict();
                    let conflict = conflict.expect("it is kept before the leadership is lost");
                    return Err(RunError::Campaign(conflict));
                }
                // The log says why.
                Err(_) => {}
            }
        }
    }

    /// Runs `work` under a leadership, and resigns. When the leadership ended first, by `shutdown` or
    /// otherwise, the error contains what the work returned nevertheless.
    async fn lead<T>(
        &self,
        leadership: Leadership,
        work: impl Future<Output = T>,
        shutdown: impl Future,
    ) -> Result<T, (Option<T>, Lost)> {
        let lease = leadership.lease().clone();
        // Half the margin is left for the drop itself, before the guard ends the process.
        let ahead = self.timing().margin() / 2;
        let working = AssertUnwindSafe(work).catch_unwind();
        let outcome = tokio::select! {
            biased;
            outcome = working => Ok(outcome),
            () = close_to_deadline(lease.clone(), ahead) => Err(LossReason::TenureEnded),
            () = self.stop_when(&leadership, shutdown) => Err(LossReason::Resigned),
        };
        let reason = lease.loss();
        let held = lease.check();
        leadership
            .conclude(match outcome {
                Ok(Ok(_)) => LossReason::WorkEnded { status: None },
                Ok(Err(_)) => LossReason::Panicked,
                Err(dropped) => dropped,
            })
            .await;
        let term = lease.fencing_token();
        let because = |reason| Lost { term, reason };
        match outcome {
            Ok(Err(panic)) => resume_unwind(panic),
            Ok(Ok(value)) => match (reason, held) {
                (None, Ok(())) => Ok(value),
                (Some(reason), _) => Err((Some(value), because(reason))),
                (None, Err(lost)) => Err((Some(value), lost)),
            },
            Err(dropped) => Err((None, because(reason.unwrap_or(dropped)))),
        }
    }

    /// Waits for `shutdown`, stops the work, and waits as long as the work may take to end.
    async fn stop_when(&self, leadership: &Leadership, shutdown: impl Future) {
        shutdown.await;
        leadership.stop(LossReason::Resigned);
        timeout(self.timing().stop_grace(), pending::<()>()).await;
    }
}

/// Waits until the deadline is as close as `ahead`, however often it moves before.
async fn close_to_deadline(lease: Lease, ahead: Duration) {
    let waiting = runtime::handle().spawn(async move {
        let mut deadlines = lease.deadlines();
        loop {
            let end = lease.deadline().before(ahead);
            if clock::now() >= end {
                return;
            }
            // A changed deadline, the alarm, or the end of the lease: check again in each case.
            tokio::select! {
                moved = deadlines.next() => {
                    if moved.is_none() {
                        return;
                    }
                }
                () = clock::sleep_until(end) => {}
            }
        }
    });
    let abort = AbortOnDrop(waiting.abort_handle());
    if waiting.await.is_err() {
        tracing::debug!("this deadline is no longer watched");
    }
    drop(abort);
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
pub async fn run_as_leader<W, F, T>(election: ElectionBuilder, work: W) -> Result<T, RunError<T>>
where
    W: FnOnce(Lease) -> F,
    F: Future<Output = T>,
{
    election.build()?.run_as_leader(work).await
}
