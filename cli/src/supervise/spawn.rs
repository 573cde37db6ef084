//! Starting the program: what it gets from the keeper, and what it must not inherit.

use std::ffi::{CString, c_char};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getpriority_process, getrlimit,
    set_parent_process_death_signal, setpgid, setpriority_pgrp, setpriority_process, setrlimit,
};

use super::cgroup::Cgroup;
use super::contain::{Namespace, NamespaceFactory, PendingNamespace, Role, StartBarrier, Status};
use super::fence;
use super::fork::{Forked, errno, exit, fork, last_error};
use super::program::{Program, StartFailure};
use super::signals::{Inherited, set_mask};

/// The priority that this process was started with, restored for the program.
#[derive(Debug)]
pub(super) struct Priority {
    /// What `/proc/self/oom_score_adj` held, when it was changed.
    oom_score: Option<String>,
    /// The nice value, when it was changed.
    nice: Option<i32>,
    /// Whether it comes before every program of real-time priority too. What it starts does not.
    pub(super) real_time: bool,
}

impl Priority {
    /// The best nice value.
    const BEST_NICE: i32 = -20;

    /// Raises the priority of this process where permitted: it should be the last to be killed for memory
    /// and the first to run when its timer fires.
    pub(super) fn raise() -> Self {
        const OOM_SCORE: &str = "/proc/self/oom_score_adj";
        let oom_score = fs::read_to_string(OOM_SCORE)
            .ok()
            .filter(|_| fs::write(OOM_SCORE, "-1000").is_ok());
        let nice = getpriority_process(None)
            .ok()
            .filter(|_| setpriority_process(None, Self::BEST_NICE).is_ok());
        Self {
            oom_score,
            nice,
            real_time: take_real_time_priority(),
        }
    }

    /// Raises the priority of a process group, where permitted.
    pub(super) fn raise_group(&self, group: Pid) {
        if self.nice.is_some()
            && let Err(error) = setpriority_pgrp(Some(group), Self::BEST_NICE)
        {
            tracing::debug!(%group, %error, "the program keeps its priority");
        }
    }

    /// The same for one process, of another group.
    pub(super) fn raise_process(&self, process: Pid) {
        if self.nice.is_some()
            && let Err(error) = setpriority_process(Some(process), Self::BEST_NICE)
        {
            tracing::debug!(%process, %error, "the init of the program keeps its priority");
        }
    }
}

/// Gives this process, but not its children, the highest real-time priority, where permitted.
///
/// This process uses the hard limit on real-time priority. The soft limit is for the program: it cannot take
/// more, as under `RestrictRealtime=`, which would restrict this process as well.
pub(super) fn take_real_time_priority() -> bool {
    let limit = getrlimit(Resource::Rtprio);
    let set = |current, maximum| setrlimit(Resource::Rtprio, Rlimit { current, maximum });
    let raised = set(limit.maximum, limit.maximum);
    let most = libc::c_int::try_from(limit.maximum.unwrap_or(0)).unwrap_or(0);
    // Root has no limit.
    let is_raised = set_real_time(libc::c_int::MAX) || set_real_time(most);
    if let Err(error) = raised.and_then(|()| set(limit.current, limit.current)) {
        tracing::debug!(%error, "the limit on real-time priority is unchanged");
    }
    is_raised
}

#[expect(unsafe_code, reason = "the library wraps no scheduler")]
fn set_real_time(most: libc::c_int) -> bool {
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: it takes numbers, and a structure that lives as long as the call.
    unsafe {
        let sched_priority = libc::sched_get_priority_max(libc::SCHED_FIFO).min(most);
        libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority }) == 0
    }
}

/// A program that was forked and may not have run `exec` yet.
#[derive(Debug)]
pub(super) struct Starting {
    /// The process that is to become the program, or the one that makes its namespace before.
    pub(super) pid: Pid,
    /// Until its namespace is made.
    pending: Option<PendingNamespace>,
    /// What it is to get once its pid is known, each once.
    signals: Vec<Signal>,
    /// Whether it was sent SIGKILL, with all that starts it.
    pub(super) is_killed: bool,
    /// Closed when the program runs; otherwise holds the error.
    status: OwnedFd,
}

