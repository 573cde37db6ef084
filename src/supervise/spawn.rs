//! Starting the program: what it gets from the keeper, and what it must not inherit.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, write};
use rustix::process::{
    Pid, Signal, getpid, getppid, getpriority_process, set_parent_process_death_signal,
    setpriority_pgrp, setpriority_process,
};

use super::cgroup::Cgroup;
use super::program::{Program, StartFailure};

/// The standing that this process was started with, and that the program gets back.
#[derive(Debug)]
pub(super) struct Standing {
    /// What `/proc/self/oom_score_adj` held, when it was changed.
    oom_score: Option<String>,
    /// The nice value, when it was changed.
    nice: Option<i32>,
}

impl Standing {
    /// The nice value of what comes before all others.
    const FOREMOST: i32 = -20;

    /// Puts this process before others, as far as it is allowed to: it should be the last to be killed
    /// for memory and the first to run when its timer goes off.
    pub(super) fn raise() -> Self {
        const OOM_SCORE: &str = "/proc/self/oom_score_adj";
        let oom_score = fs::read_to_string(OOM_SCORE)
            .ok()
            .filter(|_| fs::write(OOM_SCORE, "-1000").is_ok());
        let nice = getpriority_process(None)
            .ok()
            .filter(|_| setpriority_process(None, Self::FOREMOST).is_ok());
        Self { oom_score, nice }
    }

    /// Puts a process group before others too, where that is allowed.
    pub(super) fn lend(&self, group: Pid) {
        if self.nice.is_some()
            && let Err(error) = setpriority_pgrp(Some(group), Self::FOREMOST)
        {
            tracing::debug!(%group, %error, "the program keeps its priority");
        }
    }
}

/// Starts the program in a process group of its own, and in the cgroup if there is one. It dies with
/// the calling thread.
pub(super) fn spawn(
    program: &Program,
    standing: &Standing,
    cgroup: Option<&Cgroup>,
) -> Result<Pid, StartFailure> {
    let entrance = match cgroup.map(Cgroup::entrance).transpose() {
        Ok(entrance) => entrance.map(OwnedFd::from),
        Err(error) => return Err(failure(&error)),
    };
    let (first, rest) = program
        .command
        .split_first()
        .ok_or(StartFailure::NotFound)?;
    let mut command = Command::new(first);
    command
        .args(rest)
        .env_clear()
        .envs(&program.environment)
        .stdin(if program.stdin {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .process_group(0);
    prepare(&mut command, standing, entrance);
    // The child is reaped through its pid; `Child` has no more part in it.
    let child = command.spawn().map_err(|error| failure(&error))?;
    Ok(Pid::from_child(&child))
}

#[expect(unsafe_code, reason = "the child runs a closure between fork and exec")]
fn prepare(command: &mut Command, standing: &Standing, entrance: Option<OwnedFd>) {
    let keeper = getpid();
    let oom_score = standing.oom_score.clone();
    let nice = standing.nice;
    let enter = move || -> Result<(), Errno> {
        if let Some(entrance) = &entrance {
            write(entrance, b"0")?;
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Had the keeper died before that call, the signal would never come.
        if getppid() != Some(keeper) {
            return Err(Errno::CHILD);
        }
        if let Some(nice) = nice {
            setpriority_process(None, nice)?;
        }
        if let Some(oom_score) = &oom_score {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let file = open(c"/proc/self/oom_score_adj", flags, Mode::empty())?;
            write(&file, oom_score.as_bytes())?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only, on what was opened and allocated before the fork.
    unsafe {
        command.pre_exec(move || enter().map_err(io::Error::from));
    }
}

fn failure(error: &io::Error) -> StartFailure {
    // An error without a number is one that `Command` found itself: a word with a NUL byte in it.
    let errno = error
        .raw_os_error()
        .map_or(Errno::INVAL, Errno::from_raw_os_error);
    StartFailure::from_errno(errno)
}
