//! What Python calls: `incumbent._native`, on which the package `incumbent` is built.
//!
//! ```text
//!   incumbent/*.py     the interface: context managers, locks, asyncio, integrations
//!        │
//!        ▼
//!   Election, Locks ──▶ Pending ──▶ Held      this crate: one future per wait, polled by whoever waits
//!        │
//!        ▼
//!   incumbent          the library: heartbeats on its own thread, which never takes the GIL
//! ```
//!
//! Nothing here runs Python code on a thread of an election, so the GIL delays no heartbeat.

mod bell;
mod election;
mod event;
mod failure;
mod fork;
mod held;
mod interpreter;
mod locks;
mod options;
mod pending;

/// The native half of `incumbent`.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::election::Election;
    #[pymodule_export]
    use super::event::Events;
    #[pymodule_export]
    use super::fork::is_forked;
    #[pymodule_export]
    use super::held::Held;
    #[pymodule_export]
    use super::locks::Locks;
    #[pymodule_export]
    use super::options::seconds;
    #[pymodule_export]
    use super::pending::Pending;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::interpreter::enter(module.py())
    }
}
