//! `incumbent lock`, as users of flock(1) expect it.

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;

use super::home::{Ended, Home, Running, leader, wait_until};
use crate::support::redis::RedisServer;

/// Fails if another one of it runs.
const ALONE: &str =
    "mkdir alone || exit 9; sleep 0.02; rmdir alone; echo $INCUMBENT_FENCING_TOKEN >> ran";

#[test]
fn processes_that_lock_the_same_name_run_one_at_a_time_each_with_a_higher_token() {
    let server = RedisServer::start();
    for store in [&[][..], &["--store", &server.url()]] {
        let home = Home::new();
        let lock = [&["lock", "name"], store, &["--", "sh", "-c", ALONE]].concat();
        let mut running: Vec<Running> = (0..8).map(|_| home.start(&lock)).collect();
        for one in &mut running {
            assert_eq!(one.wait(), 0);
        }
        let tokens = home.lines("ran");
        let tokens: Vec<u64> = tokens.iter().map(|line| line.parse().unwrap()).collect();
        assert!(
            tokens.is_sorted_by(|a, b| a < b) && tokens.len() == 8,
            "{tokens:?}"
        );
    }
}

#[test]
fn its_status_is_that_of_the_program_or_says_that_the_lock_was_not_got() {
    let home = Home::new();
    let lock = |options: &[&str], program: &str| {
        home.run(&[&["lock", "name"], options, &["--", "sh", "-c", program]].concat())
    };
    assert_eq!(lock(&["--no-wait"], "exit 7").status, 7);
    let mut holder = home.start(&["lock", "name", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    lock(&["--no-wait"], "echo ran >> ran").assert(75, "is held by");
    lock(&["-n", "-E", "1"], "echo ran >> ran").assert(1, "is held by");
    lock(&["-w", "50ms", "-E", "0"], "echo ran >> ran")
        .assert(0, "not elected in \"name\" within 50ms");
    lock(&["-w", "1"], "true").assert(64, "write one such as");
    // It has waited for the program: nothing else holds the lock any more.
    holder.signal(Signal::TERM);
    assert_eq!(holder.wait(), 0);
    assert_eq!(lock(&["-n"], "true").status, 0);
    assert_eq!(home.lines("ran").len(), 0);
}

#[test]
fn what_cannot_run_does_not_wait_for_the_lock() {
    let home = Home::new();
    let _holder = home.start(&["lock", "name", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    home.run(&["lock", "name", "--", "no-such-program"])
        .assert(127, "was not found");
    home.write("text", "");
    home.run(&["lock", "name", "--", "./text"])
        .assert(126, "not an executable file");
    home.run(&["lock", "name"])
        .assert(64, "there is no program to run");
    home.run(&["lock", "name", "true"])
        .assert(64, "go after --");
    home.run(&["lock", "name", "--restart", "--", "true"])
        .assert(64, "--restart");
    home.run(&["lock", "{", "--", "true"]).assert(64, "");
}

#[test]
fn the_program_reads_what_is_piped_in() {
    let home = Home::new();
    let mut command = home.command(&["lock", "name", "--", "cat"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"piped in\n")
        .unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.status, &*ended.stdout), (0, "piped in\n"));
}

#[test]
fn a_setting_that_restarts_a_service_does_not_restart_a_locked_program() {
    let home = Home::new();
    let file = home.write("c.toml", "restart = true\n");
    let ended = home.run(&[
        "lock",
        "name",
        "--config",
        &file,
        "--",
        "sh",
        "-c",
        "echo ran >> ran; exit 3",
    ]);
    assert_eq!((ended.status, home.lines("ran").len()), (3, 1));
}

#[test]
fn a_killed_holder_gives_the_lock_to_the_next_once_its_program_is_dead() {
    let home = Home::new();
    let mut holder = home.start(&["lock", "name", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    let mut next = home.start(&["lock", "name", "--", "sh", "-c", &leader(&home.path("led"))]);
    holder.signal(Signal::KILL);
    holder.wait_killed();
    home.wait_for_lines("led", 2);
    next.signal(Signal::TERM);
    assert_eq!(next.wait(), 0);
}

#[test]
fn a_holder_that_is_asked_to_resign_gives_the_lock_up() {
    let home = Home::new();
    let mut holder = home.start(&["lock", "name", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    home.run(&["resign", "name"]).assert(0, "");
    assert_eq!(holder.wait(), 124);
    wait_until("no one holds it", || {
        home.run(&["status", "name"]).status == 3
    });
}
