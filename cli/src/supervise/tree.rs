//! Finds and kills the process tree of a program, and verifies that it is dead.
//!
//! Both the keeper and the elector are subreapers, so whatever a program does, double forks and
//! `setsid` included, its processes stay below one of them. Looking for a process cannot prove that
//! it is dead; but a subreaper without children has no descendants, and `wait` reports that reliably.
//!
//! A killed process starts nothing more, and leaves its children to us once it is dead. So killing our own
//! children repeatedly reaches everything in the end, whatever `/proc` hides. Killing deeper processes
//! directly avoids waiting for those that die slowly.

use std::collections::{HashSet, VecDeque};
use std::io;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpid, kill_process,
    kill_process_group, pidfd_open, pidfd_send_signal, wait, waitid, waitpid,
};

use super::child_lists::{ChildLists, own_children};
use super::process::Process;
use super::program::ProgramExit;

/// Sends `signal` to everything below this process, except `spare` and what is below those.
///
/// # Errors
///
/// When the children of this process cannot be listed.
pub(super) fn signal_descendants(signal: Signal, spare: &[Pid]) -> io::Result<()> {
    Sweep::new(signal, spare)?.run(None)
}

/// Kills everything below this process, except `spare`, until there is nothing new to kill. What it
/// killed may take a moment to die.
///
/// `group` is the process group of a leader that has not been reaped yet: the kernel kills a group in
/// one go, so that nothing in it can fork its way out.
///
/// # Errors
///
/// When the children of this process cannot be listed.
pub(super) fn kill_descendants(group: Option<Pid>, spare: &[Pid]) -> io::Result<()> {
    Sweep::new(Signal::KILL, spare)?.run(group)
}

/// Runs the killing code with nothing to kill.
///
/// # Errors
///
/// When the children of this process cannot be listed.
pub(super) fn preload() -> io::Result<()> {
    let me = getpid();
    let mut sweep = Sweep::new(Signal::KILL, &[])?;
    sweep.run(None)?;
    // A process without children: the walk ends with the look.
    sweep.go_below(
        &Parent {
            pid: me,
            started: None,
        },
        Sweep::STRETCH,
    );
    drop((pidfd_open(me, PidfdFlags::empty()), Process::read(me)));
    OrphanKiller::default().kill_new()
}

/// One sweep over the tree.
struct Sweep<'a> {
    signal: Signal,
    spare: &'a [Pid],
    lists: ChildLists,
    /// Those that were sent the signal.
    met: HashSet<Pid>,
    /// Those of them whose children were not looked for yet.
    parents: VecDeque<Parent>,
}

/// A process below us whose children are to be looked for.
struct Parent {
    pid: Pid,
    /// When it was started, which shows whether the pid was reused. That of our child cannot be: only we reap
    /// it.
    started: Option<u64>,
}

impl Parent {
    fn is_still(&self) -> bool {
        self.started
            .is_none_or(|started| Process::read(self.pid).is_some_and(|now| now.started == started))
    }
}

impl<'a> Sweep<'a> {
    /// How many processes are dealt with between two looks at our own children: to kill these costs a
    /// tenth of it, and what was deeper is among them as soon as its parent is dead.
    const STRETCH: usize = 64;
    /// How often our own children are looked at. A tree that outruns that is met again by the next sweep.
    const LOOKS: usize = 4096;

    fn new(signal: Signal, spare: &'a [Pid]) -> io::Result<Self> {
        Ok(Self {
            signal,
            spare,
            lists: ChildLists::look()?,
            met: HashSet::new(),
            parents: VecDeque::new(),
        })
    }

    fn run(&mut self, group: Option<Pid>) -> io::Result<()> {
        for _ in 0..Self::LOOKS {
            if let Some(group) = group {
                kill_group(group);
            }
            self.signal_children()?;
            if self.parents.is_empty() {
                break;
            }
            let mut stretch = match self.lists {
                ChildLists::Listed => Self::STRETCH,
                // A look costs as much as all the rest.
                ChildLists::Scanned(_) => usize::MAX,
            };
            while stretch > 0
                && let Some(parent) = self.parents.pop_front()
            {
                stretch = stretch.saturating_sub(1 + self.go_below(&parent, stretch));
            }
        }
        Ok(())
    }

