//! Forking, into the program's cgroup.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::cgroup::Cgroup;

/// Which of the two processes a call returns in.
pub(super) enum Forked<'a> {
    Parent(Pid),
    /// The child, with the cgroup that it has yet to enter.
    Child(Option<&'a Cgroup>),
}

/// Forks, with further flags for `clone`. The child begins in the cgroup where that works: to move it there later takes
/// the kernel longer than all the rest of a start.
///
/// This process must have one thread.
pub(super) fn fork(flags: libc::c_int, cgroup: Option<&Cgroup>) -> Result<Forked<'_>, Errno> {
    let (child, to_enter) = match cgroup.and_then(Cgroup::birthplace) {
        Some(folder) => (clone_into(flags, folder)?, None),
        None => (clone(flags)?, cgroup),
    };
    Ok(child.map_or(Forked::Child(to_enter), Forked::Parent))
}

/// Tries whether a child can begin in the cgroup with this folder.
///
/// A filter of system calls, such as systemd's `RestrictNamespaces=`, cannot see what `clone3` is asked for, and permits
/// none. And some kernels (seen with 6.18) kill a child that begins in another cgroup than its parent's, if one of the
/// two was killed by `cgroup.kill` before.
pub(super) fn can_begin_in(folder: &OwnedFd) -> bool {
    match clone_into(0, folder) {
        Ok(None) => exit(0),
        Ok(Some(pid)) => loop {
            match waitpid(Some(pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                ended => {
                    let status = ended.ok().flatten().and_then(|(_, end)| end.exit_status());
                    return status == Some(0);
                }
            }
        },
        Err(_) => false,
    }
}

/// Ends this process, without what is registered for the end of its parent.
#[expect(unsafe_code, reason = "the library ends no process at once")]
pub(super) fn exit(status: i32) -> ! {
    // SAFETY: it takes a number.
    unsafe { libc::_exit(status) }
}

#[expect(unsafe_code, reason = "the library wraps no clone")]
fn clone(flags: libc::c_int) -> Result<Option<Pid>, Errno> {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    let nothing = ptr::null::<libc::c_void>();
    // SAFETY: this process has one thread, so its child has a consistent copy of its memory, and of its stack.
    child(unsafe { libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing) })
}

#[expect(unsafe_code, reason = "the library wraps no clone")]
fn clone_into(flags: libc::c_int, folder: &OwnedFd) -> Result<Option<Pid>, Errno> {
    /// From `linux/sched.h`: the library's constant has lost this bit.
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    let arguments = libc::clone_args {
        flags: u64::from(flags.unsigned_abs()) | CLONE_INTO_CGROUP,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: u64::from(folder.as_raw_fd().unsigned_abs()),
    };
    let (given, size) = (&raw const arguments, size_of_val(&arguments));
    // SAFETY: as above, and the arguments live as long as the call.
    child(unsafe { libc::syscall(libc::SYS_clone3, given, size) })
}

/// The child's pid, or `None` in the child.
fn child(pid: libc::c_long) -> Result<Option<Pid>, Errno> {
    match i32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(pid) if pid > 0 => Ok(Pid::from_raw(pid)),
        Ok(_) | Err(_) => Err(last_error()),
    }
}

/// Why the last call of the C library failed.
pub(super) fn last_error() -> Errno {
    errno(&io::Error::last_os_error())
}

/// The number of an error.
pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}
