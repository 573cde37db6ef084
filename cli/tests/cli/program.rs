//! The program: what it is given, which signals reach it, and that nothing of it is left.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, Running, leader, wait_until};
use crate::support::environment;
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
        "trap 'echo asked >> {log}; stop=1' TERM; echo began >> {log}; \
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
    assert_eq!(home.lines("log"), ["began", "asked", "began", "asked"]);
}

/// A leader that was asked to stop, and whose program does not.
fn asked_and_deaf(home: &Home, stop_timeout: &str) -> Running {
    let program = format!(
        "trap '' TERM; echo $$ >> {}; while :; do sleep 0.05; done",
        home.text_path("log")
    );
    let run = ["run", "job", "--stop-timeout", stop_timeout, "--"];
    let leader = home.start(&[&run[..], &["sh", "-c", &program]].concat());
    home.wait_for_lines("log", 1);
    leader.signal(Signal::TERM);
    leader
}

#[test]
fn it_is_killed_when_it_takes_longer_than_the_stop_timeout() {
    let home = Home::new();
    let mut leader = asked_and_deaf(&home, "200ms");
    assert_eq!(leader.wait(), 137);
}

#[test]
fn a_second_signal_kills_it_now() {
    let home = Home::new();
    let mut leader = asked_and_deaf(&home, "1h");
    // The same signal twice in a row may be taken for one.
    leader.signal(Signal::INT);
    assert_eq!(leader.wait(), 137);
}

/// Shells and container engines send it to the process and to its group, one right after the other.
#[test]
fn the_same_signal_within_a_second_counts_as_one_and_later_as_a_second() {
    let home = Home::new();
    let program = format!(
        "trap 'echo asked >> {log}' TERM; echo began >> {log}; while [ ! -e {end} ]; do sleep 0.05; done; exit 5",
        log = home.text_path("log"),
        end = home.text_path("end"),
    );
    let run = ["run", "job", "--stop-timeout", "1h", "--", "sh", "-c"];
    let run = [&run[..], &[&program]].concat();
    let mut leader = home.start(&run);
    home.wait_for_lines("log", 1);
    leader.signal(Signal::TERM);
    std::thread::sleep(Duration::from_micros(500));
    leader.signal(Signal::TERM);
    home.wait_for_lines("log", 2);
    home.write("end", "");
    assert_eq!(leader.wait(), 5);
    assert_eq!(home.lines("log"), ["began", "asked"]);

    std::fs::remove_file(home.path("end")).unwrap();
    let mut leader = home.start(&run);
    home.wait_for_lines("log", 3);
    leader.signal(Signal::TERM);
    leader.wait_said("asked to stop");
    std::thread::sleep(Duration::from_millis(1100));
    leader.signal(Signal::TERM);
    assert_eq!(leader.wait(), 137);
}

#[test]
fn it_is_asked_to_stop_by_the_signal_of_its_choice() {
    let home = Home::new();
    let program = format!(
        "trap 'echo quit >> {log}; exit 6' QUIT; echo began >> {log}; while :; do sleep 0.05; done",
        log = home.text_path("log")
    );
    for (count, signal) in [(1, Signal::QUIT), (3, Signal::TERM)] {
        let run = ["run", "job", "--stop-signal", "SIGQUIT", "--", "sh", "-c"];
        let mut leader = home.start(&[&run[..], &[&program]].concat());
        home.wait_for_lines("log", count);
        leader.signal(signal);
        assert_eq!(leader.wait(), 6, "{signal:?}");
    }
    assert_eq!(home.lines("log"), ["began", "quit", "began", "quit"]);
    let wrong = home.run_with(
        &[("INCUMBENT_STOP_SIGNAL", "SIGKILL")],
        &["run", "job", "--", "true"],
    );
    wrong.assert(
        78,
        "INCUMBENT_STOP_SIGNAL: \"SIGKILL\" is not one of SIGTERM",
    );
}

