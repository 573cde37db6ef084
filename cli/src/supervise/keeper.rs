//! The keeper: the process that owns the program and outlives the elector by as long as it takes to
//! prove the program dead.
//!
//! One thread, no runtime, one `poll`. It decides nothing: the [`Plan`] does, and what is here reads
//! the pipe, the clock and the children, and carries out what the plan says.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper, setsid};

use super::cgroup::Cgroup;
use super::contain::{Contain, Containment, Namespace, Nest};
use super::fence;
use super::launch::Entry;
use super::message::{Frames, FromKeeper, Message, ToKeeper};
use super::plan::{Action, Happening, Plan};
use super::program::{Program, StartFailure};
use super::sight;
use super::spawn::{Progress, Standing, Starting, spawn};
use super::timer::{Timer, patience};
use super::tree::{self, Chase};
use incumbent::election::clock;
use incumbent::protocol::{Term, Timestamp};
use incumbent::store::Identity;

/// What an elector left behind when it died: a term to release on every store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// What the elector sent about its stores, unchanged.
    pub context: Vec<u8>,
    /// The holder of the term.
    pub who: Identity,
    /// The term.
    pub term: Term,
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
    // Others wait for this; no one waits for the cgroup.
    if let Some((who, term)) = keeper.held.take() {
        release(Orphan {
            context: std::mem::take(&mut keeper.context),
            who,
            term,
        });
    }
    keeper.leave_cgroup();
    if let Some(cgroup) = keeper.cgroup.take() {
        cgroup.remove();
    }
    ExitCode::SUCCESS
}

struct KeeperProcess {
    plan: Plan,
    pipe: UnixStream,
    frames: Frames,
    /// What the elector has not read yet.
    unsent: Vec<u8>,
    timer: Timer,
    armed: Timestamp,
    /// Readable when a child has ended.
    children: UnixStream,
    standing: Standing,
    cgroup: Option<Cgroup>,
    /// Whether this process waits in the program's cgroup. A child begins where its parent is, so the
    /// program need not be moved there, for which the kernel takes longer than for all the rest of its
    /// start. It lasts until the first program runs.
    inside: bool,
    /// What makes PID namespaces, if the program is to have one.
    nest: Option<Nest>,
    /// That of the program, until nothing is left in it.
    namespace: Option<Namespace>,
    /// Why no program is contained as it was asked for, so that none is started.
    refusal: Option<String>,
    /// The program, until it is reaped.
    leader: Option<Pid>,
    /// The same, until it runs.
    starting: Option<Starting>,
    /// Those of the program that are being killed.
    chase: Chase,
    /// What to start, between the message and the plan's consent.
    program: Option<Program>,
    /// What asks the program to stop.
    stop_signal: Signal,
    context: Vec<u8>,
    held: Option<(Identity, Term)>,
    /// Whether the elector is gone, so that no message is read any more.
    deaf: bool,
    over: bool,
}

impl KeeperProcess {
    /// How much the elector may leave unread. One that reads nothing is frozen, and needs no more news.
    const MOST_UNSENT: usize = 64 << 10;

    fn prepare(entry: Entry) -> io::Result<Self> {
        // Fifteen bytes is all that fits.
        // Not the name of the elector: `pkill incumbent` shall leave somebody who ends the program.
        rustix::thread::set_name(c"keeper")?;
        setsid()?;
        set_child_subreaper(Some(getpid()))?;
        let (children, wake) = UnixStream::pair()?;
        children.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(Signal::CHILD.as_raw(), wake)?;
        ignore_signals()?;
        let pipe = entry.pipe;
        pipe.set_nonblocking(true)?;
        let standing = Standing::raise();
        let with_cgroup = entry.contain != Contain::Subreaper;
        let cgroup = with_cgroup.then(Cgroup::create).flatten();
        let unfenced = match (&cgroup, entry.fence) {
            (Some(cgroup), Ok(map)) => fence::attach(map.as_fd(), cgroup).err(),
            (Some(_), Err(error)) => Some(format!("no BPF map can be made: {error}")),
            (None, _) => Some("the program has no cgroup".to_owned()),
        };
        let mut keeper = Self {
            plan: Plan::new(),
            pipe,
            frames: Frames::default(),
            unsent: Vec::new(),
            timer: Timer::new()?,
            armed: Timestamp::NEVER,
            children,
            standing,
            inside: cgroup.as_ref().is_some_and(|cgroup| cgroup.enter().is_ok()),
            cgroup,
            nest: None,
            namespace: None,
            refusal: None,
            leader: None,
            starting: None,
            chase: Chase::default(),
            program: None,
            stop_signal: Signal::TERM,
            context: Vec::new(),
            held: None,
            deaf: false,
            over: false,
        };
        let memory_locked =
            mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
                .is_ok();
        let cgroup = keeper.cgroup.as_ref();
        let cgroup = cgroup.map(|cgroup| cgroup.path().to_owned());
        match entry.contain {
            Contain::Cgroup if cgroup.is_none() => {
                keeper.refusal = Some("no cgroup can be made here".to_owned());
            }
            Contain::Pidns => match Nest::find() {
                Ok(nest) => keeper.nest = Some(nest),
                Err(trouble) => keeper.refusal = Some(format!("no PID namespace: {trouble}")),
            },
            Contain::Auto | Contain::Cgroup | Contain::Subreaper => {}
        }
        keeper.tell(&match keeper.refusal.clone() {
            Some(refusal) => FromKeeper::Uncontained(refusal),
            None => FromKeeper::Ready {
                containment: Containment {
                    cgroup,
                    pid_namespace: keeper.nest.is_some(),
                    hidden: sight::hides_processes(),
                    unfenced,
                },
                memory_locked,
                real_time: keeper.standing.real_time,
            },
        });
        // Killing is rehearsed before there is anything to kill, so that its code is in memory when it
        // matters: whatever comes there from now on is locked. Meanwhile the elector campaigns.
        tree::rehearse()?;
        Ok(keeper)
    }

