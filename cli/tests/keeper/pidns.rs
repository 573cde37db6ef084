//! What a program notices of its PID namespace, and what it does not.

use std::fs;

use incumbent_cli::supervise::{Contain, Event, ProgramExit};

use crate::bench::{Bench, GRACE, PATIENCE};

/// Runs a script to its end, and returns what it wrote to `said`, and what happened.
async fn run(script: &str) -> (String, Vec<Event>) {
    let mut bench = Bench::contained(Contain::Pidns);
    let program = bench.shell(script);
    bench.start(program, 600_000);
    let events = bench.events().await;
    assert_eq!(bench.alive(), [].into());
    let said = fs::read_to_string(bench.file("said")).unwrap_or_default();
    (said.trim().to_owned(), events)
}

#[tokio::test]
async fn its_init_is_ours_and_its_proc_shows_its_own_processes() {
    let (said, events) = run("echo $$ $PPID $(cat /proc/1/comm) /proc/[0-9]* > $DIR/said").await;
    assert_eq!(said, "2 0 reaper /proc/1 /proc/2");
    let expected = [
        Event::Started(0),
        Event::Exited(ProgramExit::Code(0)),
        Event::Dead,
    ];
    assert_eq!(events, expected, "nothing was left behind");
}

#[tokio::test]
async fn its_exit_status_and_what_it_leaves_behind_are_seen_as_without_it() {
    let (_, events) = run("(setsid sleep 1000 &); exit 7").await;
    let left = Event::LeftBehind { pids: Vec::new() };
    let exited = Event::Exited(ProgramExit::Code(7));
    assert_eq!(events, [Event::Started(0), exited, left, Event::Dead]);
}

#[tokio::test]
async fn it_is_not_pid_1_so_a_signal_that_it_does_not_catch_ends_it() {
    let mut bench = Bench::contained(Contain::Pidns);
    let program = bench.shell("echo up >> $DIR/up; while :; do sleep 0.01; done");
    bench.start_and_wait(program).await;
    bench.keeper.stop(PATIENCE.min(GRACE));
    let exited = Event::Exited(ProgramExit::Signal(15));
    assert!(bench.events().await.contains(&exited));
}

#[tokio::test]
async fn its_orphans_are_reaped_and_no_signal_from_inside_ends_its_init() {
    let (said, _) = run("\
kill -TERM 1; kill -KILL 1
for i in 1 2 3 4 5 6 7 8; do (true & true &) done
while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do sleep 0.01; done
echo $(cat /proc/1/comm) > $DIR/said")
    .await;
    assert_eq!(said, "reaper");
}
