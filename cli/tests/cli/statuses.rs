//! Every exit status that is documented, brought about.

use std::fs::OpenOptions;
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use incumbent::election::clock;
use rustix::process::Signal;

use super::home::{Home, leader, wait_until};
use crate::support::marked::marked;
use crate::support::port::ClosedPort;
use crate::support::redis::RedisServer;

/// A timing that lets a test see a leadership end soon.
const HASTY: [&str; 8] = [
    "--interval",
    "300ms",
    "--stall-polls",
    "5",
    "--stop-grace",
    "300ms",
    "--op-timeout",
    "300ms",
];

/// One that lets a test see a program end within its grace, even while the machine stalls for a
/// second.
const GRACIOUS: [&str; 8] = [
    "--interval",
    "500ms",
    "--stall-polls",
    "7",
    "--stop-grace",
    "2s",
    "--op-timeout",
    "500ms",
];

fn with<'a>(words: &[&'a str], more: &[&'a str], program: &[&'a str]) -> Vec<&'a str> {
    [words, more, &["--"], program].concat()
}

#[test]
fn a_command_that_cannot_complain_ends_as_if_it_could() {
    let home = Home::new();
    for (words, expected) in [
        (&["status", ""][..], 64),
        (&["unit", "job", "true"], 64),
        // It warns of a store that does not exist.
        (&["status", "job"], 3),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = home.command(words).stderr(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(expected), "{words:?}");
    }
}

#[test]
fn the_status_of_the_program_is_ours() {
    let home = Home::new();
    assert_eq!(home.run(&["run", "job", "--", "true"]).status, 0);
    assert_eq!(
        home.run(&["run", "job", "--", "sh", "-c", "exit 7"]).status,
        7
    );
    assert_eq!(
        home.run(&["run", "job", "--", "sh", "-c", "exit 255"])
            .status,
        255
    );
}

#[test]
fn a_program_that_a_signal_ends_gives_128_and_the_signal() {
    let home = Home::new();
    assert_eq!(
        home.run(&["run", "job", "--", "sh", "-c", "kill -9 $$"])
            .status,
        137
    );
    assert_eq!(
        home.run(&["run", "job", "--", "sh", "-c", "kill -USR1 $$"])
            .status,
        138
    );
}

#[test]
fn a_program_that_is_missing_gives_127_and_the_election_is_released_first() {
    let home = Home::new();
    home.run(&["run", "job", "--", "./missing"])
        .assert(127, "\"./missing\" was not found");
    home.run(&["run", "job", "--", "no-such-program"])
        .assert(127, "was not found");
    assert_eq!(
        home.run(&["run", "job", "--no-wait", "--", "true"]).status,
        0
    );
}

