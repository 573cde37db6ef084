//! The end of a keeper that died, or did not act in time: the elector kills what is left of its program, and
//! proves it dead, in its place.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::cgroup::Cgroup;
use super::children;
use super::message::Event;
use super::tree;
use incumbent::election::clock;
use incumbent::protocol::Timestamp;

/// A lost keeper, and how far its end has come.
#[derive(Debug)]
pub(super) struct LostKeeper {
    pid: Pid,
    is_reaped: bool,
    /// When to take the next step. It stays when a wait for it is given up.
    next: Timestamp,
    /// How long to wait after that.
    pause: Duration,
    report_at: Timestamp,
}

/// The result of one step towards that end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing of the program is left.
    Dead,
    /// Some of it was reaped.
    Progress,
    Nothing,
}

impl LostKeeper {
    /// How often survivors are reported.
    const REPORT_EVERY: Duration = Duration::from_secs(1);
    const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
    const LONGEST_PAUSE: Duration = Duration::from_millis(250);

    pub(super) fn new(pid: Pid) -> Self {
        Self {
            pid,
            is_reaped: false,
            next: clock::now(),
            pause: Duration::ZERO,
            report_at: clock::now() + Self::REPORT_EVERY,
        }
    }

    /// Kills and reaps it, when no program depends on it: it must only not stay a zombie.
    pub(super) async fn reap(&mut self) {
        kill(self.pid);
        let mut pause = Self::SHORTEST_PAUSE;
        while !self.is_reaped() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Self::LONGEST_PAUSE);
        }
    }

    /// Takes one step towards the end of its program, adds what happened to `events`, and returns whether the
    /// program is proven dead. `leader` is the program itself, until it is reaped.
    ///
    /// It may be dropped at any time and called again.
    pub(super) async fn end_program(
        &mut self,
        leader: &mut Option<Pid>,
        cgroup: Option<&Cgroup>,
        events: &mut VecDeque<Event>,
    ) -> bool {
        clock::sleep_until(self.next).await;
        let step = self.step(leader, cgroup, events);
        if matches!(step, Ok(Step::Dead)) {
            events.push_back(Event::Dead);
            return true;
        }
        self.pause = match step {
            // What died may have left its children to us.
            Ok(Step::Progress) => Self::SHORTEST_PAUSE,
            _ => (self.pause * 2).clamp(Self::SHORTEST_PAUSE, Self::LONGEST_PAUSE),
        };
        let now = clock::now();
        self.next = now + self.pause;
        if now >= self.report_at {
            self.report_at = now + Self::REPORT_EVERY;
            if let Err(error) = step {
                tracing::error!(
                    %error,
                    "it cannot be told whether the program of the lost keeper is dead, and the \
                     election stays held: end what is left of it, and then this process"
                );
            }
            let pids = tree::survivors(&children::spared()).unwrap_or_default();
            events.push_back(Event::surviving(&pids));
        }
        false
    }

    /// Kills what is left, and returns whether it is proven dead.
    ///
    /// # Errors
    ///
    /// When its processes cannot be listed.
    fn step(
        &mut self,
        leader: &mut Option<Pid>,
        cgroup: Option<&Cgroup>,
        events: &mut VecDeque<Event>,
    ) -> io::Result<Step> {
        if let Some(cgroup) = cgroup
            && let Err(error) = cgroup.kill()
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the cgroup of the program cannot be killed");
        }
        // Its orphans become our children before it can be reaped.
        if !self.is_reaped() {
            kill(self.pid);
            if !self.is_reaped() {
                return Ok(Step::Nothing);
            }
        }
        let reaped = children::end_orphans(*leader)?;
        if let Some(exit) = reaped.leader {
            *leader = None;
            events.push_back(Event::Exited(exit));
        }
        if !reaped.childless || cgroup.is_some_and(Cgroup::is_populated) {
            return Ok(if reaped.any {
                Step::Progress
            } else {
                Step::Nothing
            });
        }
        if let Some(cgroup) = cgroup {
            cgroup.remove();
        }
        Ok(Step::Dead)
    }

    pub(super) fn is_reaped(&mut self) -> bool {
        self.is_reaped = self.is_reaped || reap(self.pid);
        self.is_reaped
    }
}

/// Reaps a keeper that has ended, and returns whether it has.
pub(super) fn reap(pid: Pid) -> bool {
    // Any error means that it is not our child any more: it was reaped.
    let is_reaped = !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None));
    if is_reaped {
        children::forget(pid);
    }
    is_reaped
}

fn kill(pid: Pid) {
    // It is our child. Nobody else reaps it, so the number is its own as long as it is listed.
    if !children::own().contains(&pid) {
        return;
    }
    if let Err(error) = kill_process(pid, Signal::KILL) {
        tracing::debug!(%pid, %error, "the keeper takes no signal");
    }
}
