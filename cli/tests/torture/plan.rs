//! What goes wrong, when, and for how long: a function of the seed.

use std::time::Duration;

/// A kind of trouble. Where it strikes is worked out when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// SIGTERM to a candidate.
    Terminate,
    /// SIGKILL to a candidate: of the wrapper, to the elector.
    Kill,
    /// SIGSTOP to a candidate, SIGCONT after a while.
    Pause,
    /// SIGKILL to the keeper of a wrapper.
    KillKeeper,
    /// SIGSTOP to the keeper of a wrapper that leads, SIGCONT after a while.
    PauseKeeper,
    /// SIGKILL to the program of a wrapper.
    KillProgram,
    /// SIGSTOP to the program of a wrapper, SIGCONT after a while.
    PauseProgram,
    /// A server is killed, and starts again with its data after a while.
    Restart,
    /// A server is killed, and starts again without its data.
    RestartEmpty,
    /// `FLUSHALL`.
    Wipe,
    /// SIGSTOP to a server, SIGCONT after a while.
    Freeze,
    /// `CLIENT KILL` of all connections.
    DropClients,
    /// `CLIENT PAUSE` of everything.
    PauseClients,
    /// `CLIENT PAUSE` of what writes.
    PauseWrites,
    /// `DEBUG SLEEP`.
    Sleep,
    /// `SCRIPT FLUSH`.
    ForgetScripts,
    /// `CONFIG SET maxmemory 1`.
    OutOfMemory,
    /// `REPLICAOF`.
    ReadOnly,
    /// The wall clocks of all servers jump ahead.
    ClockJump,
    /// Answers and questions are late, each connection for itself.
    Slow,
    /// Connections are reset and refused.
    Cut,
    /// The server's side of the connections is gone, and the clients do not know.
    HalfOpen,
    /// Everything is swallowed.
    BlackHole,
    /// Everything is held back, and delivered late.
    Stall,
    /// Answers are cut in the middle.
    Truncate,
    /// 16 busy loops.
    Busy,
    /// A thread of real-time priority takes the processor of a keeper.
    Hog,
    /// A wrapper that leads, and all that is below it, have a hundredth of a processor.
    Quota,
    /// Executing the program of a wrapper takes long.
    SlowExec,
    /// The clocks of all hosts are slewed: that of the leader runs slow, the others run fast.
    Slew,
    /// A server is killed, and starts again with what it had on disk some time before.
    Restore,
    /// A file gets a second name, a hard link or a mount, and a candidate starts by that.
    SecondName,
    /// Another process holds a write transaction on a file.
    LockFile,
    /// A file is deleted.
    DeleteFile,
    /// A backup of a file is restored in place.
    RestoreFile,
}

impl Fault {
    /// Of candidates and their hosts, whatever they are elected on.
    const OF_CANDIDATES: [Self; 12] = [
        Self::Terminate,
        Self::Kill,
        Self::Pause,
        Self::KillKeeper,
        Self::PauseKeeper,
        Self::KillProgram,
        Self::PauseProgram,
        Self::Busy,
        Self::Hog,
        Self::Quota,
        Self::SlowExec,
        Self::Slew,
    ];

    /// Of servers and the network.
    const OF_SERVERS: [Self; 19] = [
        Self::Restart,
        Self::RestartEmpty,
        Self::Wipe,
        Self::Freeze,
        Self::DropClients,
        Self::PauseClients,
        Self::PauseWrites,
        Self::Sleep,
        Self::ForgetScripts,
        Self::OutOfMemory,
        Self::ReadOnly,
        Self::ClockJump,
        Self::Slow,
        Self::Cut,
        Self::HalfOpen,
        Self::BlackHole,
        Self::Stall,
        Self::Truncate,
        Self::Restore,
    ];

    const OF_FILES: [Self; 4] = [
        Self::SecondName,
        Self::LockFile,
        Self::DeleteFile,
        Self::RestoreFile,
    ];

    /// What costs a leadership, whatever the electorate.
    const OF_LEADERS: [Self; 3] = [Self::Terminate, Self::Kill, Self::Pause];
}

/// One fault of the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    /// How long after the one before it.
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
    /// How long it lasts, if it is of the kind that does.
    pub(crate) lasts: Duration,
    /// Chooses among those that it can strike.
    pub(crate) pick: usize,
}

/// An endless plan. Each kind comes once in every round of all kinds, and what makes most elections twice.
pub(crate) struct Plan {
    random: fastrand::Rng,
    /// The kinds that the stores can suffer.
    of_stores: &'static [Fault],
    round: Vec<Fault>,
}

impl Plan {
    pub(crate) fn new(seed: u64, on_a_file: bool) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            of_stores: if on_a_file {
                &Fault::OF_FILES
            } else {
                &Fault::OF_SERVERS
            },
            round: Vec::new(),
        }
    }

    pub(crate) fn next(&mut self) -> Planned {
        if self.round.is_empty() {
            self.round.extend(Fault::OF_CANDIDATES);
            self.round.extend(self.of_stores);
            self.round.extend(Fault::OF_LEADERS);
            self.random.shuffle(&mut self.round);
        }
        let random = &mut self.random;
        // Most troubles end within a tenure, some outlast two windows.
        let lasts = if random.u8(..10) < 7 {
            random.u64(50..600)
        } else {
            random.u64(1000..3000)
        };
        Planned {
            after: Duration::from_millis(random.u64(200..1400)),
            fault: self.round.pop().expect("a round has faults"),
            lasts: Duration::from_millis(lasts),
            pick: random.usize(..),
        }
    }
}
