//! The health of the program: an unhealthy one is stopped, and another candidate leads.

use std::fs::{self, Permissions};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::{Pid, Signal, kill_process};

use super::held::Held;
use super::home::{Home, leader, wait_until};
use super::hosts::children_of;
use crate::support::marked::marked;

/// A program that writes its token, and how often it was asked to stop.
fn polite(home: &Home) -> String {
    format!(
        "trap 'echo told >> {log}; exit 0' TERM; echo $INCUMBENT_FENCING_TOKEN >> {log}; \
         while :; do sleep 0.05; done",
        log = home.text_path("log")
    )
}

fn run<'a>(options: &[&'a str], program: &'a str) -> Vec<&'a str> {
    [&["run", "job"], options, &["--", "sh", "-c", program]].concat()
}

fn checked<'a>(check: &'a str, options: &[&'a str], program: &'a str) -> Vec<&'a str> {
    let check = ["--health-cmd", check, "--health-interval", "100ms"];
    run(&[&check, options].concat(), program)
}

#[test]
fn a_check_that_fails_too_often_stops_the_program_once_and_gives_124() {
    let home = Home::new();
    let log = home.text_path("checks");
    let check = format!("echo checked >> {log}; [ ! -e {} ]", home.text_path("ill"));
    let program = polite(&home);
    let mut first = home.start(&checked(&check, &["--health-fall", "3"], &program));
    home.wait_for_lines("checks", 5);
    let second = home.start(&run(&[], &program));
    wait_until("the second campaigns", || {
        let status = home.run(&["status", "job", "-o", "json"]).json();
        let candidates = status["candidates"].as_array().unwrap().clone();
        candidates.iter().any(|one| one["pid"] == second.pid())
    });
    assert_eq!(home.lines("log").len(), 1);
    let before = home.lines("checks").len();
    home.write("ill", "");
    assert_eq!(first.wait(), 124);
    assert!(home.lines("checks").len() >= before + 3);
    let lines = home.wait_for_lines("log", 3);
    assert_eq!(lines[1], "told");
    assert!(lines[0] < lines[2], "{lines:?}");
    first.assert_said("a health check exited with status 1 (1 of 3 that make it unhealthy)");
    first.assert_said("the program is unhealthy: 3 health checks have failed");
    first.assert_said("lost leadership: the work is not healthy");
}

#[test]
fn a_check_gets_the_environment_of_the_program_and_its_pid() {
    let home = Home::new();
    let log = home.text_path("checks");
    let check = format!(
        "echo to nobody; kill -0 $INCUMBENT_PROGRAM_PID && \
         echo $INCUMBENT_ELECTION $INCUMBENT_FENCING_TOKEN $INCUMBENT_PROGRAM_PID \
         ${{NOTIFY_SOCKET-none}} >> {log}"
    );
    let pid = format!("echo $$ >> {}; {}", home.text_path("pid"), polite(&home));
    let mut leader = home.start(&checked(&check, &["--watchdog", "1h"], &pid));
    // The second of them was judged before the third began.
    let lines = home.wait_for_lines("checks", 3);
    let (token, pid) = (&home.lines("log")[0], &home.lines("pid")[0]);
    assert_eq!(lines[0], format!("job {token} {pid} none"));
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 0);
    leader.assert_said("the program is healthy");
}

#[test]
fn a_check_that_hangs_has_failed_and_is_killed_with_all_that_it_started() {
    let home = Home::new();
    let mark = format!("mark-{}", fastrand::u64(..));
    let check = format!(
        "export MARK={mark}; echo $$ >> {}; trap '' TERM HUP; setsid sleep 1000 & sleep 1000",
        home.text_path("checks")
    );
    let timeout = ["--health-timeout", "1s", "--health-fall", "2"];
    let program = polite(&home);
    let mut leader = home.start(&checked(&check, &timeout, &program));
    assert_eq!(leader.wait(), 124);
    assert_eq!(home.lines("checks").len(), 2);
    assert_eq!(home.lines("log").last().unwrap(), "told");
    assert_eq!(marked(&mark), [].into());
    leader.assert_said("took longer than 1s");
}

