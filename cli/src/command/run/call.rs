//! What a signal to `incumbent` means.

use std::time::Duration;

use crate::supervise::was_ignored;
use incumbent::election::clock;
use incumbent::protocol::Timestamp;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Stop, and give the program time for it.
    Stop,
    /// Stop at once.
    Kill,
    /// Read the configuration again; the program gets the signal too.
    Reload,
    /// Nothing: the signal is passed on to the program.
    PassOn,
    /// Reap what has died.
    Reap,
}

/// How signals are interpreted.
#[derive(Debug)]
pub(super) struct Calls {
    stop_signal: i32,
    /// Whether this process was started from a terminal that can hang up, and not to outlive it (`nohup`).
    has_terminal: bool,
}

impl Calls {
    /// `stop_signal` is what asks the program to stop. The terminal is that of this moment.
    pub(super) fn new(stop_signal: Signal) -> Self {
        Self {
            stop_signal: stop_signal.as_raw(),
            has_terminal: is_terminal_there() && !was_ignored(Signal::HUP),
        }
    }

    /// What this signal asks for.
    pub(super) fn understand(&self, signal: i32) -> Call {
        match signal {
            SIGTERM | SIGINT => Call::Stop,
            signal if signal == self.stop_signal => Call::Stop,
            SIGQUIT => Call::Kill,
            // Only the end of the terminal takes it away; a service gets a hang-up to read its configuration
            // again, and so may a program that was started by hand.
            SIGHUP if self.has_terminal && !is_terminal_there() => Call::Stop,
            SIGHUP => Call::Reload,
            SIGCHLD => Call::Reap,
            _ => Call::PassOn,
        }
    }
}

fn is_terminal_there() -> bool {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(c"/dev/tty", flags, Mode::empty()).is_ok()
}

/// The signal that asked to stop first. Many send it twice: a shell to the process and to its group, a
/// container engine and the init of its container.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopSignal {
    signal: i32,
    at: Timestamp,
}

impl StopSignal {
    /// For how long the same signal counts as one.
    const REPEATED: Duration = Duration::from_secs(1);

    pub(super) fn received(signal: i32) -> Self {
        Self {
            signal,
            at: clock::now(),
        }
    }

    /// Whether this signal is the same one, sent again.
    pub(super) fn is_repeated_by(self, signal: i32) -> bool {
        signal == self.signal && clock::now().since(self.at) < Self::REPEATED
    }
}
