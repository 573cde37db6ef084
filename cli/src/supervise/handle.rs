//! The elector's side of its keeper: the messages both ways, and what happens when the keeper dies.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::cgroup::Cgroup;
use super::children;
use super::contain::Containment;
use super::fence::Fence;
use super::launch::Launched;
use super::message::{Frames, FromKeeper, Message, ToKeeper};
use super::pipe::Pipe;
use super::plan::Cause;
use super::program::{Program, ProgramExit, StartFailure};
use super::tree;
use incumbent::election::clock;
use incumbent::protocol::{Term, Timestamp};
use incumbent::store::Identity;

/// What happens to the program, and to its keeper.
///
/// Every [`Keeper::start`] that succeeds is answered by [`Event::Started`] or [`Event::NotStarted`], and
/// after that by exactly one [`Event::Dead`].
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The keeper is up, and cannot contain a program as it was asked to: why. It starts none.
    Uncontained(String),
    /// The program runs, with this process id.
    Started(i32),
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
        pids: Vec<i32>,
    },
    /// Some processes are alive a second after SIGKILL, most likely in a system call that cannot be
    /// interrupted. It comes again every second. The election must stay held.
    Surviving {
        /// The process ids of the first few of them.
        pids: Vec<i32>,
    },
    /// Nothing of the program is left: this, and only this, allows the term to be released.
    Dead,
    /// The keeper has died, or did not act in time and was killed. What is left of the program is being
    /// killed; nothing can be started any more.
    KeeperLost,
}

/// The keeper was lost: see [`Event::KeeperLost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keeper of the program is gone")]
pub struct KeeperLost;

/// The keeper, seen from the elector.
///
/// A call returns once its message is under way; [`Keeper::event`] returns what follows. Await that all the
/// time, since it also guards the keeper.
#[derive(Debug)]
pub struct Keeper {
    pid: Pid,
    pipe: Option<Pipe>,
    frames: Frames,
    unsent: Vec<u8>,
    cgroup: Option<PathBuf>,
    fence: Option<Fence>,
    /// The program that was asked for, until it is dead.
    run: Option<Run>,
    lost: Option<Loss>,
    news: VecDeque<Event>,
}

/// The life of one program.
#[derive(Debug)]
struct Run {
    leader: Option<Pid>,
    /// When the keeper must have killed the tree, by the last deadline that it is known to have read.
    kill_at: Timestamp,
    /// The last deadline sent to it.
    told: Timestamp,
    /// When patience ends, if that is before the deadline.
    stop_by: Timestamp,
    killing: bool,
}

/// How far the end of a lost keeper has come.
#[derive(Debug)]
struct Loss {
    keeper_reaped: bool,
    pause: Duration,
    loud: Timestamp,
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

impl Keeper {
    /// How long after the deadline the keeper may take to say that it has killed, before the elector
    /// kills it, and the program with it: half of the smallest margin.
    const SLACK: Duration = Duration::from_millis(25);
    /// The same for the end of a stop timeout. Safety does not depend on it, and a machine that freezes both
    /// for a while must not cost the program's exit status.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// How much the keeper may leave unread before deadlines are dropped. An older deadline is an
    /// earlier one, so that is safe.
    const MOST_UNSENT: usize = 64 << 10;
    const LOUD_EVERY: Duration = Duration::from_secs(1);
    const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
    const LONGEST_PAUSE: Duration = Duration::from_millis(250);

    /// Connects a keeper with the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the socket.
    pub fn attach(launched: Launched) -> io::Result<Self> {
        Ok(Self {
            pid: launched.pid,
            pipe: Some(Pipe::new(launched.pipe)?),
            frames: Frames::default(),
            unsent: Vec::new(),
            cgroup: None,
            fence: launched.fence,
            run: None,
            lost: None,
            news: VecDeque::new(),
        })
    }

    /// The keeper's process id.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether a program was asked for that is not dead yet.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.run.is_some()
    }

    /// Whether the keeper has died, or was killed because it did not act.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// The cgroup of the program, once the keeper has reported it.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }

