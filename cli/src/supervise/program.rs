//! The supervised program: what is started, how it ended, and why it could not be started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::signals::Inherited;
use super::wire;
use incumbent::protocol::{CandidateId, ElectionName, FencingToken};

/// What to start: the command line, its whole environment, whether it reads our stdin, and its stop signal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    #[serde(deserialize_with = "wire::command")]
    pub(super) command: Vec<OsString>,
    #[serde(deserialize_with = "wire::environment")]
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) stdin: bool,
    #[serde(with = "wire::signal")]
    pub(super) stop_signal: Signal,
    pub(super) inherited: Inherited,
}

impl Program {
    /// Variables that concern the elector and not the program: where its secrets are, who talks to the service
    /// manager, and which descriptors it passed.
    const PRIVATE: [&'static str; 7] = [
        "CREDENTIALS_DIRECTORY",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
    ];

    /// A program that is started as `command`, found along `PATH`, with this process's environment
    /// and with the signals blocked and ignored that this process was started with ([`unblock_signals`](super::unblock_signals)),
    /// except what is meant for `incumbent` itself: every `INCUMBENT_…` variable, for they may hold
    /// secrets, and the variables of the service manager's protocol.
    ///
    /// `None` when `command` is empty.
    #[must_use]
    pub fn new(command: Vec<OsString>) -> Option<Self> {
        if command.is_empty() {
            return None;
        }
        Some(Self {
            command,
            environment: std::env::vars_os()
                .filter(|(name, _)| !Self::is_private(name))
                .collect(),
            stdin: false,
            stop_signal: Signal::TERM,
            inherited: Inherited::at_start(),
        })
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the variables of the election it was started for: `INCUMBENT_ELECTION`,
    /// `INCUMBENT_FENCING_TOKEN` and `INCUMBENT_CANDIDATE_ID`.
    #[must_use]
    pub fn elected(
        self,
        election: &ElectionName,
        term: FencingToken,
        candidate: &CandidateId,
    ) -> Self {
        self.env("INCUMBENT_ELECTION", election.as_str())
            .env("INCUMBENT_FENCING_TOKEN", term.to_string())
            .env("INCUMBENT_CANDIDATE_ID", candidate.as_str())
    }

    /// Whether the program reads this process's standard input instead of nothing.
    #[must_use]
    pub const fn stdin(mut self, stdin: bool) -> Self {
        self.stdin = stdin;
        self
    }

    /// The signal that asks this program to stop. Default: SIGTERM.
    #[must_use]
    pub const fn stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    /// Another command in the environment of this one. It reads nothing.
    #[must_use]
    pub fn another<const WORDS: usize>(&self, command: [&str; WORDS]) -> Self {
        const { assert!(WORDS > 0, "a command has a first word") };
        Self {
            command: command.map(OsString::from).to_vec(),
            environment: self.environment.clone(),
            stdin: false,
            stop_signal: Signal::TERM,
            inherited: self.inherited,
        }
    }

    /// The first word of the command.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        self.command
            .first()
            .map_or(OsStr::new(""), OsString::as_os_str)
    }

    fn is_private(name: &OsStr) -> bool {
        name.as_bytes().starts_with(b"INCUMBENT_")
            || Self::PRIVATE.iter().any(|known| name == *known)
    }
}

/// Shows the command and no values of the environment, which may be secret.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("environment", &self.environment.len())
            .field("stdin", &self.stdin)
            .finish()
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramExit {
    /// It exited with this status.
    Code(u8),
    /// It was ended by the signal of this number.
    Signal(u8),
}

impl ProgramExit {
    /// By SIGKILL.
    pub(super) const KILLED: Self = Self::Signal(9);

    /// The exit status that a shell would show: the program's own, or 128 + signal.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_u8.saturating_add(signal),
        }
    }
}

impl fmt::Display for ProgramExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// Why a program could not be started. The message continues the name of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartFailure {
    /// The program or its interpreter does not exist.
    #[error("was not found")]
    NotFound,
    /// It exists but cannot be executed.
    #[error("cannot be executed: {}", std::io::Error::from_raw_os_error(*errno))]
    NotExecutable {
        /// The error number.
        errno: i32,
    },
    /// The system refused another process.
    #[error("cannot be started: {}", std::io::Error::from_raw_os_error(*errno))]
    System {
        /// The error number.
        errno: i32,
    },
    /// The tenure ends before the program could be asked to stop.
    #[error("is not started: the tenure ends too soon")]
    TooLate,
}

impl StartFailure {
    /// The exit status: 127 not found, 126 not executable, 125 otherwise.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::NotFound => 127,
            Self::NotExecutable { .. } => 126,
            Self::System { .. } | Self::TooLate => 125,
        }
    }

    pub(super) fn from_errno(errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        let raw = errno.raw_os_error();
        match errno {
            Errno::NOENT | Errno::NOTDIR => Self::NotFound,
            Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE => {
                Self::System { errno: raw }
            }
            _ => Self::NotExecutable { errno: raw },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_the_elector_are_private() {
        for name in [
            "CREDENTIALS_DIRECTORY",
            "INCUMBENT_PASSWORD",
            "INCUMBENT_STORE",
            "NOTIFY_SOCKET",
        ] {
            assert!(Program::is_private(OsStr::new(name)), "{name}");
        }
        assert!(!Program::is_private(OsStr::new("PATH")));
    }

    #[test]
    fn exit_statuses_read_as_a_shell_shows_them() {
        assert_eq!(ProgramExit::Code(3).status(), 3);
        assert_eq!(ProgramExit::Signal(15).status(), 143);
        assert_eq!(StartFailure::NotFound.status(), 127);
        assert_eq!(StartFailure::NotExecutable { errno: 13 }.status(), 126);
    }
}
