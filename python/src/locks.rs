//! A client of locks as Python configures it.

use std::time::Duration;

use incumbent::lock;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::election::document;
use crate::held::Kept;
use crate::pending::{Answer, Pending, duration};
use crate::{failure, options};

/// A client for the locks of some stores.
#[pyclass(frozen, module = "incumbent._native")]
#[derive(Debug)]
pub(crate) struct Locks {
    inner: lock::Locks,
}

#[pymethods]
impl Locks {
    #[new]
    fn new(py: Python<'_>, stores: Vec<String>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let builder = options::apply(lock::Locks::builder(), stores, options)?;
        match py.detach(|| builder.build()) {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => Err(failure::config(py, &error)),
        }
    }

    /// Acquires the lock `name`, for at most `timeout` seconds. 0 is one try, as in `threading`.
    #[pyo3(signature = (name, timeout=None))]
    fn acquire(&self, py: Python<'_>, name: &str, timeout: Option<f64>) -> PyResult<Pending> {
        let lock = self.lock(py, name)?;
        let timeout = timeout.map(duration).transpose()?;
        Pending::new(py, async move {
            let guard = match timeout {
                Some(Duration::ZERO) => lock.try_acquire().await,
                Some(timeout) => lock.acquire_timeout(timeout).await,
                None => lock.acquire().await,
            };
            Ok(Answer::Held(Kept::Guard(guard?)))
        })
    }

    /// Acquires the lock `name` only if no one holds it.
    fn try_acquire(&self, py: Python<'_>, name: &str) -> PyResult<Pending> {
        let lock = self.lock(py, name)?;
        Pending::new(py, async move {
            Ok(Answer::Held(Kept::Guard(lock.try_acquire().await?)))
        })
    }

    /// Takes one of `count` seats of the lock `name`: if `wait`, for at most `timeout` seconds, of which 0 is one try.
    #[pyo3(signature = (name, count, wait, timeout=None))]
    fn take_seat(
        &self,
        py: Python<'_>,
        name: &str,
        count: u16,
        wait: bool,
        timeout: Option<f64>,
    ) -> PyResult<Pending> {
        let seats = self.lock(py, name)?.seats(count);
        let seats = seats.map_err(|error| failure::config(py, &error))?;
        let timeout = timeout.map(duration).transpose()?;
        let wait = wait && timeout != Some(Duration::ZERO);
        Pending::new(py, async move {
            let seat = match timeout {
                _ if !wait => seats.try_acquire().await,
                Some(timeout) => seats.acquire_timeout(timeout).await,
                None => seats.acquire().await,
            };
            Ok(Answer::Held(Kept::Seat(seat?)))
        })
    }

    /// The document `incumbent.status.v1` of the lock `name`.
    fn status(&self, py: Python<'_>, name: &str) -> PyResult<Pending> {
        let lock = self.lock(py, name)?;
        Pending::new(py, async move { document(&lock.status().await) })
    }
}

impl Locks {
    fn lock(&self, py: Python<'_>, name: &str) -> PyResult<lock::Lock> {
        let lock = self.inner.lock(name);
        lock.map_err(|error| failure::config(py, &error))
    }
}
