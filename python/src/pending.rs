//! One wait: a future that is polled by whoever waits for it, on the thread that waits.
//!
//! Blocking code calls `wait`, which has a small runtime on its thread: a lock that is free is won and released there.
//! An event loop watches `fileno` and calls `ready` when it can be read.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use incumbent::CampaignError;
use incumbent::election::clock;
use incumbent::protocol::LossReason;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::bell::Bell;
use crate::held::{Held, Kept};
use crate::{failure, fork};

/// How long a wait may ignore a signal that another thread received.
const SIGNALS: Duration = Duration::from_millis(50);

/// What a wait ends with.
pub(crate) enum Answer {
    /// An election or a lock was won.
    Held(Kept),
    /// The work is asked to stop.
    Lost(LossReason),
    /// A document, as JSON.
    Document(String),
    /// There is nothing to add.
    Done,
}

pub(crate) type Outcome = Result<Answer, CampaignError>;

type Running<'a> = Pin<&'a mut (dyn Future<Output = Outcome> + Send)>;

enum State {
    Running(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    Ready(Outcome),
    Over,
}

impl State {
    /// Whether it has ended, after this step.
    fn advance(&mut self, step: impl FnOnce(Running<'_>) -> Option<Outcome>) -> bool {
        if let Self::Running(future) = self {
            match step(future.as_mut()) {
                Some(outcome) => *self = Self::Ready(outcome),
                None => return false,
            }
        }
        true
    }
}

/// A wait that has begun.
#[pyclass(frozen, module = "incumbent._native")]
pub(crate) struct Pending {
    state: Mutex<State>,
    bell: OnceLock<Arc<Bell>>,
}

/// What a thread of Python waits on.
struct Here(Option<Runtime>);

thread_local! {
    static HERE: Here = Here(Builder::new_current_thread().enable_all().build().ok());
}

impl Drop for Here {
    fn drop(&mut self) {
        // A forked child shares it with its parent, whose sockets this would take off the list of what is waited for.
        if fork::is_forked() {
            mem::forget(self.0.take());
        }
    }
}

impl Pending {
    pub(crate) fn new(
        py: Python<'_>,
        future: impl Future<Output = Outcome> + Send + 'static,
    ) -> PyResult<Self> {
        fork::enter(py)?;
        Ok(Self {
            state: Mutex::new(State::Running(Box::pin(future))),
            bell: OnceLock::new(),
        })
    }

    fn bell(&self) -> io::Result<&Arc<Bell>> {
        if self.bell.get().is_none() {
            let bell = Bell::new()?;
            self.bell.get_or_init(|| bell);
        }
        Ok(self.bell.wait())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls it once. The bell rings when it should be polled again.
    fn poll(&self) -> io::Result<bool> {
        let bell = self.bell()?;
        bell.hush();
        let waker = Waker::from(Arc::clone(bell));
        Ok(self.lock().advance(
            |future| match future.poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => None,
            },
        ))
    }

    /// Runs it on this thread, for at most `wait`.
    fn run(&self, wait: Duration) -> io::Result<bool> {
        let mut state = self.lock();
        let ended = HERE.try_with(|here| {
            let here = here.0.as_ref()?;
            Some(state.advance(|future| {
                here.block_on(async { tokio::time::timeout(wait, future).await.ok() })
            }))
        });
        ended.ok().flatten().ok_or_else(|| {
            io::Error::other("this thread cannot wait: it is ending, or the system has no room for an event loop")
        })
    }

    fn end(&self) -> State {
        mem::replace(&mut *self.lock(), State::Over)
    }
}

#[pymethods]
impl Pending {
    /// The file descriptor that becomes readable when `ready` should be called.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.bell()?.fileno())
    }

    /// Whether it has ended.
    fn ready(&self, py: Python<'_>) -> PyResult<bool> {
        fork::enter(py)?;
        Ok(py.detach(|| self.poll())?)
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
            let left = until.map_or(SIGNALS, |until| until.since(clock::now()));
            if py.detach(|| self.run(left.min(SIGNALS)))? {
                return Ok(true);
            }
            py.check_signals()?;
            if left.is_zero() {
                return Ok(false);
            }
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

    /// Ends it: a campaign leaves its election.
    fn cancel(&self, py: Python<'_>) {
        if !fork::is_forked() {
            py.detach(|| drop(self.end()));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // A forked child holds nothing, and even to drop this could wait there for a thread that does not exist.
        if fork::is_forked() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            mem::forget(mem::replace(state, State::Over));
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Answer {
    pub(crate) fn document(document: &impl Serialize) -> Self {
        let json = serde_json::to_string(document);
        Self::Document(json.expect("a document is text, numbers and lists"))
    }

    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Held(kept) => Ok(Py::new(py, Held::new(kept))?.into_any()),
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
