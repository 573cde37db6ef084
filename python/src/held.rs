//! A leadership or a lock as Python holds it.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use incumbent::Lease;
use incumbent::lock::{Guard, Seat};
use incumbent::protocol::LossReason;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::pending::{Answer, Pending};
use crate::{failure, fork};

/// Why a forked child may not act.
const FORKED: &str = "this process was forked from the holder, which still holds it";

/// What keeps a lease.
#[derive(Debug)]
pub(crate) enum Kept {
    Leadership(incumbent::Leadership),
    Guard(Guard),
    Seat(Seat<Guard>),
}

impl Kept {
    fn lease(&self) -> &Lease {
        match self {
            Self::Leadership(leadership) => leadership.lease(),
            Self::Guard(guard) => guard.lease(),
            Self::Seat(seat) => seat.lease(),
        }
    }

    async fn end(self, reason: LossReason) {
        match self {
            Self::Leadership(leadership) => leadership.conclude(reason).await,
            Self::Guard(guard) => guard.release().await,
            Self::Seat(seat) => seat.into_inner().release().await,
        }
    }
}

/// A leadership or a lock. When it is dropped without a release, it stays held until the process ends, once someone has
/// it in hand.
#[pyclass(frozen, module = "incumbent._native")]
#[derive(Debug)]
pub(crate) struct Held {
    kept: Mutex<Option<Kept>>,
    lease: Lease,
    is_in_hand: AtomicBool,
}

impl Held {
    pub(crate) fn new(kept: Kept) -> Self {
        Self {
            lease: kept.lease().clone(),
            kept: Mutex::new(Some(kept)),
            is_in_hand: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Held {
    #[getter]
    fn fencing_token(&self) -> u64 {
        self.lease.fencing_token().get()
    }

    /// The id that won an election.
    #[getter]
    fn candidate(&self) -> Option<String> {
        match &*self.lock() {
            Some(Kept::Leadership(leadership)) => Some(leadership.candidate().as_str().to_owned()),
            Some(Kept::Guard(_) | Kept::Seat(_)) | None => None,
        }
    }

    /// The number of the seat that is held.
    #[getter]
    fn seat(&self) -> Option<u16> {
        match &*self.lock() {
            Some(Kept::Seat(seat)) => Some(seat.number()),
            Some(Kept::Guard(_) | Kept::Leadership(_)) | None => None,
        }
    }

    /// Whether the work may act, and should go on.
    fn may_act(&self) -> bool {
        !fork::is_forked() && self.lease.loss().is_none() && self.lease.is_leader()
    }

    /// Raises `LeadershipLost` once the work may not act.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let reason = match self.lease.check() {
            _ if fork::is_forked() => FORKED,
            Ok(()) => return Ok(()),
            Err(lost) => &lost.reason.to_string(),
        };
        Err(failure::lost(py, self.lease.fencing_token(), reason))
    }

    /// How many seconds the work may still act if no further heartbeat succeeds.
    fn remaining(&self) -> f64 {
        if fork::is_forked() {
            return 0.0;
        }
        self.lease.remaining().as_secs_f64()
    }

    /// Why the work was asked to stop, once it was.
    fn loss(&self) -> Option<String> {
        if fork::is_forked() {
            return Some(FORKED.to_owned());
        }
        self.lease.loss().map(|reason| reason.to_string())
    }

    /// Waits until the work is asked to stop.
    fn lost(&self, py: Python<'_>) -> PyResult<Pending> {
        let lease = self.lease.clone();
        Pending::new(py, async move { Ok(Answer::Lost(lease.lost().await)) })
    }

    /// Asks the work of a leader to stop, and keeps the leadership until it has ended.
    fn stop(&self) -> PyResult<()> {
        match &*self.lock() {
            Some(Kept::Guard(_) | Kept::Seat(_)) => {
                return Err(PyTypeError::new_err(
                    "a lock cannot be asked to stop: release it",
                ));
            }
            Some(Kept::Leadership(held)) if !fork::is_forked() => held.stop(LossReason::Resigned),
            Some(Kept::Leadership(_)) | None => {}
        }
        Ok(())
    }

    /// Someone has it who can release it.
    fn take_in_hand(&self) {
        self.is_in_hand.store(true, Ordering::Relaxed);
    }

    /// Whether this process would keep it without a release, and has not begun one.
    fn is_kept(&self) -> bool {
        self.is_in_hand.load(Ordering::Relaxed) && !fork::is_forked() && self.lock().is_some()
    }

    /// Reports that the work has ended, and waits until the release is confirmed. `how` is "resigned", "ended" or
    /// "failed".
    fn release(&self, py: Python<'_>, how: &str) -> PyResult<Pending> {
        let reason = match how {
            "ended" => LossReason::WorkEnded { status: None },
            "failed" => LossReason::Panicked,
            _ => LossReason::Resigned,
        };
        fork::enter(py)?;
        let kept = self.lock().take();
        Pending::new(py, async move {
            if let Some(kept) = kept {
                kept.end(reason).await;
            }
            Ok(Answer::Done)
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its work may go on, here or in the parent of a forked child: only a release ends it, as for a guard of the
        // library that is leaked. What Ctrl-C took away before it was returned has no work yet, and is released.
        if *self.is_in_hand.get_mut() || fork::is_forked() {
            let kept = self.kept.get_mut();
            mem::forget(kept.unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}
