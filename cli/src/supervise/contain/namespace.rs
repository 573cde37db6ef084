//! A PID namespace for the program, whose init is ours.
//!
//! ```text
//!   keeper ── forks ──▶ helper, in the cgroup: unshare               gone before the program runs
//!     │                    │ clones siblings of itself, so that they are the keeper's children
//!     ├── init             ◀── 1 in the namespace: mounts /proc; dies with the keeper, and all others there with it
//!     └── PROGRAM          ◀── 2; its exit status is the keeper's to read, as without a namespace
//!           └── …          orphans become children of init
//! ```
//!
//! The keeper waits for none of this: it may have to kill all of it at a deadline.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getegid, geteuid, getpid, getppid, pidfd_open,
    pidfd_send_signal, wait,
};

use super::init;
use crate::supervise::cgroup::Cgroup;
use crate::supervise::fork::{Forked, errno, exit, fork, last_error};
use crate::supervise::{proc, tree};

/// How this process makes PID namespaces.
#[derive(Debug)]
pub(in crate::supervise) struct NamespaceFactory {
    /// Whether it takes a user namespace around them.
    user: bool,
    /// Readable when the elector has ended.
    elector: OwnedFd,
}

/// Which of the processes a call returns in.
pub(in crate::supervise) enum Role {
    /// The one that called.
    Keeper(PendingNamespace),
    /// The one that is to become the program.
    Program(StartBarrier),
}

impl NamespaceFactory {
    /// Makes a namespace to find out whether it can be done here.
    pub(in crate::supervise) fn find() -> Result<Self, NamespaceError> {
        let elector = getppid().ok_or(Errno::SRCH);
        let elector = elector.and_then(|elector| pidfd_open(elector, PidfdFlags::empty()));
        let mut factory = Self {
            user: false,
            elector: elector.map_err(at(Step::Watch))?,
        };
        // Root needs no user namespace, in which it would be less than root.
        if factory.probe().is_err() {
            factory.user = true;
            factory.probe()?;
        }
        Ok(factory)
    }

    fn probe(&self) -> Result<(), NamespaceError> {
        let mut pending = match self.fork_into_new(None).map_err(at(Step::Fork))? {
            Role::Keeper(pending) => pending,
            Role::Program(barrier) => exit(i32::from(barrier.wait_for_start().is_err())),
        };
        let outcome = loop {
            match pending.status() {
                Status::Pending => {
                    let mut source = [PollFd::new(&pending, PollFlags::IN)];
                    // An error comes again at the next reading.
                    let _interrupted = poll(&mut source, None).is_err();
                }
                Status::Ready(..) => break Ok(()),
                Status::Failed(error) => break Err(error),
            }
        };
        drop(pending);
        while !matches!(wait(WaitOptions::empty()), Err(error) if error != Errno::INTR) {}
        outcome
    }

