//! The init of a program's PID namespace. It reaps orphans, and its end is the end of every process there: the
//! kernel sees to that, whatever they did.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal, wait};

use super::super::spawn::take_real_time_priority;

/// Is the init of this namespace, until the keeper, the elector or the program has ended.
///
/// `hangup` closes when the program has ended, and when the keeper has. What the program left behind may then
/// still end by itself. If the elector is dead while its keeper is frozen, only this process can act.
pub(super) fn run(hangup: &OwnedFd, elector: &OwnedFd) -> io::Result<()> {
    rustix::thread::set_name(c"reaper")?;
    let children = block_signals()?;
    // Whatever else wants the processors, this process needs one to die on. It is no loss where it may not.
    take_real_time_priority();
    let [children, hangup, elector] = keep_only([&children, hangup, elector])?;
    let mut is_over = false;
    loop {
        let childless = reap();
        if is_over && childless {
            return Ok(());
        }
        let mut sources = vec![
            PollFd::new(&children, PollFlags::IN),
            PollFd::new(&elector, PollFlags::IN),
        ];
        if !is_over {
            sources.push(PollFd::new(&hangup, PollFlags::IN));
        }
        match poll(&mut sources, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !sources[1].revents().is_empty() {
            return Ok(());
        }
        is_over |= sources.get(2).is_some_and(|it| !it.revents().is_empty());
        drain(&children);
    }
}

/// Makes the kernel end this process, and so the namespace, with the keeper. To be called before there is anything
/// else in it.
pub(super) fn die_with_keeper(hangup: &OwnedFd) -> Result<(), Errno> {
    // SIGKILL comes through: the keeper is outside of the namespace.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Had the keeper died before that call, the signal would never come.
    match is_abandoned(hangup) {
        true => Err(Errno::CHILD),
        false => Ok(()),
    }
}

/// Whether the keeper is gone.
pub(super) fn is_abandoned(hangup: &OwnedFd) -> bool {
    let mut source = [PollFd::new(hangup, PollFlags::IN)];
    let at_once = rustix::event::Timespec::default();
    !matches!(poll(&mut source, Some(&at_once)), Ok(0))
}

/// Reaps dead orphans, and returns whether no child is left.
fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Blocks every signal, so that no handler of the keeper runs here, and returns what is readable when a child
/// has ended.
#[expect(unsafe_code, reason = "the library wraps no signal masks")]
fn block_signals() -> io::Result<OwnedFd> {
    // SAFETY: the sets live as long as the calls, and the first calls fill them. The descriptor is new.
    unsafe {
        let (mut all, mut ended) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::sigemptyset(&mut ended);
        libc::sigaddset(&mut ended, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        match libc::signalfd(-1, &ended, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            new => Ok(OwnedFd::from_raw_fd(new)),
        }
    }
}

/// Keeps these descriptors, as the first three, and closes all others: pipes of the keeper and files of the
/// program must not stay open here.
#[expect(unsafe_code, reason = "descriptors are closed by their numbers")]
fn keep_only(kept: [&OwnedFd; 3]) -> io::Result<[OwnedFd; 3]> {
    for (number, one) in (0..).zip(kept) {
        // SAFETY: nothing here uses standard input, output or error any more.
        if unsafe { libc::dup2(one.as_raw_fd(), number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: this process uses nothing but the first three, which nothing else owns, and never returns to what
    // owned the others.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        Ok([0, 1, 2].map(|number| OwnedFd::from_raw_fd(number)))
    }
}

fn drain(signals: impl AsFd) {
    let mut bytes = [0; 512];
    while rustix::io::read(signals.as_fd(), &mut bytes).is_ok() {}
}
