//! What `incumbent run` adds to the start of a program, and what it and its keeper keep in memory.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::containment;
use crate::report::{figure, heading, median, shown, spread, time};

const ROUNDS: usize = 40;
/// How often memory is looked at, each time in another process: what of the program's file is in memory
/// is never quite the same.
const STARTS: usize = 12;
/// Set for the program that is started: this one, in another role. It does not begin with `INCUMBENT_`,
/// for `incumbent run` keeps such variables from its program, which would then measure in its turn.
pub(crate) const PROGRAM: &str = "ELECTION_BENCH_PROGRAM";

pub(crate) fn is_program() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// Says that it runs, and waits until its standard input ends.
pub(crate) fn program() {
    use std::io::Write;
    if std::env::var_os(PROGRAM).is_some_and(|role| role == containment::LOOPBACK) {
        return containment::loopback();
    }
    let mut stdout = std::io::stdout();
    let told = stdout.write_all(b"!").and_then(|()| stdout.flush());
    told.expect("somebody listens");
    if std::env::var_os(PROGRAM).is_some_and(|role| role == "stay") {
        std::thread::sleep(Duration::from_secs(5));
    }
}

pub(crate) fn run() {
    heading("incumbent run, a vacant election on SQLite");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("elections.db");
    // The first run makes the database.
    started(incumbent(&path, "leave"))
        .1
        .wait()
        .expect("it ends");
    let (mut direct, mut elected) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (command, times) in [
            (itself("leave"), &mut direct),
            (incumbent(&path, "leave"), &mut elected),
        ] {
            let (took, mut child) = started(command);
            times.push(took);
            let status = child.wait().expect("it ends");
            assert!(status.success(), "{status}");
        }
    }
    let (direct, elected) = (median(direct), median(elected));
    time("floor: starting the program directly", direct);
    time("incumbent run, to the program running", elected);
    let added = elected.saturating_sub(direct);
    figure("added by the election, aim ≤ 10 ms", &shown(added));

    let mut found = [const { Vec::new() }; 4];
    for _ in 0..STARTS {
        let (_, mut child) = started(incumbent(&path, "stay"));
        // A few heartbeats, so that everything that will be touched is.
        std::thread::sleep(Duration::from_secs(1));
        let elector = child.id();
        let keeper = only_child(elector);
        let sizes = [
            (elector, "VmRSS:"),
            (elector, "VmHWM:"),
            (keeper, "VmRSS:"),
            (keeper, "VmHWM:"),
        ];
        for (sizes, (pid, field)) in found.iter_mut().zip(sizes) {
            sizes.push(kib(pid, field));
        }
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
        child.wait().expect("it ends");
    }
    let [resident, peak, keeper, keeper_peak] = found;
    println!("  KiB over {STARTS} starts, a second after the program runs");
    spread("resident memory of the elector, aim ≤ 8192", resident);
    spread("the most that it was", peak);
    spread("resident memory of its keeper, which locks it", keeper);
    spread("the most that it was", keeper_peak);
}

fn itself(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(PROGRAM, role);
    command
}

fn incumbent(path: &Path, role: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incumbent"));
    command
        .args([
            "run",
            "bench",
            "--store",
            &format!("sqlite:{}", path.display()),
            "--",
        ])
        .arg(std::env::current_exe().expect("this program"))
        .env(PROGRAM, role);
    command
}

/// Starts a program, and how long it took until it ran.
pub(crate) fn started(mut command: Command) -> (Duration, Child) {
    let begin = clock::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut first = [0];
    let stdout = child.stdout.as_mut().expect("its output");
    stdout.read_exact(&mut first).expect("it runs");
    (clock::now().since(begin), child)
}

/// The keeper of an elector.
fn only_child(pid: u32) -> u32 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).expect("its children");
    let mut children = children.split_whitespace();
    let first = children.next().and_then(|child| child.parse().ok());
    assert_eq!(children.next(), None, "an elector has one child");
    first.expect("an elector has a keeper")
}

/// A size from the process's `/proc` entry.
fn kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure
        .and_then(|figure| figure.parse().ok())
        .expect("a size in KiB")
}
