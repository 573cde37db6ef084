//! On a terminal: a log in colour, without noise, and what happens when it hangs up.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, leader, wait_until};

/// The colour of a line about what goes well.
const GREEN: &str = "\u{1b}[32m";

/// Runs a command on a new terminal, and returns what that showed.
fn shown_by(home: &Home, variables: &[(&str, &str)], arguments: &str) -> String {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_incumbent"));
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path(""))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_log_is_coloured_there_and_holds_no_noise() {
    let home = Home::new();
    let shown = shown_by(&home, &[], "run job -- true");
    assert!(shown.contains(GREEN), "{shown:?}");
    let doctor = shown_by(&home, &[], "doctor");
    assert!(doctor.contains("STORE"), "{doctor:?}");
    for text in [shown, doctor] {
        assert!(!text.contains("crate feature"), "{text:?}");
    }
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = shown_by(&home, &[variable], "run job -- true");
        assert!(shown.contains("INFO"), "{shown:?}");
        assert!(!shown.contains('\u{1b}'), "{variable:?}: {shown:?}");
        let doctor = shown_by(&home, &[variable], "doctor");
        assert!(!doctor.contains('\u{1b}'), "{variable:?}: {doctor:?}");
    }
}

/// A leader on a terminal that goes away, started in front of it by `words`.
fn hang_up(home: &Home, words: &str) {
    let program = leader(&home.path("led"));
    let line = format!(
        "{words} {} run job --restart -- sh -c '{}'",
        env!("CARGO_BIN_EXE_incumbent"),
        program.replace('\'', "'\\''")
    );
    let mut terminal = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path(""))
        .current_dir(home.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    home.wait_for_lines("led", 1);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
}

#[test]
fn who_leads_there_resigns_when_it_hangs_up() {
    let home = Home::new();
    hang_up(&home, "exec");
    wait_until("no one leads", || home.run(&["status", "job"]).status == 3);
    assert_eq!(home.lines("led").len(), 1, "it was started again");
}

#[test]
fn who_was_started_to_outlive_it_goes_on() {
    let home = Home::new();
    hang_up(&home, "exec nohup");
    wait_until("it has heard the hang-up", || {
        let log = home.lines("nohup.out").concat();
        log.contains("configuration reloaded")
    });
    let status = home.run(&["status", "job", "-o", "json"]);
    let pid = status.json()["holder"]["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    wait_until("no one leads", || home.run(&["status", "job"]).status == 3);
    assert_eq!(home.lines("led").len(), 1, "the program has ended");
}