    /// Sends the keeper what its release hook needs. It may hold secrets: no one else sees it.
    pub fn set_context(&mut self, context: Vec<u8>) {
        self.tell(&ToKeeper::Context(context));
    }

    /// Reports that `who` holds `term`: the keeper releases it if this process dies.
    pub fn hold(&mut self, who: Identity, term: Term) {
        self.tell(&ToKeeper::Hold { who, term });
    }

    /// Reports that the term was released or lost, so that there is nothing left to release.
    pub fn released(&mut self) {
        self.tell(&ToKeeper::Released);
    }

    /// Has a program started, which is asked to end `grace` before `deadline` and dead at `deadline`.
    ///
    /// # Errors
    ///
    /// [`KeeperLost`] when there is no keeper any more. Nothing runs then.
    ///
    /// # Panics
    ///
    /// When the program before it is not dead yet ([`Keeper::is_busy`]).
    pub fn start(
        &mut self,
        program: Program,
        deadline: Timestamp,
        grace: Duration,
    ) -> Result<(), KeeperLost> {
        assert!(self.run.is_none(), "one program at a time");
        if self.lost.is_some() || self.pipe.is_none() {
            return Err(KeeperLost);
        }
        self.run = Some(Run {
            leader: None,
            kill_at: deadline,
            told: deadline,
            stop_by: Timestamp::NEVER,
            killing: false,
        });
        self.move_fence(deadline);
        self.tell(&ToKeeper::Start {
            program,
            deadline,
            grace,
        });
        Ok(())
    }

    /// Moves the deadline. A keeper that has not read the last message is still held to the deadline that it
    /// knows, so one that is frozen is noticed by the end of the tenure.
    pub fn set_deadline(&mut self, deadline: Timestamp) {
        self.move_fence(deadline);
        let heeded = self.has_heeded();
        if let Some(run) = &mut self.run
            && self.unsent.len() < Self::MOST_UNSENT
        {
            run.told = deadline;
            run.kill_at = if heeded {
                deadline
            } else {
                run.kill_at.min(deadline)
            };
            self.tell(&ToKeeper::Deadline(deadline));
        }
    }

    /// Lets packets of the program out until this moment.
    fn move_fence(&self, deadline: Timestamp) {
        if let Some(fence) = &self.fence {
            fence.set(deadline);
        }
    }

    /// Whether the keeper has read every message.
    fn has_heeded(&self) -> bool {
        let unread = self.pipe.as_ref().is_none_or(Pipe::has_unread);
        self.unsent.is_empty() && !unread
    }

