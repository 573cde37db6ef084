//! A cgroup for the program, where this process may create one: the kernel then kills the whole tree at
//! once, however fast it forks.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::process::Pid;

use super::fork;

/// A cgroup (v2) made for one program.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    /// Its folder, locked by the keeper. One that is not locked has lost its keeper.
    lock: Option<OwnedFd>,
    /// Whether a child can begin in it.
    is_birthplace: AtomicBool,
    /// Its events, opened by the keeper.
    events: Option<File>,
}

impl Cgroup {
    /// Makes a cgroup below the one of this process, and ends what other keepers that were killed have left there.
    /// `None` when there is no v2 hierarchy, when it was not delegated to us, or when the kernel has no `cgroup.kill`
    /// (before 5.14).
    pub(super) fn create() -> Option<Self> {
        let mounts = fs::read("/proc/self/mountinfo").ok()?;
        let membership = fs::read("/proc/self/cgroup").ok()?;
        let own = own_directory(Hierarchy::Unified, &mounts, &membership)?.directory;
        if !is_delegated(&own) {
            return None;
        }
        sweep(&own);
        // Another keeper may sweep a new one away before it is locked.
        (0..3).find_map(|_| match Self::create_in(&own) {
            Ok(cgroup) => Some(cgroup),
            Err(error) => {
                tracing::debug!(path = %own.display(), %error, "no cgroup for the program");
                None
            }
        })
    }

    fn create_in(own: &Path) -> io::Result<Self> {
        // Containers that share a hierarchy may have the same process ids.
        let name = format!("{PREFIX}{}-{:08x}", process::id(), fastrand::u32(..));
        let path = own.join(name);
        fs::create_dir(&path)?;
        let locked = lock(&path).and_then(|lock| {
            fs::metadata(path.join("cgroup.kill"))?;
            let cgroup = Self {
                path: path.clone(),
                is_birthplace: fork::can_begin_in(&lock).into(),
                lock: Some(lock),
                events: Some(File::open(path.join(EVENTS))?),
            };
            cgroup.procs_file().map(|_| cgroup)
        });
        if locked.is_err() {
            Self::existing(path).remove();
        }
        locked
    }

    /// The cgroup that a keeper has made.
    pub(super) const fn existing(path: PathBuf) -> Self {
        Self {
            path,
            lock: None,
            is_birthplace: AtomicBool::new(false),
            events: None,
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its open folder, if a child can begin in it.
    pub(super) fn birthplace(&self) -> Option<&OwnedFd> {
        let folder = self.lock.as_ref();
        folder.filter(|_| self.is_birthplace.load(Ordering::Relaxed))
    }

    /// The file through which a process enters: it writes `0` to it.
    fn procs_file(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.path.join("cgroup.procs"))
    }

    /// Moves this process into it. It takes the kernel up to some tens of milliseconds, so a child that begins in it is
    /// better off.
    pub(super) fn enter(&self) -> io::Result<()> {
        self.procs_file()?.write_all(b"0")
    }

    /// Kills every process in it. Some kernels then kill what begins in it later as well.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.is_birthplace.store(false, Ordering::Relaxed);
        fs::write(self.path.join("cgroup.kill"), "1")
    }

    /// Whether a process lives in it. An unreadable answer counts as yes, and a group that is gone as
    /// no: the kernel does not remove a populated one.
    pub(super) fn is_populated(&self) -> bool {
        let read = match &self.events {
            Some(events) => {
                let mut text = vec![0; 256];
                let read = events.read_at(&mut text, 0);
                read.map(|length| {
                    text.truncate(length);
                    text
                })
            }
            None => fs::read(self.path.join(EVENTS)),
        };
        match read {
            Ok(events) => !lines(&events).any(|line| line == b"populated 0"),
            Err(error) => !matches!(
                Errno::from_io_error(&error),
                Some(Errno::NOENT | Errno::NODEV)
            ),
        }
    }

    /// What can be polled (`PRI`) for a change since the last [`Cgroup::is_populated`].
    pub(super) const fn events(&self) -> Option<&File> {
        self.events.as_ref()
    }

    /// The processes in it that are alive and visible here.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let (mut pids, mut groups) = (Vec::new(), vec![self.path.clone()]);
        while let Some(group) = groups.pop() {
            // What has just been removed has none.
            groups.extend(groups_in(&group).unwrap_or_default());
            let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            let listed = listed.lines().filter_map(|line| line.parse().ok());
            pids.extend(listed.filter_map(Pid::from_raw));
        }
        pids
    }

    /// Removes the group, in which no process lives.
    pub(super) fn remove(&self) {
        if let Err(error) = remove_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the program's cgroup cannot be removed");
        }
    }
}

/// What the names of all groups begin with.
const PREFIX: &str = "incumbent-";
/// The file in each group that shows whether a process lives in it.
const EVENTS: &str = "cgroup.events";

/// Takes the lock of a group, which the end of the process gives back.
fn lock(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group = open(path, flags, Mode::empty())?;
    flock(&group, FlockOperation::NonBlockingLockExclusive)?;
    Ok(group)
}

