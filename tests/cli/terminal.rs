//! On a terminal: a log in colour, without noise.

use std::process::{Command, Stdio};

use super::home::Home;

/// The colour of a line about what goes well.
const GREEN: &str = "\u{1b}[32m";

/// Runs a command on a terminal of its own, and returns what that showed.
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
    let shown = shown_by(&home, &[("NO_COLOR", "1")], "run job -- true");
    assert!(shown.contains("INFO"), "{shown:?}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}
