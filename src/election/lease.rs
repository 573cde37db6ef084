//! What the work sees of its leadership: the token, and how long it still may act.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::clock;
use super::error::Lost;
use crate::protocol::{LossReason, Term, Timestamp};

/// A leadership as its work sees it: cheap to clone, and safe to ask from any thread.
///
/// It tells whether the work may act. It does not keep the leadership: that is the
/// [`Leadership`](super::Leadership) it was taken from.
#[derive(Clone, Debug)]
pub struct Lease {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    term: Term,
    /// Nanoseconds of boot time until which the work may act; zero once the leadership is lost.
    until: AtomicU64,
    /// When the work must be over: it outlives the right to act by the moment a deposed leader gets.
    deadline: watch::Sender<Timestamp>,
    loss: watch::Sender<Option<LossReason>>,
    work_ended: AtomicBool,
}

impl Lease {
    pub(super) fn new(term: Term, deadline: Timestamp) -> Self {
        Self {
            shared: Arc::new(Shared {
                term,
                until: AtomicU64::new(deadline.as_nanos()),
                deadline: watch::Sender::new(deadline),
                loss: watch::Sender::new(None),
                work_ended: AtomicBool::new(false),
            }),
        }
    }

    /// The fencing token: greater than that of every leader before, and less than that of every one to
    /// come (`S2`). Hand it to the resource with each write, and let the resource refuse a lower one.
    #[must_use]
    pub fn fencing_token(&self) -> u64 {
        self.shared.term.get()
    }

    /// The term of this leadership, which is the fencing token.
    #[must_use]
    pub fn term(&self) -> Term {
        self.shared.term
    }

    /// Whether the work may act at this very moment, judged by the clock itself and not by a flag that
    /// somebody would have to clear in time. It takes some tens of nanoseconds: call it before each side
    /// effect.
    ///
    /// # Errors
    ///
    /// [`Lost`] from the end of the tenure on, for good.
    pub fn check(&self) -> Result<(), Lost> {
        if clock::now().as_nanos() < self.shared.until.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Lost {
            term: self.shared.term,
            reason: self.loss().unwrap_or(LossReason::TenureEnded),
        })
    }

    /// How long the work may still act if no further heartbeat succeeds.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        Timestamp::from_nanos(self.shared.until.load(Ordering::Acquire)).since(clock::now())
    }

    /// Waits until the work is told to stop, and tells why. It then has until [`Lease::remaining`] runs
    /// out to end by itself.
    pub async fn lost(&self) -> LossReason {
        let mut loss = self.shared.loss.subscribe();
        let told = loss.wait_for(Option::is_some).await;
        // The sender lives in what this lease shares, so it cannot be gone.
        told.ok()
            .and_then(|reason| *reason)
            .unwrap_or(LossReason::TenureEnded)
    }

    /// Why the work was told to stop, once it was.
    #[must_use]
    pub fn loss(&self) -> Option<LossReason> {
        *self.shared.loss.borrow()
    }

    /// When the work must be over, and every change of it. Heartbeats move it on; who supervises
    /// something that this process cannot stop by itself enforces it.
    #[must_use]
    pub fn deadlines(&self) -> watch::Receiver<Timestamp> {
        self.shared.deadline.subscribe()
    }

    pub(super) fn deadline(&self) -> Timestamp {
        *self.shared.deadline.borrow()
    }

    pub(super) fn renew(&self, deadline: Timestamp, may_act: bool) {
        let until = if may_act { deadline } else { Timestamp::ZERO };
        self.shared.until.store(until.as_nanos(), Ordering::Release);
        self.shared.deadline.send_if_modified(|current| {
            let changed = *current != deadline;
            *current = deadline;
            changed
        });
    }

    pub(super) fn lose(&self, reason: LossReason) {
        self.shared.loss.send_replace(Some(reason));
    }

    /// Nothing acts under this lease any more.
    pub(super) fn end_work(&self) {
        self.shared.work_ended.store(true, Ordering::Release);
        self.shared.until.store(0, Ordering::Release);
        self.shared.loss.send_if_modified(|loss| {
            let open = loss.is_none();
            loss.get_or_insert(LossReason::Resigned);
            open
        });
    }

    pub(super) fn has_work_ended(&self) -> bool {
        self.shared.work_ended.load(Ordering::Acquire)
    }
}