/// The groups in a group.
fn groups_in(group: &Path) -> io::Result<Vec<PathBuf>> {
    let mut groups = Vec::new();
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            groups.push(entry.path());
        }
    }
    Ok(groups)
}

/// Removes a group, and first those that its program has made in it.
fn remove_all(group: &Path) -> io::Result<()> {
    let removed = groups_in(group).and_then(|groups| {
        groups.iter().try_for_each(|group| remove_all(group))?;
        fs::remove_dir(group)
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Kills what keepers that were killed together with their electors have left alive, and removes their groups. One
/// whose processes are still dying is removed by the next keeper.
fn sweep(own: &Path) {
    let Ok(entries) = fs::read_dir(own) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
        if is_ours && let Ok(_lock) = lock(&entry.path()) {
            let left = Cgroup::existing(entry.path());
            if let Err(error) = left.kill().and_then(|()| remove_all(&left.path)) {
                tracing::debug!(path = %left.path.display(), %error, "left by a killed keeper, and not removed yet");
            }
        }
    }
}

/// Whether the manager of the hierarchy has delegated this part of it to us. Without systemd nothing else
/// manages it, and the file permissions decide.
fn is_delegated(own: &Path) -> bool {
    if !Path::new("/run/systemd/system").exists() {
        return true;
    }
    own.ancestors().any(|directory| {
        ["user.delegate", "trusted.delegate"].iter().any(|name| {
            let mut value = [0; 1];
            matches!(
                rustix::fs::getxattr(directory, *name, &mut value),
                Ok(1) if value == *b"1"
            )
        })
    })
}

/// A cgroup hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// The second version.
    Unified,
    /// The one of the first version in which systemd keeps its units where there is no second.
    OfSystemd,
    /// The one of the first version that has the CPU quotas where the second has not.
    OfCpu,
}

/// The group of this process in one hierarchy.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) directory: PathBuf,
    /// Whether it appears to be the root of the hierarchy.
    pub(super) is_root: bool,
}

/// The directory of this process's group, from `/proc/self/mountinfo` and `/proc/self/cgroup`.
pub(super) fn own_directory(hierarchy: Hierarchy, mounts: &[u8], membership: &[u8]) -> Option<Own> {
    let (kind, option) = match hierarchy {
        Hierarchy::Unified => (&b"cgroup2"[..], None),
        Hierarchy::OfSystemd => (&b"cgroup"[..], Some(&b"name=systemd"[..])),
        Hierarchy::OfCpu => (&b"cgroup"[..], Some(&b"cpu"[..])),
    };
    let has = |list: &[u8], name: &[u8]| list.split(|byte| *byte == b',').any(|one| one == name);
    let path = lines(membership).find_map(|line| {
        // NUMBER:CONTROLLERS:PATH; the unified one has the number 0 and names no controllers.
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (number, controllers) = (fields.next()?, fields.next()?);
        let meant = match option {
            None => number == b"0" && controllers.is_empty(),
            Some(name) => has(controllers, name),
        };
        fields.next().filter(|_| meant)
    })?;
    let path = Path::new(OsStr::from_bytes(path));
    if path
        .components()
        .any(|part| matches!(part, Component::ParentDir))
    {
        // Our group lies outside of what the cgroup namespace shows.
        return None;
    }
    lines(mounts).find_map(|line| {
        // ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS… - TYPE SOURCE SUPEROPTIONS
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
        let (found, options) = (rest.next()?, rest.nth(1)?);
        let has_option = option.is_none_or(|name| has(options, name));
        if found != kind || !has_option || [root, point].iter().any(|name| name.contains(&b'\\')) {
            return None;
        }
        let below = path.strip_prefix(OsStr::from_bytes(root)).ok()?;
        Some(Own {
            directory: Path::new(OsStr::from_bytes(point)).join(below),
            is_root: below.as_os_str().is_empty(),
        })
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mounts: &str, membership: &str, expected: Option<&str>) {
        let own = own_directory(Hierarchy::Unified, mounts.as_bytes(), membership.as_bytes());
        assert_eq!(
            own.map(|own| own.directory),
            expected.map(PathBuf::from),
            "{mounts} {membership}"
        );
    }

    #[test]
    fn the_directory_follows_from_mount_and_membership() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let hybrid = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let part = "30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let unit = "0::/system.slice/a.service\n";
        check(unified, unit, Some("/sys/fs/cgroup/system.slice/a.service"));
        check(
            hybrid,
            "4:memory:/x\n0::/y\n",
            Some("/sys/fs/cgroup/unified/y"),
        );
        check(part, "0::/docker/1/a\n", Some("/sys/fs/cgroup/a"));
        check(part, unit, None);
        check(unified, "0::/../other\n", None);
        check(unified, "4:memory:/x\n", None);
        let cpu = |membership: &str| {
            let own = own_directory(Hierarchy::OfCpu, hybrid.as_bytes(), membership.as_bytes());
            own.map(|own| own.directory)
        };
        assert_eq!(
            cpu("0::/y\n6:cpuacct,cpu:/z\n"),
            Some("/sys/fs/cgroup/cpu/z".into())
        );
        assert_eq!(cpu("0::/y\n6:cpuset:/z\n"), None);
        check("", unit, None);
        check("a b\n- -\n", unit, None);
    }
}
