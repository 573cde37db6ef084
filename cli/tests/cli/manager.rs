//! What a service manager is sent on the socket that it offers, and what PID 1 of a container must do.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;
use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, Running, leader, wait_until};
use crate::support::environment;
use crate::support::redis::RedisServer;

/// The socket of a manager, and all that was said on it.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn listen(home: &Home, name: &str) -> Self {
        let socket = UnixDatagram::bind(home.path(name)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    /// The next message: its lines.
    fn next(&mut self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let read = self.socket.recv(&mut bytes);
        let read = read.unwrap_or_else(|error| panic!("{error} after {:#?}", self.heard));
        let text = String::from_utf8(bytes[..read].to_vec()).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        self.heard.extend(lines.iter().cloned());
        lines
    }

    /// Takes in what has been said so far.
    fn catch_up(&mut self) {
        self.socket.set_nonblocking(true).unwrap();
        let mut bytes = [0; 4096];
        while let Ok(read) = self.socket.recv(&mut bytes) {
            let text = std::str::from_utf8(&bytes[..read]).unwrap();
            self.heard.extend(text.lines().map(str::to_owned));
        }
        self.socket.set_nonblocking(false).unwrap();
    }

    /// Waits for a line that begins like this, and returns what follows.
    fn hear(&mut self, beginning: &str) -> String {
        loop {
            let line = self.next();
            let found = line.iter().find_map(|line| line.strip_prefix(beginning));
            if let Some(rest) = found {
                return rest.to_owned();
            }
        }
    }
}

fn start(home: &Home, name: &str, arguments: &[&str]) -> Running {
    home.start_with(&[("NOTIFY_SOCKET", &home.text_path(name))], arguments)
}

#[test]
fn the_manager_hears_who_leads_with_which_program_and_how_long_it_may() {
    let home = Home::new();
    let (mut first, mut second) = (Manager::listen(&home, "a"), Manager::listen(&home, "b"));
    let program = leader(&home.path("led"));
    let run = ["run", "job", "--", "sh", "-c", &program];
    let mut leading = start(&home, "a", &run);
    first.hear("READY=1");
    // At first there is no program yet.
    let (term, rest) = loop {
        let told = first.hear("STATUS=leading: term ");
        if let Some((term, rest)) = told.split_once(", program ") {
            break (term.to_owned(), rest.to_owned());
        }
    };
    let token = home.wait_for_lines("led", 1).remove(0);
    assert_eq!(term, token);
    let (pid, rest) = rest.split_once(", tenure left ").expect(&rest);
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name.trim(), "sh");
    let left: f64 = rest.strip_suffix(" s").expect(rest).parse().unwrap();
    assert!(left > 0.0 && left < 5.0, "{rest}");
    // Within its tenure, however late the manager's timers are.
    let limit: u64 = first.hear("WATCHDOG_USEC=").parse().unwrap();
    assert!((2_000_000..4_900_000).contains(&limit), "{limit}");
    first.hear("WATCHDOG=1");

    // A standby is a started unit.
    let standby = start(&home, "b", &run);
    second.hear("READY=1");
    let status = second.hear("STATUS=standing by: ");
    assert!(
        status.ends_with(&format!("leads, term {token}")),
        "{status}"
    );
    second.hear("WATCHDOG=1");

    leading.signal(Signal::TERM);
    assert_eq!(leading.wait(), 0);
    second.hear("STATUS=leading: term ");
    standby.signal(Signal::KILL);
}

#[test]
fn the_manager_hears_of_a_drain_and_gives_it_time() {
    let home = Home::new();
    let mut manager = Manager::listen(&home, "a");
    let log = home.text_path("led");
    let slow = format!("trap 'sleep 2; exit 0' TERM; echo >> {log}; while :; do sleep 0.05; done");
    let run = [
        "run",
        "job",
        "--stop-timeout",
        "20s",
        "--",
        "sh",
        "-c",
        &slow,
    ];
    let mut run = start(&home, "a", &run);
    home.wait_for_lines("led", 1);
    let begun = clock::now();
    run.signal(Signal::TERM);
    manager.hear("STATUS=stopping: term ");
    let stopping = manager.next();
    assert_eq!(stopping, ["STOPPING=1", "EXTEND_TIMEOUT_USEC=20000000"]);
    // Heartbeats go on meanwhile, and so do the signs of life and the requests for time.
    manager.hear("EXTEND_TIMEOUT_USEC=");
    manager.hear("WATCHDOG=1");
    manager.hear("STATUS=ending");
    // Once for the program's own time, and then once in half an interval.
    let turns = clock::now().since(begun).as_millis() / 500;
    let asked = |line: &&String| line.starts_with("EXTEND_TIMEOUT_USEC=");
    let asked = manager.heard.iter().filter(asked).count();
    assert!(asked as u128 <= turns + 1, "{:#?}", manager.heard);
    assert_eq!(run.wait(), 0);
}

#[test]
fn the_manager_hears_that_a_standby_ends_and_that_a_loss_does() {
    let home = Home::new();
    let (mut first, mut second) = (Manager::listen(&home, "a"), Manager::listen(&home, "b"));
    let program = leader(&home.path("led"));
    let check = [
        "--health-cmd",
        "test ! -e sick",
        "--health-interval",
        "100ms",
    ];
    let words = ["--", "sh", "-c", &program];
    let mut leading = start(&home, "a", &[&["run", "job"], &check[..], &words].concat());
    first.hear("STATUS=leading: term ");
    let mut standby = start(&home, "b", &[&["run", "job"], &words[..]].concat());
    second.hear("STATUS=standing by: ");
    standby.signal(Signal::TERM);
    second.hear("STATUS=ending");
    assert_eq!(standby.wait(), 143);
    home.write("sick", "");
    first.hear("STATUS=unhealthy, stopping: term ");
    let stopped = first.heard.len();
    first.hear("STATUS=ending");
    let wrong = |line: &String| line.contains("=campaigning") || line.contains("=standing");
    assert!(
        !first.heard[stopped..].iter().any(wrong),
        "{:#?}",
        first.heard
    );
    assert_eq!(leading.wait(), 124);
}

