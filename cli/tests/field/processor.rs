//! Ways to take the processor away: a process of real-time priority, and a quota. Both need root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::thread::gettid;

use super::witness::boot_nanos;

/// Starts a thread of real-time priority that occupies a processor for `time`. It runs when this returns.
pub(crate) fn hog(processor: usize, time: Duration) -> JoinHandle<()> {
    let (begin, begun) = mpsc::channel();
    let thread = thread::spawn(move || {
        let me = gettid().as_raw_nonzero().get().unsigned_abs();
        pin(me, processor);
        run("chrt", &["--fifo", "--pid", "50", &me.to_string()]);
        let end = boot_nanos() + u64::try_from(time.as_nanos()).unwrap();
        begin.send(()).unwrap();
        while boot_nanos() < end {}
    });
    begun.recv().unwrap();
    thread
}

/// Lets a thread run on one processor only.
pub(crate) fn pin(thread: u32, processor: usize) {
    run(
        "taskset",
        &["-cp", &processor.to_string(), &thread.to_string()],
    );
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
}

/// The processor that a process ran on last (`proc_pid_stat(5)`).
pub(crate) fn processor_of(pid: u32) -> Option<usize> {
    const FIELDS_BEFORE: usize = 36;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(FIELDS_BEFORE)?.parse().ok()
}

/// A control group that may be given a quota. Its processes may have real-time priority.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// The longest period there is.
    const PERIOD_US: u32 = 1_000_000;

    pub(crate) fn new() -> Self {
        static GROUPS: AtomicU32 = AtomicU32::new(0);
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let first = Path::new("/sys/fs/cgroup/cpu");
        let root = if first.exists() {
            first
        } else {
            Path::new("/sys/fs/cgroup")
        };
        let group = Self(root.join(format!("incumbent-test-{}-{number}", std::process::id())));
        fs::create_dir(group.path())
            .expect("only root may make a control group: run this test as root");
        // A kernel that shares real-time priority out among groups gives a new one nothing.
        if group.path().join("cpu.rt_runtime_us").exists() {
            group.write("cpu.rt_runtime_us", "100000");
        }
        group
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes a process in, if it is there.
    pub(crate) fn take(&self, pid: u32) {
        move_to(self.path(), pid);
    }

    /// How many microseconds in each second its processes have together.
    pub(crate) fn set_quota(&self, micros: u32) {
        if self.path().join("cpu.max").exists() {
            self.write("cpu.max", &format!("{micros} {}", Self::PERIOD_US));
        } else {
            self.write("cpu.cfs_period_us", &Self::PERIOD_US.to_string());
            self.write("cpu.cfs_quota_us", &micros.to_string());
        }
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.path().join(file);
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// What is still in it is let go of.
impl Drop for Group {
    fn drop(&mut self) {
        self.set_quota(Self::PERIOD_US);
        let started = boot_nanos();
        while let Err(error) = fs::remove_dir(self.path()) {
            assert!(
                boot_nanos() - started < 20_000_000_000,
                "{}: {error}",
                self.path().display()
            );
            let left = fs::read_to_string(self.path().join("cgroup.procs")).unwrap();
            for pid in left.lines() {
                move_to(self.path().parent().unwrap(), pid.parse().unwrap());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn move_to(group: &Path, pid: u32) {
    match fs::write(group.join("cgroup.procs"), pid.to_string()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            panic!("{pid} to {}: {error}", group.display())
        }
        Ok(()) | Err(_) => {}
    }
}