    /// Signals our own children, by their numbers.
    fn signal_children(&mut self) -> io::Result<()> {
        for pid in own_children()? {
            if !self.spare.contains(&pid) && self.met.insert(pid) {
                report_failure(pid, kill_process(pid, self.signal));
                self.parents.push_back(Parent { pid, started: None });
            }
        }
        Ok(())
    }

    /// Signals at most this many children of a process, and returns how many it signalled.
    ///
    /// Their numbers may be given to others at any time, so they are signalled through pidfds. Each
    /// refers to the process that was meant when the number is still that of a child afterwards.
    fn go_below(&mut self, parent: &Parent, most: usize) -> usize {
        let mut children = self.lists.children_of(parent.pid);
        children.retain(|pid| !self.met.contains(pid));
        let is_more = children.len() > most;
        children.truncate(most);
        let held = children.iter().filter_map(|pid| {
            let pidfd = pidfd_open(*pid, PidfdFlags::empty()).ok()?;
            Some((*pid, pidfd, Process::read(*pid)))
        });
        let held: Vec<_> = held.collect();
        let confirmed: HashSet<Pid> = match held.len() {
            0 => return 0,
            _ => self
                .lists
                .confirm(parent.pid, &children)
                .into_iter()
                .collect(),
        };
        if !parent.is_still() {
            return held.len();
        }
        for (pid, pidfd, process) in &held {
            if !confirmed.contains(pid) {
                continue;
            }
            report_failure(*pid, pidfd_send_signal(pidfd, self.signal));
            self.met.insert(*pid);
            // What `/proc` does not show is not looked below: its children are ours once it is dead.
            if let Some(process) = process {
                self.parents.push_back(Parent {
                    pid: *pid,
                    started: Some(process.started),
                });
            }
        }
        if is_more {
            self.parents.push_front(Parent { ..*parent });
        }
        held.len()
    }
}

/// The children of this process that were killed, from sweep to sweep.
#[derive(Debug, Default)]
pub(super) struct OrphanKiller {
    killed: HashSet<Pid>,
}

impl OrphanKiller {
    /// Kills the children that this process has gained since the last call: descendants of a process that is
    /// now dead.
    ///
    /// # Errors
    ///
    /// When the children of this process cannot be listed.
    pub(super) fn kill_new(&mut self) -> io::Result<()> {
        let children: HashSet<Pid> = own_children()?.into_iter().collect();
        self.killed.retain(|pid| children.contains(pid));
        for pid in children {
            if self.killed.insert(pid) {
                report_failure(pid, kill_process(pid, Signal::KILL));
            }
        }
        Ok(())
    }

    /// Starts over, with nothing killed.
    pub(super) fn start_over(&mut self) {
        self.killed.clear();
    }
}

/// Kills the process group of a leader that has not been reaped yet.
pub(super) fn kill_group(group: Pid) {
    report_failure(group, kill_process_group(group, Signal::KILL));
}

/// The live processes below this one that `/proc` shows, except `spare`.
///
/// # Errors
///
/// When the children of this process cannot be listed.
pub(super) fn survivors(spare: &[Pid]) -> io::Result<Vec<Pid>> {
    let lists = ChildLists::look()?;
    let mut parents = VecDeque::from(own_children()?);
    let mut met: HashSet<Pid> = spare.iter().copied().chain([getpid()]).collect();
    let mut alive = Vec::new();
    while let Some(pid) = parents.pop_front() {
        if met.insert(pid) {
            parents.extend(lists.children_of(pid));
            if Process::read(pid).is_none_or(|process| process.alive) {
                alive.push(pid);
            }
        }
    }
    Ok(alive)
}

/// What reaping found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reaped {
    /// How the leader of the tree ended, when it was among the dead.
    pub(super) leader: Option<ProgramExit>,
    /// Whether anything was dead.
    pub(super) any: bool,
    /// Whether this process has no child left, dead or alive.
    pub(super) childless: bool,
}

