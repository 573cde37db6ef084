//! The signals that were blocked or ignored when this process was started, and those that the keeper ignores.
//!
//! The former are meant for the program: if this process kept them blocked, it would never see a request to stop.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// Signals by their numbers: bit 0 is signal 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inherited {
    pub(super) blocked: u64,
    pub(super) ignored: u64,
}

static AT_START: OnceLock<Inherited> = OnceLock::new();

/// Unblocks all signals, and saves which were blocked or ignored for the program. Also ignores SIGXFSZ:
/// writing to a file that has reached `ulimit -f` then fails, and does not kill this process.
///
/// Call it first thing in `main`, before any thread exists.
///
/// # Errors
///
/// When the signals cannot be unblocked.
pub fn unblock_signals() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let _first = AT_START.set(Inherited::parse(&status));
    ignore(Signal::XFSZ);
    set_mask(0)
}

#[expect(unsafe_code, reason = "the library sets no disposition of a signal")]
fn ignore(signal: Signal) {
    // SAFETY: no handler is set.
    unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) };
}

/// Whether this process was started with a signal ignored, as by `nohup`.
#[must_use]
pub fn was_ignored(signal: Signal) -> bool {
    Inherited::at_start().ignored & bit(signal.as_raw()) != 0
}

impl Inherited {
    pub(super) fn at_start() -> Self {
        AT_START.get().copied().unwrap_or_default()
    }

    fn parse(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok())
        };
        Self {
            blocked: field("SigBlk:").unwrap_or(0),
            // Rust's runtime ignores it before `main`.
            ignored: field("SigIgn:").unwrap_or(0) & !bit(Signal::PIPE.as_raw()),
        }
    }

    /// Restores for a child what this process was started with, except for the signals that ask it to stop and
    /// SIGCHLD: if it ignored these, it would not stop, or would not see how its children exit. Does not allocate.
    #[expect(unsafe_code, reason = "the library sets no disposition of a signal")]
    pub(super) fn restore(self, stop_signal: Signal) -> io::Result<()> {
        let default = [stop_signal, Signal::TERM, Signal::CHILD]
            .into_iter()
            .fold(0, |bits, signal| bits | bit(signal.as_raw()));
        for number in 1..=64 {
            let ignored = self.ignored & !default & bit(number) != 0;
            let disposition = if ignored {
                libc::SIG_IGN
            } else {
                libc::SIG_DFL
            };
            // SAFETY: no handler is set. It fails for signals that cannot be changed, which is fine.
            unsafe { libc::signal(number, disposition) };
        }
        set_mask(self.blocked & !default)
    }
}

/// Catches every signal that can be caught and does nothing about it. They are not set to be ignored,
/// for the program would inherit that; what is caught is back to its default after `exec`.
pub(super) fn ignore_all() -> io::Result<()> {
    /// The first and last real-time signal that the C library leaves to programs.
    const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;
    let named = [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::PIPE,
        Signal::ALARM,
        Signal::TERM,
        Signal::TSTP,
        Signal::TTIN,
        Signal::TTOU,
        Signal::URG,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::VTALARM,
        Signal::PROF,
        Signal::WINCH,
        Signal::IO,
        Signal::POWER,
    ];
    let caught = Arc::new(AtomicBool::new(false));
    for signal in named.map(Signal::as_raw).into_iter().chain(REAL_TIME) {
        signal_hook::flag::register(signal, Arc::clone(&caught))?;
    }
    Ok(())
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[expect(unsafe_code, reason = "the library sets no signal mask")]
pub(super) fn set_mask(blocked: u64) -> io::Result<()> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is made empty first, and lives as long as the calls.
    let changed = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for number in (1..=64).filter(|number| blocked & bit(*number) != 0) {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut())
    };
    match changed {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_and_ignored_signals_are_read_from_the_status() {
        let status = "Name:\tx\nSigBlk:\t0000000000004000\nSigIgn:\t0000000000001001\n";
        let expected = Inherited {
            blocked: 1 << 14,
            ignored: 1,
        };
        assert_eq!(Inherited::parse(status), expected);
        assert_eq!(Inherited::parse("SigBlk:\tx\n"), Inherited::default());
    }
}
