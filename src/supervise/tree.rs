//! The process tree of a program: found, killed, and proven dead.
//!
//! Both the keeper and the elector are subreapers, so whatever a program does, double forks and
//! `setsid` included, its processes stay below one of them. A process cannot be proven dead by looking
//! for it; but a subreaper without children has no descendants, and `wait` tells that for certain.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group,
    pidfd_open, pidfd_send_signal, wait, waitpid,
};

use super::program::ProgramExit;

/// A process, as `/proc/PID/stat` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    /// The pid of its parent; 0 when the parent is outside of our pid namespace.
    parent: i32,
    /// Whether it still runs; what is dead and not yet reaped does not.
    alive: bool,
    /// When it was started, in clock ticks since boot: with the pid it names one process for ever.
    started: u64,
}

/// Sends `signal` to everything below this process, except `spare` and what is below those, and
/// returns the pids it was sent to.
///
/// Children are signalled by pid: nobody but us reaps them, so the number cannot have been given to
/// another process. What is further down is signalled through a pidfd, checked to be the process that
/// was seen.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(super) fn signal_descendants(signal: Signal, spare: &[Pid]) -> io::Result<HashSet<Pid>> {
    let me = getpid().as_raw_nonzero().get();
    let mut signalled = HashSet::new();
    let mut others = Vec::new();
    each_process(|process| {
        if spare.contains(&process.pid) {
            return;
        }
        if process.parent != me {
            others.push(process);
        } else if process.alive {
            // At once, while reading on: a chain of forks moves ahead of the reader.
            report_failure(process.pid, kill_process(process.pid, signal));
            signalled.insert(process.pid);
        } else {
            // A dead leader of threads may have live children all the same.
            signalled.insert(process.pid);
        }
    })?;
    let mut grown = true;
    while grown {
        grown = false;
        others.retain(|process| {
            let ours = Pid::from_raw(process.parent).is_some_and(|pid| signalled.contains(&pid));
            if ours {
                signalled.insert(process.pid);
                grown = true;
                if process.alive {
                    report_failure(process.pid, signal_exactly(process, signal));
                }
            }
            !ours
        });
    }
    Ok(signalled)
}

/// Kills everything below this process, except `spare`, until a look around finds nothing new to kill.
/// What it killed may take a moment to die.
///
/// `group` is the process group of a leader that has not been reaped yet: the kernel kills a group in
/// one go, so that nothing in it can fork its way out.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(super) fn kill_descendants(group: Option<Pid>, spare: &[Pid]) -> io::Result<()> {
    /// Looks around per call. A tree that outruns them is met again by the next sweep.
    const LOOKS: usize = 64;
    let mut killed = HashSet::new();
    for _ in 0..LOOKS {
        if let Some(group) = group {
            kill_group(group);
        }
        let found = signal_descendants(Signal::KILL, spare)?;
        if found.is_subset(&killed) {
            break;
        }
        killed.extend(found);
    }
    Ok(())
}

/// Kills the process group of a leader that has not been reaped yet.
pub(super) fn kill_group(group: Pid) {
    report_failure(group, kill_process_group(group, Signal::KILL));
}

/// The processes below this one that are not dead, except `spare`.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(super) fn survivors(spare: &[Pid]) -> io::Result<Vec<Pid>> {
    let me = getpid().as_raw_nonzero().get();
    let mut all = Vec::new();
    each_process(|process| all.push(process))?;
    let mut ours = HashSet::from([me]);
    let mut alive = Vec::new();
    let mut grown = true;
    while grown {
        grown = false;
        all.retain(|process| {
            let below = ours.contains(&process.parent) && !spare.contains(&process.pid);
            if below {
                grown = true;
                ours.insert(process.pid.as_raw_nonzero().get());
                if process.alive {
                    alive.push(process.pid);
                }
            }
            !below
        });
    }
    Ok(alive)
}

/// Whether the process `pid` descends from the process `ancestor`. One that has ended descends from
/// nobody.
#[must_use]
pub fn descends(pid: i32, ancestor: i32) -> bool {
    /// More than any program nests its processes; it bounds a walk that races with new parents.
    const DEEPEST: usize = 256;
    let mut next = Pid::from_raw(pid.max(0));
    for _ in 0..DEEPEST {
        let Some(process) = next.and_then(read_process) else {
            return false;
        };
        if process.parent == ancestor {
            return true;
        }
        next = Pid::from_raw(process.parent);
    }
    false
}

/// What reaping found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reaped {
    /// How the leader of the tree ended, when it was among the dead.
    pub(super) leader: Option<ProgramExit>,
    /// Whether this process has no child left, dead or alive.
    pub(super) childless: bool,
}