/// Our parent may have blocked every signal, and ignored some.
#[test]
fn signals_that_were_blocked_are_heard_and_the_program_gets_them_as_they_were() {
    let home = Home::new();
    let program = format!(
        "grep -E 'SigBlk|SigIgn' /proc/self/status > {}; exec sleep 1000",
        home.text_path("signals")
    );
    let block = "import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1})
for ignored in signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2, signal.SIGCHLD:
    signal.signal(ignored, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new("python3");
    command
        .args(["-c", block, env!("CARGO_BIN_EXE_incumbent")])
        .args(["run", "job", "--stop-signal", "SIGUSR2"])
        .args(["--", "bash", "-c", &program])
        .env("HOME", home.path(""));
    let mut leader = home.start_command(command);
    let signals = home.wait_for_lines("signals", 2);
    leader.signal(Signal::TERM);
    // The stop signal ended it: had it ignored that, it would have been killed.
    assert_eq!(leader.wait(), 128 + Signal::USR2.as_raw());
    let mask = |line: &String| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap();
    // SIGINT and SIGUSR1, but none that stops it.
    assert_eq!(mask(&signals[0]), 0x202, "{signals:?}");
    // SIGHUP, and none of SIGUSR2, SIGTERM, SIGCHLD and SIGXFSZ, which incumbent ignores itself.
    assert_eq!(mask(&signals[1]) & 0x101_4801, 1, "{signals:?}");
}

/// Below one that leads in a unit, another one may: each leaves its own note of what to release.
#[test]
fn a_nested_run_leaves_the_note_of_the_outer_one_alone() {
    let home = Home::new();
    std::fs::create_dir(home.path("runtime")).unwrap();
    let runtime = home.text_path("runtime");
    let inner = format!(
        "{} run inner --store sqlite:inner.db -- true; touch {}; exec sleep 1000",
        env!("CARGO_BIN_EXE_incumbent"),
        home.text_path("done")
    );
    let run = ["run", "outer", "--", "sh", "-c", &inner];
    let mut outer = home.start_with(&[("RUNTIME_DIRECTORY", &runtime)], &run);
    wait_until("the inner one has ended", || home.path("done").exists());
    let notes = || {
        let notes = std::fs::read_dir(&runtime).unwrap();
        let texts = notes.map(|note| std::fs::read_to_string(note.unwrap().path()).unwrap());
        texts.collect::<Vec<_>>()
    };
    let left = notes();
    assert!(
        matches!(&left[..], [note] if note.ends_with("outer\n")),
        "{left:?}"
    );
    outer.signal(Signal::TERM);
    assert_eq!(outer.wait(), 143);
    assert!(notes().is_empty());
}

#[test]
fn a_program_that_becomes_a_daemon_is_told_to_stay_in_the_foreground() {
    let home = Home::new();
    let ended = home.run(&["run", "job", "--", "sh", "-c", "setsid sleep 1000 & exit 0"]);
    ended.assert(0, "must stay in the foreground");
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
        "(while :; do echo alive >> {log}; sleep 0.01; done) & \
         while [ ! -e {log} ]; do sleep 0.01; done",
        log = home.text_path("log")
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

#[test]
fn it_reads_nothing_unless_it_is_given_our_input() {
    let home = Home::new();
    let input = home.write("input", "said\n");
    for (options, heard) in [(&[][..], ""), (&["--stdin"][..], "said\n")] {
        let mut words = vec!["run", "job"];
        words.extend(options);
        words.extend(["--", "cat"]);
        let mut command = home.command(&words);
        command.stdin(std::fs::File::open(&input).unwrap());
        let output = command.output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            heard,
            "{options:?}"
        );
    }
}

/// In a container it is PID 1: processes that are started from outside, as by `docker exec`, leave their
/// orphans to it.
#[test]
fn as_the_first_process_of_a_container_it_leaves_no_zombies() {
    let home = Home::new();
    let mut command = Command::new("unshare");
    environment::clear(&mut command)
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(env!("CARGO_BIN_EXE_incumbent"))
        .args(["run", "job", "--", "sh", "-c"])
        .arg(leader(&home.path("led")))
        .env("HOME", home.path(""))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut container = command.spawn().unwrap();
    home.wait_for_lines("led", 1);
    let children = |parent: u32| {
        processes()
            .into_iter()
            .filter(move |process| process.parent == parent)
    };
    let init = children(container.id()).next().unwrap().pid;
    let entered = Command::new("nsenter")
        .args([
            "--user",
            "--preserve-credentials",
            "--pid",
            "--target",
            &init.to_string(),
        ])
        .args(["sh", "-c", "(sleep 1000 &)"])
        .status()
        .unwrap();
    assert!(entered.success());
    let signal = |pid: u32, signal| {
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    };
    let orphan = || children(init).find(|child| child.name == "sleep");
    wait_until("it has adopted the orphan", || orphan().is_some());
    signal(orphan().unwrap().pid, Signal::KILL);
    wait_until("the orphan is reaped", || orphan().is_none());
    signal(init, Signal::TERM);
    assert_eq!(container.wait().unwrap().code(), Some(0));
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (before, after) = stat.rsplit_once(") ")?;
            Some(Process {
                pid,
                parent: after.split(' ').nth(1)?.parse().ok()?,
                name: before.split_once('(')?.1.to_owned(),
            })
        })
        .collect()
}