/// The progress of a program that is being started.
#[derive(Debug)]
pub(super) enum Progress {
    /// It has a namespace, and this process is to become the program. Meanwhile these signals came for it.
    InNamespace(Namespace, Pid, Vec<Signal>),
    /// `exec` is still under way: a virus scanner, a network or an automounter may delay it.
    Under,
    /// It runs, or was killed on the way.
    Started,
    Failed(StartFailure),
}

impl AsFd for Starting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.pending {
            Some(pending) => pending.as_fd(),
            None => self.status.as_fd(),
        }
    }
}

impl Starting {
    /// Whether it is unknown which process is the program.
    pub(super) fn awaits_namespace(&self) -> bool {
        self.pending.is_some()
    }

    /// Sends it a signal as soon as that is known.
    pub(super) fn signal_later(&mut self, signal: Signal) {
        if !self.signals.contains(&signal) {
            self.signals.push(signal);
        }
    }

    /// How far it has got. Does not block.
    ///
    /// A program that has ended is no longer being started, although the processes that made its namespace may hold
    /// the pipe open for a while longer.
    pub(super) fn progress(&mut self, has_ended: bool) -> Progress {
        if let Some(pending) = &mut self.pending {
            let status = pending.status();
            if !matches!(status, Status::Pending) {
                self.pending = None;
            }
            return match status {
                Status::Pending => Progress::Under,
                Status::Ready(namespace, program) => {
                    self.pid = program;
                    Progress::InNamespace(namespace, program, std::mem::take(&mut self.signals))
                }
                Status::Failed(error) => {
                    if !self.is_killed {
                        tracing::error!("the program gets no PID namespace: {error}");
                    }
                    Progress::Failed(StartFailure::from_errno(error.errno))
                }
            };
        }
        let mut errno = [0; 4];
        match read(&self.status, &mut errno) {
            Ok(4) => {
                let errno = Errno::from_raw_os_error(i32::from_ne_bytes(errno));
                Progress::Failed(StartFailure::from_errno(errno))
            }
            Err(Errno::AGAIN | Errno::INTR) if !has_ended => Progress::Under,
            Ok(_) | Err(_) => Progress::Started,
        }
    }
}

/// Starts the program in its own process group, and in the cgroup and in a PID namespace if there are to be. It
/// dies with the calling thread. Does not wait for `exec`.
pub(super) fn spawn(
    program: &Program,
    priority: &Priority,
    cgroup: Option<&Cgroup>,
    factory: Option<&NamespaceFactory>,
) -> Result<Starting, StartFailure> {
    let child = Child::prepare(program, priority).map_err(|error| failure(&error))?;
    let (status, report) =
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(StartFailure::from_errno)?;
    // A signal that comes before the child has restored its dispositions must not meet our handlers, which do
    // nothing: it waits until the child unblocks it.
    set_mask(u64::MAX).map_err(|error| failure(&error))?;
    let forked = match factory {
        None => fork(0, cgroup).map(|forked| match forked {
            Forked::Parent(pid) => (pid, None),
            Forked::Child(to_enter) => child.exec(&report, to_enter, None),
        }),
        Some(factory) => factory.fork_into_new(cgroup).map(|role| match role {
            Role::Keeper(pending) => (pending.helper(), Some(pending)),
            Role::Program(barrier) => child.exec(&report, None, Some(&barrier)),
        }),
    };
    set_mask(0).map_err(|error| failure(&error))?;
    let (pid, pending) = forked.map_err(StartFailure::from_errno)?;
    Ok(Starting {
        pid,
        pending,
        signals: Vec::new(),
        is_killed: false,
        status,
    })
}

/// Everything a child needs between fork and exec, prepared in advance.
struct Child<'a> {
    words: Vec<CString>,
    variables: Vec<CString>,
    priority: &'a Priority,
    inherited: Inherited,
    stop_signal: Signal,
    keeper: Pid,
    /// What it reads, if not what we read.
    stdin: Option<File>,
}

