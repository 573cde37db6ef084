//! Which processes are children of which.
//!
//! The kernel lists the children of each thread in `/proc/PID/task/TID/children`. Of this process it
//! lists all of them, whatever `/proc` hides from it otherwise; and it costs as much as there are
//! children, not as there are processes on the host. A kernel without that list
//! (`CONFIG_PROC_CHILDREN`) has all of `/proc` read instead.

use std::collections::HashMap;
use std::io;

use rustix::process::{Pid, getpid};

use super::hidepid;
use super::proc;
use super::process::{Process, each_process, is_gone};

/// The children of this process, dead ones that are not reaped among them. It is complete as
/// long as nothing is reaped meanwhile: every process below us is in it or has an ancestor in it.
///
/// # Errors
///
/// When the list may be incomplete.
pub(super) fn own_children() -> io::Result<Vec<Pid>> {
    let me = getpid();
    if !is_listed()? {
        if hidepid::hides_processes() {
            return Err(io::Error::other(
                "/proc hides processes, and the kernel lists no children (CONFIG_PROC_CHILDREN): mount /proc \
                 with hidepid=0",
            ));
        }
        return Ok(scan()?
            .remove(&me.as_raw_nonzero().get())
            .unwrap_or_default());
    }
    /// How often to retry while threads start and exit.
    const TRIES: usize = 64;
    for _ in 0..TRIES {
        let threads = threads_of(me)?;
        let mut children = Vec::new();
        for thread in &threads {
            match children_of_thread(me, *thread) {
                Ok(found) => children.extend(found),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // The children of a thread that exits move to another, whose list may have been read already.
        if threads == threads_of(me)? {
            return Ok(children);
        }
    }
    Err(io::Error::other(
        "threads keep starting and exiting, so their children cannot be listed",
    ))
}

/// The source of the children of other processes.
pub(super) enum ChildLists {
    /// The kernel's lists.
    Listed,
    /// A listing of all of `/proc`.
    Scanned(HashMap<i32, Vec<Pid>>),
}

impl ChildLists {
    /// Looks around, where that has to be done once for all.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read.
    pub(super) fn look() -> io::Result<Self> {
        Ok(if is_listed()? {
            Self::Listed
        } else {
            Self::Scanned(scan()?)
        })
    }

    /// The children of a process that `/proc` shows.
    pub(super) fn children_of(&self, parent: Pid) -> Vec<Pid> {
        match self {
            Self::Listed => threads_of(parent)
                .unwrap_or_default()
                .into_iter()
                .filter_map(|thread| children_of_thread(parent, thread).ok())
                .flatten()
                .collect(),
            Self::Scanned(children) => children
                .get(&parent.as_raw_nonzero().get())
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// Which of `children` are children of `parent` now.
    pub(super) fn confirm(&self, parent: Pid, children: &[Pid]) -> Vec<Pid> {
        match self {
            Self::Listed => self.children_of(parent),
            Self::Scanned(_) => {
                let number = parent.as_raw_nonzero().get();
                let is_child = |process: &Process| process.parent == number;
                let still = children.iter().filter_map(|pid| Process::read(*pid));
                still.filter(is_child).map(|process| process.pid).collect()
            }
        }
    }
}

/// Whether the kernel lists children.
///
/// # Errors
///
/// When `/proc` is not mounted, or belongs to another PID namespace.
fn is_listed() -> io::Result<bool> {
    let (me, shown) = (getpid().to_string(), proc::read_link("self")?);
    if shown != me.as_bytes() {
        return Err(io::Error::other(format!(
            "/proc shows this process as {} and not as {me}: it belongs to another pid namespace; \
             mount one of this namespace (unshare --mount-proc)",
            String::from_utf8_lossy(&shown)
        )));
    }
    match proc::open("thread-self/children") {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn threads_of(process: Pid) -> io::Result<Vec<Pid>> {
    let numbers = proc::numbers(&format!("{process}/task"))?;
    Ok(numbers.into_iter().filter_map(Pid::from_raw).collect())
}

fn children_of_thread(process: Pid, thread: Pid) -> io::Result<Vec<Pid>> {
    let listed = proc::read(&format!("{process}/task/{thread}/children"))?;
    let listed = String::from_utf8_lossy(&listed);
    Ok(listed.split_ascii_whitespace().filter_map(parse).collect())
}

fn parse(number: &str) -> Option<Pid> {
    number.parse().ok().and_then(Pid::from_raw)
}

fn scan() -> io::Result<HashMap<i32, Vec<Pid>>> {
    let mut children: HashMap<i32, Vec<Pid>> = HashMap::new();
    each_process(|process| {
        children
            .entry(process.parent)
            .or_default()
            .push(process.pid);
    })?;
    Ok(children)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell and its child.
    fn family() -> (Child, Pid) {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let told = shell.stdout.as_mut().unwrap();
        BufReader::new(told).read_line(&mut line).unwrap();
        (shell, parse(line.trim()).unwrap())
    }

    #[test]
    fn both_ways_find_the_same_children() {
        let (mut shell, child) = family();
        let parent = Pid::from_child(&shell);
        assert!(own_children().unwrap().contains(&parent));
        let scanned = ChildLists::Scanned(scan().unwrap());
        assert!(scanned.children_of(getpid()).contains(&parent));
        for lists in [ChildLists::look().unwrap(), scanned] {
            assert_eq!(lists.children_of(parent), [child]);
            assert_eq!(lists.confirm(parent, &[child]), [child]);
            assert!(!lists.confirm(getpid(), &[child]).contains(&child));
        }
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert_eq!(ChildLists::Listed.children_of(parent), []);
        assert!(!own_children().unwrap().contains(&parent));
    }

    #[test]
    fn a_child_that_is_dead_is_listed_until_it_is_reaped() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        while Process::read(pid).unwrap().alive {
            std::thread::yield_now();
        }
        assert!(own_children().unwrap().contains(&pid));
        child.wait().unwrap();
        assert!(!own_children().unwrap().contains(&pid));
    }
}
