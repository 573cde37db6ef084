//! The children that this process started itself. All others are orphans that came to it because it is
//! a subreaper, or PID 1.

use std::io;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

use super::tree;

static OWN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Starts a child that is not taken for an orphan until it is forgotten. It is reaped through its pid.
pub(super) fn spawn(command: &mut Command) -> io::Result<Pid> {
    // Held from before the spawn: orphans may be looked for meanwhile.
    let mut own = lock();
    let pid = Pid::from_child(&command.spawn()?);
    own.push(pid);
    Ok(pid)
}

/// The children that were started here and are not reaped yet.
pub(super) fn own() -> Vec<Pid> {
    lock().clone()
}

/// Takes note that a child was reaped, so that its number may belong to anybody.
pub(super) fn forget(child: Pid) {
    lock().retain(|pid| *pid != child);
}

fn lock() -> MutexGuard<'static, Vec<Pid>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps dead orphans. A process that is PID 1 of a container, or a subreaper, calls it on SIGCHLD, or
/// zombies pile up.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn reap_orphans() -> io::Result<()> {
    tree::reap_except(None, &own()).map(|_| ())
}