    /// Waits for something to happen, and deals with it.
    fn turn(&mut self) {
        self.arm();
        let interest = if self.unsent.is_empty() {
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
        // The end of the pipe is always ready to be read: once it was, there is nothing to wait for.
        if !self.deaf {
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
                self.happen(Happening::Orphaned);
            }
        }
        // Time first: whatever else has come in, a deadline that has passed is acted upon.
        self.happen(Happening::Woken);
        if drain(&self.timer) {
            self.armed = Timestamp::NEVER;
        }
        drain(&self.children);
        self.follow_start();
        self.reap();
        if !self.deaf {
            self.listen();
            self.flush();
        }
    }

    fn happen(&mut self, happening: Happening) {
        if happening == Happening::Orphaned {
            self.deaf = true;
        }
        for action in self.plan.step(clock::now(), happening) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn => self.spawn(),
            Action::RefuseLate => self.tell(&FromKeeper::NotStarted(StartFailure::TooLate)),
            Action::Forward(signal) => self.signal_leader(signal),
            Action::Terminate(cause) => {
                self.signal_leader(self.stop_signal);
                self.tell(&FromKeeper::Stopping(cause));
            }
            Action::TerminateRest => {
                let left = self.survivors();
                self.tell(&FromKeeper::LeftBehind(left));
                if let Err(error) = tree::signal_descendants(Signal::TERM, &[]) {
                    tracing::error!(%error, "cannot ask the processes that the program left behind to end");
                }
            }
            Action::KillTree(cause) => {
                // Told first: the elector takes a keeper that is late with it for a frozen one.
                self.tell(&FromKeeper::Killing(cause));
                self.kill();
                self.reap();
            }
            Action::Sweep => {
                self.kill();
                self.reap();
            }
            Action::Chase => {
                if let Err(error) = self.chase.go_on() {
                    tracing::error!(%error, "the processes of the program cannot be found");
                }
            }
            Action::ReportSurvivors => {
                let survivors = self.survivors();
                if self.deaf {
                    // Nobody else is left to say it.
                    let (count, first) = (survivors.len(), survivors.first());
                    tracing::error!(count, ?first, "the program is still alive after SIGKILL");
                }
                self.tell(&FromKeeper::Surviving(survivors));
            }
            Action::ReportDead => self.tell(&FromKeeper::Dead),
            // The release comes after the loop, when nothing is left to be watched.
            Action::Release => {}
            Action::Exit => self.over = true,
        }
    }

    fn spawn(&mut self) {
        let Some(program) = self.program.take() else {
            return;
        };
        let to_enter = self.cgroup.as_ref().filter(|_| !self.inside);
        let spawned = match self.refusal {
            Some(_) => Err(StartFailure::System {
                errno: Errno::PERM.raw_os_error(),
            }),
            None => spawn(&program, &self.standing, to_enter, self.nest.as_ref()),
        };
        match spawned {
            Ok(starting) => {
                self.leader = starting.pid;
                self.starting = Some(starting);
                self.leave_cgroup();
            }
            Err(failure) => {
                self.tell(&FromKeeper::NotStarted(failure));
                self.happen(Happening::TreeEmpty);
            }
        }
    }

    /// Tells how the start of the program has ended, once it has.
    fn follow_start(&mut self) {
        let Some(starting) = &mut self.starting else {
            return;
        };
        match starting.progress() {
            Progress::Under => return,
            Progress::Born(namespace, program) => {
                (self.namespace, self.leader) = (Some(namespace), Some(program));
                return self.follow_start();
            }
            Progress::Started => {
                if let Some(pid) = self.leader {
                    self.tell(&FromKeeper::Started(pid));
                }
            }
            Progress::Failed(failure) => {
                // The child that is left of it only ends.
                self.leader = None;
                if let Some(namespace) = &self.namespace {
                    namespace.kill();
                }
                self.tell(&FromKeeper::NotStarted(failure));
            }
        }
        self.starting = None;
    }

    /// Leaves the cgroup to the program: the process that kills it must not be in it.
    fn leave_cgroup(&mut self) {
        if std::mem::take(&mut self.inside)
            && let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.leave()
        {
            tracing::error!(%error, "the cgroup of the program cannot be left, and is not used");
            self.cgroup = None;
        }
    }

    fn signal_leader(&self, signal: Signal) {
        // The leader is not reaped yet, so its pid is its own.
        if let Some(leader) = self.leader
            && let Err(error) = kill_process(leader, signal)
        {
            tracing::warn!(pid = %leader, %error, "the program takes no signal");
        }
    }

    fn kill(&mut self) {
        self.chase.start_over();
        // First what takes no lock: on a machine that moves many processes between cgroups, killing one
        // takes some tens of milliseconds.
        if let Some(leader) = self.leader {
            // A process needs a processor to die, and others may want them all.
            self.standing.lend(leader);
            tree::kill_group(leader);
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.kill()
        {
            tracing::error!(%error, "the cgroup of the program cannot be killed in one stroke");
        }
        if let Some(namespace) = &self.namespace {
            self.standing.lend_one(namespace.init());
            // The kernel finds them all.
            return namespace.kill();
        }
        if let Err(error) = tree::kill_descendants(self.leader, &[]) {
            tracing::error!(%error, "the processes of the program cannot be found");
        }
    }

    fn reap(&mut self) {
        if self.starting.as_ref().is_some_and(Starting::is_unborn) {
            // The exit status of the program would be lost.
            return;
        }
        let reaped = tree::reap(self.leader);
        if let Some(exit) = reaped.leader {
            self.follow_start();
            if self.leader.take().is_some() {
                self.tell(&FromKeeper::Exited(exit));
            }
        }
        // The proof: a subreaper without children has no descendants, but for those that found another reaper
        // in a PID namespace. The cgroup has these too.
        if reaped.childless && !self.has_strays() {
            self.namespace = None;
            self.happen(Happening::TreeEmpty);
            return;
        }
        let namespace = self.namespace.as_mut();
        if reaped.leader.is_some() && namespace.is_none_or(Namespace::outlive_program) {
            self.happen(Happening::ProgramEnded);
        }
        if reaped.any {
            self.happen(Happening::SomeEnded);
        }
    }

    /// The processes of the program that are alive.
    fn survivors(&self) -> Vec<Pid> {
        let pids = tree::survivors(&[]).unwrap_or_default();
        match &self.namespace {
            Some(namespace) => namespace.without_init(pids),
            None => pids,
        }
    }

    fn has_strays(&self) -> bool {
        let cgroup = self.cgroup.as_ref().filter(|_| !self.inside);
        cgroup.is_some_and(Cgroup::is_populated)
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        match self.pipe.read(&mut bytes) {
            Ok(0) => return self.happen(Happening::Orphaned),
            Ok(read) => self.frames.push(&bytes[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            // The elector died with news of ours unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return self.happen(Happening::Orphaned);
            }
            Err(error) => {
                tracing::error!(%error, "the pipe to the elector is broken");
                return self.happen(Happening::Orphaned);
            }
        }
        loop {
            match self.frames.next() {
                Ok(Some(message)) => self.take_in(message),
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "the elector talks nonsense, and counts as dead");
                    return self.happen(Happening::Orphaned);
                }
            }
        }
    }

    fn take_in(&mut self, message: ToKeeper) {
        match message {
            ToKeeper::Context(context) => self.context = context,
            ToKeeper::Hold { who, term } => self.held = Some((who, term)),
            ToKeeper::Released => self.held = None,
            ToKeeper::Start {
                program,
                deadline,
                grace,
            } => {
                self.stop_signal = program.stop_signal;
                self.program = Some(program);
                self.happen(Happening::Start { deadline, grace });
            }
            ToKeeper::Deadline(deadline) => self.happen(Happening::Deadline(deadline)),
            ToKeeper::Signal(signal) => self.happen(Happening::Signal(signal)),
            ToKeeper::Stop { by } => self.happen(Happening::Stop { by }),
            ToKeeper::Kill => self.happen(Happening::Kill),
        }
    }

    fn tell(&mut self, message: &FromKeeper) {
        if !self.deaf && self.unsent.len() < Self::MOST_UNSENT {
            message.write(&mut self.unsent);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.pipe.write(&self.unsent) {
                Ok(written) => {
                    self.unsent.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The elector is gone; reading finds that out.
                Err(_) => return self.unsent.clear(),
            }
        }
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
                self.happen(Happening::Orphaned);
            }
        }
    }
}

/// Catches every signal that can be caught and does nothing about it. They are not set to be ignored,
/// for the program would inherit that; what is caught is back to its default after `exec`.
fn ignore_signals() -> io::Result<()> {
    /// The first and last real-time signal that the C library leaves to programs.
    const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;
    let named = [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::PIPE,
        Signal::ALARM,
        Signal::TERM,
        Signal::TSTP,
        Signal::TTIN,
        Signal::TTOU,
        Signal::URG,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::VTALARM,
        Signal::PROF,
        Signal::WINCH,
        Signal::IO,
        Signal::POWER,
    ];
    let caught = Arc::new(AtomicBool::new(false));
    for signal in named.map(Signal::as_raw).into_iter().chain(REAL_TIME) {
        signal_hook::flag::register(signal, Arc::clone(&caught))?;
    }
    Ok(())
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
