//! The program that runs while the election is held: started, watched, and dead before anyone else leads.
//!
//! ```text
//!   cli/run ── start(Program, Bounds) ──▶ Child      its own process group
//!           ── set_deadline(Timestamp) ─▶            absolute: SIGTERM stop_grace before it, SIGKILL at it
//!           ── forward, stop, kill ─────▶
//!           ◀── wait() -> Ended ─────────            only once the whole group is dead
//! ```
//!
//! The caller releases the election after `wait` has returned, and not before. Everything else that the
//! death of a program takes is behind [`Child`].

mod child;

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use incumbent::protocol::Timestamp;

pub(crate) use child::Child;

/// What to start once the election is won.
#[derive(Debug)]
pub(crate) struct Program {
    /// The program, looked up in `PATH` when it has no slash.
    pub(crate) path: OsString,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Variables that it gets besides ours.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Variables of ours that it must not see, for they hold secrets.
    pub(crate) withheld: Vec<&'static str>,
}

/// How long the program may live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// When it must be dead, as known at its start. `Child::set_deadline` moves it.
    pub(crate) deadline: Timestamp,
    /// How long before the deadline it is told to stop.
    pub(crate) stop_grace: Duration,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// What it left behind.
    pub(crate) outcome: Outcome,
    /// What made it end.
    pub(crate) cause: Cause,
}

/// What a process leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
}

/// What made a program end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It ended without being told to.
    ItsOwn,
    /// It was asked to stop by `Child::stop` or `Child::kill`.
    Asked,
    /// Its deadline came near.
    Deadline,
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There is no such program.
    #[error("{program:?} was not found: {source}")]
    NotFound {
        /// Its name as given.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// It is there, and cannot be executed.
    #[error("{program:?} cannot be executed: {source}")]
    NotExecutable {
        /// Its name as given.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// The system could not start it, or not watch it.
    #[error("cannot start {program:?}: {source}")]
    Failed {
        /// Its name as given.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
}
