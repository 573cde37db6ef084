//! A program in a process group of its own, stopped on time.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use incumbent::election::clock::now;
use incumbent::protocol::Timestamp;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, pidfd_open,
    pidfd_send_signal, set_child_subreaper, test_kill_process_group, waitid,
};
use tokio::io::unix::AsyncFd;

use super::{Bounds, Cause, Ended, Outcome, Program, StartError};

/// A running program.
///
/// It is told to stop (SIGTERM, to the program itself, once) `stop_grace` before its deadline, and its
/// whole process group is killed at the deadline. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Child {
    group: Pid,
    pidfd: AsyncFd<OwnedFd>,
    bounds: Bounds,
    /// When a requested stop becomes a kill.
    kill_at: Timestamp,
    phase: Phase,
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping,
    Killed,
    Reaped(Outcome),
}

impl Child {
    /// How long the rest of a killed group may take to vanish before that is said, and waited on.
    const VANISH: Duration = Duration::from_millis(500);

    /// Starts a program. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] tells a program that is missing from one that cannot be executed. Nothing runs then.
    pub(crate) fn start(program: &Program, bounds: Bounds) -> Result<Self, StartError> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .stdin(Stdio::null())
            .process_group(0);
        for name in &program.withheld {
            command.env_remove(name);
        }
        for (name, value) in &program.environment {
            command.env(name, value);
        }
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::warn!(%error, "orphans of the program cannot be waited for");
        }
        let child = command
            .spawn()
            .map_err(|source| start_error(program, source))?;
        let group = Pid::from_child(&child);
        // From here on the program is reaped through its pidfd, and `child` has no more part in it.
        let watched = pidfd_open(group, PidfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            .and_then(watch);
        match watched {
            Ok(pidfd) => Ok(Self {
                group,
                pidfd,
                bounds,
                kill_at: Timestamp::NEVER,
                phase: Phase::Running,
                cause: Cause::ItsOwn,
            }),
            Err(source) => {
                kill_group(group);
                reap_blocking(child);
                Err(StartError::Failed {
                    program: program.path.clone(),
                    source,
                })
            }
        }
    }

    /// Its process id, which is also its process group.
    pub(crate) fn pid(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Moves the deadline.
    pub(crate) fn set_deadline(&mut self, deadline: Timestamp) {
        self.bounds.deadline = deadline;
    }

    /// Passes a signal on to the program.
    pub(crate) fn forward(&self, signal: Signal) {
        if !matches!(self.phase, Phase::Reaped(_)) {
            self.send(signal);
        }
    }

    /// Tells the program to stop, and kills its group when it has not done so within `timeout`. Only
    /// the first call sends a signal.
    pub(crate) fn stop(&mut self, timeout: Duration) {
        if self.phase == Phase::Running {
            self.tell_to_stop(Cause::Asked);
        }
        self.kill_at = self.kill_at.min(now() + timeout);
    }

    /// Kills the group now.
    pub(crate) fn kill(&mut self) {
        if self.phase == Phase::Running {
            self.cause = Cause::Asked;
        }
        self.kill_at = Timestamp::ZERO;
    }

    /// Drives the deadlines, and returns once the program and every process left in its group are dead.
    /// It may be dropped and called again.
    ///
    /// # Errors
    ///
    /// When the system does not let us watch the program.
    pub(crate) async fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Phase::Reaped(outcome) = self.phase {
                self.bury().await;
                return Ok(Ended {
                    outcome,
                    cause: self.cause,
                });
            }
            let next = self.act(now());
            tokio::select! {
                ready = self.pidfd.readable() => {
                    drop(ready?);
                    self.reap()?;
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Does what is due at `now`, and tells when there will be something to do again.
    fn act(&mut self, now: Timestamp) -> Timestamp {
        let stop_at = self.bounds.deadline.before(self.bounds.stop_grace);
        let kill_at = self.bounds.deadline.min(self.kill_at);
        if self.phase == Phase::Running && now >= stop_at {
            self.tell_to_stop(Cause::Deadline);
        }
        if self.phase != Phase::Killed && now >= kill_at {
            kill_group(self.group);
            self.phase = Phase::Killed;
        }
        match self.phase {
            Phase::Running => stop_at.min(kill_at),
            Phase::Stopping => kill_at,
            Phase::Killed | Phase::Reaped(_) => Timestamp::NEVER,
        }
    }

    fn tell_to_stop(&mut self, cause: Cause) {
        self.phase = Phase::Stopping;
        self.cause = cause;
        self.send(Signal::TERM);
    }

    fn send(&self, signal: Signal) {
        // A pidfd cannot reach another process that got the same pid. The only failure left is that the
        // program has ended already, which `wait` is about to find.
        if let Err(error) = pidfd_send_signal(&self.pidfd, signal)
            && error != Errno::SRCH
        {
            tracing::warn!(pid = self.pid(), %error, "the program did not take the signal");
        }
    }

    /// Takes the program's outcome, and kills what it leaves in its group first, while the zombie still
    /// keeps the group's number from being given to others.
    fn reap(&mut self) -> io::Result<()> {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(self.group), peek)?.is_none() {
            return Ok(());
        }
        kill_group(self.group);
        let take = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if let Some(status) = waitid(WaitId::Pid(self.group), take)? {
            let outcome = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Outcome::Exited(code),
                (None, Some(signal)) => Outcome::Signaled(signal),
                (None, None) => return Ok(()),
            };
            self.phase = Phase::Reaped(outcome);
        }
        Ok(())
    }

    /// Waits until nobody is left in the killed group. A process that the kernel cannot end yet keeps
    /// us here, and with us the election: it might still act.
    async fn bury(&self) {
        let mut said = false;
        let killed = now();
        while self.is_anyone_left() {
            if !said && now().since(killed) > Self::VANISH {
                said = true;
                tracing::error!(
                    group = self.pid(),
                    "processes of the program are still alive after SIGKILL: the election stays held"
                );
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Reaps what is dead in the group. Orphans of it are our children, for we are their subreaper.
    fn is_anyone_left(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        while let Ok(Some(_)) = waitid(WaitId::Pgid(Some(self.group)), options) {}
        test_kill_process_group(self.group).is_ok()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Reaped(_)) {
            kill_group(self.group);
        }
    }
}

#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` returns the same open descriptor from `as_raw_fd` until it is dropped, and
    // nothing takes it out of the `AsyncFd`.
    unsafe { Ok(AsyncFd::register(pidfd)?) }
}

fn start_error(program: &Program, source: io::Error) -> StartError {
    let program = program.path.clone();
    match source.kind() {
        io::ErrorKind::NotFound => StartError::NotFound { program, source },
        io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock => {
            StartError::Failed { program, source }
        }
        _ => StartError::NotExecutable { program, source },
    }
}

fn kill_group(group: Pid) {
    if let Err(error) = kill_process_group(group, Signal::KILL)
        && error != Errno::SRCH
    {
        tracing::warn!(group = group.as_raw_nonzero(), %error, "the program's group cannot be killed");
    }
}

fn reap_blocking(mut child: std::process::Child) {
    if let Err(error) = child.wait() {
        tracing::warn!(pid = child.id(), %error, "the killed program cannot be waited for");
    }
}

/// Only wakes: whoever waits compares with the clock. Tokio's timers stop while the machine is
/// suspended, so a long sleep is taken in pieces.
async fn sleep_until(instant: Timestamp) {
    if instant == Timestamp::NEVER {
        return pending().await;
    }
    let left = instant.since(now());
    tokio::time::sleep(left.min(Duration::from_secs(1))).await;
}