/// Reaps every dead child.
pub(super) fn reap(leader: Option<Pid>) -> Reaped {
    let mut reaped = Reaped {
        leader: None,
        any: false,
        childless: false,
    };
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                reaped.any = true;
                if Some(pid) == leader {
                    reaped.leader = exit_of(status).or(reaped.leader);
                }
            }
            Err(Errno::INTR) => {}
            Ok(None) => return reaped,
            // The only other error is that there is no child.
            Err(_) => {
                reaped.childless = true;
                return reaped;
            }
        }
    }
}

/// Reaps every dead child except `spare`, for a process that has children of other kinds.
///
/// # Errors
///
/// When this process has children that cannot be listed.
pub(super) fn reap_except(leader: Option<Pid>, spare: &[Pid]) -> io::Result<Reaped> {
    let mut found = None;
    let look = || match own_children() {
        Ok(mut children) => {
            children.retain(|pid| !spare.contains(pid));
            Ok(children)
        }
        Err(_) if has_no_child() => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let take = |pid| match waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(Some((_, status))) => {
            if Some(pid) == leader {
                found = exit_of(status).or(found);
            }
            true
        }
        // It was reaped elsewhere.
        Err(Errno::CHILD) => true,
        Ok(None) | Err(_) => false,
    };
    let (any, childless) = empty(look, take)?;
    Ok(Reaped {
        leader: found,
        any,
        childless,
    })
}

/// Reaps all children that can be reaped, and returns whether any was, and whether none is left.
///
/// A process that died since the list was read has left its children to us, and they are not on the list: none
/// is left only when the list was empty twice and nothing was reaped in between.
fn empty(
    mut look: impl FnMut() -> io::Result<Vec<Pid>>,
    mut take: impl FnMut(Pid) -> bool,
) -> io::Result<(bool, bool)> {
    /// A tree that forks faster than that is checked again later.
    const LOOKS: usize = 64;
    let (mut any, mut empty_before) = (false, false);
    for _ in 0..LOOKS {
        let children = look()?;
        if children.is_empty() {
            if empty_before {
                return Ok((any, true));
            }
            empty_before = true;
            continue;
        }
        empty_before = false;
        let taken = children.into_iter().filter(|pid| take(*pid)).count();
        any |= taken > 0;
        if taken == 0 {
            break;
        }
    }
    Ok((any, false))
}

fn has_no_child() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
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

fn report_failure(pid: Pid, sent: rustix::io::Result<()>) {
    match sent {
        // It is dead already.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::error!(%pid, %error, "a process of the program cannot be signalled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world in which some processes are dead, and leave a child each when they are reaped.
    fn reap_in(mut listed: Vec<i32>, dead: &[i32], orphans: &[(i32, i32)]) -> (bool, bool) {
        let listed = std::cell::RefCell::new(&mut listed);
        let pid = |number| Pid::from_raw(number).unwrap();
        let look = || Ok(listed.borrow().iter().copied().map(pid).collect());
        let take = |taken: Pid| {
            let number = taken.as_raw_nonzero().get();
            let is_dead = dead.contains(&number);
            if is_dead {
                let mut listed = listed.borrow_mut();
                listed.retain(|other| *other != number);
                let left = orphans.iter().filter(|(parent, _)| *parent == number);
                listed.extend(left.map(|(_, child)| *child));
            }
            is_dead
        };
        empty(look, take).unwrap()
    }

    #[test]
    fn who_dies_after_the_look_leaves_children_that_were_not_seen() {
        assert_eq!(reap_in(vec![], &[], &[]), (false, true));
        assert_eq!(reap_in(vec![2], &[2], &[]), (true, true));
        assert_eq!(reap_in(vec![2, 3], &[2], &[]), (true, false));
        assert_eq!(reap_in(vec![2], &[2], &[(2, 3)]), (true, false));
        assert_eq!(reap_in(vec![2], &[2, 3], &[(2, 3)]), (true, true));
        assert_eq!(reap_in(vec![2], &[2, 3], &[(2, 3), (3, 4)]), (true, false));
    }

    #[test]
    fn children_that_come_between_two_looks_are_not_overlooked() {
        let mut looks = [vec![], vec![2], vec![2]].into_iter();
        let look = || {
            Ok(looks
                .next()
                .unwrap()
                .into_iter()
                .filter_map(Pid::from_raw)
                .collect())
        };
        assert_eq!(empty(look, |_| false).unwrap(), (false, false));
    }
}
