//! The elector's side of its keeper: the messages both ways, and what happens when the keeper dies.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::cgroup::Cgroup;
use super::fence::Fence;
use super::launch::Launched;
use super::lost::{self, LostKeeper};
use super::message::{Event, Order};
use super::pipe::Pipe;
use super::program::Program;
use super::wire::{Inbox, Outbox};
use incumbent::election::clock;
use incumbent::protocol::{FencingToken, Timestamp};
use incumbent::store::Identity;

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
    inbox: Inbox,
    outbox: Outbox,
    cgroup: Option<Cgroup>,
    fence: Option<Fence>,
    /// When to set it again, if no heartbeat does.
    fence_at: Timestamp,
    is_fenced: bool,
    /// The program that was asked for, until it is dead.
    run: Option<Run>,
    lost: Option<LostKeeper>,
    events: VecDeque<Event>,
}

/// The life of one program.
#[derive(Debug)]
struct Run {
    leader: Option<Pid>,
    /// When the keeper must have killed the tree, by the last deadline that it is known to have read.
    kill_at: Timestamp,
    /// The last deadline sent to it.
    sent: Timestamp,
    /// When patience ends, if that is before the deadline.
    stop_by: Timestamp,
    killing: bool,
}

impl Keeper {
    /// How long after the deadline the keeper may take to say that it has killed, before the elector
    /// kills it, and the program with it: half of the smallest margin.
    const SLACK: Duration = Duration::from_millis(25);
    /// The same for the end of a stop timeout. Safety does not depend on it, and a machine that freezes both
    /// for a while must not cost the program's exit status.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// Connects a keeper with the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the socket.
    pub fn attach(launched: Launched) -> io::Result<Self> {
        Ok(Self {
            pid: launched.pid,
            pipe: Some(Pipe::new(launched.pipe)?),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            cgroup: None,
            fence: launched.fence,
            fence_at: Timestamp::NEVER,
            is_fenced: false,
            run: None,
            lost: None,
            events: VecDeque::new(),
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

    /// Whether a fence is around its programs.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    /// The cgroup of the program, once the keeper has reported it.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_ref().map(Cgroup::path)
    }

    /// Sends the keeper what its release hook needs. It may hold secrets: no one else sees it.
    pub fn set_context(&mut self, context: Vec<u8>) {
        self.send(&Order::Context(context));
    }

    /// Reports that `who` holds `term`: the keeper releases it if this process dies.
    pub fn hold(&mut self, who: Identity, term: FencingToken) {
        self.send(&Order::Hold { who, term });
    }

    /// Reports that the term was released or lost, so that there is nothing left to release.
    pub fn released(&mut self) {
        self.send(&Order::Released);
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
            sent: deadline,
            stop_by: Timestamp::NEVER,
            killing: false,
        });
        self.move_fence(deadline);
        self.send(&Order::Start {
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
        let is_read = self.has_read_all();
        // An older deadline is an earlier one, so one may be dropped.
        if let Some(run) = &mut self.run
            && !self.outbox.is_full()
        {
            run.sent = deadline;
            run.kill_at = if is_read {
                deadline
            } else {
                run.kill_at.min(deadline)
            };
            self.send(&Order::Deadline(deadline));
        }
    }

    /// Lets packets of the program out until this moment.
    fn move_fence(&mut self, deadline: Timestamp) {
        if let Some(fence) = &self.fence {
            self.fence_at = fence.set(deadline);
        }
    }

    /// Whether the keeper has read every message.
    fn has_read_all(&self) -> bool {
        let unread = self.pipe.as_ref().is_none_or(Pipe::has_unread);
        self.outbox.is_empty() && !unread
    }

    /// Hands a signal on to the program, if it runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.run.is_some() && !self.outbox.is_full() {
            self.send(&Order::Signal(signal));
        }
    }

    /// Asks the program to end, and has it killed when it has not after `timeout`, or at its deadline.
    /// It gets one signal, however often it is asked.
    pub fn stop(&mut self, timeout: Duration) {
        let by = clock::now() + timeout;
        if let Some(run) = &mut self.run {
            run.stop_by = run.stop_by.min(by);
            self.send(&Order::Stop { by });
        }
    }

