//! What elector and keeper send to each other: orders one way, events the other.
//!
//! The plan of the keeper takes and returns the same two, so an order that arrives is the one that is carried
//! out, and an event that is reported is the one that the elector sees.

use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::contain::Containment;
use super::program::{Program, ProgramExit, StartFailure};
use super::wire;
use incumbent::protocol::{FencingToken, Timestamp};
use incumbent::store::Identity;

/// An order of the elector to its keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// What the release hook needs to know, in its own form.
    Context(#[serde(deserialize_with = "wire::context")] Vec<u8>),
    /// This candidate holds this term from now on.
    Hold {
        #[serde(with = "wire::identity")]
        who: Identity,
        term: FencingToken,
    },
    /// The term is released, or lost: there is nothing to release any more.
    Released,
    /// Start a program.
    Start {
        program: Program,
        /// When its whole tree must be dead.
        #[serde(with = "wire::timestamp")]
        deadline: Timestamp,
        /// How long before that it is asked to end.
        grace: Duration,
    },
    /// A newer deadline. It is not always a later one: a quorum that lost a store may have less time.
    Deadline(#[serde(with = "wire::timestamp")] Timestamp),
    /// A signal for the program.
    Signal(#[serde(with = "wire::signal")] Signal),
    /// Ask the program to end, and kill it at `by` if that is before the deadline.
    Stop {
        #[serde(with = "wire::timestamp")]
        by: Timestamp,
    },
    /// Kill the tree now.
    Kill,
}

/// What happens to the program, and to its keeper.
///
/// Every [`Keeper::start`](super::Keeper::start) that succeeds is answered by [`Event::Started`] or
/// [`Event::NotStarted`], and after that by exactly one [`Event::Dead`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// The keeper is up.
    Ready {
        /// How the program is contained.
        containment: Containment,
        /// Whether the keeper's memory is locked, so that it cannot be swapped out.
        memory_locked: bool,
        /// Whether the kernel runs the keeper before every other process, of real-time priority too.
        real_time: bool,
    },
    /// The keeper is up, and cannot contain a program as it was asked to, for this reason: it starts none.
    Uncontained(String),
    /// The program runs, with this process id.
    Started(#[serde(deserialize_with = "wire::pid")] i32),
    /// The program could not be started.
    NotStarted(StartFailure),
    /// The program was sent its stop signal.
    Stopping(Cause),
    /// The whole tree of the program was sent SIGKILL.
    Killing(Cause),
    /// The program itself has ended. Processes that it started may still be alive.
    Exited(ProgramExit),
    /// The program has ended, and left processes behind, which were sent SIGTERM. What is still alive of them after
    /// the grace is killed.
    LeftBehind {
        /// The process ids of the first few of them.
        #[serde(deserialize_with = "wire::pids")]
        pids: Vec<i32>,
    },
    /// Some processes are alive a second after SIGKILL, most likely in a system call that cannot be
    /// interrupted. It comes again every second. The election must stay held.
    Surviving {
        /// The process ids of the first few of them.
        #[serde(deserialize_with = "wire::pids")]
        pids: Vec<i32>,
    },
    /// Nothing of the program is left: this, and only this, allows the term to be released.
    Dead,
    /// The keeper has died, or did not act in time and was killed. What is left of the program is being
    /// killed; nothing can be started any more.
    #[serde(skip)]
    KeeperLost,
}

impl Event {
    pub(super) fn left_behind(pids: &[Pid]) -> Self {
        let pids = first_few(pids);
        Self::LeftBehind { pids }
    }

    pub(super) fn surviving(pids: &[Pid]) -> Self {
        let pids = first_few(pids);
        Self::Surviving { pids }
    }
}

fn first_few(pids: &[Pid]) -> Vec<i32> {
    let pids = pids.iter().take(wire::MOST_PIDS);
    pids.map(|pid| pid.as_raw_nonzero().get()).collect()
}

/// Why the program is stopped or killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cause {
    /// The elector asked for it.
    Asked,
    /// The tenure is about to end, or has ended.
    Deadline,
    /// It was asked to end, and did not within the time it was given.
    StopTimeout,
    /// The elector is gone.
    Orphaned,
}

#[cfg(test)]
mod tests;
