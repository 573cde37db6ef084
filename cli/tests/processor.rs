//! A keeper whose processor is taken away still ends its program in time (`S1`).
//!
//! It needs root, for real-time priority.

#![allow(missing_docs, reason = "tests are named by what they claim")]

mod field;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;

use field::bed::{Bed, ONE_REDIS};
use field::candidate::Kind::Wrapper;
use field::processor::{Group, hog, pin};
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity};

/// One at a time: each takes what the other needs.
static PROCESSOR: Mutex<()> = Mutex::new(());

/// A store, and a window of 600 ms: less than the kernel lets others than a hog wait. A leader survives 500 ms
/// without an answer.
fn bed(by: Vec<String>) -> Bed {
    let mut bed = Bed::new(ONE_REDIS, &[]);
    let settings = bed.fleet.settings();
    (settings.interval, settings.stall_polls) = (Duration::from_millis(100), 6);
    settings.stop_grace = Duration::from_millis(50);
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
        let hog = hog(of_keeper, Duration::from_millis(900));
        leader.signal(loss);
        bed.fleet.next_leader(&first);
        hog.join().unwrap();
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
    let within = ["sh", "-c", enter, group.path().to_str().unwrap()].map(str::to_owned);
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
        // The quota of this second is used up.
        bed.fleet.idle(Duration::from_millis(50));
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