impl<'a> Child<'a> {
    fn prepare(program: &Program, priority: &'a Priority) -> io::Result<Self> {
        let text = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::other);
        let words = program.command.iter();
        let words = words.map(|word| text(word.as_bytes().to_vec()));
        let variables = program.environment.iter();
        let variables =
            variables.map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat()));
        Ok(Self {
            words: words.collect::<io::Result<_>>()?,
            variables: variables.collect::<io::Result<_>>()?,
            priority,
            inherited: program.inherited,
            stop_signal: program.stop_signal,
            keeper: getpid(),
            stdin: (!program.stdin)
                .then(|| File::open("/dev/null"))
                .transpose()?,
        })
    }

    /// Becomes the program, or reports why not and ends. A program in a namespace starts behind a barrier.
    fn exec(
        &self,
        report: &OwnedFd,
        to_enter: Option<&Cgroup>,
        barrier: Option<&StartBarrier>,
    ) -> ! {
        let pointers = |texts: &[CString]| -> Vec<*const c_char> {
            let texts = texts.iter().map(|text| text.as_ptr());
            texts.chain([ptr::null()]).collect()
        };
        let (words, variables) = (pointers(&self.words), pointers(&self.variables));
        let errno = match self.prepare_exec(to_enter, barrier) {
            Ok(()) => become_program(&words, &variables, report),
            Err(error) => errno(&error),
        };
        let reported = write(report, &errno.raw_os_error().to_ne_bytes());
        exit(127 - i32::from(reported.is_err()))
    }

    /// Turns the keeper's child into the program, up to `exec`.
    fn prepare_exec(
        &self,
        to_enter: Option<&Cgroup>,
        barrier: Option<&StartBarrier>,
    ) -> io::Result<()> {
        if let Some(barrier) = barrier {
            barrier.wait_for_start()?;
        }
        if let Some(cgroup) = to_enter {
            cgroup.enter()?;
        }
        setpgid(None, None)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Had the keeper died before that call, the signal would never come.
        let is_abandoned = match barrier {
            // The keeper has no number there.
            Some(barrier) => barrier.is_abandoned(),
            None => getppid() != Some(self.keeper),
        };
        if is_abandoned {
            return Err(Errno::CHILD.into());
        }
        if let Some(nice) = self.priority.nice {
            setpriority_process(None, nice)?;
        }
        if let Some(oom_score) = &self.priority.oom_score {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let file = open(c"/proc/self/oom_score_adj", flags, Mode::empty())?;
            write(&file, oom_score.as_bytes())?;
        }
        fence::withhold_capabilities()?;
        if let Some(stdin) = &self.stdin {
            rustix::stdio::dup2_stdin(stdin)?;
        }
        self.inherited.restore(self.stop_signal)
    }
}

/// Becomes the program, with nothing of the keeper open but `report`, or returns why not.
#[expect(unsafe_code, reason = "the library wraps no exec")]
fn become_program(words: &[*const c_char], variables: &[*const c_char], report: &OwnedFd) -> Errno {
    let (report, first_free) = (report.as_raw_fd().unsigned_abs(), 3);
    // SAFETY: all of these take numbers, or pointers to what lives in the caller; `words` and `variables`
    // end with a null pointer. What is closed is not used any more: this is no longer the keeper, whose end
    // of the pipe to its elector must not outlive it here.
    unsafe {
        libc::syscall(libc::SYS_close_range, first_free, report - 1, 0);
        libc::syscall(libc::SYS_close_range, report + 1, libc::c_uint::MAX, 0);
        libc::environ = variables.as_ptr().cast_mut().cast();
        libc::execvp(words[0], words.as_ptr());
    }
    last_error()
}

fn failure(error: &io::Error) -> StartFailure {
    // An error without a number is a word with a NUL byte in it.
    let errno = error
        .raw_os_error()
        .map_or(Errno::INVAL, Errno::from_raw_os_error);
    StartFailure::from_errno(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starting() -> (Starting, OwnedFd) {
        let (status, report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let starting = Starting {
            pid: getpid(),
            pending: None,
            signals: Vec::new(),
            is_killed: false,
            status,
        };
        (starting, report)
    }

    #[test]
    fn a_program_that_has_ended_was_started_whoever_else_holds_the_pipe() {
        let (mut starting, _report) = starting();
        assert!(matches!(starting.progress(false), Progress::Under));
        assert!(matches!(starting.progress(true), Progress::Started));
    }

    #[test]
    fn a_program_that_has_reported_why_and_ended_was_not_started() {
        let (mut starting, report) = starting();
        write(&report, &Errno::NOENT.raw_os_error().to_ne_bytes()).unwrap();
        let expected = StartFailure::from_errno(Errno::NOENT);
        let progress = starting.progress(true);
        assert!(matches!(progress, Progress::Failed(failure) if failure == expected));
    }
}