#[test]
fn a_check_that_hangs_does_not_outlive_an_elector_that_is_killed() {
    let home = Home::new();
    let mark = format!("mark-{}", fastrand::u64(..));
    let check = format!("export MARK={mark}; setsid sleep 1000 & sleep 1000");
    let program = leader(&home.path("led"));
    let elector = home.start(&checked(&check, &["--health-timeout", "1h"], &program));
    wait_until("the check hangs", || !marked(&mark).is_empty());
    elector.signal(Signal::KILL);
    wait_until("nothing of the check is left", || marked(&mark).is_empty());
}

#[test]
fn an_unhealthy_program_that_does_not_stop_is_killed_after_the_stop_grace() {
    let home = Home::new();
    let program = format!(
        "trap '' TERM; echo up >> {}; while :; do sleep 0.05; done",
        home.text_path("log")
    );
    let options = ["--health-fall", "1", "--stop-timeout", "1h"];
    let mut leader = home.start(&checked("false", &options, &program));
    assert_eq!(leader.wait(), 124);
    assert_eq!(home.lines("log"), ["up"]);
}

#[test]
fn a_program_that_starts_slowly_may_fail_meanwhile() {
    let home = Home::new();
    let log = home.text_path("checks");
    let check = format!("echo checked >> {log}; false");
    let options = ["--health-fall", "1", "--health-start-period", "1h"];
    let program = polite(&home);
    let mut leader = home.start(&checked(&check, &options, &program));
    home.wait_for_lines("checks", 4);
    assert_eq!(home.lines("log").len(), 1);
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 0);
}

#[test]
fn with_restart_an_unhealthy_program_is_left_to_others_and_campaigned_for_again() {
    let home = Home::new();
    let program = polite(&home);
    let options = ["--health-fall", "1", "--restart", "--sit-out", "100ms"];
    let mut leader = home.start(&checked("false", &options, &program));
    let lines = home.wait_for_lines("log", 4);
    assert_eq!([&lines[1], &lines[3]], ["told", "told"]);
    assert!(lines[0] < lines[2], "{lines:?}");
    leader.assert_said("the program was unhealthy: resigned, letting another candidate lead");
    leader.signal(Signal::TERM);
    // As the leader, as a standby, or while the program is stopped once more.
    assert!([0, 143, 124].contains(&leader.wait()));
}

#[test]
fn with_restart_an_unhealthy_program_whose_keeper_dies_is_started_again_by_another() {
    let home = Home::new();
    let program = format!(
        "trap '' TERM; echo $INCUMBENT_FENCING_TOKEN >> {}; while :; do sleep 0.05; done",
        home.text_path("log")
    );
    let options = "--health-fall 1 --restart --sit-out 100ms --contain subreaper";
    // Its keeper does not kill it before this test has killed the keeper.
    let slow = "--stall-polls 40 --stop-grace 30s";
    let options: Vec<&str> = options.split(' ').chain(slow.split(' ')).collect();
    let leader = home.start(&checked("false", &options, &program));
    leader.wait_said("the program is unhealthy");
    let keeper = Pid::from_raw(children_of(leader.pid())[0]).unwrap();
    kill_process(keeper, Signal::KILL).unwrap();
    let lines = home.wait_for_lines("log", 2);
    assert!(lines[0] < lines[1], "{lines:?}");
}

/// Its stop signal is one that it does not notice before it runs.
#[test]
fn a_program_that_is_asked_to_stop_while_it_is_being_executed_is_not_checked() {
    let home = Home::new();
    let slow = home.write("slow", "#!/bin/sh\necho up >> log\nsleep 2\n");
    fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
    let held = Held::hold(&home.path("slow")).expect("no one else opens it");
    let check = ["--health-cmd", "echo checked >> checks; false"];
    let often = ["--health-interval", "100ms", "--health-fall", "1"];
    let stop = ["--stop-signal", "SIGWINCH", "--log-level", "debug"];
    let words = [&["run", "job"], &check[..], &often, &stop, &["--", &slow]];
    let mut leader = home.start(&words.concat());
    leader.wait_said("the keeper is ready");
    let keeper = children_of(leader.pid())[0].unsigned_abs();
    wait_until("it is being executed", || !children_of(keeper).is_empty());
    leader.signal(Signal::TERM);
    leader.wait_said("asked the program to stop");
    drop(held);
    assert_eq!(leader.wait(), 0);
    assert_eq!(home.lines("log"), ["up"]);
    assert!(home.lines("checks").is_empty());
}

