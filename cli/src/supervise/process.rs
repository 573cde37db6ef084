//! A process of this host, as `/proc` shows it.

use std::io::{self, Read};

use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use super::proc;

/// A process, as `/proc/PID/stat` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: Pid,
    /// The pid of its parent; 0 when the parent is outside of our pid namespace.
    pub(super) parent: i32,
    /// Whether it still runs; what is dead and not yet reaped does not.
    pub(super) alive: bool,
    /// When it was started, in clock ticks since boot: with the pid it identifies one process.
    pub(super) started: u64,
}

impl Process {
    /// The process that has this number now, if it is there and `/proc` shows it.
    pub(super) fn read(pid: Pid) -> Option<Self> {
        Self::look(pid).ok().flatten()
    }

    /// The same; an error when it may be there, and cannot be read.
    fn look(pid: Pid) -> io::Result<Option<Self>> {
        /// More than 52 numbers and a name take. The kernel hands all of it out in one read, and all
        /// processes of the host are read while a program dies.
        const LONGEST: usize = 2048;
        let mut stat = [0; LONGEST];
        let read = proc::open(&format!("{pid}/stat")).and_then(|mut file| file.read(&mut stat));
        match read {
            Ok(length) => Ok(parse_stat(pid, &stat[..length])),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the process `pid` descends from the process `ancestor`. One that has exited has
/// no ancestors.
#[must_use]
pub fn descends(pid: i32, ancestor: i32) -> bool {
    /// Deeper than any real process tree; bounds a walk that races with new parents.
    const DEEPEST: usize = 256;
    let mut next = Pid::from_raw(pid.max(0));
    for _ in 0..DEEPEST {
        let Some(process) = next.and_then(Process::read) else {
            return false;
        };
        if process.parent == ancestor {
            return true;
        }
        next = Pid::from_raw(process.parent);
    }
    false
}

/// The processes, this one aside, that were started with this variable and that this one may inspect.
///
/// # Errors
///
/// When `/proc` cannot be read.
pub fn started_with(name: &str, value: &str) -> io::Result<Vec<i32>> {
    let wanted = format!("{name}={value}");
    let own = getpid().as_raw_nonzero().get();
    let mut found = proc::numbers(".")?;
    found.retain(|pid| {
        let environment = proc::read(&format!("{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        *pid != own && variables.any(|variable| variable == wanted.as_bytes())
    });
    Ok(found)
}

/// Visits the processes that `/proc` shows, in the order of their numbers.
///
/// # Errors
///
/// When `/proc` cannot be read, or shows a process and not what it is.
pub(super) fn each_process(mut visit: impl FnMut(Process)) -> io::Result<()> {
    for pid in proc::numbers(".")?.into_iter().filter_map(Pid::from_raw) {
        // A process may vanish between being listed and being read.
        if let Some(process) = Process::look(pid)? {
            visit(process);
        }
    }
    Ok(())
}

/// Whether a file of a process cannot be read because the process, or the thread, has ended.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// Parses `/proc/PID/stat`. The name is in parentheses and may contain any byte, so the fields are counted
/// from the last closing parenthesis.
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
    use rustix::process::getpid;

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
