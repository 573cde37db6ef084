//! Limits on processes, open files, memory, the stack and the size of files: each refusal is one line of the log, and
//! nothing panics.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use super::home::{Ended, Home};
use crate::support::redis::RedisServer;

/// A user that runs nothing else: the limit counts all processes of one. Root has no limit.
fn user() -> u32 {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root may become another user: run this test as root"
    );
    100_000 + fastrand::u32(..1_000_000)
}

/// Runs the command as this user, after some words of a shell.
fn run_as(user: u32, home: &Home, words: &str, arguments: &[&str]) -> Ended {
    let inside = home.path("");
    chown(&inside, Some(user), Some(user)).unwrap();
    let binary = home.path("incumbent");
    if !binary.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_incumbent"), &binary).unwrap();
    }
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let user = user.to_string();
    // One that hangs is a failure too.
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", "60", "setpriv"])
        .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
        .args(["bash", "-c", &format!("{words} exec \"$0\" \"$@\"")])
        .arg(&binary)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", &inside)
        .current_dir(&inside);
    Ended::from(command.output().unwrap())
}

#[track_caller]
fn assert_one_line(ended: &Ended, limit: &str) {
    assert_eq!(ended.status, 125, "{ended:#?}");
    let refused: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("limit"))
        .collect();
    assert_eq!(refused.len(), 1, "{ended:#?}");
    assert!(refused[0].contains(limit), "{ended:#?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
}

#[test]
fn too_few_open_files_are_told_by_every_command_that_needs_some() {
    let home = Home::new();
    for limit in [10, 14, 16, 20] {
        for command in [&["run", "job", "--", "true"][..], &["status", "job"]] {
            let words = format!("ulimit -n {limit};");
            let ended = run_as(user(), &home, &words, command);
            assert_one_line(&ended, &format!("(ulimit -n) is {limit}"));
        }
    }
}

#[test]
fn too_few_processes_are_told_in_one_line() {
    let home = Home::new();
    for limit in 1..=6 {
        let words = format!("ulimit -u {limit};");
        let ended = run_as(user(), &home, &words, &["run", "job", "--", "true"]);
        assert_one_line(&ended, &format!("ulimit -u is {limit}"));
    }
}

/// Below these the kernel starts no process at all. With a little more, a thread would be refused, or an
/// allocation.
#[test]
fn too_little_memory_is_told_in_one_line() {
    let home = Home::new();
    let limits = [("-v", 60_000), ("-v", 120_000), ("-d", 20_000), ("-s", 100)];
    for (flag, limit) in limits {
        for command in [&["run", "job", "--", "true"][..], &["status", "job"]] {
            let words = format!("ulimit {flag} {limit};");
            let ended = run_as(user(), &home, &words, command);
            assert_one_line(&ended, &format!("(ulimit {flag}) is {limit} KiB"));
        }
    }
    let words = "ulimit -v 140000; ulimit -d 140000;";
    let ended = run_as(user(), &home, words, &["run", "job", "--", "true"]);
    assert_eq!(ended.status, 0, "{ended:#?}");
}

#[test]
fn files_that_may_not_grow_are_told_in_one_line_by_every_command_with_a_file() {
    let home = Home::new();
    for limit in [0, 1, 100, 8000] {
        for command in [&["run", "job", "--", "true"][..], &["status", "job"]] {
            let words = format!("ulimit -f {limit};");
            let ended = run_as(user(), &home, &words, command);
            assert_one_line(&ended, "(ulimit -f)");
            assert_one_line(&ended, &format!("is {limit} KiB"));
        }
    }
    assert!(!home.path(".local").exists(), "something was written");
}

/// A leader does without its log. SIGXFSZ would end it, and leave a core.
#[test]
fn a_log_that_may_not_grow_ends_nobody() {
    let (home, server) = (Home::new(), RedisServer::start());
    let words = "ulimit -f 1; exec 2>log;";
    let run = [
        "run",
        "job",
        "--store",
        &server.url(),
        "--log-level",
        "trace",
    ];
    let run = [&run[..], &["--", "true"]].concat();
    let ended = run_as(user(), &home, words, &run);
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert_eq!(std::fs::metadata(home.path("log")).unwrap().len(), 1024);
}

/// A program that uses up its user's processes, while each health check needs a keeper.
#[test]
fn what_cannot_be_started_later_is_a_failed_attempt() {
    let home = Home::new();
    let fill = "(while :; do sleep 1000 & done) 2>/dev/null & exec sleep 1000";
    let health = ["--health-cmd", "true", "--health-interval", "100ms"];
    let run = [&["run", "job", "--health-fall", "2"][..], &health];
    let run = [&run.concat()[..], &["--", "bash", "-c", fill]].concat();
    let ended = run_as(user(), &home, "ulimit -u 60;", &run);
    assert_eq!(ended.status, 124, "{ended:#?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
}