/// `systemd-notify` is a separate process, which has exited a moment later.
const NOTIFY: &str = "systemd-notify WATCHDOG=1";

#[test]
fn a_program_that_falls_silent_is_unhealthy() {
    let home = Home::new();
    let program = format!(
        "trap 'echo told >> {log}; exit 0' TERM; n=0; \
         while [ $n -lt 30 ]; do {NOTIFY} && echo alive >> {log}; n=$((n+1)); sleep 0.2; done; \
         echo silent >> {log}; while :; do sleep 0.05; done",
        log = home.text_path("log")
    );

    let mut leader = home.start(&run(&["--watchdog", "4s"], &program));
    assert_eq!(leader.wait(), 124);
    let lines = home.lines("log");
    assert_eq!(lines.len(), 32, "{lines:?}");
    assert_eq!(lines[30..], ["silent", "told"]);
    leader.assert_said("the program is unhealthy: it has sent no WATCHDOG=1 for 4s");
}

#[test]
fn nobody_but_the_program_can_vouch_for_it() {
    let home = Home::new();
    let program = format!(
        "echo $NOTIFY_SOCKET >> {}; sleep 1000",
        home.text_path("log")
    );
    let mut leader = home.start(&run(&["--watchdog", "1s"], &program));
    let lines = home.wait_for_lines("log", 1);
    let name = lines[0].strip_prefix('@').unwrap().to_owned();
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let stranger = UnixDatagram::unbound().unwrap();
    stranger.set_nonblocking(true).unwrap();
    let pid = leader.pid();
    wait_until("the program is judged by its own silence", || {
        // The last of them find no one who listens.
        drop(stranger.send_to_addr(b"WATCHDOG=1", &address));
        !std::fs::exists(format!("/proc/{pid}/exe")).unwrap()
    });
    assert_eq!(leader.wait(), 124);
    leader.assert_said("it has sent no WATCHDOG=1 for 1s");
}

#[test]
fn a_program_can_say_itself_that_it_is_ill() {
    let home = Home::new();
    let program = "systemd-notify WATCHDOG=trigger; sleep 1000";
    let mut leader = home.start(&run(&["--watchdog", "1h"], program));
    assert_eq!(leader.wait(), 124);
    leader.assert_said("it has sent WATCHDOG=trigger");
}

#[test]
fn what_a_program_sends_while_it_is_stopped_is_read() {
    let home = Home::new();
    let program = format!(
        "trap 'systemd-notify STOPPING=1 && echo told >> {log}; exit 0' TERM; echo up >> {log}; \
         while :; do sleep 0.05; done",
        log = home.text_path("log")
    );
    let mut leader = home.start(&run(&["--watchdog", "1h"], &program));
    home.wait_for_lines("log", 1);
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 0);
    assert_eq!(home.lines("log"), ["up", "told"]);
}

#[test]
fn a_program_that_need_not_say_anything_gets_no_socket() {
    let home = Home::new();
    let ended = home.run(&run(
        &[],
        "echo ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}",
    ));
    assert_eq!((ended.status, ended.stdout.as_str()), (0, "none none\n"));
    let ended = home.run(&run(&["--watchdog", "90s"], "echo $WATCHDOG_USEC"));
    assert_eq!((ended.status, ended.stdout.as_str()), (0, "90000000\n"));
}

#[test]
fn counts_and_times_of_zero_are_refused() {
    let home = Home::new();
    for (flag, value) in [
        ("--health-rise", "0"),
        ("--health-fall", "0"),
        ("--health-interval", "0s"),
        ("--health-timeout", "0s"),
        ("--watchdog", "0s"),
    ] {
        let options = ["--health-cmd", "true", flag, value];
        home.run(&run(&options, "true"))
            .assert(78, &format!("{flag}: "));
    }
}