#[test]
fn the_manager_hears_of_a_reload_whether_the_file_is_good_or_bad() {
    let home = Home::new();
    let mut manager = Manager::listen(&home, "a");
    let program = format!("trap '' HUP; {}", leader(&home.path("led")));
    let file = home.write("job.toml", "stop_timeout = \"5s\"\n");
    let run = ["run", "job", "--config", &file, "--", "sh", "-c", &program];
    let mut run = start(&home, "a", &run);
    home.wait_for_lines("led", 1);
    for (text, said) in [
        ("stop_timeout = \"7s\"\n", "configuration reloaded"),
        ("stop_timeuot = \"9s\"\n", "configuration rejected"),
        ("seats = 0\n", "there cannot be 0 seats"),
        (
            "control_token_file = \"/no/such\"\nlisten = \"0\"\n",
            "/no/such",
        ),
    ] {
        home.write("job.toml", text);
        run.signal(Signal::HUP);
        manager.hear("RELOADING=1");
        manager.hear("READY=1");
        run.wait_said(said);
    }
    run.assert_said("stop_timeuot");
    run.signal(Signal::TERM);
    // What the good file said is in force, and the bad one has changed nothing.
    run.wait_said("the program has 7s");
    assert_eq!(run.wait(), 0);
}

/// A timer would feed the watchdog of a leader that reaches no store.
#[test]
fn the_watchdog_is_fed_by_acknowledged_heartbeats_only() {
    let home = Home::new();
    let server = RedisServer::start();
    let mut manager = Manager::listen(&home, "a");
    let url = server.url();
    let timing = ["--interval", "400ms", "--stop-grace", "200ms"];
    let program = leader(&home.path("led"));
    let run = ["run", "job", "--store", &url];
    let program = ["--", "sh", "-c", &program];
    let mut run = start(&home, "a", &[&run[..], &timing, &program].concat());
    manager.hear("STATUS=leading: term ");
    manager.hear("WATCHDOG=1");
    server.freeze();
    manager.catch_up();
    let before = manager.heard.len();
    // The remaining tenure is reported even while no heartbeat succeeds.
    let leads = |line: &String| !line.starts_with("STATUS=") || line.contains("=leading: ");
    while manager.next().iter().all(leads) {}
    let after = &manager.heard[before..];
    let fed = after.iter().filter(|line| *line == "WATCHDOG=1").count();
    let told = after
        .iter()
        .filter(|line| line.contains("=leading: "))
        .count();
    assert!(told >= 2, "{after:#?}");
    // One that was on its way, and one that gives the program its time to stop.
    assert!(fed <= 2, "{after:#?}");
    assert_eq!(run.wait(), 124);
}

#[test]
fn a_manager_that_does_not_listen_costs_no_leadership() {
    let home = Home::new();
    let manager = Manager::listen(&home, "a");
    let log = home.text_path("led");
    let program = format!("while :; do echo $INCUMBENT_FENCING_TOKEN >> {log}; sleep 0.1; done");
    let timing = ["--interval", "400ms", "--stop-grace", "200ms"];
    let run = ["run", "job"];
    let mut run = start(
        &home,
        "a",
        &[&run[..], &timing, &["--", "sh", "-c", &program]].concat(),
    );
    // Several windows, which produce more messages than a socket holds.
    let lines = home.wait_for_lines("led", 80);
    assert_eq!(lines[0], lines[79]);
    run.signal(Signal::TERM);
    assert_eq!(run.wait(), 143);
    drop(manager);
}

#[test]
fn an_unhealthy_program_shows_in_the_status() {
    let home = Home::new();
    let mut manager = Manager::listen(&home, "a");
    let slow = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done";
    let check = ["--health-cmd", "false", "--health-interval", "100ms"];
    let run = [&["run", "job"], &check[..], &["--", "sh", "-c", slow]].concat();
    let mut run = start(&home, "a", &run);
    manager.hear("STATUS=unhealthy, stopping: term ");
    assert_eq!(run.wait(), 124);
}

/// In a container no one else reaps what loses its parent.
#[test]
fn as_the_first_process_of_a_container_it_reaps() {
    let home = Home::new();
    let log = home.text_path("led");
    let mut container = Command::new("unshare");
    let container = environment::clear(&mut container)
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .args([env!("CARGO_BIN_EXE_incumbent"), "run", "job", "--"])
        .args(["sh", "-c", &format!("echo >> {log}; exec sleep 1000")])
        .env("HOME", home.path(""))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut container = container.expect("namespaces need root, and unshare (package util-linux)");
    home.wait_for_lines("led", 1);
    let children = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let pids = text.split_whitespace().map(|pid| pid.parse().unwrap());
        pids.collect::<Vec<u32>>()
    };
    let first = children(container.id())[0];
    let orphan = || {
        let made = Command::new("nsenter")
            .args(["--target", &first.to_string(), "--pid", "--mount"])
            .args(["sh", "-c", "sleep 0.2 > /dev/null & "])
            .status();
        assert!(made.unwrap().success());
    };
    let before = children(first);
    for _ in 0..3 {
        orphan();
    }
    wait_until("no orphan is left, dead or alive", || {
        children(first) == before
    });
    // Ended from within, as a container is.
    kill_process(
        Pid::from_raw(first.try_into().unwrap()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert_eq!(container.wait().unwrap().code(), Some(143));
}
