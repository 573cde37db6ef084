//! One wait: a future that is polled by whoever waits for it, on the thread that waits.
//!
//! Blocking code calls `wait`. An event loop watches `fileno` and calls `ready` when it can be read.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use incumbent::CampaignError;
use incumbent::election::clock;
use incumbent::protocol::LossReason;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::bell::Bell;
use crate::leadership::Leadership;
use crate::{failure, fork};

/// How long a wait may ignore a signal that another thread received.
const SIGNALS: Duration = Duration::from_millis(50);

/// What a wait ends with.
pub(crate) enum Answer {
    /// A campaign was won.
    Elected(incumbent::Leadership),
    /// The work is asked to stop.
    Lost(LossReason),
    /// A document, as JSON.
    Document(String),
    /// There is nothing to add.
    Done,
}

pub(crate) type Outcome = Result<Answer, CampaignError>;

enum State {
    Running(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    Ready(Outcome),
    Over,
}

/// A wait that has begun.
#[pyclass(frozen, module = "incumbent._native")]
pub(crate) struct Pending {
    state: Mutex<State>,
    bell: Arc<Bell>,
}

impl Pending {
    pub(crate) fn new(
        py: Python<'_>,
        future: impl Future<Output = Outcome> + Send + 'static,
    ) -> PyResult<Self> {
        fork::enter(py)?;
        let bell = Bell::new().map_err(|error| {
            PyOSError::new_err(format!(
                "this process has no file left to wait with: {error}"
            ))
        })?;
        Ok(Self {
            state: Mutex::new(State::Running(Box::pin(future))),
            bell,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self) -> bool {
        self.bell.hush();
        let mut state = self.lock();
        if let State::Running(future) = &mut *state {
            let waker = Waker::from(Arc::clone(&self.bell));
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => *state = State::Ready(outcome),
                Poll::Pending => return false,
            }
        }
        true
    }

    /// Ends it. What the future held is given back in the background, except in a forked child, which holds nothing:
    /// there even a drop could wait for a thread that does not exist.
    fn end(&self) -> State {
        let state = std::mem::replace(&mut *self.lock(), State::Over);
        if fork::is_forked() {
            std::mem::forget(state);
            return State::Over;
        }
        state
    }
}

#[pymethods]
impl Pending {
    /// The file descriptor that becomes readable when `ready` should be called.
    fn fileno(&self) -> i32 {
        self.bell.fileno()
    }

    /// Whether it has ended.
    fn ready(&self, py: Python<'_>) -> PyResult<bool> {
        fork::enter(py)?;
        Ok(py.detach(|| self.poll()))
    }

    /// Waits until it has ended, for at most `timeout` seconds, and returns whether it has.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        fork::enter(py)?;
        let until = match timeout {
            Some(seconds) => Some(clock::now() + duration(seconds)?),
            None => None,
        };
        loop {
            if py.detach(|| self.poll()) {
                return Ok(true);
            }
            let left = until.map_or(SIGNALS, |until| until.since(clock::now()));
            if left.is_zero() {
                return Ok(false);
            }
            py.detach(|| self.bell.wait(left.min(SIGNALS)));
            py.check_signals()?;
        }
    }

    /// What it ended with. It can be taken once.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        fork::enter(py)?;
        match py.detach(|| self.end()) {
            State::Ready(Ok(answer)) => answer.into_python(py),
            State::Ready(Err(error)) => Err(failure::campaign(py, &error)),
            State::Running(_) | State::Over => Err(PyRuntimeError::new_err(
                "there is no result: the wait has not ended, or it was taken",
            )),
        }
    }

    /// Gives up: a campaign leaves its election.
    fn cancel(&self, py: Python<'_>) {
        py.detach(|| drop(self.end()));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Answer {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Elected(leadership) => Ok(Py::new(py, Leadership::new(leadership))?.into_any()),
            Self::Lost(reason) => Ok(reason.to_string().into_pyobject(py)?.into_any().unbind()),
            Self::Document(json) => Ok(json.into_pyobject(py)?.into_any().unbind()),
            Self::Done => Ok(py.None()),
        }
    }
}

/// Seconds as Python counts them.
///
/// # Errors
///
/// `ValueError` for what is no length of time.
pub(crate) fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("{seconds} seconds: {error}")))
}
