//! The keeper: the process that owns the program and outlives the elector by as long as it takes to
//! prove the program dead.
//!
//! One thread, no runtime, one `poll`. It decides nothing: the [`Plan`] does, and what is here reads
//! the pipe, the clock and the children, and carries out what the plan says.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper, setsid};

use super::cgroup::Cgroup;
use super::contain::{Contain, Containment, Namespace, NamespaceFactory};
use super::fence;
use super::hidepid;
use super::launch::Entry;
use super::message::{Event, Order};
use super::plan::{Action, Input, Plan};
use super::program::{Program, ProgramExit, StartFailure};
use super::signals;
use super::spawn::{Priority, Progress, Starting, spawn};
use super::timer::{Timer, patience};
use super::tree::{self, OrphanKiller};
use super::wire::{Inbox, Outbox};
use incumbent::election::clock;
use incumbent::protocol::{FencingToken, Timestamp};
use incumbent::store::Identity;

/// What an elector left behind when it died: a term to release on every store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// What the elector sent about its stores, unchanged.
    pub context: Vec<u8>,
    /// The holder of the term.
    pub who: Identity,
    /// The term.
    pub term: FencingToken,
}

/// Runs the keeper until its elector is gone and nothing of the program is left.
///
/// `release` is called at most once: when the elector died while it held a term, after the program has
/// been proven dead. It must end within a bounded time.
///
/// Call it first thing in `main`, before any thread exists: the death signal of the program is tied to
/// the thread that starts it.
#[must_use]
pub fn keep(entry: Entry, release: impl FnOnce(Orphan)) -> ExitCode {
    let mut keeper = match KeeperProcess::prepare(entry) {
        Ok(keeper) => keeper,
        Err(error) => {
            tracing::error!(%error, "the keeper cannot work");
            return ExitCode::from(125);
        }
    };
    while !keeper.over {
        keeper.turn();
    }
    if let Some((who, term)) = keeper.held.take() {
        release(Orphan {
            context: std::mem::take(&mut keeper.context),
            who,
            term,
        });
    }
    if let Some(cgroup) = keeper.cgroup.take() {
        cgroup.remove();
    }
    ExitCode::SUCCESS
}

struct KeeperProcess {
    plan: Plan,
    pipe: UnixStream,
    inbox: Inbox,
    outbox: Outbox,
    timer: Timer,
    armed: Timestamp,
    /// Readable when a child has ended.
    children: UnixStream,
    priority: Priority,
    cgroup: Option<Cgroup>,
    /// What makes PID namespaces, if the program is to have one.
    factory: Option<NamespaceFactory>,
    /// That of the program, until nothing is left in it.
    namespace: Option<Namespace>,
    /// Whether a program cannot be contained as it was asked for, so that none is started.
    refused: bool,
    /// The program, until it is reaped.
    leader: Option<Pid>,
    /// The same, until it runs.
    starting: Option<Starting>,
    orphan_killer: OrphanKiller,
    /// Whether there is no child, but something in the cgroup: its end is no child's.
    has_strays: bool,
    context: Vec<u8>,
    held: Option<(Identity, FencingToken)>,
    /// Whether the elector is gone, so that no order is read any more.
    orphaned: bool,
    over: bool,
}

impl KeeperProcess {
    fn prepare(entry: Entry) -> io::Result<Self> {
        // Fifteen bytes is all that fits.
        // Not the name of the elector: `pkill incumbent` shall leave somebody who ends the program.
        rustix::thread::set_name(c"keeper")?;
        setsid()?;
        set_child_subreaper(Some(getpid()))?;
        let (children, wake) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(Signal::CHILD.as_raw(), wake)?;
        signals::ignore_all()?;
        let pipe = entry.pipe;
        pipe.set_nonblocking(true)?;
        let priority = Priority::raise();
        let with_cgroup = entry.contain != Contain::Subreaper;
        let cgroup = with_cgroup.then(Cgroup::create).flatten();
        let unfenced = fence::put_around(cgroup.as_ref(), entry.fence);
        let mut keeper = Self {
            plan: Plan::new(),
            pipe,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            timer: Timer::new()?,
            armed: Timestamp::NEVER,
            children,
            priority,
            cgroup,
            factory: None,
            namespace: None,
            refused: false,
            leader: None,
            starting: None,
            orphan_killer: OrphanKiller::default(),
            has_strays: false,
            context: Vec::new(),
            held: None,
            orphaned: false,
            over: false,
        };
        let memory_locked =
            mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
                .is_ok();
        let factory = entry.contain.namespace_factory(keeper.cgroup.is_some());
        keeper.refused = factory.is_err();
        let ready = factory.map(|factory| {
            keeper.factory = factory;
            let cgroup = keeper.cgroup.as_ref();
            let containment = Containment {
                cgroup: cgroup.map(|cgroup| cgroup.path().to_owned()),
                pid_namespace: keeper.factory.is_some(),
                hidden: hidepid::hides_processes(),
                unfenced,
            };
            Event::Ready {
                containment,
                memory_locked,
                real_time: keeper.priority.real_time,
            }
        });
        keeper.report(&ready.unwrap_or_else(Event::Uncontained));
        // The code that kills runs once before there is anything to kill, so that it is in memory when it
        // matters: whatever comes there from now on is locked. Meanwhile the elector campaigns.
        tree::preload()?;
        Ok(keeper)
    }

