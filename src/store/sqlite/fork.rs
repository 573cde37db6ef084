//! The one process that may use SQLite. It keeps the locks that a process has on a file in static memory, so a child
//! that was forked takes the locks of its parent for its own.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::trouble::Trouble;

/// The first process to use SQLite, or 0.
static USER: AtomicU32 = AtomicU32::new(0);

/// Begins to use SQLite, which fails in a process that was forked from one that uses it.
pub(super) fn enter() -> Result<(), Trouble> {
    let me = process::id();
    match USER.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(user) if user == me => Ok(()),
        Err(user) => Err(Trouble::Unsuitable(format!(
            "this process was forked from one that uses SQLite (pid {user}), and cannot tell its locks from those: \
             start it with exec, or use SQLite only after the fork"
        ))),
    }
}
