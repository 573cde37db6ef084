//! The program: what it is given, which signals reach it, and that nothing of it is left.

use rustix::process::Signal;

use super::home::Home;
use crate::support::redis::RedisServer;

#[test]
fn it_gets_the_election_the_token_and_the_candidate_and_no_setting_of_ours() {
    let home = Home::new();
    let variables = [
        ("INCUMBENT_PASSWORD", "hush"),
        ("INCUMBENT_LOG_LEVEL", "warn"),
        ("OTHER", "x"),
    ];
    let run = [
        "run",
        "job",
        "--id",
        "me",
        "--",
        "sh",
        "-c",
        "env | grep -E 'INCUMBENT|OTHER' | sort",
    ];
    let ended = home.run_with(&variables, &run);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let [candidate, election, token, other] = lines[..] else {
        panic!("{ended:#?}");
    };
    assert!(
        candidate.starts_with("INCUMBENT_CANDIDATE_ID=me:"),
        "{candidate}"
    );
    assert_eq!(election, "INCUMBENT_ELECTION=job");
    let token = token.strip_prefix("INCUMBENT_FENCING_TOKEN=").unwrap();
    assert!(token.parse::<u64>().unwrap() > 1_600_000_000_000, "{token}");
    assert_eq!(other, "OTHER=x");
}

#[test]
fn it_does_not_get_the_stores_which_may_hold_a_password() {
    let home = Home::new();
    let print = [
        "run",
        "job",
        "--",
        "sh",
        "-c",
        "echo ${INCUMBENT_STORE-none}",
    ];
    let server = RedisServer::settings().password("hush").start();
    let secret = server.url();
    let ended = home.run_with(&[("INCUMBENT_STORE", &secret)], &print);
    assert_eq!(ended.stdout.trim(), "none", "{ended:#?}");
}

#[test]
fn it_is_told_to_stop_once_and_its_status_counts() {
    let home = Home::new();
    let program = format!(
        "trap 'echo told >> {log}; stop=1' TERM; echo began >> {log}; \
         while [ -z \"$stop\" ]; do sleep 0.05; done; sleep 0.2; exit 5",
        log = home.text_path("log")
    );
    for signal in [Signal::TERM, Signal::INT] {
        let mut leader = home.start(&["run", "job", "--", "sh", "-c", &program]);
        let began = home.lines("log").len();
        home.wait_for_lines("log", began + 1);
        leader.signal(signal);
        assert_eq!(leader.wait(), 5);
    }
    assert_eq!(home.lines("log"), ["began", "told", "began", "told"]);
}

#[test]
fn it_is_killed_when_it_takes_longer_than_the_stop_timeout() {
    let home = Home::new();
    let program = format!(
        "trap '' TERM; echo $$ >> {}; while :; do sleep 0.05; done",
        home.text_path("log")
    );
    let run = [
        "run",
        "job",
        "--stop-timeout",
        "200ms",
        "--",
        "sh",
        "-c",
        &program,
    ];
    let mut leader = home.start(&run);
    home.wait_for_lines("log", 1);
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 137);
}

#[test]
fn a_second_signal_kills_it_now() {
    let home = Home::new();
    let program = format!(
        "trap '' TERM; echo $$ >> {}; while :; do sleep 0.05; done",
        home.text_path("log")
    );
    let run = [
        "run",
        "job",
        "--stop-timeout",
        "1h",
        "--",
        "sh",
        "-c",
        &program,
    ];
    let mut leader = home.start(&run);
    home.wait_for_lines("log", 1);
    leader.signal(Signal::TERM);
    // The same signal twice in a row may be taken for one.
    leader.signal(Signal::INT);
    assert_eq!(leader.wait(), 137);
}

#[test]
fn other_signals_are_passed_on() {
    let home = Home::new();
    let program = format!(
        "for s in HUP USR1 USR2 WINCH; do trap \"echo $s >> {log}\" $s; done; \
         trap 'exit 0' TERM; echo began >> {log}; while :; do sleep 0.02; done",
        log = home.text_path("log")
    );
    let mut leader = home.start(&["run", "job", "--", "sh", "-c", &program]);
    home.wait_for_lines("log", 1);
    let signals = [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH];
    for (signal, count) in signals.into_iter().zip(2..) {
        leader.signal(signal);
        home.wait_for_lines("log", count);
    }
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 0);
    assert_eq!(home.lines("log"), ["began", "HUP", "USR1", "USR2", "WINCH"]);
}

#[test]
fn what_it_leaves_behind_is_dead_before_the_election_is_released() {
    let home = Home::new();
    let orphan = format!(
        "(while :; do echo alive >> {}; sleep 0.01; done) & sleep 0.1",
        home.text_path("log")
    );
    assert_eq!(
        home.run(&["run", "job", "--", "sh", "-c", &orphan]).status,
        0
    );
    let written = home.lines("log").len();
    assert!(written > 0);
    let next = home.run(&["run", "job", "--", "sh", "-c", "sleep 0.1"]);
    assert_eq!(next.status, 0);
    assert_eq!(
        home.lines("log").len(),
        written,
        "an orphan of the first program is alive"
    );
}

#[test]
fn it_reads_no_input_and_writes_to_our_output() {
    let home = Home::new();
    let ended = home.run(&[
        "run",
        "job",
        "--",
        "sh",
        "-c",
        "cat; echo out; echo err >&2",
    ]);
    assert_eq!(ended.stdout, "out\n");
    assert!(ended.stderr.lines().any(|line| line == "err"), "{ended:#?}");
}