    /// Waits for something to happen, and deals with it.
    fn turn(&mut self) {
        self.arm();
        let interest = if self.outbox.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        };
        let mut sources = vec![
            PollFd::new(&self.children, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        if let Some(starting) = &self.starting {
            sources.push(PollFd::new(starting, PollFlags::IN));
        }
        let events = self.cgroup.as_ref().and_then(Cgroup::events);
        if let Some(events) = events.filter(|_| self.has_strays) {
            sources.push(PollFd::new(events, PollFlags::PRI));
        }
        // The end of the pipe is always ready to be read: once it was, there is nothing to wait for.
        if !self.orphaned {
            sources.push(PollFd::new(&self.pipe, interest));
        }
        // The timer runs on boot time, which may be slowed down: well before the deadline it is set anew.
        let patience = patience(self.plan.wake_at());
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut sources, patience.as_ref()) {
            Ok(0) => self.armed = Timestamp::NEVER,
            // A signal that was caught to be ignored.
            Ok(1..) | Err(Errno::INTR) => {}
            Err(error) => {
                // Without `poll` nothing would watch the deadline.
                tracing::error!(%error, "the keeper cannot wait for anything");
                self.step(Input::Orphaned);
            }
        }
        // Time first: whatever else has come in, a deadline that has passed is acted upon.
        self.step(Input::Woken);
        if drain(&self.timer) {
            self.armed = Timestamp::NEVER;
        }
        drain(&self.children);
        self.follow_start(false);
        self.reap();
        if !self.orphaned {
            self.listen();
            self.flush();
        }
    }