    /// Hands a signal on to the program, if it runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.run.is_some() && self.unsent.len() < Self::MOST_UNSENT {
            self.tell(&ToKeeper::Signal(signal));
        }
    }

    /// Asks the program to end, and has it killed when it has not after `timeout`, or at its deadline.
    /// It gets one signal, however often it is asked.
    pub fn stop(&mut self, timeout: Duration) {
        let by = clock::now() + timeout;
        if let Some(run) = &mut self.run {
            run.stop_by = run.stop_by.min(by);
            let deadline = run.told;
            // It was set early by a part of the time that was left then.
            self.move_fence(deadline);
            self.tell(&ToKeeper::Stop { by });
        }
    }

    /// Has the whole tree of the program killed now.
    pub fn kill(&mut self) {
        if let Some(run) = &mut self.run {
            run.stop_by = clock::now();
            self.tell(&ToKeeper::Kill);
        }
    }

    /// Waits for what happens next. It may be dropped at any time and called again.
    pub async fn event(&mut self) -> Event {
        loop {
            self.receive();
            if let Some(event) = self.news.pop_front() {
                return event;
            }
            if self.lost.is_some() {
                self.bury().await;
                continue;
            }
            let guard_at = self.guard_at();
            if clock::now() >= guard_at {
                // However late we are ourselves, it is judged by all that it had said by then.
                self.receive();
                if !self.news.is_empty() || self.catch_up() {
                    continue;
                }
                tracing::error!(pid = %self.pid, "the keeper did not act in time and is killed");
                self.lose();
                continue;
            }
            self.flush();
            let Some(pipe) = &self.pipe else {
                self.lose();
                continue;
            };
            tokio::select! {
                ready = pipe.ready() => {
                    if let Err(error) = ready {
                        tracing::error!(%error, "the pipe to the keeper is broken");
                        self.lose();
                    }
                }
                // It only wakes: the clock is asked above.
                () = clock::sleep_until(guard_at) => {}
            }
        }
    }

    /// Lets the keeper go, and waits until it has ended, a few seconds at most. A program that still
    /// runs is killed by it, and a term that is still held is released by it.
    pub async fn close(mut self) {
        const STEP: Duration = Duration::from_millis(1);
        const STEPS: u32 = 3000;
        self.pipe = None;
        for _ in 0..STEPS {
            if self.is_keeper_reaped() {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
        tracing::error!(pid = %self.pid, "the keeper has not ended, and is left alone");
    }

    /// Whether the keeper has read a later deadline meanwhile: several may be sent in a row.
    fn catch_up(&mut self) -> bool {
        let heeded = self.has_heeded();
        match &mut self.run {
            Some(run) if heeded && run.kill_at < run.told => {
                run.kill_at = run.told;
                true
            }
            Some(_) | None => false,
        }
    }

    fn guard_at(&self) -> Timestamp {
        match &self.run {
            Some(run) if !run.killing => {
                (run.kill_at + Self::SLACK).min(run.stop_by + Self::PATIENCE)
            }
            Some(_) | None => Timestamp::NEVER,
        }
    }

    fn tell(&mut self, message: &ToKeeper) {
        message.write(&mut self.unsent);
        self.flush();
    }

    fn flush(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return self.unsent.clear();
        };
        while !self.unsent.is_empty() {
            match pipe.write(&self.unsent) {
                Ok(written) => {
                    self.unsent.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The keeper is gone; reading finds that out, after what it had still to say.
                Err(_) => return self.unsent.clear(),
            }
        }
        // A command line and an environment may have been large.
        self.unsent.shrink_to(1024);
    }

    /// Takes in all that can be read.
    fn receive(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(pipe) = &self.pipe {
            match pipe.read(&mut bytes) {
                Ok(0) => {
                    self.lose();
                    return;
                }
                Ok(read) => self.frames.push(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::error!(%error, "the pipe to the keeper is broken");
                    self.lose();
                    return;
                }
            }
            loop {
                match self.frames.next() {
                    Ok(Some(message)) => self.take_in(message),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "the keeper talks nonsense, and is killed");
                        self.lose();
                        return;
                    }
                }
            }
        }
    }

    fn take_in(&mut self, message: FromKeeper) {
        let event = match message {
            FromKeeper::Ready {
                containment,
                memory_locked,
                real_time,
            } => {
                self.cgroup.clone_from(&containment.cgroup);
                Event::Ready {
                    containment,
                    memory_locked,
                    real_time,
                }
            }
            FromKeeper::Uncontained(why) => Event::Uncontained(why),
            FromKeeper::Started(pid) => {
                if let Some(run) = &mut self.run {
                    run.leader = Some(pid);
                }
                Event::Started(pid.as_raw_nonzero().get())
            }
            FromKeeper::NotStarted(failure) => Event::NotStarted(failure),
            FromKeeper::Stopping(cause) => Event::Stopping(cause),
            FromKeeper::Killing(cause) => {
                if let Some(run) = &mut self.run {
                    run.killing = true;
                }
                Event::Killing(cause)
            }
            FromKeeper::Exited(exit) => {
                if let Some(run) = &mut self.run {
                    run.leader = None;
                }
                Event::Exited(exit)
            }
            FromKeeper::Surviving(pids) => surviving(&pids),
            FromKeeper::LeftBehind(pids) => Event::LeftBehind {
                pids: numbers(&pids),
            },
            FromKeeper::Dead => {
                self.run = None;
                Event::Dead
            }
        };
        self.news.push_back(event);
    }

    fn lose(&mut self) {
        if self.lost.is_some() {
            return;
        }
        self.pipe = None;
        self.lost = Some(Loss {
            keeper_reaped: false,
            pause: Duration::ZERO,
            loud: clock::now() + Self::LOUD_EVERY,
        });
        self.news.push_back(Event::KeeperLost);
    }

    /// Takes one step towards the end of a lost keeper's program.
    async fn bury(&mut self) {
        let Some(run) = &self.run else {
            // Nothing depends on it; it must only not stay a zombie.
            kill_keeper(self.pid);
            let mut pause = Self::SHORTEST_PAUSE;
            while !self.is_keeper_reaped() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Self::LONGEST_PAUSE);
            }
            return pending().await;
        };
        let leader = run.leader;
        let Some(pause) = self.lost.as_ref().map(|loss| loss.pause) else {
            return;
        };
        tokio::time::sleep(pause).await;
        let step = self.bury_now(leader);
        if matches!(step, Ok(Step::Dead)) {
            self.run = None;
            self.news.push_back(Event::Dead);
        } else if let Some(loss) = &mut self.lost {
            loss.pause = match step {
                // What died may have left its children to us.
                Ok(Step::Progress) => Self::SHORTEST_PAUSE,
                _ => (loss.pause * 2).clamp(Self::SHORTEST_PAUSE, Self::LONGEST_PAUSE),
            };
            let now = clock::now();
            if now >= loss.loud {
                loss.loud = now + Self::LOUD_EVERY;
                if let Err(error) = step {
                    tracing::error!(
                        %error,
                        "it cannot be told whether the program of the lost keeper is dead, and the \
                         election stays held: end what is left of it, and then this process"
                    );
                }
                let pids = tree::survivors(&children::spared()).unwrap_or_default();
                self.news.push_back(surviving(&pids));
            }
        }
    }

    /// Kills what is left of a lost keeper's program, and returns whether it is proven dead.
    ///
    /// # Errors
    ///
    /// When its processes cannot be listed.
    fn bury_now(&mut self, leader: Option<Pid>) -> io::Result<Step> {
        let cgroup = self.cgroup.clone().map(Cgroup::existing);
        if let Some(cgroup) = &cgroup
            && let Err(error) = cgroup.kill()
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the cgroup of the program cannot be killed");
        }
        // Its orphans become our children before it can be reaped.
        if !self.is_keeper_reaped() {
            kill_keeper(self.pid);
            if !self.is_keeper_reaped() {
                return Ok(Step::Nothing);
            }
        }
        let reaped = children::bury(leader)?;
        if let Some(exit) = reaped.leader {
            if let Some(run) = &mut self.run {
                run.leader = None;
            }
            self.news.push_back(Event::Exited(exit));
        }
        if !reaped.childless || cgroup.as_ref().is_some_and(Cgroup::is_populated) {
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

    fn is_keeper_reaped(&mut self) -> bool {
        if self.lost.as_ref().is_some_and(|loss| loss.keeper_reaped) {
            return true;
        }
        // Any error means that it is not our child any more: it was reaped.
        let reaped = !matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None));
        if let Some(loss) = &mut self.lost {
            loss.keeper_reaped = reaped;
        }
        if reaped {
            children::forget(self.pid);
        }
        reaped
    }
}

fn kill_keeper(pid: Pid) {
    // It is our child. Nobody else reaps it, so the number is its own as long as it is listed.
    if !children::own().contains(&pid) {
        return;
    }
    if let Err(error) = kill_process(pid, Signal::KILL) {
        tracing::debug!(%pid, %error, "the keeper takes no signal");
    }
}

fn surviving(pids: &[Pid]) -> Event {
    Event::Surviving {
        pids: numbers(pids),
    }
}

fn numbers(pids: &[Pid]) -> Vec<i32> {
    pids.iter().map(|pid| pid.as_raw_nonzero().get()).collect()
}