    /// Has the whole tree of the program killed now.
    pub fn kill(&mut self) {
        if let Some(run) = &mut self.run {
            run.stop_by = clock::now();
            self.send(&Order::Kill);
        }
    }

    /// Waits for what happens next. It may be dropped at any time and called again.
    pub async fn event(&mut self) -> Event {
        loop {
            self.receive();
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            if let Some(lost) = &mut self.lost {
                let Some(run) = &mut self.run else {
                    lost.reap().await;
                    return pending().await;
                };
                let (cgroup, events) = (self.cgroup.as_ref(), &mut self.events);
                if lost.end_program(&mut run.leader, cgroup, events).await {
                    self.run = None;
                }
                continue;
            }
            let guard_at = self.guard_at();
            if clock::now() >= guard_at {
                // However late we are ourselves, it is judged by all that it had said by then.
                self.receive();
                if !self.events.is_empty() || self.catch_up() {
                    continue;
                }
                tracing::error!(pid = %self.pid, "the keeper did not act in time and is killed");
                self.lose();
                continue;
            }
            if let Some(run) = &self.run
                && clock::now() >= self.fence_at
            {
                self.move_fence(run.sent);
            }
            self.flush();
            let wake_at = guard_at.min(match self.run {
                Some(_) => self.fence_at,
                None => Timestamp::NEVER,
            });
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
                () = clock::sleep_until(wake_at) => {}
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
            let is_reaped = match &mut self.lost {
                Some(lost) => lost.is_reaped(),
                None => lost::reap(self.pid),
            };
            if is_reaped {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
        tracing::error!(pid = %self.pid, "the keeper has not ended, and is left alone");
    }

    /// Whether the keeper has read a later deadline meanwhile: several may be sent in a row.
    fn catch_up(&mut self) -> bool {
        let is_read = self.has_read_all();
        match &mut self.run {
            Some(run) if is_read && run.kill_at < run.sent => {
                run.kill_at = run.sent;
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

    fn send(&mut self, order: &Order) {
        self.outbox.push(order);
        self.flush();
    }

    fn flush(&mut self) {
        match &mut self.pipe {
            Some(pipe) => self.outbox.flush(|bytes| pipe.write(bytes)),
            None => self.outbox.clear(),
        }
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
                Ok(read) => self.inbox.push(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::error!(%error, "the pipe to the keeper is broken");
                    self.lose();
                    return;
                }
            }
            loop {
                match self.inbox.next() {
                    Ok(Some(event)) => self.take_in(event),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "the keeper sent nonsense, and is killed");
                        self.lose();
                        return;
                    }
                }
            }
        }
    }

    fn take_in(&mut self, event: Event) {
        if let Event::Ready { containment, .. } = &event {
            self.cgroup = containment.cgroup.clone().map(Cgroup::existing);
            self.is_fenced = containment.unfenced.is_none();
        }
        if let Some(run) = &mut self.run {
            match &event {
                Event::Started(pid) => run.leader = Pid::from_raw(*pid),
                Event::Killing(_) => run.killing = true,
                Event::Exited(_) => run.leader = None,
                _ => {}
            }
        }
        if event == Event::Dead {
            self.run = None;
        }
        self.events.push_back(event);
    }

    fn lose(&mut self) {
        if self.lost.is_none() {
            self.pipe = None;
            self.lost = Some(LostKeeper::new(self.pid));
            self.events.push_back(Event::KeeperLost);
        }
    }
}

#[cfg(test)]
impl Keeper {
    /// A keeper that has reported these events, and its end of the pipe. There is no process.
    pub(crate) fn that_reported(events: &[Event]) -> (Self, std::os::unix::net::UnixStream) {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut outbox = Outbox::default();
        for event in events {
            outbox.push(event);
        }
        outbox.flush(|bytes| io::Write::write(&mut theirs, bytes));
        let launched = Launched {
            pid: rustix::process::getpid(),
            pipe: ours,
            fence: None,
        };
        (Self::attach(launched).unwrap(), theirs)
    }
}