    fn step(&mut self, input: Input) {
        if input == Input::Orphaned {
            self.orphaned = true;
        }
        for action in self.plan.step(clock::now(), input) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(program) => self.start(&program),
            Action::Signal(signal) => self.signal_leader(signal),
            Action::TerminateRest => {
                let left = self.survivors();
                // Some kernels (6.19 and later) empty the cgroup a moment after the last process in it was reaped.
                if !left.is_empty() {
                    self.report(&Event::left_behind(&left));
                }
                if let Err(error) = tree::signal_descendants(Signal::TERM, &[]) {
                    tracing::error!(%error, "cannot ask the processes that the program left behind to end");
                }
            }
            Action::Kill => {
                self.kill();
                self.reap();
            }
            Action::KillOrphans => {
                if let Err(error) = self.orphan_killer.kill_new() {
                    tracing::error!(%error, "the processes of the program cannot be found");
                }
            }
            Action::Report(event) => self.report(&event),
            Action::ReportSurvivors => {
                let survivors = self.survivors();
                if self.orphaned {
                    // Nobody else is left to say it.
                    let (count, first) = (survivors.len(), survivors.first());
                    tracing::error!(count, ?first, "the program is still alive after SIGKILL");
                }
                self.report(&Event::surviving(&survivors));
            }
            // The release comes after the loop, when nothing is left to be watched.
            Action::Exit => self.over = true,
        }
    }

    fn start(&mut self, program: &Program) {
        let (cgroup, factory) = (self.cgroup.as_ref(), self.factory.as_ref());
        let started = match self.refused {
            true => Err(StartFailure::from_errno(Errno::PERM)),
            false => spawn(program, &self.priority, cgroup, factory),
        };
        match started {
            Ok(starting) => {
                self.leader = (!starting.awaits_namespace()).then_some(starting.pid);
                self.starting = Some(starting);
            }
            Err(failure) => {
                self.report(&Event::NotStarted(failure));
                self.step(Input::TreeEmpty);
            }
        }
    }

    /// Tells how the start of the program went, once that is known: at the latest when the program has ended.
    fn follow_start(&mut self, has_ended: bool) {
        let Some(starting) = &mut self.starting else {
            return;
        };
        let progress = starting.progress(has_ended);
        let (pid, is_killed) = (starting.pid.as_raw_nonzero().get(), starting.is_killed);
        match progress {
            Progress::Under => return,
            Progress::InNamespace(namespace, program, signals) => {
                (self.namespace, self.leader) = (Some(namespace), Some(program));
                for signal in signals {
                    self.signal_leader(signal);
                }
                return self.follow_start(has_ended);
            }
            Progress::Started => self.report(&Event::Started(pid)),
            Progress::Failed(failure) => {
                // The child that is left of it only ends.
                self.leader = None;
                if let Some(namespace) = &self.namespace {
                    namespace.kill();
                }
                if is_killed && failure == StartFailure::from_errno(Errno::CHILD) {
                    // Of the processes that start it, those that live a moment longer miss the others.
                    self.report(&Event::Started(pid));
                    self.report(&Event::Exited(ProgramExit::KILLED));
                } else {
                    self.report(&Event::NotStarted(failure));
                }
            }
        }
        self.starting = None;
    }

    fn signal_leader(&mut self, signal: Signal) {
        // The leader is not reaped yet, so its pid is its own.
        match (self.leader, &mut self.starting) {
            (Some(leader), _) => {
                if let Err(error) = kill_process(leader, signal) {
                    tracing::warn!(pid = %leader, %error, "the program takes no signal");
                }
            }
            (None, Some(starting)) => starting.signal_later(signal),
            (None, None) => {}
        }
    }

    fn kill(&mut self) {
        self.orphan_killer.start_over();
        if let Some(starting) = &mut self.starting {
            starting.is_killed = true;
        }
        // First what takes no lock: on a machine that moves many processes between cgroups, killing one
        // takes some tens of milliseconds.
        if let Some(leader) = self.leader {
            // A process needs a processor to die, and others may want them all.
            self.priority.raise_group(leader);
            tree::kill_group(leader);
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.kill()
        {
            tracing::error!(%error, "the cgroup of the program cannot be killed in one stroke");
        }
        if let Some(namespace) = &self.namespace {
            self.priority.raise_process(namespace.init());
            // The kernel finds them all.
            return namespace.kill();
        }
        if let Err(error) = tree::kill_descendants(self.leader, &[]) {
            tracing::error!(%error, "the processes of the program cannot be found");
        }
    }

    fn reap(&mut self) {
        if self
            .starting
            .as_ref()
            .is_some_and(Starting::awaits_namespace)
        {
            // The exit status of the program would be lost.
            self.has_strays = false;
            return;
        }
        let reaped = tree::reap(self.leader);
        let is_populated = || self.cgroup.as_ref().is_some_and(Cgroup::is_populated);
        self.has_strays = reaped.childless && is_populated();
        if let Some(exit) = reaped.leader {
            self.follow_start(true);
            if self.leader.take().is_some() {
                self.report(&Event::Exited(exit));
            }
        }
        // The proof: a subreaper without children has no descendants, but for those that found another reaper
        // in a PID namespace. The cgroup has these too.
        if reaped.childless && !self.has_strays {
            self.namespace = None;
            self.step(Input::TreeEmpty);
            return;
        }
        let namespace = self.namespace.as_mut();
        if reaped.leader.is_some() && namespace.is_none_or(Namespace::outlive_program) {
            self.step(Input::ProgramEnded);
        }
        if reaped.any {
            self.step(Input::SomeEnded);
        }
    }

    /// The processes of the program that are alive.
    fn survivors(&self) -> Vec<Pid> {
        let strays = self.cgroup.as_ref().filter(|_| self.has_strays);
        if let Some(cgroup) = strays {
            return cgroup.processes();
        }
        let pids = tree::survivors(&[]).unwrap_or_default();
        match &self.namespace {
            Some(namespace) => namespace.without_init(pids),
            None => pids,
        }
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        match self.pipe.read(&mut bytes) {
            Ok(0) => return self.step(Input::Orphaned),
            Ok(read) => self.inbox.push(&bytes[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            // The elector died with news of ours unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return self.step(Input::Orphaned);
            }
            Err(error) => {
                tracing::error!(%error, "the pipe to the elector is broken");
                return self.step(Input::Orphaned);
            }
        }
        loop {
            match self.inbox.next() {
                Ok(Some(order)) => self.obey(order),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the elector sent nonsense, and counts as dead");
                    return self.step(Input::Orphaned);
                }
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Context(context) => self.context = context,
            Order::Hold { who, term } => self.held = Some((who, term)),
            Order::Released => self.held = None,
            order => self.step(Input::Order(order)),
        }
    }

    fn report(&mut self, event: &Event) {
        // An elector that reads nothing is frozen, and needs no more news.
        if !self.orphaned && !self.outbox.is_full() {
            self.outbox.push(event);
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.outbox.flush(|bytes| (&self.pipe).write(bytes));
    }

    /// Sets the timer to the moment at which the plan wants to be asked again.
    fn arm(&mut self) {
        let wake_at = self.plan.wake_at();
        if wake_at == self.armed {
            return;
        }
        match self.timer.set(wake_at) {
            Ok(()) => self.armed = wake_at,
            Err(error) => {
                tracing::error!(%error, "the keeper cannot be woken at the deadline");
                self.step(Input::Orphaned);
            }
        }
    }
}

/// Empties a descriptor that only wakes us, and returns whether it did.
fn drain(source: impl AsFd) -> bool {
    let mut bytes = [0; 64];
    let mut woken = false;
    while let Ok(read) = rustix::io::read(source.as_fd(), &mut bytes) {
        woken = true;
        if read < bytes.len() {
            break;
        }
    }
    woken
}