/// It may be there by the time it is needed; until then a standby looks as if all were well.
#[test]
fn a_standby_whose_program_is_missing_says_so_at_once() {
    let home = Home::new();
    let _leader = home.start(&["run", "job", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    for program in ["./missing", "no-such-program"] {
        let run = ["run", "job", "--wait-timeout", "100ms", "--", program];
        let ended = home.run(&run);
        ended.assert(75, "the program cannot be started: ");
        ended.assert(75, &format!("\"{program}\" was not found"));
    }
    let run = ["run", "job", "--wait-timeout", "100ms", "--", "true"];
    let ended = home.run(&run);
    assert!(!ended.stderr.contains("cannot be started"), "{ended:#?}");
}

#[test]
fn a_program_that_cannot_be_executed_gives_126_and_the_election_is_released_first() {
    let home = Home::new();
    home.write("text", "no program\n");
    home.run(&["run", "job", "--", "./text"])
        .assert(126, "\"./text\" cannot be executed");
    home.run(&["run", "job", "--", "/"])
        .assert(126, "cannot be executed");
    assert_eq!(
        home.run(&["run", "job", "--no-wait", "--", "true"]).status,
        0
    );
}

/// A service manager tries this again, and no one has led meanwhile.
#[test]
fn an_address_that_is_in_use_or_not_of_this_host_gives_69() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (listen, why) in [
        (taken.as_str(), "Address already in use"),
        ("192.0.2.1:9000", "Cannot assign requested address"),
    ] {
        let run = ["run", "job", "--listen", listen, "--", "true"];
        let ended = home.run(&run);
        ended.assert(69, why);
        ended.assert(69, listen);
    }
}

#[test]
fn who_does_not_wait_gets_75_while_somebody_leads() {
    let home = Home::new();
    let _leader = home.start(&["run", "job", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    home.run(&["run", "job", "--no-wait", "--", "true"])
        .assert(75, "\"job\" is held by");
    home.run(&["run", "job", "--wait-timeout", "100ms", "--", "true"])
        .assert(75, "not elected in \"job\" within 100ms");
    let own = [
        "run",
        "job",
        "--no-wait",
        "--conflict-exit-code",
        "0",
        "--",
        "false",
    ];
    home.run(&own).assert(0, "is held by");
}

#[test]
fn a_store_that_is_not_there_gives_69_to_who_does_not_wait() {
    let home = Home::new();
    let closed = ClosedPort::new();
    let store = closed.url();
    let run = ["run", "job", "--store", &store, "--no-wait", "--", "true"];
    home.run(&run).assert(69, "no majority of the stores");
    let run = [
        "run",
        "job",
        "--store",
        &store,
        "--wait-timeout",
        "200ms",
        "--",
        "true",
    ];
    home.run(&run).assert(69, "no majority of the stores");
    let status = home.run(&["status", "job", "--store", &store]);
    status.assert(69, "");
    assert!(
        status.stdout.contains("not known: too few stores answer"),
        "{status:#?}"
    );
    let list = home.run(&["list", "--store", &store]);
    list.assert(69, "");
    assert!(list.stdout.contains("unreachable: "), "{list:#?}");
}

#[test]
fn a_standby_says_once_that_its_store_is_not_there_and_goes_on() {
    let home = Home::new();
    let closed = ClosedPort::new();
    let store = closed.url();
    let run = with(
        &["run", "job", "--store", &store, "--wait-timeout", "2s"],
        &HASTY,
        &["true"],
    );
    let ended = home.run(&run);
    let told = ended
        .stderr
        .lines()
        .filter(|line| line.contains("WARN"))
        .count();
    assert_eq!(told, 1, "{ended:#?}");
}

#[test]
fn a_store_that_can_be_read_and_not_written_is_told_once_and_by_its_own_status() {
    let home = Home::new();
    let server = RedisServer::start();
    let bare = format!("127.0.0.1:{}", server.port());
    server.command(&[
        "ACL", "SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all", "-hset",
    ]);
    let run = |url: &str, election: &str, wait: &[&str]| {
        let options = [&["run", election, "--store", url], wait].concat();
        home.run(&with(&options, &HASTY, &["true"]))
    };
    let waits = [&["--no-wait"][..], &["--wait-timeout", "2s"]];
    let denied = format!("redis://reader:pw@{bare}");
    for wait in waits {
        run(&denied, "denied", wait).assert(77, "`incumbent doctor` tries them one by one");
    }
    let record = server.text(&["EXISTS", "{incumbent:denied}:record", "incumbent:denied"]);
    assert_eq!(record, "0", "a counter without its record is a stranger's");
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let url = format!("redis://{bare}");
    for wait in waits {
        let ended = run(&url, "full", wait);
        ended.assert(69, "cannot take the request: ");
        let told = ended.stderr.lines().filter(|line| line.contains("WARN"));
        assert_eq!(told.count(), 1, "{ended:#?}");
        assert!(!ended.stderr.contains("answers again"), "{ended:#?}");
    }
}

#[test]
fn a_store_that_refuses_us_gives_77() {
    let home = Home::new();
    let server = RedisServer::settings().password("right").start();
    let url = format!("redis://127.0.0.1:{}", server.port());
    for password in ["wrong", ""] {
        let variables = [("INCUMBENT_PASSWORD", password), ("INCUMBENT_STORE", &url)];
        let run = home.run_with(&variables, &["run", "job", "--", "true"]);
        run.assert(77, "check the user name, the password and the permissions");
        let told = run.stderr.contains("no password was given");
        assert_eq!(told, password.is_empty(), "{run:#?}");
        let status = home.run_with(&variables, &["status", "job"]);
        status.assert(77, "");
        assert!(
            status
                .stdout
                .contains("not known: the stores refuse access"),
            "{status:#?}"
        );
        let list = home.run_with(&variables, &["list"]);
        list.assert(77, "");
        assert!(list.stdout.contains("forbidden: "), "{list:#?}");
    }
    let variables = [("INCUMBENT_PASSWORD", "right"), ("INCUMBENT_STORE", &url)];
    assert_eq!(home.run_with(&variables, &["status", "job"]).status, 3);
}

#[test]
fn a_leadership_that_is_lost_stops_the_program_and_gives_124() {
    let home = Home::new();
    let mut server = RedisServer::start();
    let url = server.url();
    let program = format!(
        "trap 'echo stopped >> {log}; exit 0' TERM; echo began >> {log}; while :; do sleep 0.05; done",
        log = home.text_path("led")
    );
    let run = with(
        &["run", "job", "--store", &url],
        &GRACIOUS,
        &["sh", "-c", &program],
    );
    let mut leader = home.start(&run);
    home.wait_for_lines("led", 1);
    server.kill();
    assert_eq!(leader.wait(), 124);
    assert_eq!(home.lines("led"), ["began", "stopped"]);
}

#[test]
fn a_program_that_does_not_stop_is_killed_at_the_deadline() {
    let home = Home::new();
    let mut server = RedisServer::start();
    let url = server.url();
    let mark = format!("MARK={}", home.text_path("led"));
    let program = format!(
        "trap '' TERM; (while :; do echo alive >> {log}; sleep 0.02; done) & wait",
        log = home.text_path("led")
    );
    let run = with(
        &["run", "job", "--store", &url],
        &HASTY,
        &["env", &mark, "sh", "-c", &program],
    );
    let mut leader = home.start(&run);
    home.wait_for_lines("led", 1);
    assert!(!marked(&mark).is_empty());
    server.kill();
    assert_eq!(leader.wait(), 124);
    let alive = marked(&mark);
    assert!(alive.is_empty(), "{alive:?} of the program are alive");
}

#[test]
fn a_standby_that_is_told_to_stop_gives_128_and_the_signal() {
    let home = Home::new();
    let _leader = home.start(&["run", "job", "--", "sh", "-c", &leader(&home.path("led"))]);
    home.wait_for_lines("led", 1);
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::QUIT, 131)] {
        let mut standby = home.start(&["run", "job", "--", "true"]);
        let standing_by = || {
            let status = home.run(&["status", "job", "-o", "json"]).json();
            let candidates = status["candidates"].as_array().unwrap().clone();
            candidates.iter().any(|one| one["pid"] == standby.pid())
        };
        wait_until("the standby campaigns", standing_by);
        standby.signal(signal);
        assert_eq!(standby.wait(), status);
    }
}

/// A store that accepts requests and never answers, with a timeout short enough not to matter.
#[test]
fn a_standby_ends_at_once_also_when_its_store_hangs() {
    const TIMEOUT: Duration = Duration::from_secs(20);
    let home = Home::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("redis://{}", silent.local_addr().unwrap());
    let run = with(
        &["run", "job", "--store", &store],
        &["--interval", "20s", "--op-timeout", "20s"],
        &["true"],
    );
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let mut standby = home.start(&run);
            let (mut connection, _) = silent.accept().unwrap();
            // From here on it waits for an answer.
            assert_ne!(connection.read(&mut [0; 64]).unwrap(), 0);
            let told = clock::now();
            standby.signal(Signal::TERM);
            assert_eq!(standby.wait(), 143);
            clock::now().since(told)
        })
        .collect();
    times.sort();
    eprintln!("| a standby is asked to stop | median {:.1?} |", times[4]);
    // Had it waited for an answer, it would have taken all of the timeout.
    assert!(times[8] < TIMEOUT / 2, "{times:?}");
}

#[test]
fn a_candidate_that_is_stopped_while_it_claims_leaves_nothing_behind() {
    let home = Home::new();
    let server = RedisServer::start();
    let url = server.url();
    // On a new Redis the claim is followed by the probation: long enough to be stopped in.
    let mut candidate = home.start(&["run", "job", "--store", &url, "--", "true"]);
    let status = ["status", "job", "--store", &url, "-o", "json"];
    wait_until("it holds the record", || {
        home.run(&status).json()["state"] == "held"
    });
    // The release takes its time, and is waited for.
    server.command(&["CLIENT", "PAUSE", "300", "ALL"]);
    candidate.signal(Signal::TERM);
    assert_eq!(candidate.wait(), 143);
    assert_eq!(home.run(&status).json()["state"], "vacant");
}
