//! Limits on processes and open files: each refusal is one line of the log, and nothing panics.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use super::home::{Ended, Home};

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