/// Reaps every dead child.
pub(super) fn reap(leader: Option<Pid>) -> Reaped {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if Some(pid) == leader => found = exit_of(status).or(found),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => {
                return Reaped {
                    leader: found,
                    childless: false,
                };
            }
            // The only other error is that there is no child.
            Err(_) => {
                return Reaped {
                    leader: found,
                    childless: true,
                };
            }
        }
    }
}

/// Reaps every dead child except `spare`, for a process that has children of other kinds.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub(super) fn reap_except(leader: Option<Pid>, spare: &[Pid]) -> io::Result<Reaped> {
    let me = getpid().as_raw_nonzero().get();
    let mut children = Vec::new();
    each_process(|process| {
        if process.parent == me && !spare.contains(&process.pid) {
            children.push(process.pid);
        }
    })?;
    let mut reaped = Reaped {
        leader: None,
        childless: true,
    };
    for pid in children {
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) if Some(pid) == leader => {
                reaped.leader = exit_of(status).or(reaped.leader);
            }
            Ok(Some(_)) | Err(Errno::CHILD) => {}
            Ok(None) | Err(_) => reaped.childless = false,
        }
    }
    Ok(reaped)
}

fn exit_of(status: WaitStatus) -> Option<ProgramExit> {
    let code = status
        .exit_status()
        .and_then(|code| u8::try_from(code).ok());
    let signal = status
        .terminating_signal()
        .and_then(|signal| u8::try_from(signal).ok());
    code.map(ProgramExit::Code)
        .or(signal.map(ProgramExit::Signal))
}

fn signal_exactly(process: &Process, signal: Signal) -> rustix::io::Result<()> {
    let pidfd = pidfd_open(process.pid, PidfdFlags::empty())?;
    // The pidfd holds whatever has this pid now. It is the process that was seen if it was started at
    // the same moment.
    match read_process(process.pid) {
        Some(now) if now.started == process.started => pidfd_send_signal(pidfd, signal),
        Some(_) | None => Ok(()),
    }
}

fn report_failure(pid: Pid, sent: rustix::io::Result<()>) {
    match sent {
        // It is gone, which is all we want.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::error!(%pid, %error, "a process of the program takes no signal"),
    }
}

fn each_process(mut visit: impl FnMut(Process)) -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        // A process may vanish between being listed and being read.
        let Ok(entry) = entry else { continue };
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        if let Some(process) = pid.and_then(read_process) {
            visit(process);
        }
    }
    Ok(())
}

fn read_process(pid: Pid) -> Option<Process> {
    /// More than 52 numbers and a name take. The kernel hands all of it out in one read, and all
    /// processes of the host are read while a program dies.
    const LONGEST: usize = 2048;
    let mut stat = [0; LONGEST];
    let length = File::open(format!("/proc/{pid}/stat"))
        .and_then(|mut file| file.read(&mut stat))
        .ok()?;
    parse_stat(pid, &stat[..length])
}

/// Takes `/proc/PID/stat` apart. The name stands in parentheses and may itself hold any byte, so the
/// fields are counted from the last closing one.
fn parse_stat(pid: Pid, stat: &[u8]) -> Option<Process> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(stat.get(after_name..)?)
        .ok()?
        .split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // The start time is field 22; the parent was field 4.
    let started = fields.nth(17)?.parse().ok()?;
    Some(Process {
        pid,
        parent,
        alive: !matches!(state, "Z" | "X"),
        started,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "4242 (%) S 17 4242 4242 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let pid = Pid::from_raw(4242).unwrap();
        for name in ["sh", ") Z 1 (", "a b", "\u{fffd}))"] {
            let process = parse_stat(pid, STAT.replace('%', name).as_bytes());
            let expected = Process {
                pid,
                parent: 17,
                alive: true,
                started: 987_654,
            };
            assert_eq!(process, Some(expected), "{name:?}");
        }
    }

    #[test]
    fn this_process_is_found_below_its_parent() {
        let me = getpid();
        let mut found = None;
        each_process(|process| {
            if process.pid == me {
                found = Some(process);
            }
        })
        .unwrap();
        let found = found.unwrap();
        assert!(found.alive);
        assert_eq!(
            Pid::from_raw(found.parent),
            rustix::process::getppid(),
            "{found:?}"
        );
    }

    #[test]
    fn this_process_is_below_its_parent_and_not_below_itself() {
        let [me, parent] =
            [getpid(), rustix::process::getppid().unwrap()].map(|pid| pid.as_raw_nonzero().get());
        assert!(descends(me, parent));
        for (pid, ancestor) in [(me, me), (parent, me), (0, me), (-1, me), (i32::MIN, me)] {
            assert!(!descends(pid, ancestor), "{pid} {ancestor}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_no_process(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _: Option<Process> = parse_stat(Pid::INIT, &bytes);
        }
    }
}
