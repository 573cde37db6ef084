//! Whoever takes the processor from the keeper does not keep it from ending its program in time (`S1`).
//!
//! It needs root, for what may have real-time priority.

#![cfg(feature = "cli")]
#![allow(missing_docs, reason = "tests are named by what they claim")]

mod field;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use field::bed::{Bed, ONE_REDIS};
use field::candidate::Kind::Wrapper;
use field::program;
use field::witness::boot_nanos;
use rustix::process::Signal;
use rustix::thread::{CpuSet, gettid, sched_getaffinity};

#[test]
fn the_witness_sees_what_an_elected_program_does() {
    program::be_or_show();
}

/// The elector is lost, and a process of real-time priority runs where its keeper must.
#[test]
fn a_real_time_hog_on_the_processor_of_the_keeper_does_not_delay_the_kill() {
    let ours = sched_getaffinity(None).unwrap();
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| ours.is_set(*cpu))
        .collect();
    let (of_keeper, rest) = processors.split_first().unwrap();
    let others: Vec<String> = rest.iter().map(ToString::to_string).collect();
    for loss in [Signal::KILL, Signal::STOP] {
        let mut bed = Bed::new(ONE_REDIS, &[]);
        let settings = bed.fleet.settings();
        // A window of 600 ms: less than the kernel lets others than the hog wait, which is 950 ms.
        (settings.interval, settings.stall_polls) = (Duration::from_millis(100), 6);
        if !others.is_empty() {
            settings.by = ["taskset", "-c", &others.join(",")]
                .map(str::to_owned)
                .into();
        }
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
        pin(leader.keeper().unwrap(), *of_keeper);
        let hog = Hog::on(*of_keeper);
        leader.signal(loss);
        bed.fleet.next_leader(&first);
        drop(hog);
        bed.verdict();
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
