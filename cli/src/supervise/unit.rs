//! The cgroup of a service, as seen by one of its control processes: whether any process of the service is
//! still alive.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::cgroup::{Hierarchy, own_directory};
use incumbent::election::clock;
use incumbent::protocol::Timestamp;

/// The cgroup of the service whose control process (`systemd.service(5)`) this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    directory: PathBuf,
}

impl Unit {
    /// Where systemd puts the control processes of a unit whose own groups are delegated.
    const CONTROL: &'static str = ".control";
    /// The polling interval for processes that cannot be waited for.
    const PAUSE: Duration = Duration::from_millis(1);

    /// The unit that this process was started for.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be read, and when this process is in no cgroup of a service manager, so that the
    /// processes of the unit cannot be listed.
    pub fn of_this_process() -> io::Result<Self> {
        let mounts = fs::read("/proc/self/mountinfo")?;
        let membership = fs::read("/proc/self/cgroup")?;
        Self::find(&mounts, &membership).ok_or_else(|| {
            let membership = String::from_utf8_lossy(&membership);
            let why = format!("/proc/self/cgroup names no cgroup of a service: {membership:?}");
            io::Error::new(ErrorKind::InvalidData, why)
        })
    }

    /// The unified hierarchy is the one that a manager uses when it is there. One that is mounted and
    /// not used has us in its root.
    fn find(mounts: &[u8], membership: &[u8]) -> Option<Self> {
        [Hierarchy::Unified, Hierarchy::OfSystemd]
            .into_iter()
            .find_map(|hierarchy| {
                let own = own_directory(hierarchy, mounts, membership)?;
                (!own.is_root).then_some(own.directory)
            })
            .map(|own| match own.file_name() {
                Some(name) if name == Self::CONTROL => own.parent().unwrap_or(&own).to_owned(),
                Some(_) | None => own,
            })
            .map(|directory| Self { directory })
    }

    /// Waits until every process of the unit has exited, control processes aside, and returns those that have
    /// not after `patience`. A zero stands for a process in another PID namespace.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be read: then it is unknown what is alive.
    pub fn wait_until_empty(&self, patience: Duration) -> io::Result<Vec<i32>> {
        let until = clock::now() + patience;
        loop {
            let alive = self.processes()?;
            if alive.is_empty() || clock::now() >= until {
                return Ok(alive);
            }
            wait_for_one(&alive, until)?;
        }
    }

    fn processes(&self) -> io::Result<Vec<i32>> {
        let mut found = Vec::new();
        collect(&self.directory, Some(OsStr::new(Self::CONTROL)), &mut found)?;
        let own = getpid().as_raw_nonzero().get();
        found.retain(|pid| *pid != own);
        Ok(found)
    }
}

/// Adds the processes of a cgroup and of those below it, except `spared`.
fn collect(group: &Path, spared: Option<&OsStr>, found: &mut Vec<i32>) -> io::Result<()> {
    match fs::read_to_string(group.join("cgroup.procs")) {
        Ok(text) => {
            for line in text.lines() {
                found.push(line.parse().map_err(|_| {
                    let why = format!("{} lists {line:?}", group.display());
                    io::Error::new(ErrorKind::InvalidData, why)
                })?);
            }
        }
        Err(error) if is_gone(&error) => return Ok(()),
        // A threaded group: its processes are listed in the one above it.
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let entries = match fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && spared != Some(&entry.file_name()) {
            collect(&entry.path(), None, found)?;
        }
    }
    Ok(())
}

/// Whether a group was removed meanwhile, which only happens to an empty one.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

/// Waits until one of the processes that was alive has ended, or `until`.
fn wait_for_one(alive: &[i32], until: Timestamp) -> io::Result<()> {
    let open = |pid: &i32| pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok();
    // One is enough: the others are looked at again after it.
    let Some(process) = alive.iter().find_map(open) else {
        std::thread::sleep(Unit::PAUSE);
        return Ok(());
    };
    let left = Timespec::try_from(until.since(clock::now()))
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
        // A process leaves its cgroup shortly after it exits.
        Ok(1..) => std::thread::yield_now(),
        Ok(0) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mounts: &str, membership: &str, expected: Option<&str>) {
        let expected = expected.map(|directory| Unit {
            directory: directory.into(),
        });
        let found = Unit::find(mounts.as_bytes(), membership.as_bytes());
        assert_eq!(found, expected, "{mounts} {membership}");
    }

    #[test]
    fn the_unit_of_a_control_process_is_found_in_the_hierarchy_in_use() {
        const UNIFIED: &str = "30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
        const LEGACY: &str = "31 23 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             32 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let unit = "/system.slice/a.service";
        let found = "/sys/fs/cgroup/system.slice/a.service";
        check(UNIFIED, &format!("0::{unit}/.control\n"), Some(found));
        check(UNIFIED, &format!("0::{unit}\n"), Some(found));
        let legacy = "/sys/fs/cgroup/systemd/system.slice/a.service";
        let both = format!("9:cpu:/\n1:name=systemd:{unit}/.control\n0::/\n");
        check(LEGACY, &both, Some(legacy));
        check(&format!("{UNIFIED}{LEGACY}"), &both, Some(legacy));
        // What a container's manager does not use shows where the container itself is.
        let outer = format!("1:name=systemd:/../..\n0::{unit}/.control\n");
        check(&format!("{UNIFIED}{LEGACY}"), &outer, Some(found));
        check(UNIFIED, "0::/\n", None);
        check(UNIFIED, "4:memory:/x\n", None);
        check("", &both, None);
    }

    #[test]
    fn what_is_alive_below_is_found_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let unit = Unit {
            directory: folder.path().to_owned(),
        };
        let list = |group: &str, text: &str| {
            fs::create_dir_all(folder.path().join(group)).unwrap();
            fs::write(folder.path().join(group).join("cgroup.procs"), text).unwrap();
        };
        let own = std::process::id();
        list("", &format!("{own}\n"));
        list(".control", "1\n");
        list("incumbent-7", "");
        assert_eq!(unit.wait_until_empty(Duration::ZERO).unwrap(), [0; 0]);
        list("incumbent-7/program", "1\n0\n");
        let patience = Duration::from_millis(20);
        assert_eq!(unit.wait_until_empty(patience).unwrap(), [1, 0]);
        list("incumbent-7/program", "x\n");
        assert!(unit.wait_until_empty(patience).is_err());
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(unit.wait_until_empty(patience).unwrap(), [0; 0]);
    }
}