    /// Makes a namespace, all of it in the cgroup if one is given, with an init and another process, in which this
    /// returns too.
    /// The calling process must have one thread.
    pub(in crate::supervise) fn fork_into_new(
        &self,
        cgroup: Option<&Cgroup>,
    ) -> Result<Role, Errno> {
        let (status, report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let (hangup, alive) = pipe_with(PipeFlags::CLOEXEC)?;
        let to_enter = match fork(0, cgroup)? {
            Forked::Parent(helper) => {
                return Ok(Role::Keeper(PendingNamespace {
                    helper,
                    status,
                    alive: Some(alive),
                }));
            }
            Forked::Child(to_enter) => to_enter,
        };
        // That end is the keeper's alone: its closing shows that the keeper is gone.
        drop((status, alive));
        match self.make_namespace(to_enter, &report, hangup) {
            Ok(Some(barrier)) => Ok(Role::Program(barrier)),
            Ok(None) => exit(0),
            Err(error) => {
                // If it is not read, the end of the pipe is.
                let _sent = write(&report, &error.to_bytes()).is_ok();
                exit(1)
            }
        }
    }

    /// What the helper does. Returns a barrier in the process that is to become the program.
    fn make_namespace(
        &self,
        to_enter: Option<&Cgroup>,
        report: &OwnedFd,
        hangup: OwnedFd,
    ) -> Result<Option<StartBarrier>, NamespaceError> {
        if let Some(cgroup) = to_enter {
            cgroup
                .enter()
                .map_err(|error| at(Step::Enter)(errno(&error)))?;
        }
        self.unshare()?;
        let helper = pidfd_open(getpid(), PidfdFlags::empty()).map_err(at(Step::Watch))?;
        let (opened, open) = pipe_with(PipeFlags::CLOEXEC).map_err(at(Step::Fork))?;
        // A sibling of this process, whose parent is the keeper.
        let sibling = || match fork(libc::CLONE_PARENT, None) {
            Ok(Forked::Parent(pid)) => Ok(Some(pid)),
            Ok(Forked::Child(_)) => Ok(None),
            Err(errno) => Err(at(Step::Fork)(errno)),
        };
        let (init_status, init_report) = pipe_with(PipeFlags::CLOEXEC).map_err(at(Step::Fork))?;
        let Some(init) = sibling()? else {
            let bound = init::die_with_keeper(&hangup).map_err(at(Step::Fork));
            let mounted = bound.and_then(|()| mount_proc());
            let message_bytes =
                mounted.map_or_else(NamespaceError::to_bytes, |()| message(0, 0, 0));
            let ended = match (mounted, write(&init_report, &message_bytes)) {
                (Ok(()), Ok(_)) => init::run(&hangup, &self.elector),
                _ => Ok(()),
            };
            exit(i32::from(ended.is_err()))
        };
        drop(init_report);
        let mut message_bytes = [0; 12];
        match read(&init_status, &mut message_bytes).map(|length| (length, numbers(&message_bytes)))
        {
            Ok((12, [0, ..])) => {}
            Ok((12, [step, errno, _])) => return Err(NamespaceError::read(step, errno)),
            Ok(_) => return Err(at(Step::Fork)(Errno::CHILD)),
            Err(errno) => return Err(at(Step::Fork)(errno)),
        }
        let Some(program) = sibling()? else {
            return Ok(Some(StartBarrier {
                opened,
                helper,
                hangup,
            }));
        };
        let [init, program] = [init, program].map(|pid| pid.as_raw_nonzero().get());
        // The keeper knows them before one of them can end.
        write(report, &message(0, init, program)).map_err(at(Step::Fork))?;
        write(&open, b"1").map_err(at(Step::Fork))?;
        Ok(None)
    }

    /// Puts what this process starts into a new namespace, with a `/proc` that shows it.
    fn unshare(&self) -> Result<(), NamespaceError> {
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        let spaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        if self.user {
            unshare(spaces | libc::CLONE_NEWUSER).map_err(at(Step::UserNamespace))?;
            // Without that an ordinary user may not map its group.
            let maps = [
                ("setgroups", "deny".to_owned()),
                ("gid_map", format!("{group} {group} 1")),
                ("uid_map", format!("{user} {user} 1")),
            ];
            for (name, map) in maps {
                proc::write(&format!("self/{name}"), map.as_bytes())
                    .map_err(|error| at(Step::Map)(errno(&error)))?;
            }
        } else {
            unshare(spaces).map_err(at(Step::Namespace))?;
        }
        // Mounts of the host still arrive; nothing from here gets out.
        mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_SLAVE).map_err(at(Step::Mounts))
    }
}

/// A namespace that is being made.
#[derive(Debug)]
pub(in crate::supervise) struct PendingNamespace {
    helper: Pid,
    /// Where the helper reports how it went.
    status: OwnedFd,
    /// Closed when the namespace is to end.
    alive: Option<OwnedFd>,
}

/// What is known of it.
pub(in crate::supervise) enum Status {
    /// Nothing yet.
    Pending,
    /// It exists, and this process in it is to become the program.
    Ready(Namespace, Pid),
    /// It cannot be made. What there may be of it ends by itself.
    Failed(NamespaceError),
}

impl AsFd for PendingNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }
}

impl PendingNamespace {
    /// The process that makes it.
    pub(in crate::supervise) const fn helper(&self) -> Pid {
        self.helper
    }

    /// How far it has got. Does not block.
    pub(in crate::supervise) fn status(&mut self) -> Status {
        let mut bytes = [0; 12];
        match read(&self.status, &mut bytes) {
            Err(Errno::AGAIN | Errno::INTR) => return Status::Pending,
            Ok(12) => {}
            // The helper was killed.
            Ok(_) | Err(_) => return Status::Failed(at(Step::Fork)(Errno::CHILD)),
        }
        let [step, first, second] = numbers(&bytes);
        if step != 0 {
            return Status::Failed(NamespaceError::read(step, first));
        }
        let [init, program] = [first, second].map(|pid| Pid::from_raw(pid.max(0)));
        let namespace = init.and_then(|init| {
            Some(Namespace {
                init,
                // Our child, not reaped yet: the number is its own.
                pidfd: pidfd_open(init, PidfdFlags::empty()).ok()?,
                alive: self.alive.take(),
            })
        });
        match (namespace, program) {
            (Some(namespace), Some(program)) => Status::Ready(namespace, program),
            _ => Status::Failed(at(Step::Watch)(Errno::CHILD)),
        }
    }
}

/// Holds back the program until its keeper can learn of it, and has no other child than it and init.
pub(in crate::supervise) struct StartBarrier {
    opened: OwnedFd,
    /// Readable when the helper has ended.
    helper: OwnedFd,
    hangup: OwnedFd,
}

