//! What a forked child may do: nothing.
//!
//! The threads that keep elections do not survive a fork, so a child holds nothing that its parent held, and cannot
//! campaign by the means of its parent. It says so, rather than wait for a thread that is not there.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

use crate::failure::raise;

/// The process in which the threads of the elections run; 0 before they are first needed.
static STARTED_IN: AtomicU32 = AtomicU32::new(0);

/// Whether this process was forked from one in which elections ran.
#[pyfunction]
pub(crate) fn is_forked() -> bool {
    !matches!(STARTED_IN.load(Ordering::Relaxed), 0) && !is_home()
}

fn is_home() -> bool {
    STARTED_IN.load(Ordering::Relaxed) == process::id()
}

/// Notes that elections run in this process.
///
/// # Errors
///
/// `Forked` in a child of such a process.
pub(crate) fn enter(py: Python<'_>) -> PyResult<()> {
    let me = process::id();
    match STARTED_IN.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(home) if home == me => Ok(()),
        Err(home) => Err(raise(
            py,
            "Forked",
            format!(
                "process {me} was forked from process {home}, in which elections already run: the threads that \
                 keep them do not survive a fork, so this child holds nothing and cannot campaign; use the start \
                 method \"spawn\" or \"forkserver\", or let each child use incumbent first"
            ),
        )),
    }
}
