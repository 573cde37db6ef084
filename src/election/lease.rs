//! What the work sees of its leadership: the token, and how long it may still act.

use std::time::Duration;

use futures_util::stream::Stream;
use tokio::sync::watch;

use super::clock;
use super::error::Lost;
use super::moments::Moments;
use super::sync::Arc;
use super::sync::atomic::{AtomicU64, Ordering};
use crate::protocol::{FencingToken, LossReason, Timestamp};

/// A leadership as its work sees it: cheap to clone, and safe to query from any thread.
///
/// It shows whether the work may act. It does not keep the leadership: the
/// [`Leadership`](super::Leadership) it was taken from does.
#[derive(Clone, Debug)]
pub struct Lease {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    term: FencingToken,
    /// Until when the work may act, in nanoseconds: [`Shared::PAST`] while it may not, and
    /// [`Shared::ENDED`] for good once it has ended.
    until: AtomicU64,
    /// A boot time, in nanoseconds, at which that is certainly still ahead. Only one clock has to be read for it.
    surely_until: AtomicU64,
    /// When the work must be over, in nanoseconds: later than the right to act by the moment a deposed
    /// leader gets. The guard reads it without a lock that another thread could hold.
    deadline: AtomicU64,
    /// The same, for readers that follow it.
    deadlines: Moments,
    loss: watch::Sender<Option<LossReason>>,
}

impl Shared {
    const ENDED: u64 = 0;
    const PAST: u64 = 1;
}

impl Lease {
    pub(super) fn new(term: FencingToken, deadline: Timestamp) -> Self {
        Self {
            shared: Arc::new(Shared {
                term,
                until: AtomicU64::new(deadline.as_nanos()),
                surely_until: AtomicU64::new(clock::boot_before(deadline).as_nanos()),
                deadline: AtomicU64::new(deadline.as_nanos()),
                deadlines: Moments::default(),
                loss: watch::Sender::new(None),
            }),
        }
    }

    /// The fencing token: greater than that of every earlier leader, and less than that of every later one
    /// (`S2`). Pass it to the resource with each write, and let the resource refuse a lower one, as
    /// [`fence`](crate::fence) does.
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        self.shared.term
    }

    /// Whether the work may act at this moment, according to the clock and not to a flag that must be
    /// cleared in time. It takes some tens of nanoseconds: call it before each side effect.
    ///
    /// # Errors
    ///
    /// [`Lost`] once the tenure has ended, permanently.
    pub fn check(&self) -> Result<(), Lost> {
        let until = self.shared.until.load(Ordering::Acquire);
        if until > Shared::PAST {
            let surely_until = self.shared.surely_until.load(Ordering::Acquire);
            if clock::boot().as_nanos() < surely_until || clock::now().as_nanos() < until {
                return Ok(());
            }
        }
        Err(Lost {
            term: self.shared.term,
            reason: self.loss().unwrap_or(LossReason::TenureEnded),
        })
    }

    /// Whether [`Lease::check`] succeeds at this moment.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.check().is_ok()
    }

    /// How long the work may still act if no further heartbeat succeeds.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Timestamp::from_nanos(self.shared.until.load(Ordering::Acquire)).since(clock::now())
    }

    /// Waits until the work is asked to stop, and returns why. The work then has until [`Lease::remaining`]
    /// runs out to end by itself.
    pub async fn lost(&self) -> LossReason {
        let mut loss = self.shared.loss.subscribe();
        let reason = loss.wait_for(Option::is_some).await;
        // The sender lives in what this lease shares, so it cannot be gone.
        reason
            .ok()
            .and_then(|reason| *reason)
            .unwrap_or(LossReason::TenureEnded)
    }

    /// Why the work was asked to stop, once it was.
    #[must_use]
    pub fn loss(&self) -> Option<LossReason> {
        *self.shared.loss.borrow()
    }

    /// When the work must be over, if no further heartbeat succeeds. A supervisor of something that this process
    /// cannot stop by itself enforces it: see [`Lease::deadlines`].
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        Timestamp::from_nanos(self.shared.deadline.load(Ordering::Acquire))
    }

    /// Each new deadline from now on, until the lease is over. An acknowledged heartbeat extends it, and a
    /// deposition brings it closer. A slow reader gets only the latest, and holds up no heartbeat.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use incumbent::{Lease, election::clock};
    ///
    /// /// Pulls the plug when the work must be over.
    /// async fn enforce(lease: Lease, pull_the_plug: impl FnOnce()) {
    ///     let mut deadlines = lease.deadlines();
    ///     let mut deadline = lease.deadline();
    ///     while clock::now() < deadline {
    ///         tokio::select! {
    ///             Some(moved) = deadlines.next() => deadline = moved,
    ///             () = clock::sleep_until(deadline) => {}
    ///         }
    ///     }
    ///     pull_the_plug();
    /// }
    /// ```
    pub fn deadlines(&self) -> impl Stream<Item = Timestamp> + Send + Unpin + use<> {
        self.shared.deadlines.follow()
    }

    /// Moves the deadline, and returns whether it has come closer.
    pub(super) fn renew(&self, deadline: Timestamp, may_act: bool) -> bool {
        let until = if may_act {
            deadline.as_nanos()
        } else {
            Shared::PAST
        };
        let shown = self.shared.deadline.load(Ordering::Acquire) == deadline.as_nanos();
        if shown && self.shared.until.load(Ordering::Acquire) == until {
            return false;
        }
        // A reader must not combine this deadline with the certain moment of another.
        self.shared.surely_until.store(0, Ordering::Release);
        // A driver in the middle of a step must not restore what the end of the work has just revoked.
        let running = |now| (now != Shared::ENDED).then_some(until);
        let renewed = self
            .shared
            .until
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, running);
        if renewed.is_err() {
            return false;
        }
        if may_act {
            let surely_until = clock::boot_before(deadline);
            let surely_until = surely_until.as_nanos();
            self.shared
                .surely_until
                .store(surely_until, Ordering::Release);
        }
        let before = self
            .shared
            .deadline
            .swap(deadline.as_nanos(), Ordering::AcqRel);
        let is_closer = deadline.as_nanos() < before;
        // A reader that begins to follow it meanwhile may miss an extension, and nothing else.
        if is_closer {
            self.shared.deadlines.pass_on_to_newcomers_too(deadline);
        } else if deadline.as_nanos() > before {
            self.shared.deadlines.pass_on(deadline);
        }
        is_closer
    }

    pub(super) fn lose(&self, reason: LossReason) {
        self.shared.loss.send_replace(Some(reason));
    }

    /// Nothing acts under this lease any more, for this reason unless it was lost for another.
    pub(super) fn end_work(&self, reason: LossReason) {
        // An exchange follows every renewal that took effect before it.
        self.shared.until.swap(Shared::ENDED, Ordering::AcqRel);
        self.shared.loss.send_if_modified(|loss| {
            let open = loss.is_none();
            loss.get_or_insert(reason);
            open
        });
    }

    pub(super) fn has_work_ended(&self) -> bool {
        self.shared.until.load(Ordering::Acquire) == Shared::ENDED
    }
}
