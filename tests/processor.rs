//! Whoever takes the processor from the keeper does not keep it from ending its program in time (`S1`).
//!
//! It needs root, for what may have real-time priority.

#![cfg(feature = "cli")]
#![allow(missing_docs, reason = "tests are named by what they claim")]

mod field;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use field::bed::{Bed, ONE_REDIS};
use field::candidate::Kind::Wrapper;
use field::fleet::wait_until;
use field::program;
use field::witness::boot_nanos;
use rustix::process::Signal;
use rustix::thread::{CpuSet, gettid, sched_getaffinity};

#[test]
fn the_witness_sees_what_an_elected_program_does() {
    program::be_or_show();
}

/// One at a time: each takes what the other needs.
static PROCESSOR: Mutex<()> = Mutex::new(());

/// A store, and a window of 600 ms: less than the kernel lets others than a hog wait.
fn bed(by: Vec<String>) -> Bed {
    let mut bed = Bed::new(ONE_REDIS, &[]);
    let settings = bed.fleet.settings();
    (settings.interval, settings.stall_polls) = (Duration::from_millis(100), 6);
    settings.by = by;
    bed
}

/// The elector is lost, and a process of real-time priority runs where its keeper must.
#[test]
fn a_real_time_hog_on_the_processor_of_the_keeper_does_not_delay_the_kill() {
    let _alone = PROCESSOR.lock();
    let ours = sched_getaffinity(None).unwrap();
    let mut processors = (0..CpuSet::MAX_CPU).filter(|cpu| ours.is_set(*cpu));
    let of_keeper = processors.next().unwrap();
    let others: Vec<String> = processors.map(|cpu| cpu.to_string()).collect();
    let by = match &others[..] {
        [] => Vec::new(),
        others => ["taskset", "-c", &others.join(",")]
            .map(str::to_owned)
            .into(),
    };
    for loss in [Signal::KILL, Signal::STOP] {
        let mut bed = bed(by.clone());
        bed.fleet.start(Wrapper);
        let first = bed.fleet.leader();
        bed.fleet.start(Wrapper);
        bed.fleet.campaigning();
        let leader = bed.fleet.candidate(&first.who);
        assert!(
            leader.said().contains("real_time=true"),
            "{}",
            leader.said()
        );
        pin(leader.keeper().unwrap(), of_keeper);
        let hog = Hog::on(of_keeper);
        leader.signal(loss);
        bed.fleet.next_leader(&first);
        drop(hog);
        bed.verdict();
    }
}

/// The elector is lost, and a worker of its program uses up the quota that they share.
#[test]
fn a_quota_that_the_program_uses_up_does_not_delay_the_kill() {
    let _alone = PROCESSOR.lock();
    let group = Group::new();
    group.set_quota(500_000);
    let enter = "echo 0 > \"$0\"/cgroup.procs && exec \"$@\"";
    let within = ["sh", "-c", enter, group.0.to_str().unwrap()].map(str::to_owned);
    for loss in [Signal::KILL, Signal::STOP] {
        let mut bed = bed(within.to_vec());
        bed.fleet.start(Wrapper);
        let first = bed.fleet.leader();
        bed.fleet.settings().by.clear();
        bed.fleet.start(Wrapper);
        bed.fleet.campaigning();
        let said = bed.fleet.candidate(&first.who).said();
        assert!(said.contains("real_time=true"), "{said}");
        assert!(said.contains("a CPU quota of 0.50 processors"), "{said}");
        let workers = Workers::start(&within);
        group.set_quota(10_000);
        let before = group.throttled();
        wait_until("the quota is used up", || group.throttled() > before);
        bed.fleet.signal(&first.who, loss);
        bed.fleet.next_leader(&first);
        drop(workers);
        group.set_quota(500_000);
        bed.verdict();
    }
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("none.db").display());
    let mut doctor = Command::new(&within[0]);
    doctor
        .args(&within[1..])
        .arg(env!("CARGO_BIN_EXE_incumbent"))
        .args(["doctor", "-o", "json", "--store", &store]);
    let told = doctor.output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    assert!(told.contains("a CPU quota of 0.50 processors"), "{told}");
}

/// A control group that may be given a quota. Its processes may have real-time priority.
struct Group(PathBuf);

impl Group {
    /// The longest period there is.
    const PERIOD_US: u32 = 1_000_000;

    fn new() -> Self {
        let name = format!("incumbent-test-{}", std::process::id());
        let first = Path::new("/sys/fs/cgroup/cpu");
        let group = if first.exists() {
            first
        } else {
            Path::new("/sys/fs/cgroup")
        };
        let group = Self(group.join(name));
        fs::create_dir(&group.0)
            .expect("only root may make a control group: run this test as root");
        // A kernel that shares real-time priority out among groups gives a new one nothing.
        if group.0.join("cpu.rt_runtime_us").exists() {
            group.write("cpu.rt_runtime_us", "100000");
        }
        group
    }

    /// How many microseconds in each second its processes have together.
    fn set_quota(&self, micros: u32) {
        if self.0.join("cpu.max").exists() {
            self.write("cpu.max", &format!("{micros} {}", Self::PERIOD_US));
        } else {
            self.write("cpu.cfs_period_us", &Self::PERIOD_US.to_string());
            self.write("cpu.cfs_quota_us", &micros.to_string());
        }
    }

    fn throttled(&self) -> u64 {
        let statistics = fs::read_to_string(self.0.join("cpu.stat")).unwrap();
        let count = statistics
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "));
        count.unwrap().parse().unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.0.join(file);
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.set_quota(Self::PERIOD_US);
        let started = boot_nanos();
        while let Err(error) = fs::remove_dir(&self.0) {
            assert!(
                boot_nanos() - started < 20_000_000_000,
                "{}: {error}",
                self.0.display()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Two processes that do nothing but use up what their group may.
struct Workers([Child; 2]);

impl Workers {
    fn start(within: &[String]) -> Self {
        let start = || {
            let mut command = Command::new(&within[0]);
            command
                .args(&within[1..])
                .args(["sh", "-c", "while :; do :; done"]);
            command.spawn().unwrap()
        };
        Self([start(), start()])
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
    }
}

/// A thread that takes a processor for itself, with real-time priority, and not for long.
struct Hog {
    enough: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hog {
    const LONGEST: Duration = Duration::from_millis(900);

    /// It runs when this returns.
    fn on(processor: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let is_enough = Arc::clone(&enough);
        let (begin, begun) = mpsc::channel();
        let thread = thread::spawn(move || {
            let me = gettid().as_raw_nonzero().get().unsigned_abs();
            pin(me, processor);
            run("chrt", &["--fifo", "--pid", "50", &me.to_string()]);
            let end = boot_nanos() + u64::try_from(Self::LONGEST.as_nanos()).unwrap();
            begin.send(()).unwrap();
            while boot_nanos() < end && !is_enough.load(Ordering::Relaxed) {}
        });
        begun.recv().unwrap();
        Self {
            enough,
            thread: Some(thread),
        }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn pin(thread: u32, processor: usize) {
    run(
        "taskset",
        &["-cp", &processor.to_string(), &thread.to_string()],
    );
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
}
