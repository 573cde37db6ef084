//! The children of this process that do not belong to the program: those that it started itself, and those
//! that it was started with. All others are orphans, which it gets as a subreaper or PID 1.

use std::io;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::child_lists::own_children;
use super::tree::{self, Reaped};

static KNOWN: Mutex<Known> = Mutex::new(Known {
    own: Vec::new(),
    earlier: None,
});

/// Held while orphans are reaped: a list of the children stays true only while nothing else reaps.
static REAPING: Mutex<()> = Mutex::new(());

struct Known {
    /// Those that were started here and are not reaped yet.
    own: Vec<Pid>,
    /// Those that existed before the first of them, and are not reaped yet: a shell may have started others
    /// before it ran `exec` on this binary.
    earlier: Option<Vec<Pid>>,
}

/// Starts a child that is not taken for an orphan until it is forgotten. It is reaped through its pid.
pub(super) fn spawn(command: &mut Command) -> io::Result<Pid> {
    // Held before the spawn: another thread may be looking for orphans.
    let mut known = lock(&KNOWN);
    if known.earlier.is_none() {
        known.earlier = Some(own_children()?);
    }
    let pid = Pid::from_child(&command.spawn()?);
    known.own.push(pid);
    Ok(pid)
}

/// The children that were started here and are not reaped yet.
pub(super) fn own() -> Vec<Pid> {
    lock(&KNOWN).own.clone()
}

/// All children that are none of a program's.
pub(super) fn spared() -> Vec<Pid> {
    let known = lock(&KNOWN);
    let earlier = known.earlier.iter().flatten();
    known.own.iter().chain(earlier).copied().collect()
}

/// Forgets a reaped child, whose pid may now be reused.
pub(super) fn forget(child: Pid) {
    lock(&KNOWN).own.retain(|pid| *pid != child);
}

/// Kills the orphans and reaps the dead ones among them.
///
/// # Errors
///
/// When the children of this process cannot be listed.
pub(super) fn end_orphans(leader: Option<Pid>) -> io::Result<Reaped> {
    let _alone = lock(&REAPING);
    let spared = spared();
    let killed = tree::kill_descendants(None, &spared);
    let reaped = tree::reap_except(leader, &spared)?;
    // Where there is none, none needed to be found.
    if reaped.childless {
        return Ok(reaped);
    }
    killed.map(|()| reaped)
}

/// Reaps dead orphans. A process that is PID 1 of a container, or a subreaper, calls it on SIGCHLD, or
/// zombies pile up.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn reap_orphans() -> io::Result<()> {
    let _alone = lock(&REAPING);
    if let Some(earlier) = &mut lock(&KNOWN).earlier {
        // An error means that it was reaped elsewhere.
        earlier.retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
    }
    tree::reap_except(None, &spared()).map(|_| ())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
