//! A leadership as Python holds it.

use std::fmt;
use std::mem;
use std::sync::{Mutex, PoisonError};

use incumbent::Lease;
use incumbent::protocol::LossReason;
use pyo3::prelude::*;

use crate::pending::{Answer, Pending};
use crate::{failure, fork};

/// A leadership. When it is dropped it is released, in the background.
#[pyclass(frozen, module = "incumbent._native")]
pub(crate) struct Leadership {
    held: Mutex<Option<incumbent::Leadership>>,
    lease: Lease,
    candidate: String,
}

impl Leadership {
    pub(crate) fn new(leadership: incumbent::Leadership) -> Self {
        Self {
            lease: leadership.lease().clone(),
            candidate: leadership.candidate().as_str().to_owned(),
            held: Mutex::new(Some(leadership)),
        }
    }

    fn take(&self) -> Option<incumbent::Leadership> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[pymethods]
impl Leadership {
    #[getter]
    fn fencing_token(&self) -> u64 {
        self.lease.fencing_token().get()
    }

    #[getter]
    fn candidate(&self) -> &str {
        &self.candidate
    }

    /// Whether the work may act, and should go on.
    fn may_act(&self) -> bool {
        !fork::is_forked() && self.lease.loss().is_none() && self.lease.is_leader()
    }

    /// Raises `LeadershipLost` once the work may not act.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let reason = match self.lease.check() {
            _ if fork::is_forked() => {
                "this process was forked from the leader, which still holds it"
            }
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
        self.lease.loss().map(|reason| reason.to_string())
    }

    /// Waits until the work is asked to stop.
    fn lost(&self, py: Python<'_>) -> PyResult<Pending> {
        let lease = self.lease.clone();
        Pending::new(py, async move { Ok(Answer::Lost(lease.lost().await)) })
    }

    /// Asks the work to stop, and keeps the leadership until it has ended.
    fn stop(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|_| !fork::is_forked()) {
            held.stop(LossReason::Resigned);
        }
    }

    /// Reports that the work has ended, and waits until the release is confirmed. `how` is "resigned", "ended" or
    /// "failed".
    fn release(&self, py: Python<'_>, how: &str) -> PyResult<Pending> {
        let reason = match how {
            "ended" => LossReason::WorkEnded { status: None },
            "failed" => LossReason::Panicked,
            _ => LossReason::Resigned,
        };
        let held = if fork::is_forked() { None } else { self.take() };
        Pending::new(py, async move {
            if let Some(held) = held {
                held.conclude(reason).await;
            }
            Ok(Answer::Done)
        })
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        let held = self.take();
        // A forked child holds nothing: the leadership goes on in its parent.
        if fork::is_forked() {
            mem::forget(held);
        }
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership").finish_non_exhaustive()
    }
}
