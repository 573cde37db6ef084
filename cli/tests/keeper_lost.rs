//! What happens to the program when its keeper dies or freezes.
//!
//! To an elector, all children of its process are then orphans of the keeper. So these tests take turns, in a
//! program of their own.

#![allow(missing_docs, reason = "tests are named by what they claim")]

#[path = "keeper/bench.rs"]
#[allow(dead_code, reason = "it is shared with another test program")]
mod bench;
#[path = "../../tests/support/marked.rs"]
#[allow(unreachable_pub, reason = "it is shared with other test programs")]
mod marked;

use std::time::Duration;

use bench::{ALL, Bench, GRACE, PATIENCE};
use incumbent::election::clock;
use incumbent_cli::supervise::{Contain, Event, ProgramExit};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::Mutex;
use tokio::task::yield_now;

static ALONE: Mutex<()> = Mutex::const_new(());

const FAMILY: &str = "setsid sh -c 'sleep 1000 & sleep 1000' & (setsid sleep 1000 &); \
                      trap '' TERM; echo up >> $DIR/up; while :; do sleep 0.01; done";

/// A keeper of such a program.
async fn running(contain: Contain) -> Bench {
    let mut bench = Bench::contained(contain);
    let program = bench.shell(FAMILY);
    bench.start_and_wait(program).await;
    bench
}

fn signal(bench: &Bench, signal: Signal) {
    kill_process(Pid::from_raw(bench.keeper.pid()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_keeper_that_is_killed_takes_the_whole_program_with_it() {
    let _alone = ALONE.lock().await;
    for contain in ALL {
        let mut bench = running(contain).await;
        signal(&bench, Signal::KILL);
        assert_eq!(
            bench.events().await,
            [
                Event::KeeperLost,
                Event::Exited(ProgramExit::Signal(9)),
                Event::Dead
            ]
        );
        assert_eq!(bench.alive(), [].into());
        assert!(!bench.keeper.cgroup().is_some_and(std::path::Path::exists));
        let program = bench.shell("true");
        let now = clock::now();
        assert!(bench.keeper.start(program, now + PATIENCE, GRACE).is_err());
    }
}

#[tokio::test]
async fn a_keeper_that_is_frozen_cannot_keep_the_program_alive() {
    let _alone = ALONE.lock().await;
    for contain in ALL {
        let mut bench = running(contain).await;
        signal(&bench, Signal::STOP);
        let deadline = bench.set_deadline(Duration::from_millis(500));
        assert_eq!(
            bench.events().await,
            [
                Event::KeeperLost,
                Event::Exited(ProgramExit::Signal(9)),
                Event::Dead
            ]
        );
        assert!(clock::now() >= deadline);
        assert_eq!(bench.alive(), [].into());
    }
}

/// As where heartbeats come more often than the program is looked after.
#[tokio::test]
async fn a_program_that_lost_its_keeper_ends_however_often_the_wait_for_that_is_given_up() {
    let _alone = ALONE.lock().await;
    for contain in ALL {
        let mut bench = running(contain).await;
        signal(&bench, Signal::KILL);
        let until = clock::now() + PATIENCE;
        loop {
            assert!(clock::now() < until, "alive: {:?}", bench.alive());
            tokio::select! {
                biased;
                event = bench.keeper.event() => if event == Event::Dead { break },
                () = yield_now() => {}
            }
        }
        assert_eq!(bench.alive(), [].into());
    }
}

#[tokio::test]
async fn an_idle_keeper_that_dies_is_reported_and_no_harm_is_done() {
    let _alone = ALONE.lock().await;
    let mut bench = Bench::new(false);
    signal(&bench, Signal::KILL);
    assert_eq!(bench.event().await, Event::KeeperLost);
    assert!(!bench.keeper.is_busy());
}
