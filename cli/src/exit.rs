//! The exit statuses of `incumbent`.

use std::ffi::OsStr;
use std::fmt;
use std::process::ExitCode;

use crate::supervise::{KeeperLost, ProgramExit, StartFailure};
use incumbent::election::{CampaignError, ConfigError};
use incumbent::store::StoreError;

/// The exit status, by meaning. The numbers up to 78 are those of `sysexits.h`, those from 124 on are
/// those of `timeout(1)` and of the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Success,
    /// `doctor`: there is something to look at.
    Questionable,
    /// `doctor`: something endangers the election.
    Endangered,
    /// `status`: no one leads.
    NotHeld,
    /// Wrong usage.
    Usage,
    /// Too few stores, or the address to listen on, can be used: a retry may succeed.
    Unreachable,
    /// The candidate was not elected; the status is configured.
    NotElected(u8),
    /// The stores refuse us.
    Refused,
    /// The configuration cannot be used.
    Configuration,
    /// The leadership was lost, and the program stopped for it.
    Lost,
    /// `incumbent` itself failed.
    Failed,
    /// The program exists but cannot be executed.
    NotExecutable,
    /// The program was not found.
    NotFound,
    /// The exit status of the program.
    Program(ProgramExit),
    /// A standby was stopped by this signal.
    Signaled(i32),
}

impl Exit {
    /// The number of the exit status.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Questionable => 1,
            Self::Endangered => 2,
            Self::NotHeld => 3,
            Self::Usage => 64,
            Self::Unreachable => 69,
            Self::NotElected(status) => status,
            Self::Refused => 77,
            Self::Configuration => 78,
            Self::Lost => 124,
            Self::Failed => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Program(exit) => exit.status(),
            Self::Signaled(signal) => u8::try_from(signal.saturating_add(128)).unwrap_or(u8::MAX),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}

/// Why a command failed, and its exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) exit: Exit,
    /// The message, with the reason.
    message: String,
}

impl Failure {
    /// A failure of this kind.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        Self { exit, message }
    }

    /// A failure of `incumbent` or of the system under it.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A configuration that cannot be used.
    pub(crate) fn configuration(message: impl fmt::Display) -> Self {
        Self::new(Exit::Configuration, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = match error {
            ConfigError::Name(_) => Exit::Usage,
            _ => Exit::Configuration,
        };
        Self::new(exit, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Denied { .. } => Exit::Refused,
            StoreError::Misconfigured { .. } => Exit::Configuration,
            _ => Exit::Unreachable,
        };
        Self::new(exit, error)
    }
}

impl From<KeeperLost> for Failure {
    fn from(lost: KeeperLost) -> Self {
        Self::internal(lost)
    }
}

/// The exit status for a program that cannot be started.
pub(crate) fn not_started(program: &OsStr, failure: StartFailure) -> Failure {
    let exit = match failure {
        StartFailure::NotFound => Exit::NotFound,
        StartFailure::NotExecutable { .. } => Exit::NotExecutable,
        StartFailure::TooLate => Exit::Lost,
        _ => Exit::Failed,
    };
    Failure::new(exit, format_args!("{program:?} {failure}"))
}

/// The exit status for a failed campaign; `not_elected` is set by the user.
pub(crate) fn campaign_failed(error: CampaignError, not_elected: u8) -> Failure {
    let exit = match &error {
        CampaignError::Held { .. }
        | CampaignError::TimedOut { .. }
        | CampaignError::NotYet { .. }
        | CampaignError::Paused { .. } => Exit::NotElected(not_elected),
        CampaignError::Unreachable { .. } | CampaignError::TermsUsedUp { .. } => Exit::Unreachable,
        CampaignError::Unmarked { source, .. } if source.is_denied() => Exit::Refused,
        CampaignError::Unmarked { source, .. } if source.is_misconfigured() => Exit::Configuration,
        CampaignError::Unmarked { .. } => Exit::Unreachable,
        CampaignError::Denied { .. } => Exit::Refused,
        CampaignError::Misconfigured { .. } | CampaignError::OtherStores { .. } => {
            Exit::Configuration
        }
        _ => Exit::Failed,
    };
    Failure::new(exit, error)
}
