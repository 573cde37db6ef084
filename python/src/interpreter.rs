//! One interpreter per process: PyO3 shares its classes among all of them, which Python does not allow.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// The module `sys` of the interpreter that has loaded us: every interpreter has its own.
static HOME: AtomicUsize = AtomicUsize::new(0);

/// # Errors
///
/// `ImportError` in another interpreter than the first that loads us.
pub(crate) fn enter(py: Python<'_>) -> PyResult<()> {
    let me = py.import("sys")?.as_ptr().addr();
    match HOME.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(home) if home == me => Ok(()),
        Err(_) => Err(PyImportError::new_err(
            "incumbent does not support a second interpreter in one process: use threads or processes",
        )),
    }
}
