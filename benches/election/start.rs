//! What `incumbent run` adds to the start of a program, and what it keeps in memory.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use incumbent::election::clock;

use crate::report::{figure, heading, median, shown, time};

const ROUNDS: usize = 40;
/// Set for the program that is started: this one, in another role. It does not begin with `INCUMBENT_`,
/// for `incumbent run` keeps such variables from its program, which would then measure in its turn.
const PROGRAM: &str = "ELECTION_BENCH_PROGRAM";

pub(crate) fn is_program() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// Says that it runs, and waits until its standard input ends.
pub(crate) fn program() {
    use std::io::Write;
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

    let (_, mut child) = started(incumbent(&path, "stay"));
    // A few heartbeats, so that everything that will be touched is.
    std::thread::sleep(Duration::from_secs(3));
    let resident = resident_kib(child.id());
    figure(
        "resident memory of the elector, aim ≤ 8192 KiB",
        &format!("{resident} KiB"),
    );
    child.wait().expect("it ends");
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
fn started(mut command: Command) -> (Duration, Child) {
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

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure
        .and_then(|figure| figure.parse().ok())
        .expect("VmRSS in KiB")
}