impl StartBarrier {
    /// Waits until the keeper can learn of this process, and the helper has ended: a keeper would take it for what a
    /// program that is over at once has left behind.
    pub(in crate::supervise) fn wait_for_start(&self) -> Result<(), Errno> {
        if retry_on_intr(|| read(&self.opened, &mut [0]))? == 0 {
            return Err(Errno::CHILD);
        }
        retry_on_intr(|| poll(&mut [PollFd::new(&self.helper, PollFlags::IN)], None)).map(|_| ())
    }

    /// Whether the keeper is gone.
    pub(in crate::supervise) fn is_abandoned(&self) -> bool {
        init::is_abandoned(&self.hangup)
    }
}

/// The PID namespace of a program.
#[derive(Debug)]
pub(in crate::supervise) struct Namespace {
    init: Pid,
    pidfd: OwnedFd,
    /// Its closing shows init that the program has ended.
    alive: Option<OwnedFd>,
}

impl Namespace {
    /// Ends every process in it.
    pub(in crate::supervise) fn kill(&self) {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                tracing::error!(%error, "the PID namespace of the program cannot be ended");
            }
        }
    }

    /// The program has ended. Returns whether it has left processes behind; if it has not, the namespace ends at
    /// once, else with the last of them.
    pub(in crate::supervise) fn outlive_program(&mut self) -> bool {
        self.alive = None;
        let left = tree::survivors(&[]).map(|left| self.without_init(left));
        let is_empty = left.is_ok_and(|left| left.is_empty());
        if is_empty {
            self.kill();
        }
        !is_empty
    }

    /// Those that are the program's.
    pub(in crate::supervise) fn without_init(&self, mut pids: Vec<Pid>) -> Vec<Pid> {
        pids.retain(|pid| *pid != self.init);
        pids
    }

    /// The process whose end is the namespace's.
    pub(in crate::supervise) const fn init(&self) -> Pid {
        self.init
    }
}

/// Why there is no namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) struct NamespaceError {
    step: Step,
    pub(in crate::supervise) errno: Errno,
}

/// What may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Watch = 1,
    Enter,
    Namespace,
    UserNamespace,
    Map,
    Mounts,
    Proc,
    Fork,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Watch,
        Self::Enter,
        Self::Namespace,
        Self::UserNamespace,
        Self::Map,
        Self::Mounts,
        Self::Proc,
        Self::Fork,
    ];
}

impl NamespaceError {
    fn read(step: i32, errno: i32) -> Self {
        let known = Step::ALL.into_iter().find(|known| *known as i32 == step);
        at(known.unwrap_or(Step::Fork))(Errno::from_raw_os_error(errno))
    }

    fn to_bytes(self) -> [u8; 12] {
        message(self.step as i32, self.errno.raw_os_error(), 0)
    }
}

/// An error of a step.
const fn at(step: Step) -> impl FnOnce(Errno) -> NamespaceError + Copy {
    move |errno| NamespaceError { step, errno }
}

impl fmt::Display for NamespaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.step {
            Step::Watch => "the elector or an init cannot be watched (pidfd_open)",
            Step::Enter => "its cgroup cannot be entered",
            Step::Namespace => "it cannot be made (unshare)",
            Step::UserNamespace => "it takes a user namespace, which cannot be made (unshare)",
            Step::Map => "the user cannot be mapped in a user namespace",
            Step::Mounts => "its mounts cannot be kept apart",
            Step::Proc => {
                "its /proc cannot be mounted, as where parts of /proc are covered or read-only"
            }
            Step::Fork => "no process can be started in it",
        };
        write!(f, "{what}: {}", self.errno)
    }
}

fn message(kind: i32, one: i32, other: i32) -> [u8; 12] {
    let mut bytes = [0; 12];
    for (to, number) in bytes.chunks_mut(4).zip([kind, one, other]) {
        to.copy_from_slice(&number.to_ne_bytes());
    }
    bytes
}

fn numbers(bytes: &[u8; 12]) -> [i32; 3] {
    [0, 4, 8].map(|at| {
        let mut number = [0; 4];
        number.copy_from_slice(&bytes[at..at + 4]);
        i32::from_ne_bytes(number)
    })
}

/// Mounts the `/proc` of this process's namespace.
fn mount_proc() -> Result<(), NamespaceError> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(c"proc", c"/proc", c"proc", flags).map_err(at(Step::Proc))
}

#[expect(
    unsafe_code,
    reason = "the library's unshare takes no threads into account either"
)]
fn unshare(spaces: libc::c_int) -> Result<(), Errno> {
    // SAFETY: it takes a number, and this process has one thread.
    match unsafe { libc::unshare(spaces) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

#[expect(unsafe_code, reason = "the library is built without its mounts")]
fn mount(
    source: &std::ffi::CStr,
    target: &std::ffi::CStr,
    kind: &std::ffi::CStr,
    flags: libc::c_ulong,
) -> Result<(), Errno> {
    let (source, target, kind) = (source.as_ptr(), target.as_ptr(), kind.as_ptr());
    // SAFETY: the texts live as long as the call.
    match unsafe { libc::mount(source, target, kind, flags, ptr::null()) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}
